#!/bin/bash
# The router: a real HAProxy with the configuration and the changes that
# Slipway makes, in front of small HTTP servers, under load.
. "$(dirname "$0")/lib.sh"

TOOLS=${TOOLS:-$BUILD/tests/tools}
PORT=$(free_port)
A=$(free_port)
B=$(free_port)
mkdir -p "$DATA"

router() {
	"$TOOLS/router_tool" "$DATA" "127.0.0.1:$PORT" 20 "$@"
}

start_haproxy() {
	haproxy -db -q -f "$DATA/router/haproxy.cfg" 2>"$DATA/haproxy.log" &
	haproxy=$!
	at_exit "kill $haproxy"
	poll_until 10 router check
}

start_backend() { # NAME PORT
	python3 "$ROOT/tests/e2e/tools/backend.py" "$1" 127.0.0.1 "$2" \
		2>"$DATA/$1.log" &
	at_exit "kill $!"
	poll_until 10 curl -sf "http://127.0.0.1:$2/"
}

get() { # HOST [PATH]
	curl -s -m 10 -H "Host: $1" "http://127.0.0.1:$PORT${2:-/}"
}

status() { # HOST
	curl -s -m 10 -o "$DATA/body" -w '%{http_code}' -H "Host: $1" \
		"http://127.0.0.1:$PORT/"
}

leads_to() { # HOST NAME
	case "$(get "$1")" in
	"$2 "*) return 0 ;;
	esac
	return 1
}

# Switch app 1 to and fro, 20 times; drain after each.
switch_20_times() {
	local i
	for i in {1..10}; do
		router set 1 shop.localhost 127.0.0.1:$B &&
		leads_to shop.localhost b &&
		router drain 1 10000 &&
		router set 1 shop.localhost 127.0.0.1:$A &&
		leads_to shop.localhost a &&
		router drain 1 10000 || return 1
	done
}

# Run 20 switches under `load` with these options; every answer must come.
switch_under_load() {
	"$TOOLS/load" -d 120 -r -H shop.localhost "$@" 127.0.0.1 $PORT \
		>"$DATA/load" &
	load=$!
	switch_20_times
	switched=$?
	kill -TERM $load
	wait $load
	loaded=$?
	cat "$DATA/load"
	test $switched -eq 0 && test $loaded -eq 0 &&
	grep -q '^requests=.* failed=0$' "$DATA/load" &&
	grep -q '^body [0-9]* a ' "$DATA/load" &&
	grep -q '^body [0-9]* b ' "$DATA/load"
}

test_expect_success 'the configuration is one that HAProxy takes' '
	router write && haproxy -c -f "$DATA/router/haproxy.cfg" &&
	router config | haproxy -c -f /dev/stdin'

test_expect_success 'a data folder too long for a socket is refused by name' '
	long=$DATA/$(printf "%080d" 0) &&
	test_must_fail "$TOOLS/router_tool" "$long" :80 1 config &&
	"$TOOLS/router_tool" "$long" :80 1 config 2>&1 | grep "slipway.data"'

test_expect_success 'without HAProxy a change fails with the reason' '
	test_must_fail router set 1 shop.localhost 127.0.0.1:$A &&
	router check 2>&1 | grep "does not run"'

test_expect_success 'two servers and HAProxy start' '
	start_backend a $A && start_backend b $B && start_haproxy'

test_expect_success 'the admin socket is for its owner alone' '
	test "$(stat -c %a "$DATA/router/haproxy.sock")" = 600'

test_expect_success 'an unknown host gets a plain 404 page' '
	test "$(status nobody.localhost)" = 404 &&
	grep "no app answers on this host" "$DATA/body"'

test_expect_success 'a request without a host gets it, too' '
	printf "GET / HTTP/1.0\r\n\r\n" | timeout 5 python3 -c "
