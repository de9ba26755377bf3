#!/bin/bash
# Crafted packs: git's own checks refuse them, nothing is left, the server
# goes on.
. "$(dirname "$0")/lib.sh"

repository() {
	echo "$DATA/repos/1.git"
}

leftovers() {
	find "$(repository)" -name "tmp_*" -o -name "incoming-*" | wc -l
}

test_expect_success 'a server with an app' '
	start_server -o git.max-memory=700m && new_user alice --admin &&
	slipway apps:create packs
'

test_expect_success 'crafted packs get the right verdicts' '
	/usr/bin/python3 "$ROOT/tests/e2e/tools/packs.py" packs \
		ssh "${SSH_OPTIONS[@]}" -p "$SSH_PORT" git@127.0.0.1 \
		>"$TRASH/out" 2>&1 &&
	lacks "$TRASH/out" "not ok" && contains "$TRASH/out" "1.."
'

test_expect_success 'nothing of the refused ones is left' '
	poll_until 30 eval "[ \$(leftovers) = 0 ]" &&
	git -c safe.directory="*" --git-dir "$(repository)" fsck --no-dangling
'

test_expect_success 'an oversized pack is refused in words' '
	stop_server && SERVER_OPTIONS+=(-o git.max-pack=1m) && launch_server &&
	make_app packs && head -c 3000000 /dev/urandom >"$TRASH/packs/big" &&
	commit packs big &&
	test_must_fail push packs main &&
	contains "$TRASH/out" "maximum allowed size"
'

test_expect_success 'a smaller one deploys' '
	git -C "$TRASH/packs" rm -qf big && rm -rf "$TRASH/packs/.git" &&
	git -C "$TRASH/packs" init -q && commit packs small &&
	git -C "$TRASH/packs" remote add app "$URL/packs" &&
	push packs main && serves packs small
'

test_done
