#!/bin/bash
# What a newcomer types: make run, make install, and `slipway check`.
. "$(dirname "$0")/lib.sh"

export RUN_DIR=$TRASH/r
run_log=$TRASH/run.log

# Detached, its output in $run_log, shown when it fails.
run_detached() {
	DETACH=1 run >"$run_log" 2>&1 && return
	cat "$run_log"
	tail -n 20 "$RUN_DIR/serve.log"
	return 1
}

# contrib/run is what `make run` calls after building.  Its programs are
# those under test, where the system users reach them.
tree() {
	mkdir -p "$TRASH/tree/build" "$RUN_DIR" &&
		cp -R "$ROOT/contrib" "$TRASH/tree/" &&
		cp -R "$BUILD" "$TRASH/tree/build/release" &&
		chmod -R a+rX "$TRASH/tree"
}

run() {
	"$TRASH/tree/contrib/run" "$@" </dev/null
}

setting() {
	git config --file "$RUN_DIR/slipway.conf" "$1"
}

page() {
	curl -sf --max-time 10 -H "Host: hello.localhost" \
		"http://127.0.0.1:$(setting router.listen | sed 's/.*://')/"
}

note_owner() {
	OWNER=$(sqlite3 "$RUN_DIR/data/slipway.db" \
		"SELECT value FROM settings WHERE key = 'owner'")
	[ -n "$OWNER" ]
}

# In place of lib.sh's: its server is the one that contrib/run started, and
# must be down before what it owns is removed.
stop_server() {
	[ ! -f "$RUN_DIR/serve.pid" ] || run stop
}

test_expect_success 'make run DETACH=1 prints transcript and address' '
	tree && engine_ready && run_detached &&
	note_owner && cat "$run_log" &&
	contains "$run_log" "-----> Deploying hello" "is live" \
		"[new branch]      main -> main" \
		"The example answers: http://hello.localhost:" \
		"make run-stop"
'

test_expect_success 'the example shows release, commit and uptime' '
	page >"$TRASH/page" &&
	contains "$TRASH/page" "<dd>hello</dd>" "<dd>v1</dd>" \
		"$(git -C "$RUN_DIR/hello" rev-parse HEAD)" "Up for"
'

test_expect_success 'again: the same server, nothing to push, quick' '
	pid=$(cat "$RUN_DIR/serve.pid") && began=$SECONDS &&
	run_detached && [ $((SECONDS - began)) -lt 10 ] &&
	contains "$run_log" "running already" "Everything up-to-date" &&
	[ "$(cat "$RUN_DIR/serve.pid")" = "$pid" ]
'

test_expect_success 'the printed way to change and push works' '
	cd "$RUN_DIR/hello" && echo "<!-- changed -->" >>www/cgi-bin/index.cgi &&
	git -c user.name=a -c user.email=a@b commit -q -am "my change" &&
	git push slipway main && page >"$TRASH/page" &&
	contains "$TRASH/page" "<dd>v2</dd>"
'

test_expect_success 'make run-stop stops it' '
	pid=$(cat "$RUN_DIR/serve.pid") && run stop && gone "$pid" &&
	! page && ! pgrep -f "^$TRASH/tree/build/release/bin"
'

test_expect_success 'in the foreground, with the same data, until ^C' '
	rm "$run_log" # what the last run said
	# A shell ignores INT for what it puts in the background.
	setsid env --default-signal=INT "$TRASH/tree/contrib/run" \
		>"$run_log" 2>&1 </dev/null &
	run=$! &&
	poll_until 60 grep -q "Stop it with" "$run_log" && page >/dev/null &&
	contains "$run_log" "Everything up-to-date" &&
	pid=$(cat "$RUN_DIR/serve.pid") &&
	kill -INT -- "-$run" && poll_until 40 gone "$run" && gone "$pid" && ! page
'

test_expect_success 'taken ports are said and others used' '
	rm -f "$RUN_DIR/slipway.conf" &&
	python3 -c "import socket, time
held = []
for port in (2222, 8080):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind((\"127.0.0.1\", port)); s.listen(); held.append(s)
    except OSError: pass # somebody else holds it
time.sleep(60)" &
	holder=$! && at_exit "kill $holder" &&
	poll_until 10 eval "(exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null" &&
	run_detached &&
	contains "$run_log" "Port 2222 is taken, using" \
		"Port 8080 is taken, using" && page >/dev/null && run stop
'

test_expect_success 'make install puts everything below DESTDIR' '
	make -s -C "$ROOT" VARIANT="$VARIANT" install \
		DESTDIR="$TRASH/inst" PREFIX=/usr/local &&
	cd "$TRASH/inst/usr/local" &&
	for f in bin/slipway libexec/slipway/slipway-receiver \
		libexec/slipway/slipway-builder libexec/slipway/slipway-worker \
		libexec/slipway/hooks/proc-receive \
		share/man/man1/slipway.1 share/man/man5/slipway.conf.5 \
		share/man/man7/slipway-hooks.7 \
		share/man/man8/slipway-receiver.8 \
		share/doc/slipway/slipway.conf \
		lib/systemd/system/slipway.service; do
		[ -s "$f" ] || { echo "no $f"; return 1; }
	done &&
	grep -q "^ExecStart=/usr/local/bin/slipway serve" \
		lib/systemd/system/slipway.service &&
	bin/slipway --version | grep -q "^slipway [0-9]"
'

test_expect_success 'make uninstall takes it away again' '
	make -s -C "$ROOT" VARIANT="$VARIANT" uninstall \
		DESTDIR="$TRASH/inst" PREFIX=/usr/local &&
	[ -z "$(find "$TRASH/inst" -type f)" ]
'

test_expect_success 'the example configuration is valid' '
	mkdir -p "$TRASH/c" && chmod 755 "$TRASH/c" &&
	"$TRASH/tree/build/release/bin/slipway" check \
		-c "$ROOT/contrib/slipway.conf" -o "slipway.data=$TRASH/c/d" \
		-o "slipway.socket=$TRASH/c/r/s" \
		-o "build.engine=unix://$DOCKER_SOCKET" >"$TRASH/check" &&
	cat "$TRASH/check" && lacks "$TRASH/check" FAIL &&
	contains "$TRASH/check" "ok    configuration" "engine (" "HAProxy"
'

test_expect_success 'a mistake in it is named with file and line' '
	printf "[ssh]\n\tlisten = :22\n\thots = x\n" >"$TRASH/bad.conf" &&
	test_must_fail "$TRASH/tree/build/release/bin/slipway" check \
		-c "$TRASH/bad.conf" 2>"$TRASH/err" &&
	contains "$TRASH/err" "$TRASH/bad.conf:3" "ssh.hots" \
		"did you mean '\''ssh.host'\''"
'

test_expect_success 'check names what is wrong with a machine' '
	test_must_fail "$TRASH/tree/build/release/bin/slipway" check \
		-o "slipway.data=$TRASH/c/d" -o "slipway.socket=$TRASH/c/r/s" \
		-o build.engine=unix:///nonexistent/docker.sock \
		-o router.program=/nonexistent/haproxy >"$TRASH/check" &&
	contains "$TRASH/check" "FAIL  engine" "/nonexistent/docker.sock" \
		"FAIL  program /nonexistent/haproxy"
'

test_done
