# tests/e2e/tools/tap.sh - sourced by scripts that start a part of the server
# themselves, without an engine: TAP, in a smaller vocabulary than lib.sh's.
#
#   test_expect_success 'a sentence' 'commands'  in $T; the first that fails
#                                  ends the test (`set -e`)
#   test_must_fail COMMAND…        unlike a bare `!` it counts for `set -e`
#   wait_for SECONDS COMMAND…      until the command succeeds
#   test_done                      the plan; fails when a test did

count=0
failed=0

test_expect_success() {
	count=$((count + 1))
	# Not in a condition, where `set -e` would be off.
	(set -e; cd "$T"; set -x; eval "$2") >"$T/output" 2>&1
	if [ $? = 0 ]; then
		echo "ok $count - $1"
	else
		failed=$((failed + 1))
		echo "not ok $count - $1"
		sed 's/^/# /' "$T/output" | tail -n 30
	fi
}

test_must_fail() {
	! "$@"
}

wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

test_done() {
	echo "1..$count"
	[ $failed = 0 ]
	exit
}
