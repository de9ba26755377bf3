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
	web shop "$good" &&
	printf "#!/bin/sh\nprintf \"Status: 503 No\\\\r\\\\n\\\\r\\\\n\"\n" \
		>"$TRASH/shop/www/cgi-bin/index.cgi" &&
	commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "GET / answered 503" &&
	cp "$ROOT/contrib/examples/hello/www/cgi-bin/index.cgi" \
		"$TRASH/shop/www/cgi-bin/" &&
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
	echo "RUN echo $RANDOM$RANDOM; seq 100000" >>"$TRASH/shop/Dockerfile" &&
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

test_expect_success 'a failed push moves no ref' '
	before=$(git ls-remote "$URL/shop") &&
	echo "RUN exit 9" >>"$TRASH/shop/Dockerfile" && commit shop bad &&
	test_must_fail push shop main &&
	[ "$(git ls-remote "$URL/shop")" = "$before" ]
'

test_expect_success 'a base image that is nowhere' '
	echo "FROM 127.0.0.1:1/nowhere:1" >"$TRASH/shop/Dockerfile" &&
	commit shop bad && test_must_fail push shop main &&
	contains "$TRASH/out" "127.0.0.1:1/nowhere" "still live"
'

test_expect_success 'a Procfile with a bad line' '
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/shop/" &&
	echo "not a process" >"$TRASH/shop/Procfile" && commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "Procfile" "1" && rm "$TRASH/shop/Procfile"
'

test_expect_success 'what an app wrote on standard error is shown, too' '
	web shop "echo one line; sleep 0.5; echo no database >&2; exit 7" &&
	commit shop bad && test_must_fail push shop main &&
	contains "$TRASH/out" "exited 7" "one line" "no database"
'

test_expect_success 'an app on another port: the push names it' '
	web shop "exec busybox httpd -f -p 7777 -h /www" &&
	commit shop bad && test_must_fail push shop main &&
	contains "$TRASH/out" "nothing listens on port 5000" "7777"
'

test_expect_success 'build.log-max bounds what is kept and shown' '
	restart_server -o build.log-max=64k && web shop "$good" &&
	echo "RUN echo bounded $RANDOM$RANDOM; seq 100000" >>"$TRASH/shop/Dockerfile" &&
	commit shop bounded && push shop main &&
	contains "$TRASH/out" "build.log-max" "is live" &&
	[ "$(wc -c <"$TRASH/out")" -lt 200000 ]
'

test_expect_success 'too little disk' '
	restart_server -o deploy.min-free=1000g &&
	poll_until 15 serves shop bounded &&
	commit shop bad && test_must_fail push shop main &&
	contains "$TRASH/out" "deploy.min-free" "still live" &&
	serves shop bounded
'

test_expect_success 'the classic builder names step and exit code as well' '
	restart_server -o build.builder=classic &&
	poll_until 15 serves shop bounded &&
	printf "FROM %s\nRUN echo because >&2; exit 4\n" "$BASE_IMAGE" \
		>"$TRASH/shop/Dockerfile" && commit shop bad &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "RUN echo because" "exited 4" &&
	serves shop bounded
'

test_expect_success 'a first push that fails leaves an app to push to again' '
	restart_server -o deploy.health-timeout=6s && make_app fresh &&
	printf "FROM %s\nRUN exit 5\n" "$BASE_IMAGE" \
		>"$TRASH/fresh/Dockerfile" && commit fresh bad &&
	test_must_fail push fresh main &&
	contains "$TRASH/out" "exited 5" "v1 failed" &&
	lacks "$TRASH/out" "still live" &&
	[ "$(http_status fresh.localhost)" = 404 ] &&
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/fresh/" &&
	commit fresh good && push fresh main && serves fresh good
'

test_expect_success 'failed releases are listed as such, one is live' '
	slipway releases shop --json -n 100 >"$TRASH/releases" &&
	jq -e "[.[] | select(.state == \"failed\")] | length > 10" \
		"$TRASH/releases" &&
	jq -e "[.[] | select(.state == \"live\")] | length == 1" \
		"$TRASH/releases"
'

test_done
