#!/bin/bash
# Config vars: stored, shown to who may see them, released at once or later.
. "$(dirname "$0")/lib.sh"

# The page of the app tells what it has in its environment.
WEB='web: echo "$GREETING" >/www/greeting.txt; env >/www/env.txt; exec /start'

greets() {
	[ "$(http shop.localhost /greeting.txt)" = "$1" ]
}

live() {
	[ "$(slipway releases:info shop --json | jq -r .version)" = "$1" ]
}

test_expect_success 'a server starts, and an app is there' '
	start_server && new_user alice --admin &&
	make_app shop && echo "$WEB" >"$TRASH/shop/Procfile" && commit shop one &&
	on_ssh apps:create shop
'

test_expect_success 'an app without vars says so' '
	on_ssh config shop >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "has no config vars" &&
	[ "$(on_ssh config shop --json)" = "{}" ]
'

test_expect_success 'before the first deploy they are only stored' '
	on_ssh config:set shop GREETING=hello EMPTY= >"$TRASH/out" &&
	contains "$TRASH/out" "Set GREETING, EMPTY: stored for the first deploy" &&
	[ "$(on_ssh config:get shop GREETING)" = hello ] &&
	[ "$(slipway releases shop --json)" = "[]" ]
'

test_expect_success 'the first deploy has them' '
	push shop main && greets hello &&
	http shop.localhost /env.txt >"$TRASH/env" &&
	contains "$TRASH/env" "EMPTY=" "SLIPWAY_RELEASE=v1" "PORT="
'

test_expect_success 'config:set makes a release of the same image' '
	on_ssh config:set shop GREETING=servus FOO=1 >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" \
		"-----> Releasing shop v2: Set GREETING, FOO, by alice" \
		"-----> Rolling out web=1 on local" "web.1 healthy" \
		"=====> shop v2 is live: http://shop.localhost:$HTTP_PORT" \
		"Set GREETING, FOO: v2 is live" &&
	lacks "$TRASH/out" servus && lacks "$TRASH/out" "Building" &&
	greets servus && live 2 &&
	[ "$(slipway releases:info shop v1 --json | jq -r .commit,.image)" = \
	  "$(slipway releases:info shop v2 --json | jq -r .commit,.image)" ] &&
	[ "$(slipway releases:info shop --json | jq -r .description)" = \
	  "Set GREETING, FOO" ]
'

test_expect_success 'a ref records it' '
	git ls-remote "$URL/shop" refs/deploys/v2 >"$TRASH/refs" &&
	contains "$TRASH/refs" "$(git -C "$TRASH/shop" rev-parse HEAD)"
'

test_expect_success 'the build list has it and its transcript' '
	slipway builds:output shop current >"$TRASH/out" &&
	contains "$TRASH/out" "Releasing shop v2" &&
	[ "$(slipway builds:info shop --json | jq -r .kind)" = release ]
'

test_expect_success 'shown in order, as JSON and for a shell' '
	on_ssh config shop >"$TRASH/out" && contains "$TRASH/out" \
		"EMPTY:" "FOO:       1" "GREETING:  servus" &&
	[ "$(on_ssh config:show shop --json | jq -r .GREETING)" = servus ] &&
	slipway config:set shop QUOTED="it'\''s" --no-restart &&
	on_ssh config shop -s >"$TRASH/sh" && (
		. "$TRASH/sh" && [ "$GREETING" = servus ] &&
		[ "$QUOTED" = "it'\''s" ] )
'

test_expect_success '--no-restart waits for the next release' '
	on_ssh config:set shop GREETING=later --no-restart >"$TRASH/out" &&
	contains "$TRASH/out" "Set GREETING: stored for the next release" &&
	live 2 && greets servus &&
	on_ssh config shop 2>&1 >"$TRASH/config" | grep "changed since v2" &&
	commit shop two && push shop main && greets later && live 3
'

test_expect_success 'what changes nothing makes no release' '
	on_ssh config:set shop GREETING=later >"$TRASH/out" &&
	contains "$TRASH/out" "Nothing changed" && live 3
'

