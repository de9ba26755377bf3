#!/bin/bash
# builder/engine/ against a real Docker Engine, a real registry, and a proxy
# that misbehaves (tests/doubles/engine_proxy.py).

. "$(dirname "$0")/lib.sh"

TOOL=$BUILD/tests/tools/engine_tool
IMAGE=slipway-test/busybox:e2e
TAG=slipway-test/built:$$
LABEL=slipway.owner=slipway-engine-test
CONTAINER=slipway-test-$$
NETWORK=slipway-test-$$
UNIQUE=$$-$RANDOM
PEAK_KB=65536
[ "$VARIANT" = asan ] && PEAK_KB=600000

tool() {
	"$TOOL" "unix://$DOCKER_SOCKET" "$@" >"$TRASH/out" 2>&1
	local code=$?
	sed 's/\(.\{300\}\).*/\1…/' "$TRASH/out"
	return $code
}

# dockerfile TEXT: a context of it and a file, as $TRASH/c.tar
dockerfile() {
	rm -rf "$TRASH/c"
	mkdir "$TRASH/c" &&
		printf '%s\n' "$1" >"$TRASH/c/Dockerfile" &&
		echo hello >"$TRASH/c/a.txt" &&
		tar -C "$TRASH/c" -cf "$TRASH/c.tar" .
}

# build [KEY=VALUE…]
build() {
	tool build "$TAG" "$TRASH/c.tar" "$@"
}

build_fails() {
	test_must_fail build "$@"
}

value_of() {
	sed -n "s/^$1 //p" "$TRASH/out"
}

# Untagged images on top of our base: leftovers of builds that were cut.
leftovers() {
	local base id
	base=$(api GET "/images/$IMAGE/json" | jq -r .Id)
	for id in $(api GET "/images/json?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D" |
		jq -r '.[].Id'); do
		api GET "/images/$id/history" |
			jq -e --arg base "$base" 'any(.Id == $base)' >/dev/null &&
			echo "$id"
	done
}

clean_up() {
	local filter id
	filter="filters=%7B%22label%22%3A%5B%22${LABEL/=/%3D}%22%5D%7D"
	for id in $(api GET "/containers/json?all=1&$filter" | jq -r '.[].Id'); do
		api DELETE "/containers/$id?force=1&v=1"
	done
	api DELETE "/networks/$NETWORK"
	for id in $(api GET "/images/json?$filter" | jq -r '.[].Id') \
		$(leftovers) "$TAG" "$IMAGE" "127.0.0.1:${REGISTRY_PORT:-0}/slipway-test/base:1"; do
		api DELETE "/images/$id?force=1"
	done
}
at_exit clean_up

# Gone with the build, whoever ran it.
no_process() {
	! pgrep -f "$1" >/dev/null
}

is_process() {
	pgrep -f "$1" >/dev/null
}

test_expect_success 'there is an engine and a base image' '
	engine_ready && contrib/base-image $IMAGE
'

# ---- calls ----

test_expect_success 'ping settles version and kind' '
	tool ping &&
	contains "$TRASH/out" "buildkit 1" "podman 0" "server Docker/" &&
	[[ "$(value_of api)" =~ ^1\.4[0-4]$ ]]
'

test_expect_success 'free space of the engine is told' '
	tool disk && [ "$(value_of free)" -gt 1000000 ]
'

test_expect_success 'images are found, tagged and untagged' '
	tool image $IMAGE && [[ "$(value_of id)" = sha256:* ]] &&
	tool tag $IMAGE slipway-test/tagged "t$$" &&
	tool tags slipway-test/tagged &&
	contains "$TRASH/out" "tag slipway-test/tagged:t$$" &&
	tool untag "slipway-test/tagged:t$$" &&
	tool untag "slipway-test/tagged:t$$" &&
	tool tags slipway-test/tagged &&
	lacks "$TRASH/out" "t$$" &&
	test_must_fail tool image slipway-test/nothing &&
	contains "$TRASH/out" "error notfound"
'

test_expect_success 'networks are made once, without overlap' '
	tool network-exists $NETWORK && contains "$TRASH/out" "exists 0" &&
	tool network-create $NETWORK 10.222.7.0/27 &&
	tool network-exists $NETWORK && contains "$TRASH/out" "exists 1" &&
	tool subnets && contains "$TRASH/out" "subnet 10.222.7.0/27" &&
	test_must_fail tool network-create $NETWORK 10.222.8.0/27 &&
	contains "$TRASH/out" "error exists" &&
	test_must_fail tool network-create $NETWORK-2 10.222.7.0/28 &&
	contains "$TRASH/out" "error invalid" overlap
