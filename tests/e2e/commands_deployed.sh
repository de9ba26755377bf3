#!/bin/bash
# The commands on an app that was deployed: builds, releases, ps, logs,
# rename and destroy.
. "$(dirname "$0")/lib.sh"

container_count() {
	[ "$(owned_containers | jq length)" = "$1" ]
}

# Commands of workers that follow something, of this server only.
followers() {
	pgrep -P "$(part_pid slipway-builder)" -f "worker command" | wc -l
}

no_followers() {
	[ "$(followers)" = 0 ]
}

test_expect_success 'an app with two releases' '
	start_server && new_user alice --admin &&
	make_app shop &&
	sed -i "s/^exec/echo ready to serve\nexec/" "$TRASH/shop/start" &&
	commit shop one && push shop main &&
	commit shop two && push shop main &&
	serves shop two
'

test_expect_success 'builds are listed with their releases' '
	on_ssh builds shop --json >"$TRASH/builds" &&
	jq -e "length == 2 and .[0].state == \"succeeded\" and
		.[0].release == 2 and .[1].release == 1" "$TRASH/builds" &&
	on_ssh builds:info shop --json >"$TRASH/build" &&
	jq -e ".commit == \"$(git -C "$TRASH/shop" rev-parse HEAD)\" and
		(.journal | length) > 0" "$TRASH/build"
'

test_expect_success 'the output of a build is what the push showed' '
	on_ssh builds:output shop >"$TRASH/output" &&
	contains "$TRASH/output" "-----> Building from Dockerfile" \
		"=====> shop v2 is live"
'

test_expect_success 'one release is live' '
	on_ssh releases shop --json >"$TRASH/releases" &&
	jq -e "[.[] | .state] == [\"live\", \"old\"]" "$TRASH/releases" &&
	on_ssh releases:info shop | grep "^Release: *v2$"
'

test_expect_success 'ps shows what runs' '
	on_ssh ps shop --json >"$TRASH/ps" &&
	jq -e "map(select(.release == 2 and .state == \"up\")) |
		length == 1 and .[0].name == \"web.1\"" "$TRASH/ps"
'

test_expect_success 'logs name the process, and -n bounds them' '
	http shop.localhost >/dev/null &&
	on_ssh logs shop >"$TRASH/logs" &&
	contains "$TRASH/logs" "app[web.1]: ready to serve" &&
	[ "$(on_ssh logs shop -n 1 | wc -l)" -le 1 ] &&
	test_must_fail grep -v "Z app\[web\.[0-9]*\]: " "$TRASH/logs"
'

test_expect_success 'logs are chosen by time and text' '
	on_ssh logs shop --grep ready >"$TRASH/logs" &&
	contains "$TRASH/logs" "app[web.1]: ready to serve" &&
	test_must_fail grep -v ready "$TRASH/logs" &&
	[ "$(on_ssh logs shop --grep ready -n 1 | wc -l)" = 1 ] &&
	[ -z "$(on_ssh logs shop --grep absent-text)" ] &&
	on_ssh logs shop --since 1h >"$TRASH/logs" &&
	contains "$TRASH/logs" "app[web.1]: ready to serve" &&
	[ -z "$(on_ssh logs shop --since \
		$(date -ud "10 seconds" +%Y-%m-%dT%H:%M:%SZ))" ] &&
	test_must_fail on_ssh logs shop --since yesterday
'

test_expect_success 'a follower who leaves ends the command' '
	no_followers &&
	{ ssh "${SSH_OPTIONS[@]}" -p "$SSH_PORT" git@127.0.0.1 logs shop -t \
		>"$TRASH/follow" & } &&
	client=$! &&
	poll_until 10 eval "[ \$(followers) = 1 ]" &&
	kill $client &&
	poll_until 10 no_followers
'

test_expect_success 'a build that runs is followed by anyone who may' '
	cat >>"$TRASH/shop/Dockerfile" <<-\EOF &&
	RUN echo started && sleep 5 && echo over
	EOF
	commit shop three &&
	{ push shop main >/dev/null & } &&
	pusher=$! &&
	poll_until 20 eval "on_ssh builds:info shop --json |
		jq -e \".state == \\\"running\\\"\"" &&
	test_must_fail on_ssh apps:destroy shop --force &&
	test_must_fail on_ssh apps:rename shop store &&
	on_ssh builds:output shop >"$TRASH/output" &&
	wait $pusher &&
	contains "$TRASH/output" "=====> shop v3 is live" &&
	serves shop three
'

test_expect_success 'a renamed app answers under the new name only' '
	on_ssh apps:rename shop store &&
	serves store three &&
	test_must_fail http shop.localhost &&
	[ "$(git ls-remote "$URL/store" refs/heads/main | cut -f1)" = \
		"$(git -C "$TRASH/shop" rev-parse HEAD)" ]
'

test_expect_success 'a destroyed app leaves nothing' '
	id=$(on_ssh apps:info store --json | jq .id) &&
	[ -d "$DATA/repos/$id.git" ] &&
	on_ssh apps:destroy store --confirm store &&
	test_must_fail on_ssh apps:exists store &&
	test_must_fail http store.localhost &&
	poll_until 20 container_count 0 &&
	[ ! -e "$DATA/repos/$id.git" ] &&
	[ -z "$(ls "$DATA/builds")" ]
'

test_expect_success 'its name is free for another' '
	git -C "$TRASH/shop" remote set-url app "$URL/store" &&
	push shop main && contains "$TRASH/out" "store v1 is live"
'

test_done
