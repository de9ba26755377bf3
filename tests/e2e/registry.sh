#!/bin/bash
# Base images from a registry that asks for a password.
. "$(dirname "$0")/lib.sh"

PORT=$(free_port)
PASSWORD=pass-$RANDOM$RANDOM$RANDOM
REPO=127.0.0.1:$PORT/private/base

registry_start() {
	mkdir -p "$TRASH/registry" || return 1
	htpasswd -Bbc "$TRASH/registry/htpasswd" ci $PASSWORD >/dev/null 2>&1 &&
		cat >"$TRASH/registry/config.yml" <<-EOF || return 1
		version: 0.1
		log:
		  level: error
		storage:
		  filesystem:
		    rootdirectory: $TRASH/registry/data
		http:
		  addr: 127.0.0.1:$PORT
		auth:
		  htpasswd:
		    realm: test
		    path: $TRASH/registry/htpasswd
		EOF
	# Not the end of the list above: $! would be a shell around it.
	docker-registry serve "$TRASH/registry/config.yml" \
		>"$TRASH/registry/log" 2>&1 &
	at_exit "kill $!"
	poll_until 20 eval \
		"[ \"\$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:$PORT/v2/)\" = 401 ]"
}

auth() {
	printf '{"username":"ci","password":"%s"}' "$PASSWORD" | base64 -w0 | tr '+/' '-_'
}

# The base image is in the registry and nowhere else.
publish_base() {
	api POST "/images/$BASE_IMAGE/tag?repo=$REPO&tag=1" >/dev/null &&
		api POST "/images/$REPO/push?tag=1" \
			-H "X-Registry-Auth: $(auth)" >"$TRASH/pushed" &&
		! grep errorDetail "$TRASH/pushed" &&
		api DELETE "/images/$REPO:1" >/dev/null
}

test_expect_success 'a registry with a password holds the base image' '
	engine_ready && registry_start && publish_base
'

test_expect_success 'without the password the push says what is missing' '
	start_server && new_user alice --admin && make_app shop &&
	sed -i "s,^FROM .*,FROM $REPO:1," "$TRASH/shop/Dockerfile" &&
	commit shop private &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "127.0.0.1:$PORT" "v1 failed"
'

test_expect_success 'with it the base image is pulled and the app deployed' '
	(umask 077 && echo $PASSWORD >"$TRASH/password") &&
	{ [ "$(id -u)" != 0 ] || chown slipway "$TRASH/password"; } &&
	stop_server &&
	cat >>"$TRASH/slipway.conf" <<-EOF &&
	[registry "127.0.0.1:$PORT"]
		username = ci
		password-file = $TRASH/password
	EOF
	launch_server && push shop main && serves shop private
'

test_expect_success 'a wrong password is refused in words' '
	echo wrong >"$TRASH/password" &&
	{ api DELETE "/images/$REPO:1?force=1" >/dev/null || true; } &&
	echo "RUN true" >>"$TRASH/shop/Dockerfile" && commit shop again &&
	test_must_fail push shop -o pull main &&
	contains "$TRASH/out" "127.0.0.1:$PORT" &&
	lacks "$TRASH/out" $PASSWORD && lacks "$TRASH/server.log" $PASSWORD
'

test_expect_success 'the password is in no log and no environment of ours' '
	echo $PASSWORD >"$TRASH/wanted" &&
	for pid in $(pgrep -P $SERVER_PID); do
		! grep -aqFf "$TRASH/wanted" /proc/$pid/environ /proc/$pid/cmdline ||
			return 1
	done &&
	! grep -raqFf "$TRASH/wanted" "$DATA/builds" "$TRASH/server.log"
'

test_done