test_expect_success 'config:unset removes and releases' '
	on_ssh config:unset shop FOO NOSUCH >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "shop has no NOSUCH" "Unset FOO: v4 is live" &&
	test_must_fail on_ssh config:get shop FOO &&
	http shop.localhost /env.txt >"$TRASH/env" && lacks "$TRASH/env" FOO=
'

test_expect_success 'a value from standard input is in no command line' '
	printf "%s\n" "two
lines = fine" | on_ssh config:set shop GREETING >"$TRASH/out" 2>&1 &&
	lacks "$TRASH/out" fine &&
	[ "$(on_ssh config:get shop GREETING)" = "two
lines = fine" ] &&
	greets "two
lines = fine"
'

test_expect_success 'nothing on standard input is a mistake' '
	test_must_fail on_ssh config:set shop GREETING </dev/null \
		2>"$TRASH/out" &&
	contains "$TRASH/out" "no value for GREETING" "GREETING="
'

test_expect_success 'values are for who operates the app' '
	new_user dora && as_user alice &&
	on_ssh access:add shop dora deploy && as_user dora &&
	test_must_fail on_ssh config shop >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "needs the role operate" &&
	test_must_fail on_ssh config:get shop GREETING &&
	test_must_fail on_ssh config:set shop A=b &&
	as_user alice && on_ssh access:add shop dora operate &&
	as_user dora && on_ssh config:get shop GREETING && as_user alice
'

test_expect_success 'bad names are refused without being shown' '
	for word in 1A=s3cret A-B=s3cret =s3cret s3cret-s3cret "a b=s3cret"; do
		test_must_fail on_ssh "config:set shop \"$word\"" \
			>"$TRASH/out" 2>&1 &&
		contains "$TRASH/out" "word 1: a name is made of" &&
		lacks "$TRASH/out" s3cret || return 1
	done &&
	test_must_fail on_ssh config:set shop PORT=1 2>"$TRASH/out" &&
	contains "$TRASH/out" "PORT is set by Slipway" &&
	test_must_fail on_ssh config:set shop SLIPWAY_APP=x
'

test_expect_success 'size and number are bounded' '
	head -c 40000 /dev/zero | tr "\0" x >"$TRASH/large" &&
	test_must_fail on_ssh config:set shop BIG <"$TRASH/large" \
		2>"$TRASH/out" &&
	contains "$TRASH/out" "longer than" &&
	head -c 30000 "$TRASH/large" >"$TRASH/fits" &&
	on_ssh config:set shop A --no-restart <"$TRASH/fits" &&
	on_ssh config:set shop B --no-restart <"$TRASH/fits" &&
	test_must_fail on_ssh config:set shop C --no-restart <"$TRASH/fits" \
		2>"$TRASH/out" &&
	contains "$TRASH/out" "64 KB in all" &&
	on_ssh config:unset shop A B --no-restart
'

test_expect_success 'references are for other targets' '
	test_must_fail on_ssh config:set shop \
		DATABASE_URL=secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:db \
		2>"$TRASH/out" &&
	contains "$TRASH/out" "DATABASE_URL: references to Secrets Manager" \
		"(docker)" && lacks "$TRASH/out" arn: &&
	test_must_fail on_ssh config:set shop D=ssm:/shop/db
'

# ---- failure ----

test_expect_success 'a release phase runs, and its failure keeps the old one' '
	printf "%s\n" "$WEB" "release: echo checking; test \"\$GREETING\" != bad" \
		>"$TRASH/shop/Procfile" && commit shop three &&
	push shop main && V=$(slipway releases:info shop --json | jq .version) &&
	test_must_fail on_ssh config:set shop GREETING=bad >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "-----> Release phase:" "       checking" \
		"v$((V + 1)) failed: release phase exited 1; v$V still live" \
		"the config vars are stored, but" "stay as they were set" &&
	live $V && [ "$(on_ssh config:get shop GREETING)" = bad ]
'

test_expect_success 'and setting it right again releases' '
	on_ssh config:set shop GREETING=good >"$TRASH/out" 2>&1 &&
	greets good && live $((V + 2))
'

test_expect_success 'a value that breaks the app does not get the traffic' '
	printf "%s\n" "web: test -z \"\$BREAK\" || exit 7; ${WEB#web: }" \
		>"$TRASH/shop/Procfile" && commit shop four && push shop main &&
	test_must_fail on_ssh config:set shop BREAK=1 >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "web.1 exited 7" "still live" && greets good
'

test_expect_success 'taking it back needs a release only when one is behind' '
	on_ssh config:unset shop BREAK >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "Unset BREAK: v" && greets good
'

test_expect_success 'the same vars again try again' '
	N=$(slipway releases shop --json | jq ".[0].version") &&
	test_must_fail on_ssh config:set shop BREAK=1 >"$TRASH/out" 2>&1 &&
	test_must_fail on_ssh config:set shop BREAK=1 >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "v$((N + 2)) failed" "Config vars set before" &&
	on_ssh config:unset shop BREAK --no-restart
'

# ---- queue and crash ----

test_expect_success 'it waits for a push, and then has what that brought' '
	printf "FROM slipway/busybox:latest\nCOPY www /www\nCOPY start /start\nRUN sleep 4\nCMD [\"/start\"]\n" \
		>"$TRASH/shop/Dockerfile" && commit shop five &&
	{ push shop main >"$TRASH/push" 2>&1 & } && P=$! &&
	poll_until 20 eval "slipway builds shop --json | jq -e \".[0].state == \\\"running\\\"\"" &&
	on_ssh config:set shop GREETING=queued >"$TRASH/later" 2>&1 &&
	wait $P &&
	contains "$TRASH/later" "-----> Waiting: alice" \
		"Set GREETING: v" && greets queued && serves shop five
'

test_expect_success 'many at once: everybody'\''s var is there at the end' '
	for i in 1 2 3 4; do
		on_ssh config:set shop "MANY_$i=$i" >"$TRASH/many.$i" 2>&1 &
		P[i]=$!
	done
	for i in 1 2 3 4; do
		wait "${P[i]}" || return 1
	done
	http shop.localhost /env.txt >"$TRASH/env" &&
	contains "$TRASH/env" MANY_1=1 MANY_2=2 MANY_3=3 MANY_4=4
'

test_expect_success 'a builder that dies leaves the vars, and the app running' '
	printf "%s\n" "$WEB" "release: echo begun; sleep 3" \
		>"$TRASH/shop/Procfile" && commit shop six && push shop main &&
	{ on_ssh config:set shop GREETING=crash >"$TRASH/later" 2>&1 & } &&
	P=$! &&
	poll_until 20 grep -q "^       begun" "$TRASH/later" &&
	kill -9 "$(part_pid slipway-builder)" &&
	! wait $P &&
	poll_until 30 server_answers && greets queued &&
	[ "$(slipway config:get shop GREETING)" = crash ] &&
	poll_until 20 eval "slipway builds:info shop --json |
		grep -qE \"interrupted|canceled\"" &&
	[ "$(slipway releases shop --json | jq -r ".[0].state")" = failed ] &&
	on_ssh config:set shop GREETING=crash >"$TRASH/out" 2>&1 &&
	greets crash
'

test_expect_success 'no value is in a log, a transcript or the message store' '
	printf s3cret-stdin | on_ssh config:set shop A >"$TRASH/out" 2>&1 &&
	on_ssh config:set shop B=s3cret-word >>"$TRASH/out" 2>&1 &&
	lacks "$TRASH/out" s3cret && lacks "$TRASH/server.log" s3cret &&
	! grep -r s3cret "$DATA/builds" &&
	[ -z "$(sqlite3 "$DATA/slipway.db" \
		"SELECT request FROM jobs WHERE request LIKE '\''%s3cret%'\''")" ] &&
	sqlite3 "$DATA/slipway.db" "SELECT vars FROM configs" | grep -q s3cret
'

test_expect_success 'old releases keep their image as long as they are kept' '
	for i in 1 2 3 4 5 6; do
		on_ssh config:set shop "I=$i" >/dev/null 2>&1 || return 1
	done &&
	restart_server && poll_until 30 serves shop six
'

test_done
