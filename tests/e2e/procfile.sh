#!/bin/bash
# Process types and the release phase of a Procfile, on the local engine.
. "$(dirname "$0")/lib.sh"

# procfile LINE…: the app's Procfile; commands find PORT and the page.
procfile() {
	printf '%s\n' "$@" >"$TRASH/shop/Procfile"
}

WEB='web: exec /start'
WORKER='worker: echo worker of $SLIPWAY_RELEASE; exec sleep 1000'

# Instances that run, as "web.1 worker.1".
processes() {
	slipway ps shop --json | jq -r '[.[].name] | sort | join(" ")'
}

runs() {
	[ "$(processes)" = "$1" ]
}

owned_of() { # TYPE: containers of this process type, running or not
	owned_containers |
		jq "[.[] | select(.Labels[\"slipway.process\"] == \"$1\")] | length"
}

test_expect_success 'a server starts and an administrator has a key' '
	start_server -o deploy.release-timeout=3s && new_user alice --admin
'

test_expect_success 'every type of the Procfile runs beside web' '
	make_app shop && procfile "$WEB" "$WORKER" && commit shop one &&
	push shop main &&
	contains "$TRASH/out" "-----> Rolling out web=1 worker=1 on local" \
		"web.1 healthy" "worker.1 healthy (up for" &&
	serves shop one && runs "web.1 worker.1"
'

test_expect_success 'and has its own log' '
	slipway logs shop -p worker >"$TRASH/logs" &&
	contains "$TRASH/logs" "app[worker.1]: worker of v1"
'

test_expect_success 'web needs no line: then it is the image'\''s command' '
	procfile "$WORKER" && commit shop two && push shop main &&
	contains "$TRASH/out" "Rolling out web=1 worker=1 on local" &&
	serves shop two
'

test_expect_success 'a type that dies takes nothing down: the push fails' '
	procfile "$WEB" "worker: echo no queue; exit 4" && commit shop three &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "worker.1 exited 4" "no queue" \
		"v2 still live" &&
	serves shop two && runs "web.1 worker.1"
'

test_expect_success 'the release phase runs before the rollout' '
	procfile "$WEB" "release: echo migrating \$SLIPWAY_RELEASE \$PORT" &&
	commit shop four && push shop main &&
	contains "$TRASH/out" "-----> Release phase: echo migrating" \
		"       migrating v4 " "       done in" \
		"-----> Rolling out web=1 on local" "shop v4 is live" &&
	[ "$(grep -n "Release phase" "$TRASH/out" | cut -d: -f1)" -lt \
	  "$(grep -n "Rolling out" "$TRASH/out" | cut -d: -f1)" ] &&
	serves shop four
'

test_expect_success 'its container is gone, and so is the dropped worker' '
	[ "$(owned_of release)" = 0 ] &&
	poll_until 20 runs web.1
'

test_expect_success 'releases:info names it' '
	slipway releases:info shop >"$TRASH/info" &&
	contains "$TRASH/info" "web, release"
'

test_expect_success 'one that fails refuses the push with its exit code' '
	procfile "$WEB" "release: echo no such table; exit 3" &&
	commit shop five && test_must_fail push shop main &&
	contains "$TRASH/out" "       no such table" \
		"v5 failed: release phase exited 3; v4 still live" &&
	lacks "$TRASH/out" "Rolling out" &&
	serves shop four && [ "$(owned_of release)" = 0 ]
'

test_expect_success 'all it printed is there, in order' '
	procfile "$WEB" \
		"release: i=0; while [ \$i -lt 2000 ]; do echo line \$i; i=\$((i+1)); done; sleep 1; echo last; exit 1" &&
	commit shop six && test_must_fail push shop main &&
	grep -o "line [0-9]*$" "$TRASH/out" | cut -d" " -f2 >"$TRASH/got" &&
	seq 0 1999 | cmp - "$TRASH/got" && contains "$TRASH/out" "       last"
'

test_expect_success 'one that hangs is stopped after deploy.release-timeout' '
	procfile "$WEB" "release: echo waiting; sleep 100" &&
	commit shop seven && test_must_fail push shop main &&
	contains "$TRASH/out" "waiting" \
		"release phase did not end within 3.0s (deploy.release-timeout)" &&
	[ "$(owned_of release)" = 0 ] && serves shop four
'

test_expect_success 'one that cannot start is a reason, too' '
	printf "FROM scratch\nCOPY www /www\nCMD [\"/none\"]\n" \
		>"$TRASH/shop/Dockerfile" &&
	procfile "release: true" && commit shop eight &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "exec /bin/sh failed" \
		"v8 failed: release phase exited 127; v4 still live" &&
	[ "$(owned_of release)" = 0 ] &&
	git -C "$TRASH/shop" checkout -q HEAD~1 Dockerfile
'

# ---- cut off ----

push_later() {
	push shop main >"$TRASH/later" 2>&1
	echo $? >"$TRASH/code"
}

test_expect_success 'a builder that dies during the release phase leaves nothing' '
	restart_server -o deploy.release-timeout=5m &&
	procfile "$WEB" "release: echo begun; sleep 200" &&
	commit shop nine && rm -f "$TRASH/code" &&
	{ push_later & } &&
	poll_until 60 grep -q "^       begun" "$TRASH/data/builds/9.log" &&
	kill -9 "$(part_pid slipway-builder)" &&
	poll_until 60 test -s "$TRASH/code" &&
	[ "$(cat "$TRASH/code")" != 0 ] &&
	poll_until 60 eval "[ \$(owned_of release) = 0 ]" &&
	serves shop four
'

test_expect_success 'and the next push works' '
	procfile "$WEB" "$WORKER" "release: echo fine" && commit shop ten &&
	push shop main &&
	contains "$TRASH/out" "       fine" "Rolling out web=1 worker=1" &&
	serves shop ten
'

test_expect_success 'a release phase that is killed gets the likely cause' '
	procfile "$WEB" "release: exit 137" && commit shop killed &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "release phase exited 137: killed, most likely" \
		"out of memory (run.memory)"
'

test_expect_success 'a name that cannot be a process type is refused early' '
	procfile "a-name-that-is-much-too-long-for-a-process: x" &&
	commit shop eleven && test_must_fail push shop main &&
	contains "$TRASH/out" "Procfile:" "is not a process type" &&
	lacks "$TRASH/out" "Building"
'

test_done
