#!/bin/bash
# Releases replace one another under load and no request is lost.
. "$(dirname "$0")/lib.sh"

LOAD=$BUILD/tests/tools/load

# Push N releases while `load` runs with these options.
pushes_under_load() {
	local count=$1 i code
	shift
	"$LOAD" -d 600 -H shop.localhost "$@" 127.0.0.1 "$HTTP_PORT" \
		>"$TRASH/load" 2>&1 &
	local load=$!
	for ((i = 0; i < count; i++)); do
		commit shop "under load $i" &&
			git -C "$TRASH/shop" push -q app main >"$TRASH/out" 2>&1 ||
			break
	done
	# The last switch's old container is drained and stopped by then.
	poll_until 20 eval "[ \$(owned_containers | jq length) = 1 ]"
	kill -TERM $load
	wait $load
	code=$?
	cat "$TRASH/load"
	[ $code = 0 ] && [ $i = "$count" ] && grep "failed=0" "$TRASH/load"
}

test_expect_success 'a server with a live app' '
	start_server && new_user alice --admin && make_app shop &&
	push shop main && http shop.localhost /version.txt
'

test_expect_success '20 switches under kept-alive requests lose none' '
	pushes_under_load 20 -k -c 8 -P /version.txt
'

test_expect_success '5 switches under a connection per request lose none' '
	pushes_under_load 5 -c 8 -P /version.txt
'

test_expect_success '5 switches under POST to a script lose none' '
	pushes_under_load 5 -k -p -c 2 -P /cgi-bin/index.cgi
'

test_expect_success 'the newest release is what answers' '
	serves shop "under load 4"
'

test_expect_success 'other hosts get a plain 404' '
	code=$(curl -s -o "$TRASH/page" -w "%{http_code} %{content_type}" \
		-H "Host: other.localhost" "http://127.0.0.1:$HTTP_PORT/") &&
	[ "${code%%;*}" = "404 text/plain" ] && cat "$TRASH/page"
'

test_expect_success 'the host is found in capitals and with a port' '
	http "SHOP.localhost:$HTTP_PORT" /version.txt
'

test_expect_success 'pushes that fail under load lose none either' '
	printf "#!/bin/sh\nexit 1\n" >"$TRASH/shop/start" &&
	commit shop broken || return 1
	"$LOAD" -d 600 -k -r -c 4 -H shop.localhost -P /version.txt \
		127.0.0.1 "$HTTP_PORT" >"$TRASH/load" 2>&1 &
	load=$!
	test_must_fail push shop main && commit shop broken2 &&
	test_must_fail push shop main &&
	kill -TERM $load && wait $load && contains "$TRASH/load" "failed=0" &&
	lacks "$TRASH/load" broken && serves shop "under load 4"
'

test_expect_success 'old images do not pile up' '
	kept=$(count_owned "$OWNER" "images/json?") && echo "kept $kept" &&
	[ "$kept" -le 7 ]
'

test_done
