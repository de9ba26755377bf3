#!/bin/bash
# What `make demo-aws` shows, without building: three pushes to the double.
. "$(dirname "$0")/lib.sh"

demo() {
	mkdir -p "$TRASH/tree/build" "$TRASH/tree/tests" &&
		cp -R "$ROOT/contrib" "$TRASH/tree/" &&
		cp -R "$ROOT/tests/doubles" "$TRASH/tree/tests/" &&
		cp -R "$BUILD" "$TRASH/tree/build/release" &&
		chmod -R a+rX "$TRASH/tree" &&
		"$TRASH/tree/contrib/demo-aws" >"$TRASH/out" 2>&1 </dev/null
}

folders() {
	ls -d /tmp/slipway-demo.* 2>/dev/null
}

test_expect_success 'it pushes to ECR and ECS, and is refused the third time' '
	engine_ready && before=$(folders; :) &&
	{ demo; code=$?; cat "$TRASH/out"; [ $code = 0 ]; } &&
	contains "$TRASH/out" "pushed slipway/hello:v1-" \
		"hello v1 is live: http://hello.apps.localhost" \
		"hello v2 is live" "<dt>Release</dt><dd>v2</dd>" \
		"no database configured" "v2 still live" \
		"Destroyed hello"
'

test_expect_success 'nothing of it stays' '
	[ "$(folders; :)" = "$before" ] && ! pgrep -f "^$TRASH/tree/" &&
	! pgrep -f "/tmp/slipway-demo[.].*/prog/bin"
'

test_done
