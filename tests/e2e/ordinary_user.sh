#!/bin/bash
# Everything as one ordinary user: no root, no system users.  Run by root,
# this script starts itself again as a user who may use the engine.
set -u
if [ "$(id -u)" = 0 ]; then
	root=$(cd "$(dirname "$0")/../.." && pwd)
	socket=${DOCKER_SOCKET:-/var/run/docker.sock}
	"$root/contrib/engine" start "$root/build/engine" >&2 || exit 1
	"$root/contrib/base-image" || exit 1
	# A checkout may be closed to others: a copy of what is needed is not.
	copy=$(mktemp -d /tmp/slipway-user.XXXXXX)
	trap 'rm -rf "$copy"' EXIT
	variant=${VARIANT:-release}
	mkdir -p "$copy/build/$variant" "$copy/tests" &&
		cp -R "$root/contrib" "$copy/" &&
		cp -R "$root/tests/e2e" "$copy/tests/" &&
		cp -R "$root/build/$variant/bin" "$root/build/$variant/libexec" \
			"$copy/build/$variant/" &&
		chmod -R a+rX "$copy" || exit 1
	# 65534 is nobody; its group is the socket's, as with `docker`.
	setpriv --reuid 65534 --regid "$(stat -c %g "$socket")" --clear-groups \
		--no-new-privs env HOME="$copy/home" VARIANT="$variant" \
		DOCKER_SOCKET="$socket" \
		bash "$copy/tests/e2e/ordinary_user.sh" "$@"
	exit
fi
. "$(dirname "$0")/lib.sh"

test_expect_success 'a server of an ordinary user' '
	start_server && new_user alice --admin &&
	[ "$(stat -c %u "$DATA/slipway.db")" = "$(id -u)" ]
'

test_expect_success 'a push deploys, the next one replaces it' '
	make_app shop && push shop main && serves shop one &&
	commit shop two && push shop main && serves shop two
'

test_expect_success 'every process is the user' '
	for pid in $SERVER_PID $(pgrep -P "$SERVER_PID"); do
		[ "$(stat -c %u "/proc/$pid")" = "$(id -u)" ] || return 1
	done
'

test_expect_success 'commands work over SSH and locally' '
	on_ssh ps shop && slipway logs shop && on_ssh builds shop
'

test_expect_success 'slipway check finds nothing wrong' '
	"$TRASH/prog/bin/slipway" check -c "$TRASH/slipway.conf" \
		>"$TRASH/check" && lacks "$TRASH/check" FAIL
'

test_expect_success 'a second server for the same data is refused' '
	test_must_fail "$TRASH/prog/bin/slipway" serve \
		-c "$TRASH/slipway.conf" 2>"$TRASH/err" &&
	contains "$TRASH/err" "another \`slipway serve\` uses"
'

test_expect_success 'after a restart all is as it was' '
	restart_server && poll_until 15 serves shop two &&
	commit shop three && push shop main && serves shop three
'

test_done
