#!/bin/bash
# What is killed, when, and what is left: nothing locked, nothing half done,
# and the next push works.
. "$(dirname "$0")/lib.sh"

slow() { # DIR SECONDS MESSAGE
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/$1/Dockerfile" &&
		echo "RUN echo $3 $RANDOM$RANDOM; sleep $2" \
			>>"$TRASH/$1/Dockerfile" &&
		commit "$1" "$3"
}

# Push in the background, ready to be killed as a group.
push_in_background() { # NAME DIR
	rm -f "$TRASH/$1.code"
	: >"$TRASH/$1.out"
	setsid bash -c 'git -C "$1" push app main >"$2.out" 2>&1
		echo $? >"$2.code"' push "$TRASH/$2" "$TRASH/$1" &
	pusher=$!
}

ended() {
	[ -f "$TRASH/$1.code" ]
}

said() { # NAME TEXT
	grep -qF -- "$2" "$TRASH/$1.out"
}

# Its worker with a job, of this server only.
worker_pid() {
	pgrep -f "^$TRASH/prog/bin/slipway-worker job|^slipway-worker job" |
		while read -r pid; do
			[ "$(readlink "/proc/$pid/exe")" = \
				"$TRASH/prog/bin/slipway-worker" ] &&
				echo "$pid"
		done | head -n 1
}

another_builder() { # than PID
	local now
	now=$(part_pid slipway-builder)
	[ -n "$now" ] && [ "$now" != "$1" ] && slipway version >/dev/null
}

one_container() {
	[ "$(owned_containers | jq '[.[] | select(.State == "running")] |
		length')" = 1 ]
}

no_container_but_one() {
	[ "$(owned_containers | jq length)" = 1 ]
}

latest_build_is() { # STATE
	[ "$(slipway builds:list shop --json | jq -r '.[0].state')" = "$1" ]
}

# The app can be deployed: push with MESSAGE, see it.
next_push_works() {
	slow shop 0 "$1" && timeout 60 git -C "$TRASH/shop" push app main \
		>"$TRASH/out" 2>&1 && serves shop "$1" &&
		poll_until 20 no_container_but_one
}

test_expect_success 'an app' '
	start_server && new_user alice --admin &&
	make_app shop && push shop main && serves shop one
'

test_expect_success 'kill -9 of the builder during a build' '
	slow shop 20 two && push_in_background p shop &&
	poll_until 20 said p "[4/4] RUN" &&
	builder=$(part_pid slipway-builder) && kill -9 "$builder" &&
	poll_until 30 ended p && cat "$TRASH/p.out" &&
	[ "$(cat "$TRASH/p.code")" != 0 ] &&
	said p "[remote rejected] main -> main" &&
	poll_until 20 another_builder "$builder" && serves shop one
'

test_expect_success 'the store and the branch know nothing but v1' '
	slipway releases shop --json >"$TRASH/releases" &&
	jq -e "[.[] | select(.state == \"live\")] == [.[-1]]" \
		"$TRASH/releases" &&
	jq -e "[.[] | select(.state == \"pending\")] == []" \
		"$TRASH/releases" &&
	! git ls-remote "$URL/shop" | grep "$(git -C "$TRASH/shop" rev-parse HEAD)"
'

test_expect_success 'the same commit again works' '
	sed -i "s/sleep 20/sleep 0/" "$TRASH/shop/Dockerfile" &&
	commit shop two && push shop main && serves shop two
'

test_expect_success 'kill -9 of builder and worker during a rollout' '
	printf "#!/bin/sh\nexec sleep 1000\n" >"$TRASH/shop/start" &&
	slow shop 0 stuck && push_in_background p shop &&
	poll_until 20 said p "Rolling out" &&
	poll_until 10 eval "[ \$(owned_containers | jq length) = 2 ]" &&
	worker=$(worker_pid) && [ -n "$worker" ] &&
	builder=$(part_pid slipway-builder) &&
	kill -9 "$builder" "$worker" &&
	poll_until 30 ended p && cat "$TRASH/p.out" &&
	said p "[remote rejected] main -> main" && said p "push again" &&
	poll_until 20 another_builder "$builder" &&
	latest_build_is interrupted && serves shop two
'

test_expect_success 'what it started is removed' '
	poll_until 30 no_container_but_one && serves shop two
'

test_expect_success 'the next push works' '
	cp "$ROOT/contrib/examples/hello/start" "$TRASH/shop/start" &&
	next_push_works three
'

test_expect_success 'kill -9 of the worker alone' '
	slow shop 20 four && push_in_background p shop &&
	poll_until 20 said p "[4/4] RUN" &&
	kill -9 "$(worker_pid)" && poll_until 30 ended p &&
	said p "[remote rejected] main -> main" &&
	said p "ended unexpectedly" && serves shop three &&
	next_push_works four
'

test_expect_success 'a client that goes away does not stop the deploy' '
	slow shop 4 five && push_in_background p shop &&
	poll_until 20 said p "[4/4] RUN" &&
	kill -9 -- "-$pusher" && ! ended p &&
	poll_until 30 serves shop five &&
	poll_until 10 latest_build_is succeeded &&
	[ "$(git ls-remote "$URL/shop" refs/heads/main | cut -f1)" = \
	  "$(git -C "$TRASH/shop" rev-parse HEAD)" ] &&
	slipway builds:output shop | grep "is live"
'

test_expect_success 'kill -9 of the receiver: deploys go on, it comes back' '
	slow shop 4 seven && push_in_background p shop &&
	poll_until 20 said p "[4/4] RUN" &&
	receiver=$(part_pid slipway-receiver) && kill -9 "$receiver" &&
	poll_until 30 serves shop seven &&
	poll_until 20 on_ssh version &&
	poll_until 10 latest_build_is succeeded && next_push_works eight
'

test_expect_success 'kill -9 of HAProxy: the routes come back' '
	kill -9 "$(part_pid haproxy)" &&
	poll_until 15 serves shop eight
'

test_expect_success 'kill -9 of everything: the next start puts it right' '
	slow shop 20 nine && push_in_background p shop &&
	poll_until 20 said p "[4/4] RUN" &&
	parts="$(pgrep -P "$SERVER_PID") $(worker_pid)" &&
	kill -9 "$SERVER_PID" $parts && wait "$SERVER_PID" 2>/dev/null
	poll_until 10 gone "$(echo $parts | cut -d" " -f1)" &&
	launch_server && poll_until 15 serves shop eight &&
	latest_build_is interrupted && next_push_works nine
'

test_expect_success 'a container that dies is started again and routed' '
	id=$(owned_containers | jq -r ".[0].Id") &&
	pid=$(api GET "/containers/$id/json" | jq .State.Pid) &&
	kill -9 "$pid" && poll_until 20 serves shop nine
'

test_expect_success 'a container that somebody removed is made again' '
	id=$(owned_containers | jq -r ".[0].Id") &&
	api DELETE "/containers/$id?force=1" &&
	poll_until 90 serves shop nine
'

test_expect_success 'SIGTERM during a deploy undoes it and is quick' '
	slow shop 60 ten && push_in_background p shop &&
	poll_until 20 said p "[4/4] RUN" && began=$SECONDS &&
	stop_server && [ $((SECONDS - began)) -lt 30 ] &&
	poll_until 10 ended p && [ "$(cat "$TRASH/p.code")" != 0 ] &&
	launch_server && poll_until 15 serves shop nine &&
	next_push_works ten
'

test_done