import socket, sys
s = socket.create_connection((\"127.0.0.1\", $PORT))
s.sendall(sys.stdin.buffer.read())
print(s.recv(4096).decode())" | grep "^HTTP/1.. 404"'

test_expect_success 'an app is served on its host' '
	router set 1 shop.localhost 127.0.0.1:$A && leads_to shop.localhost a'

test_expect_success 'the host may have a port, capitals and a last dot' '
	leads_to shop.localhost:8080 a && leads_to SHOP.LocalHost a &&
	leads_to shop.localhost. a && leads_to SHOP.localhost.:8080 a'

test_expect_success 'the app sees host, protocol and the address of the client' '
	get shop.localhost | grep "host=shop.localhost proto=http for=127.0.0.1"'

test_expect_success 'the name under which an app is noted is no host' '
	test "$(status APP1)" = 404 && test "$(status app1)" = 404'

test_expect_success 'an app without a healthy process gets a plain 503 page' '
	router set 2 empty.localhost && test "$(status empty.localhost)" = 503 &&
	grep "no healthy process" "$DATA/body"'

test_expect_success 'two endpoints share the requests' '
	router set 2 empty.localhost 127.0.0.1:$A 127.0.0.1:$B &&
	"$TOOLS/load" -d 1 -c 4 -r -H empty.localhost 127.0.0.1 $PORT >"$DATA/load" &&
	grep "^body [0-9]* a " "$DATA/load" && grep "^body [0-9]* b " "$DATA/load"'

test_expect_success 'a host or an address that could be a command is refused' '
	test_must_fail router set 3 "x;shutdown" 127.0.0.1:$A &&
	test_must_fail router set 3 "x p1" 127.0.0.1:$A &&
	test_must_fail router set 3 x.localhost "1 port 2;x:5000" &&
	test_must_fail router set 3 x.localhost 127.0.0.1:70000 &&
	test "$(router apps | sort | tr "\n" " ")" = "1 2 "'

test_expect_success 'a renamed app answers on the new host only' '
	router set 1 store.localhost 127.0.0.1:$A && leads_to store.localhost a &&
	test "$(status shop.localhost)" = 404 &&
	router set 1 shop.localhost 127.0.0.1:$A && leads_to shop.localhost a'

test_expect_success 'a route that is there is left alone on demand' '
	router absent 1 shop.localhost 127.0.0.1:$B && leads_to shop.localhost a &&
	router absent 4 four.localhost 127.0.0.1:$B && leads_to four.localhost b'

test_expect_success 'a removed app answers 404, the others go on' '
	router remove 2 && router remove 4 && router remove 4 &&
	test "$(status empty.localhost)" = 404 &&
	leads_to shop.localhost a && test "$(router apps)" = 1'

test_expect_success '20 switches: no GET on a kept connection is lost' '
	switch_under_load -c 16 -k'

test_expect_success '20 switches: no GET on a connection of its own is lost' '
	switch_under_load -c 16'

test_expect_success '20 switches: no POST on a kept connection is lost' '
	switch_under_load -c 16 -k -p'

test_expect_success '20 switches: no POST on a connection of its own is lost' '
	switch_under_load -c 16 -p'

test_expect_success '20 switches: no slow request is lost' '
	switch_under_load -c 8 -P "/slow?150"'

test_expect_success 'after a switch not one request reaches the old server' '
	router set 1 shop.localhost 127.0.0.1:$B &&
	"$TOOLS/load" -d 1 -c 8 -k -r -H shop.localhost 127.0.0.1 $PORT >"$DATA/load" &&
	cat "$DATA/load" && ! grep "^body [0-9]* a " "$DATA/load" &&
	router drain 1 10000 && router set 1 shop.localhost 127.0.0.1:$A'

test_expect_success 'draining ends in time, and what is under way goes on' '
	{ get shop.localhost "/slow?1500" >"$DATA/slow" & } &&
	slow=$! && sleep 0.3 &&
	router set 1 shop.localhost 127.0.0.1:$B &&
	test_must_fail router drain 1 300 &&
	wait $slow && grep "^a " "$DATA/slow"'

test_expect_success 'draining waits for what is under way' '
	{ get shop.localhost "/slow?1000" >"$DATA/slow" & } &&
	slow=$! && sleep 0.3 &&
	router set 1 shop.localhost 127.0.0.1:$A &&
	router drain 1 5000 && grep "^b " "$DATA/slow" && wait $slow'

test_expect_success 'an upgraded stream outlives a switch' '
	python3 - <<-EOF
	import socket, subprocess
	s = socket.create_connection(("127.0.0.1", $PORT))
	s.settimeout(10)
	s.sendall(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n"
	          b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	f = s.makefile("rb")
	assert b" 101 " in f.readline()
	while f.readline().strip():
	    pass
	s.sendall(b"one\n")
	assert f.readline() == b"a one\n"
	tool = ["$TOOLS/router_tool", "$DATA", "127.0.0.1:$PORT", "20"]
	subprocess.run(tool + ["set", "1", "shop.localhost", "127.0.0.1:$B"],
	               check=True)
	assert subprocess.run(tool + ["drain", "1", "300"]).returncode == 1
	s.sendall(b"two\n")
	assert f.readline() == b"a two\n"
	EOF'

switch_often() { # APP-ID
	local i
	for i in 1 2 3 4; do
		router set "$1" "app$1.localhost" 127.0.0.1:$A &&
			router set "$1" "app$1.localhost" 127.0.0.1:$B &&
			router drain "$1" 5000 || return 1
	done
}

switch_apps_1_to_12() {
	local i jobs=() job
	for i in {1..12}; do
		switch_often $i &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait $job || return 1
	done
	for i in {1..12}; do
		leads_to app$i.localhost b || return 1
	done
}

set_apps_13_to_20() {
	local i
	for i in {13..20}; do
		router set $i app$i.localhost 127.0.0.1:$A || return 1
	done
}

test_expect_success 'many switches at once do not mix up apps' '
	switch_apps_1_to_12 && test "$(router apps | wc -l)" = 12'

test_expect_success 'more apps than there is room for are refused by name' '
	set_apps_13_to_20 &&
	test_must_fail router set 21 app21.localhost 127.0.0.1:$A &&
	router set 21 app21.localhost 127.0.0.1:$A 2>&1 | grep router.max-apps &&
	router remove 20 && router set 21 app21.localhost 127.0.0.1:$A &&
	leads_to app21.localhost a && test "$(status app20.localhost)" = 404'

test_expect_success 'after kill -9 the routes can be set again' '
	before=$(router id) && kill -KILL $haproxy && { wait $haproxy; true; } &&
	test_must_fail router check && start_haproxy &&
	test "$(router id)" != "$before" && test -z "$(router apps)" &&
	test "$(status shop.localhost)" = 404 &&
	router set 1 shop.localhost 127.0.0.1:$B && leads_to shop.localhost b'

test_expect_success 'a HAProxy that hangs is given up on after a while' '
	kill -STOP $haproxy &&
	{ timeout 4 "$TOOLS/router_tool" "$DATA" :$PORT 20 id; test $? -eq 1; } &&
	kill -CONT $haproxy && router check'

test_expect_success 'it needs little memory' '
	rss=$(sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p" /proc/$haproxy/status) &&
	echo "$rss kB" && test "$rss" -lt 65536'

test_done
