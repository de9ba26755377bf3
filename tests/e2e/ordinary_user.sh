#!/bin/bash
# Everything works as an ordinary user who may use the engine: the push tests
# again, as nobody.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" != 0 ]; then
	test_expect_success 'this is run by an ordinary user already' 'true'
	test_done
fi

test_expect_success 'a copy that nobody can read' '
	"$ROOT/contrib/engine" start "$ROOT/build/engine" &&
	"$ROOT/contrib/base-image" &&
	mkdir -p "$TRASH/copy/build/$VARIANT" &&
	cp -R "$ROOT/tests" "$ROOT/contrib" "$TRASH/copy/" &&
	cp -R "$BUILD/bin" "$BUILD/libexec" "$TRASH/copy/build/$VARIANT/" &&
	chmod -R a+rX "$TRASH/copy"
'

test_expect_success 'the push tests pass as nobody' '
	group=$(stat -c %g "$DOCKER_SOCKET") &&
	env -i PATH="$PATH" LC_ALL=C.UTF-8 VARIANT="$VARIANT" \
		setpriv --reuid 65534 --regid 65534 --groups "$group" \
		bash "$TRASH/copy/tests/e2e/push.sh" >"$TRASH/out" &&
	contains "$TRASH/out" "ok 2 - the first push" &&
	lacks "$TRASH/out" "not ok"
'

test_done
