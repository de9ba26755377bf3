# tests/e2e/tools/aws_double.sh - sourced by scripts that need the double of
# AWS: starts it, and asks it what was called.
#
#   start_double [OPTION…]         the engine, the double, its environment
#   admin METHOD PATH [JSON]       faults, journal, clock (admin.py)
#   mark                           journal() counts from here on
#   journal OPERATION              how many calls
#   tool COMMAND…                  aws_parts_tool; output in $TRASH/out
#   aws_call [OPTION…] SERVICE OPERATION JSON  one call by our own client
#   awscli …                       one by Debian's

start_double() {
	engine_ready || return 1
	/usr/bin/python3 "$ROOT/tests/doubles/aws" --data "$TRASH/aws" \
		--ready-file "$TRASH/ready" --scale 60 \
		--engine "unix://$DOCKER_SOCKET" "$@" \
		>"$TRASH/double.log" 2>&1 &
	DOUBLE_PID=$!
	at_exit stop_double
	if ! poll_until 30 test -s "$TRASH/ready"; then
		cat "$TRASH/double.log"
		return 1
	fi
	set -a
	. "$TRASH/ready"
	set +a
}

stop_double() {
	kill "$DOUBLE_PID" 2>/dev/null
	poll_until 60 gone "$DOUBLE_PID" || kill -9 "$DOUBLE_PID"
}

admin() { # METHOD PATH [JSON]
	curl -sS --fail-with-body -X "$1" ${3:+-d "$3"} "$ADMIN_URL$2"
}

tool() {
	local code
	"$BUILD/tests/tools/aws_parts_tool" "$@" >"$TRASH/out" 2>&1
	code=$?
	cat "$TRASH/out"
	return $code
}

journal() { # OPERATION: how many calls since $SEQ
	admin GET "/journal?since=${SEQ:-0}" |
		jq "[.[] | select(.operation == \"$1\")] | length"
}

mark() {
	SEQ=$(admin GET /journal | jq length)
}

awscli() {
	AWS_PAGER='' /usr/bin/aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"
}

aws_call() {
	printf '%s' "${*: -1}" | "$BUILD/tests/tools/aws_tool" "${@:1:$#-1}"
}