'

test_expect_success 'a container runs with its settings' '
	tool create $CONTAINER $IMAGE $NETWORK sh -c "echo out; echo err >&2;
		echo \$SLIPWAY_TEST \$A; hostname; while :; do sleep 0.2; done" &&
	test_must_fail tool create $CONTAINER $IMAGE $NETWORK true &&
	contains "$TRASH/out" "error exists" &&
	tool start $CONTAINER &&
	tool inspect $CONTAINER $NETWORK &&
	contains "$TRASH/out" "running 1" "ip 10.222.7." &&
	tool list &&
	contains "$TRASH/out" " $CONTAINER 7 web 12 1 running" &&
	api GET /containers/$CONTAINER/json >"$TRASH/json" &&
	jq -e ".HostConfig.Memory == 67108864 and
		.HostConfig.MemorySwap == 67108864 and
		.HostConfig.NanoCpus == 500000000 and
		.HostConfig.PidsLimit == 50 and .HostConfig.Init and
		.HostConfig.SecurityOpt == [\"no-new-privileges\"] and
		.HostConfig.LogConfig.Config.\"max-size\" == \"1048576\" and
		.Config.StopTimeout == 2" "$TRASH/json"
'

test_expect_success 'logs come by stream, tail and follow' '
	poll_until 10 eval "tool logs $CONTAINER -1 0 100 5000 &&
		grep -q web-1 $TRASH/out" &&
	contains "$TRASH/out" "out out" "err err" "out yes b c" &&
	tool logs $CONTAINER 1 0 100 5000 && [ $(wc -l <"$TRASH/out") = 1 ] &&
	tool logs $CONTAINER -1 1 2 5000 && [ $(wc -l <"$TRASH/out") = 2 ] &&
	test_must_fail tool logs $CONTAINER 0 1 99 500 &&
	contains "$TRASH/out" "error timeout"
'

test_expect_success 'restart policy, stop and removal' '
	tool restart $CONTAINER always &&
	api GET /containers/$CONTAINER/json |
		jq -e ".HostConfig.RestartPolicy.Name == \"always\"" &&
	tool restart $CONTAINER no &&
	tool stop $CONTAINER &&
	tool inspect $CONTAINER $NETWORK &&
	contains "$TRASH/out" "running 0" "exit 143" &&
	tool stop $CONTAINER &&
	tool remove $CONTAINER && tool remove $CONTAINER &&
	tool network-remove $NETWORK && tool network-remove $NETWORK &&
	test_must_fail tool inspect $CONTAINER $NETWORK &&
	contains "$TRASH/out" "error notfound"
'

has_exited() {
	tool inspect "$CONTAINER" "$NETWORK" && contains "$TRASH/out" "running 0"
}

# The engine's init starts, the program does not.
test_expect_success 'a bad command says so' '
	tool network-create $NETWORK 10.222.7.0/27 &&
	tool create $CONTAINER $IMAGE $NETWORK /no/such/program &&
	{ tool start $CONTAINER || :; } &&
	poll_until 10 has_exited && contains "$TRASH/out" "exit 127" &&
	tool logs $CONTAINER -1 0 10 5000 &&
	contains "$TRASH/out" "/no/such/program" &&
	tool remove $CONTAINER &&
	tool network-remove $NETWORK
'

# ---- builds, with both builders ----

for builder in buildkit classic; do

test_expect_success "$builder: an image is built, and from the cache again" '
	dockerfile "FROM $IMAGE
ARG WORD
RUN echo $builder \$WORD $UNIQUE
COPY a.txt /
CMD [\"cat\", \"/a.txt\"]" &&
	build builder=$builder arg=WORD=given &&
	contains "$TRASH/out" "$builder given $UNIQUE" "image sha256:" &&
	id=$(value_of image) &&
	tool image "$TAG" && contains "$TRASH/out" "id $id" "command 1" &&
	build builder=$builder arg=WORD=given &&
	contains "$TRASH/out" "image $id" &&
	[ "$(value_of cached)" -ge 2 ] &&
	build builder=$builder arg=WORD=given nocache=1 &&
	[ "$(value_of cached)" -le 1 ]
'

test_expect_success "$builder: a failing step is named with code and output" '
	dockerfile "FROM $IMAGE
RUN seq 1 100; sleep 0.3; echo problem >&2; sleep 0.3; exit 7" &&
	build_fails builder=$builder &&
	contains "$TRASH/out" "error peer" "exit-code 7" "> problem" "> 100" \
		"echo problem >&2; sleep 0.3; exit 7 exited 7" &&
	[ "$(grep -c "^> " "$TRASH/out")" = 20 ] &&
	grep "^failed-step \[2/[23]\] RUN seq" "$TRASH/out"
'

test_expect_success "$builder: a missing COPY source is named" '
	dockerfile "FROM $IMAGE
COPY nofile /x" &&
	build_fails builder=$builder &&
	contains "$TRASH/out" "error peer" nofile "COPY nofile /x"
'

test_expect_success "$builder: a syntax error names its line" '
	dockerfile "FROM $IMAGE
RUNN x" &&
	build_fails builder=$builder &&
	contains "$TRASH/out" \
		"error peer dockerfile parse error line 2: unknown instruction"
'

test_expect_success "$builder: a missing Dockerfile is told without temp paths" '
	dockerfile "FROM $IMAGE" &&
	build_fails builder=$builder dockerfile=sub/Dockerfile &&
	contains "$TRASH/out" \
		"error peer there is no '\''sub/Dockerfile'\'' in the commit" &&
	lacks "$TRASH/out" /var/lib
'

test_expect_success "$builder: a missing stage is named" '
	dockerfile "FROM $IMAGE AS one" &&
	build_fails builder=$builder target=two &&
	contains "$TRASH/out" "error peer" two &&
	build builder=$builder target=one
'

test_expect_success "$builder: 100k lines arrive in flat memory" '
	dockerfile "FROM $IMAGE
RUN i=0; while [ \$i -lt 100000 ]; do echo line \$i; i=\$((i+1)); done" &&
	build builder=$builder nocache=1 quiet=1 &&
	# BuildKit clips what comes faster than 200 KiB/s.
	[ "$(value_of lines)" -gt $([ $builder = classic ] &&
		echo 100000 || echo 10000) ] &&
	[ "$(value_of peak-kb)" -lt $PEAK_KB ]
'

test_expect_success "$builder: a line of 1 MB is cut" '
	dockerfile "FROM $IMAGE
RUN head -c 1000000 /dev/zero | tr \"\\\\0\" x; echo; echo after" &&
	build builder=$builder nocache=1 &&
	contains "$TRASH/out" xxxxxxxx after &&
	[ "$(grep -c xxxxxxxx "$TRASH/out")" = 1 ] &&
	[ "$(value_of longest)" -le 16384 ] &&
	[ "$(value_of peak-kb)" -lt $PEAK_KB ]
'

test_expect_success "$builder: CR, escapes, NUL and bad UTF-8 are readable" '
	dockerfile "FROM $IMAGE
RUN printf \"10%%\\r90%%\\r100%%\\n\\033[31mred\\033[0m\\nbad \\377 x\\n\";\
 printf \"nul \\000 x\\nlast\"" &&
	build builder=$builder nocache=1 &&
	contains "$TRASH/out" "100%" red "bad � x" "nul  x" last &&
	grep -q "^| \(#[0-9]* \)\?100%\$" "$TRASH/out" &&
	grep -q "^| \(#[0-9]* \)\?last\$" "$TRASH/out"
'

test_expect_success "$builder: a build that takes too long is stopped" '
	dockerfile "FROM $IMAGE
RUN echo begun; sleep 86$$" &&
	build_fails builder=$builder timeout=3000 &&
	contains "$TRASH/out" begun \
		"error timeout the build took longer than 3.0s" &&
	poll_until 5 no_process "sleep 86$$"
'

test_expect_success "$builder: a silent build is stopped" '
	dockerfile "FROM $IMAGE
RUN sleep 86$$" &&
	build_fails builder=$builder idle=2000 &&
	contains "$TRASH/out" \
		"error timeout nothing was heard from the build for 2.0s"
'

test_expect_success "$builder: cancel ends the process of the step" '
	dockerfile "FROM $IMAGE
RUN sleep 87$$" &&
	{ build builder=$builder cancel=4000 >/dev/null & } &&
	poll_until 10 is_process "^sleep 87$$" &&
	! wait $! &&
	contains "$TRASH/out" "error canceled" &&
	poll_until 3 no_process "sleep 87$$"
'

test_expect_success "$builder: a context that cannot be read ends the build" '
	dockerfile "FROM $IMAGE" &&
	build_fails builder=$builder badread=1 &&
	contains "$TRASH/out" "error canceled the build context"
'

done

test_expect_success 'the classic builder limits memory' '
	dockerfile "FROM $IMAGE
RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes \
	/sys/fs/cgroup/memory.max 2>/dev/null || :" &&
	build builder=classic memory=67108864 nocache=1 &&
	contains "$TRASH/out" "| 67108864"
'

test_expect_success 'a build secret reaches its step and nothing else' '
	dockerfile "FROM $IMAGE
RUN --mount=type=secret,id=npm,required md5sum /run/secrets/npm
RUN test ! -e /run/secrets/npm || test ! -s /run/secrets/npm" &&
	build builder=buildkit nocache=1 secret=npm,sesame &&
	contains "$TRASH/out" "$(printf sesame | md5sum | cut -c1-32)" &&
	build_fails builder=buildkit nocache=1 &&
	contains "$TRASH/out" "error peer" "npm not found" &&
	build_fails builder=classic nocache=1 secret=npm,sesame &&
	contains "$TRASH/out" "requires BuildKit"
'

# ---- a registry with a password ----

start_registry() {
	REGISTRY_PORT=$(free_port)
	mkdir -p "$TRASH/registry"
	htpasswd -Bbn alice s3cret >"$TRASH/registry/htpasswd" || return 1
	cat >"$TRASH/registry/config.yml" <<-END
	version: 0.1
	log: { level: error }
	storage:
	  filesystem: { rootdirectory: $TRASH/registry/data }
	http: { addr: 127.0.0.1:$REGISTRY_PORT }
	auth: { htpasswd: { realm: test, path: $TRASH/registry/htpasswd } }
	END
	docker-registry serve "$TRASH/registry/config.yml" \
		>"$TRASH/registry/log" 2>&1 &
	at_exit "kill $!"
	poll_until 10 curl -s -o /dev/null "http://127.0.0.1:$REGISTRY_PORT/v2/"
}

push_base() {
	local auth repo=127.0.0.1:$REGISTRY_PORT/slipway-test/base
	auth=$(printf '{"username":"alice","password":"s3cret"}' | base64 -w0)
	api POST "/images/$IMAGE/tag?repo=$repo&tag=1" &&
		api POST "/images/$repo/push?tag=1" -H "X-Registry-Auth: $auth" &&
		api DELETE "/images/$repo:1"
}

test_expect_success 'a private base image is in a registry' '
	start_registry && push_base | tee "$TRASH/push" &&
	grep -q "1: digest: sha256:" "$TRASH/push"
'

for builder in buildkit classic; do

test_expect_success "$builder: a private base image needs a login" '
	dockerfile "FROM 127.0.0.1:$REGISTRY_PORT/slipway-test/base:1
RUN echo $UNIQUE" &&
	build_fails builder=$builder &&
	contains "$TRASH/out" "error peer" \
		"add a [registry \"127.0.0.1:$REGISTRY_PORT\"] section"
'

test_expect_success "$builder: a wrong password is told" '
	build_fails builder=$builder cred=127.0.0.1:$REGISTRY_PORT,alice,wrong &&
	contains "$TRASH/out" "error peer" "does not accept the login" &&
	lacks "$TRASH/out" wrong
'

test_expect_success "$builder: with the login it builds" '
	build builder=$builder nocache=1 \
		cred=127.0.0.1:$REGISTRY_PORT,alice,s3cret &&
	contains "$TRASH/out" "$UNIQUE" "image sha256:" &&
	lacks "$TRASH/out" s3cret &&
	api DELETE "/images/$TAG?force=1" &&
	{ api DELETE \
		"/images/127.0.0.1:$REGISTRY_PORT/slipway-test/base:1?force=1" ||
		:; }
'

done

# ---- engines that are not there, or misbehave ----

test_expect_success 'a missing socket is told' '
	test_must_fail "$TOOL" "unix://$TRASH/nothing" ping >"$TRASH/out" &&
	contains "$TRASH/out" "error notfound" "there is no such socket"
'

test_expect_success 'a socket nobody listens on is told' '
	python3 -c "import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])" "$TRASH/stale" &&
	test_must_fail "$TOOL" "unix://$TRASH/stale" ping >"$TRASH/out" &&
	contains "$TRASH/out" "error peer" "nobody listens there" &&
	test_must_fail "$TOOL" tcp://127.0.0.1:1 ping >"$TRASH/out" &&
	contains "$TRASH/out" "error peer" "nobody listens there"
'

# A user without rights on the socket.
as_nobody() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}

test_expect_success 'a socket without permission is told' '
	cp "$TOOL" "$TRASH/tool" && chmod 755 "$TRASH/tool" &&
	chmod 000 "$TRASH/stale" &&
	test_must_fail as_nobody "$TRASH/tool" "unix://$TRASH/stale" ping \
		>"$TRASH/out" &&
	contains "$TRASH/out" "error denied" "group of the socket"
'

# proxy MODE: a misbehaving engine at $TRASH/proxy
proxy() {
	if [ -n "${PROXY_PID:-}" ]; then
		kill "$PROXY_PID" 2>/dev/null
		wait "$PROXY_PID" 2>/dev/null
	fi
	rm -f "$TRASH/proxy" "$TRASH/proxy.log"
	"$ROOT/tests/doubles/engine_proxy.py" "$TRASH/proxy" "$DOCKER_SOCKET" \
		"$1" "$TRASH/proxy.log" &
	PROXY_PID=$!
	poll_until 10 test -S "$TRASH/proxy"
}
at_exit '[ -z "${PROXY_PID:-}" ] || kill $PROXY_PID'

proxied() {
	DOCKER_SOCKET=$TRASH/proxy tool "$@"
}

proxied_build() {
	DOCKER_SOCKET=$TRASH/proxy build "$@"
}

test_expect_success 'an engine that hangs is told in seconds' '
	proxy hang && SECONDS=0 &&
	test_must_fail proxied ping &&
	contains "$TRASH/out" "error timeout" "does not answer" &&
	[ $SECONDS -lt 9 ]
'

test_expect_success 'what is no engine is told' '
	proxy garbage && test_must_fail proxied ping &&
	contains "$TRASH/out" "error proto" "is not a Docker Engine" &&
	proxy stranger && test_must_fail proxied ping &&
	contains "$TRASH/out" "error proto" "is not a Docker Engine"
'

test_expect_success 'without BuildKit the classic builder takes over' '
	proxy no-buildkit && dockerfile "FROM $IMAGE
RUN echo $UNIQUE" &&
	proxied_build nocache=1 &&
	contains "$TRASH/out" "Step 2/3" "$UNIQUE" "image sha256:" &&
	contains "$TRASH/proxy.log" "build?version=2" "build?version=1" &&
	test_must_fail proxied_build builder=buildkit &&
	contains "$TRASH/out" "error invalid" "buildkit is not supported"
'

test_expect_success 'without sessions what needs none still builds' '
	proxy no-session && dockerfile "FROM $IMAGE
RUN echo $UNIQUE" &&
	proxied_build nocache=1 && contains "$TRASH/out" "image sha256:" &&
	lacks "$TRASH/proxy.log" session= &&
	dockerfile "FROM $IMAGE
RUN --mount=type=secret,id=npm,required md5sum /run/secrets/npm" &&
	test_must_fail proxied_build nocache=1 secret=npm,sesame &&
	contains "$TRASH/out" "the engine has no session with us"
'

test_expect_success 'a session that is cut is told when it is missed' '
	proxy cut-session && dockerfile "FROM $IMAGE
RUN sleep 1
RUN --mount=type=secret,id=npm,required md5sum /run/secrets/npm" &&
	test_must_fail proxied_build nocache=1 secret=npm,sesame &&
	contains "$TRASH/out" "error peer" "session"
'

test_expect_success 'an engine that goes away during a build is told' '
	proxy cut-build && dockerfile "FROM $IMAGE
RUN echo $UNIQUE" &&
	test_must_fail proxied_build nocache=1 &&
	contains "$TRASH/out" "error peer the engine went away" &&
	test_must_fail proxied_build nocache=1 builder=classic &&
	contains "$TRASH/out" "error peer the engine went away"
'

test_expect_success 'lines that cannot be read are mentioned once' '
	proxy odd-build && proxied_build &&
	[ "$(grep -c "could not be read" "$TRASH/out")" = 1 ] &&
	contains "$TRASH/out" "image sha256:odd"
'

test_expect_success 'an endless line is dropped in bounded memory' '
	proxy endless-build && test_must_fail proxied_build &&
	contains "$TRASH/out" "error peer at last" "could not be read" &&
	[ "$(value_of peak-kb)" -lt $PEAK_KB ]
'

test_done
