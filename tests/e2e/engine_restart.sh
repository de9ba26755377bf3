#!/bin/bash
# The engine goes away and comes back: routes follow by themselves.  Uses an
# engine of its own, so it needs root.
. "$(dirname "$0")/lib.sh"

own=$TRASH/engine
export DOCKER_SOCKET=$own/docker.sock
# Its own bridge and no iptables: `--bridge none` deletes docker0, and an
# engine that starts empties the chains that the machine's engine uses.
bridge=slw$((RANDOM % 10000))
DOCKERD_OPTIONS="--data-root $own/data --exec-root $own/exec"
DOCKERD_OPTIONS="$DOCKERD_OPTIONS --bridge $bridge --iptables=false"
export DOCKERD_OPTIONS

own_engine() {
	"$ROOT/contrib/engine" "$1" "$own/state"
}

make_bridge() {
	ip link show "$bridge" >/dev/null 2>&1 && return
	ip link add "$bridge" type bridge &&
		ip addr add "10.$((RANDOM % 50 + 200)).$((RANDOM % 250)).1/24" \
			dev "$bridge" &&
		ip link set "$bridge" up
}

engine_ready() {
	mkdir -p "$own" && chmod 755 "$own" && make_bridge &&
		own_engine start >&2 &&
		"$ROOT/contrib/base-image" "$BASE_IMAGE"
}

kill_engine() {
	kill -"$1" "$(cat "$own/state/dockerd.pid")" &&
		poll_until 60 eval "! kill -0 $(cat "$own/state/dockerd.pid") 2>/dev/null"
}

end_engine() {
	own_engine stop
	# What a killed engine left behind.
	for pid in $(pgrep -f "$own/exec"); do
		kill -KILL "$pid" 2>/dev/null
	done
	sleep 0.5
	grep -o " $own/[^ ]*" /proc/mounts | sort -r | while read -r m; do
		umount -l "$m"
	done
	ip link delete "$bridge"
}
at_exit end_engine

if [ "$(id -u)" != 0 ]; then
	test_expect_success 'needs root: an engine of its own' 'false'
	test_done
fi

test_expect_success 'two live apps on an engine of our own' '
	start_server && new_user alice --admin &&
	make_app shop && push shop main && serves shop one &&
	make_app blog && commit blog blog && push blog main &&
	serves blog blog
'

test_expect_success 'after a restart of the engine the routes come back' '
	kill_engine TERM &&
	test_must_fail http shop.localhost /version.txt &&
	engine_ready &&
	poll_until 60 serves shop one && poll_until 60 serves blog blog
'

test_expect_success 'a push works again' '
	commit shop two && push shop main && serves shop two
'

test_expect_success 'after a crash of the engine too' '
	kill_engine KILL && engine_ready &&
	poll_until 60 serves shop two && poll_until 60 serves blog blog
'

test_expect_success 'a push while the engine is away says so' '
	kill_engine TERM &&
	commit shop three &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "Docker Engine" "still live" &&
	engine_ready && poll_until 60 serves shop two &&
	push shop main && serves shop three
'

test_expect_success 'slipway check tells what is wrong and what is well' '
	"$TRASH/prog/bin/slipway" -c "$TRASH/slipway.conf" check >"$TRASH/out" &&
	contains "$TRASH/out" "ok    engine" &&
	test_must_fail "$TRASH/prog/bin/slipway" -c "$TRASH/slipway.conf" \
		check -o build.engine=unix:///nonexistent >"$TRASH/out" &&
	contains "$TRASH/out" "FAIL  engine"
'

test_done
