#!/bin/bash
# A push that fails says why, and what ran before goes on.
. "$(dirname "$0")/lib.sh"

# web DIR COMMANDS: the app's start script.
web() {
	printf '#!/bin/sh\n%s\n' "$2" >"$TRASH/$1/start" &&
		chmod +x "$TRASH/$1/start"
}

good='date +%s >/tmp/started; exec busybox httpd -f -p "${PORT:-5000}" -h /www'

test_expect_success 'a server with a live app' '
	start_server -o deploy.health-timeout=6s &&
	new_user alice --admin &&
	make_app shop && push shop main && serves shop one
'

test_expect_success 'a failing step is named with its exit code and output' '
	echo "RUN echo about to fail; echo the reason >&2; exit 7" \
		>>"$TRASH/shop/Dockerfile" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "RUN echo about to fail" "exited 7" \
		"the reason" "v2 failed: build failed" "v1 still live" \
		"[remote rejected] main -> main (v2 failed" &&
	serves shop one
'

test_expect_success 'the same commit can be pushed again' '
	test_must_fail push shop main &&
	contains "$TRASH/out" "v3 failed"
'

test_expect_success 'a Dockerfile with a mistake' '
	printf "FROM slipway/busybox:latest\nRUNN true\n" \
		>"$TRASH/shop/Dockerfile" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "RUNN"
'

test_expect_success 'a missing Dockerfile' '
	git -C "$TRASH/shop" rm -q Dockerfile &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "there is no Dockerfile"
'

test_expect_success 'a .dockerignore with a mistake' '
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/shop/" &&
	printf "ok\n[z\n" >"$TRASH/shop/.dockerignore" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" ".dockerignore" "line 2" &&
	rm "$TRASH/shop/.dockerignore"
'

test_expect_success 'a release that exits: code and last lines' '
	web shop "for i in \$(seq 30); do echo line \$i; done; exit 3" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "exited 3" "line 30" "line 11" \
		"still live" &&
	lacks "$TRASH/out" "line 10" &&
	serves shop one
'

test_expect_success 'a release that never listens' '
	web shop "sleep 1000" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "port 5000" "still live" &&
	serves shop one
'

test_expect_success 'a release that listens on another port' '
	web shop "exec busybox httpd -f -p 7777 -h /www" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "port 5000" &&
	serves shop one
'

test_expect_success 'a release that answers 503' '
	printf "#!/bin/sh\nprintf \"HTTP/1.0 503 Sorry\\\\r\\\\n\\\\r\\\\n\"\n" \
		>"$TRASH/shop/www/sorry" &&
	chmod +x "$TRASH/shop/www/sorry" &&
	web shop "exec busybox nc -ll -p 5000 -e /www/sorry" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "503" &&
	serves shop one
'

test_expect_success 'a HEALTHCHECK that fails shows its output' '
	web shop "$good" &&
	echo "HEALTHCHECK --interval=1s --retries=2 CMD echo not well; exit 1" \
		>>"$TRASH/shop/Dockerfile" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "not well" &&
	serves shop one
'

test_expect_success 'a HEALTHCHECK that passes' '
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/shop/" &&
	echo "HEALTHCHECK --interval=1s CMD true" >>"$TRASH/shop/Dockerfile" &&
	commit shop healthy &&
	push shop main &&
	serves shop healthy
'

test_expect_success 'EXPOSE of one port is the port' '
	echo "EXPOSE 8123" >>"$TRASH/shop/Dockerfile" &&
	commit shop exposed &&
	push shop main &&
	serves shop exposed
'

test_expect_success 'the web process of a Procfile is what runs' '
	echo "web: echo from-the-procfile; $good" >"$TRASH/shop/Procfile" &&
	commit shop procfile &&
	push shop main &&
	serves shop procfile &&
	slipway logs shop >"$TRASH/logs" &&
	contains "$TRASH/logs" from-the-procfile &&
	rm "$TRASH/shop/Procfile"
'

test_expect_success 'a command that does not exist' '
	echo "CMD [\"/no/such/thing\"]" >>"$TRASH/shop/Dockerfile" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "/no/such/thing" &&
	serves shop procfile
'

test_expect_success 'nothing of the failed ones is left' '
	poll_until 20 eval "[ \$(owned_containers | jq length) = 1 ]"
'

test_expect_success 'output with CR, escapes, bad UTF-8 and long lines is readable' '
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/shop/" &&
	web shop "$good" &&
	cat >>"$TRASH/shop/Dockerfile" <<-\EOF &&
	RUN printf "10%%\r50%%\r100%%\n\033[31mred\033[0m\n\377\376 bytes\n"; \
	    head -c 1000000 /dev/zero | tr "\0" x; echo; echo after the long line
	EOF
	commit shop output &&
	push shop main &&
	contains "$TRASH/out" "100%" "red" "bytes" &&
	lacks "$TRASH/out" "#5 50%" &&
	[ "$(wc -L <"$TRASH/out")" -lt 5000 ] &&
	! grep -q "$(printf "\033")\[31m" "$TRASH/out"
'

test_expect_success '100,000 lines arrive bounded' '
	echo "RUN seq 100000" >>"$TRASH/shop/Dockerfile" &&
	commit shop many &&
	push shop main &&
	[ "$(wc -c <"$TRASH/out")" -lt 6000000 ] &&
	serves shop many
'

test_expect_success 'the build logs can be read again' '
	slipway builds:list shop --json >"$TRASH/builds" &&
	id=$(jq -r ".[0].id // .builds[0].id" "$TRASH/builds") &&
	slipway builds:output shop "$id" >"$TRASH/log2" &&
	contains "$TRASH/log2" "shop v" "is live"
'

test_expect_success 'a build that takes too long is stopped' '
	stop_server && SERVER_OPTIONS+=(-o build.timeout=4s) && launch_server &&
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/shop/" &&
	echo "RUN sleep 71" >>"$TRASH/shop/Dockerfile" &&
	commit shop slow &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "v1" "still live" &&
	poll_until 10 eval "! pgrep -f \"^sleep 71\""
'

test_done
