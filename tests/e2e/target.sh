#!/bin/bash
# The local engine as a target: rollout, gate, settle, logs, reconcile, with a
# real Docker Engine and a real HAProxy, without git and SSH in front.
. "$(dirname "$0")/lib.sh"

TOOLS=${TOOLS:-$BUILD/tests/tools}
PORT=$(free_port)
mkdir -p "$DATA"
ID=none
WEB='[{"type":"web","command":null,"count":1}]'
WEB2='[{"type":"web","command":null,"count":2}]'
POOL=10.$((RANDOM % 50 + 100)).$((RANDOM % 200))
BRIDGE=slipway-t$((RANDOM % 1000))
OPTIONS=(-o "slipway.data=$DATA" -o "build.engine=unix://$DOCKER_SOCKET"
	-o "router.listen=127.0.0.1:$PORT" -o router.max-apps=10
	-o deploy.health-timeout=5s -o deploy.drain-timeout=5s
	-o deploy.stop-timeout=2s -o deploy.keep-releases=2
	-o run.memory=64m
	-o "network.pool=$POOL.0/24")

target() {
	"$TOOLS/target_tool" "${OPTIONS[@]}" "$@"
}

# In the background; $! is its pid.
spawn() {
	"$TOOLS/target_tool" "${OPTIONS[@]}" "$@" &
	at_exit "kill $!"
}

start_haproxy() {
	haproxy -db -q -f "$DATA/router/haproxy.cfg" 2>"$DATA/haproxy.log" &
	haproxy=$!
	at_exit "kill $haproxy"
	poll_until 10 "$TOOLS/router_tool" "$DATA" 127.0.0.1:$PORT 10 check
}

# image NAME, the Dockerfile's lines after FROM on stdin: test images are
# named by the folder so that scripts may run side by side.
TAG=slipway-target/$(basename "$TRASH" | tr 'A-Z.' 'a-z-')
image() {
	mkdir -p "$TRASH/image-$1" &&
		{
			echo "FROM $BASE_IMAGE"
			echo "LABEL slipway.owner=$OWNER"
			cat
		} >"$TRASH/image-$1/Dockerfile" &&
		docker -H "unix://$DOCKER_SOCKET" build -q --network none -t "$TAG:$1" \
			"$TRASH/image-$1"
}

# A web server that says NAME and when asked to, dies in good order.
web_image() { # NAME [LINES…]
	local name=$1
	shift
	image "$name" <<-EOF
	RUN mkdir /www && echo $name >/www/index.html
	$(printf '%s\n' "$@")
	CMD ["sh", "-c", "echo $name starts on \$PORT; exec httpd -f -p \$PORT -h /www"]
	EOF
}

docker_() {
	docker -H "unix://$DOCKER_SOCKET" "$@"
}

page() { # HOST
	curl -s -m 10 -H "Host: $1" "http://127.0.0.1:$PORT/"
}

status() { # HOST
	curl -s -m 10 -o /dev/null -w '%{http_code}' -H "Host: $1" \
		"http://127.0.0.1:$PORT/"
}

shows() { # HOST TEXT
	[ "$(page "$1")" = "$2" ]
}

containers() { # [FILTER…]
	docker_ ps -a --filter "label=slipway.owner=$OWNER" \
		--format '{{.Names}}' "$@"
}

count_is() { # NUMBER COMMAND…
	local want=$1
	shift
	[ "$("$@" | wc -l)" = "$want" ]
}

# A deploy that fails; its transcript is in $TRASH/out.
fails() {
	target deploy "$@" >"$TRASH/out" 2>&1
	local code=$?
	cat "$TRASH/out"
	[ $code = 1 ]
}

roll_20_times() {
	local i
	for i in {1..10}; do
		target deploy shop "$TAG:two" "$WEB" >/dev/null &&
			shows shop.localhost two &&
			target deploy shop "$TAG:one" "$WEB" >/dev/null &&
			shows shop.localhost one || return 1
	done
	target deploy shop "$TAG:two" "$WEB" >/dev/null
}

test_expect_success 'an engine, a router and images to deploy' '
	engine_ready && OWNER=$(target owner) && [ -n "$OWNER" ] &&
	"$TOOLS/router_tool" "$DATA" 127.0.0.1:$PORT 10 write && start_haproxy &&
	web_image one && web_image two "EXPOSE 7000" &&
	ID=$(target create shop) && [ "$ID" -ge 1 ]
'

test_expect_success 'a release is rolled out and answers on its host' '
	target deploy shop $TAG:one "$WEB" >"$TRASH/out" &&
	contains "$TRASH/out" "web.1 healthy (GET / 200 in " \
		"=====> http://shop.localhost:$PORT" &&
	shows shop.localhost one
'

test_expect_success 'the container is labelled, limited and restarted' '
	name=slipway-${OWNER:0:8}-$ID-web-1-1 && [ "$(containers)" = $name ] &&
	docker_ inspect $name >"$TRASH/inspect" &&
	jq -e ".[0].HostConfig | .RestartPolicy.Name == \"always\" and
		.Memory == 67108864 and .MemorySwap == 67108864 and
		.PidsLimit == 1024 and
		.LogConfig.Config[\"max-file\"] == \"3\"" "$TRASH/inspect" &&
	jq -e ".[0].Config | .Labels[\"slipway.app\"] == \"$ID\" and
		.Labels[\"slipway.process\"] == \"web\" and
		.Labels[\"slipway.release\"] == \"1\" and
		(.Env | index(\"PORT=5000\")) and
		(.Env | index(\"SLIPWAY_APP=shop\")) and
		(.Env | index(\"SLIPWAY_RELEASE=v1\")) and
		(.Env | index(\"SLIPWAY_PROCESS=web.1\"))" "$TRASH/inspect"
'

test_expect_success 'the app has a /27 of its own' '
	docker_ network inspect slipway-${OWNER:0:8}-$ID |
		jq -re ".[0].IPAM.Config[0].Subnet" | grep "/27$"
'

test_expect_success 'the next one, on the port it exposes, replaces it' '
	target deploy shop $TAG:two "$WEB" && shows shop.localhost two &&
	[ "$(containers)" = slipway-${OWNER:0:8}-$ID-web-2-1 ] &&
	[ "$(target ps shop | cut -d" " -f1-4)" = "web 1 2 up" ]
'

test_expect_success 'a release that exits is removed, with exit code and log' '
	image exits <<-EOF &&
	CMD ["sh", "-c", "for i in \$(seq 30); do echo line \$i; done; exit 3"]
	EOF
	fails shop $TAG:exits "$WEB" &&
	contains "$TRASH/out" \
		" !     web.1 exited 3 before it listened on port 5000" \
		"       line 30" "       line 11" \
		"failed (peer): web.1 exited 3 before it listened on port 5000" &&
	lacks "$TRASH/out" "line 10" &&
	shows shop.localhost two && count_is 1 containers
'

test_expect_success 'a command that is not there is the reason at once' '
	image nothing <<-EOF &&
	CMD ["/no/such/program"]
	EOF
	fails shop $TAG:nothing "$WEB" &&
	contains "$TRASH/out" "web.1" "/no/such/program" "failed (peer)" &&
	count_is 1 containers
'

test_expect_success 'a release that never listens is removed, with a hint' '
	image deaf <<-EOF &&
	CMD ["sh", "-c", "exec httpd -f -p 127.0.0.1:5000"]
	EOF
	image elsewhere <<-EOF &&
	CMD ["httpd", "-f", "-p", "3000"]
	EOF
	fails shop $TAG:deaf "$WEB" &&
	contains "$TRASH/out" \
		"failed (peer): web.1: nothing listens on port 5000 after 5s" \
		"it listens on 127.0.0.1 only" &&
	fails shop $TAG:elsewhere "$WEB" &&
	contains "$TRASH/out" "it listens on port 3000" &&
	shows shop.localhost two && count_is 1 containers
'

test_expect_success 'a release that answers 5xx is removed' '
	image broken <<-EOF &&
	CMD ["sh", "-c", "while true; do printf \"HTTP/1.0 503 No\\\\r\\\\n\\\\r\\\\n\" | nc -l -p 5000; done"]
	EOF
	fails shop $TAG:broken "$WEB" &&
	contains "$TRASH/out" \
		"failed (peer): web.1: GET / answered 503 after 5s" &&
	shows shop.localhost two && count_is 1 containers
'

test_expect_success 'the deadline cuts a look short: the answer before it counts' '
	image falters <<-EOF &&
	CMD ["sh", "-c", "for i in 1 2 3; do printf \"HTTP/1.0 503 No\\\\r\\\\n\\\\r\\\\n\" | nc -l -p 5000; done; sleep 100 | nc -l -p 5000"]
	EOF
	fails shop $TAG:falters "$WEB" &&
	contains "$TRASH/out" \
		"failed (peer): web.1: GET / answered 503 after 5s" &&
	shows shop.localhost two && count_is 1 containers
'

test_expect_success 'a server of another protocol than HTTP is fit' '
	image other <<-EOF &&
	CMD ["sh", "-c", "while true; do echo hello | nc -l -p 5000; done"]
	EOF
	target create other && target deploy other $TAG:other "$WEB" >"$TRASH/out" &&
	contains "$TRASH/out" "web.1 healthy (port 5000 answers)" &&
	target destroy other && count_is 1 containers
'

test_expect_success 'HEALTHCHECK decides where there is one' '
	web_image checked "HEALTHCHECK --interval=1s CMD wget -qO- 127.0.0.1:5000" &&
	target deploy shop $TAG:checked "$WEB" >"$TRASH/out" &&
	contains "$TRASH/out" "web.1 healthy (HEALTHCHECK, port 5000)" &&
	shows shop.localhost checked &&
	web_image sick "HEALTHCHECK --interval=1s --retries=1 CMD echo I am ill; exit 1" &&
	fails shop $TAG:sick "$WEB" &&
	contains "$TRASH/out" "failed (peer): web.1 is unhealthy: I am ill" &&
	shows shop.localhost checked && count_is 1 containers
'

# Busy engines miss it now and then, one death in forty on a loaded machine: of
# three, one has to be seen.
greedy_is_named() {
	local i
	for i in 1 2 3; do
		fails shop "$TAG:greedy" "$WEB" &&
			contains "$TRASH/out" "out of memory (limit 64m)" ||
			return 1
		grep -q "web.1 ran out of memory (limit 64m)" "$TRASH/out" &&
			return
	done
	return 1
}

test_expect_success 'too little memory is called by its name' '
	image greedy <<-EOF &&
	CMD ["sh", "-c", "exec tail -c 500000000 /dev/zero"]
	EOF
	greedy_is_named
'

test_expect_success 'death by SIGKILL gets the likely cause' '
	image killed <<-EOF &&
	CMD ["sh", "-c", "exit 137"]
	EOF
	fails shop $TAG:killed "$WEB" &&
	contains "$TRASH/out" "web.1 exited 137 before it listened on port 5000:" \
		" killed, most likely out of memory (limit 64m)"
'

test_expect_success 'a cancel removes what was started' '
	image slow <<-EOF &&
	CMD ["sleep", "60"]
	EOF
	CANCEL_FILE=$TRASH/cancel spawn deploy shop $TAG:slow "$WEB" 2>"$TRASH/out" &&
	pid=$! && poll_until 10 count_is 2 containers && touch "$TRASH/cancel" &&
	{ wait $pid; [ $? = 1 ]; } && contains "$TRASH/out" "failed (canceled)" &&
	count_is 1 containers && shows shop.localhost checked
'

test_expect_success 'all processes pass, or none is switched' '
	mixed="[{\"type\":\"web\",\"command\":null,\"count\":1},
		{\"type\":\"worker\",\"command\":[\"sh\",\"-c\",\"sleep 3; exit 9\"],\"count\":1}]" &&
	fails shop $TAG:one "$mixed" &&
	contains "$TRASH/out" "web.1 healthy" "worker.1 exited 9 after" &&
	shows shop.localhost checked && count_is 1 containers
'

test_expect_success 'workers run beside web, without a route' '
	mixed="[{\"type\":\"web\",\"command\":null,\"count\":2},
		{\"type\":\"worker\",\"command\":[\"sh\",\"-c\",\"echo at work; exec sleep 1000\"],\"count\":1}]" &&
	target deploy shop $TAG:one "$mixed" >"$TRASH/out" &&
	contains "$TRASH/out" "web.2 healthy" "worker.1 healthy (up for 1" &&
	shows shop.localhost one && count_is 3 target ps shop &&
	count_is 3 containers
'

test_expect_success 'logs are merged, dated and named' '
	target logs shop 10 >"$TRASH/out" &&
	contains "$TRASH/out" "app[web.1]: one starts on 5000" \
		"app[web.2]: one starts on 5000" "app[worker.1]: at work" &&
	count_is 3 grep -E "^20..-..-..T..:..:..Z app\[" "$TRASH/out" &&
	count_is 1 target logs shop 10 worker && count_is 1 target logs shop 10 web.2 &&
	count_is 2 target logs shop 2
'

test_expect_success 'following gives each new line once, across a deploy' '
	image chatty <<-EOF &&
	RUN mkdir /www && echo chatty >/www/index.html
	CMD ["sh", "-c", "httpd -p 5000 -h /www; for i in \$(seq 500); do echo n\$i; sleep 0.01; done; exec sleep 1000"]
	EOF
	spawn logs shop 0 -f >"$TRASH/follow" && pid=$! &&
	target deploy shop $TAG:chatty "$WEB" &&
	poll_until 20 grep -q "n500$" "$TRASH/follow" && kill $pid &&
	sed -n "s/^.*app\[web.1\]: n//p" "$TRASH/follow" >"$TRASH/numbers" &&
	seq 500 | cmp - "$TRASH/numbers" && lacks "$TRASH/follow" "at work"
'

test_expect_success 'images beyond deploy.keep-releases are forgotten' '
	docker_ images --format "{{.Tag}}" slipway-${OWNER:0:8}/$ID | sort -n >"$TRASH/tags" &&
	cat "$TRASH/tags" && count_is 2 cat "$TRASH/tags"
'

test_expect_success 'a renamed app answers on its new host only' '
	target rename shop store && shows store.localhost chatty &&
	[ "$(status shop.localhost)" = 404 ] && target rename store shop &&
	shows shop.localhost chatty
'

test_expect_success '20 rollouts under load lose no request' '
	target deploy shop $TAG:one "$WEB" &&
	{ "$TOOLS/load" -d 300 -c 8 -k -r -H shop.localhost 127.0.0.1 $PORT >"$TRASH/load" & } &&
	load=$! &&
	{ "$TOOLS/load" -d 300 -c 4 -w 5 -p -s 501 -H shop.localhost 127.0.0.1 $PORT >"$TRASH/post" & } &&
	post=$! && roll_20_times && kill $load $post && wait $load && wait $post &&
	cat "$TRASH/load" "$TRASH/post" && contains "$TRASH/load" "failed=0" &&
	contains "$TRASH/post" "failed=0"
'

test_expect_success 'after a restart of the router the routes come back' '
	kill -KILL $haproxy && { wait $haproxy; start_haproxy; } &&
	[ "$(status shop.localhost)" = 404 ] &&
	target reconcile && shows shop.localhost two
'

test_expect_success 'what is right is left alone' '
	before=$(docker_ ps -q --filter "label=slipway.owner=$OWNER") &&
	target reconcile >"$TRASH/out" && [ ! -s "$TRASH/out" ] &&
	[ "$(docker_ ps -q --filter "label=slipway.owner=$OWNER")" = "$before" ] &&
	shows shop.localhost two
'

test_expect_success 'a stopped container is started, a lost one made again' '
	docker_ stop -t 1 $(containers) && target reconcile >"$TRASH/out" &&
	contains "$TRASH/out" "shop: starting web.1" &&
	poll_until 10 shows shop.localhost two &&
	docker_ rm -f $(containers) && target reconcile &&
	poll_until 10 shows shop.localhost two && count_is 1 containers
'

test_expect_success 'a rollout that died after its switch is undone' '
	target rollout shop $TAG:one "$WEB" && shows shop.localhost one &&
	count_is 2 containers && target reconcile &&
	shows shop.localhost two && count_is 1 containers
'

test_expect_success 'an app that is being deployed is left alone' '
	target rollout shop $TAG:one "$WEB" && shows shop.localhost one &&
	spawn hold shop >"$TRASH/hold" && pid=$! &&
	poll_until 10 grep -q held "$TRASH/hold" && target reconcile &&
	shows shop.localhost one && count_is 2 containers &&
	kill -KILL $haproxy && { wait $haproxy; start_haproxy; } &&
	target reconcile && shows shop.localhost two && kill $pid &&
	target reconcile && count_is 1 containers
'

test_expect_success 'containers and routes of an app that is gone go, too' '
	target create gone && target deploy gone $TAG:one "$WEB" &&
	shows gone.localhost one && id=$(sqlite3 "$DATA/slipway.db" \
		"SELECT id FROM apps WHERE name = \"gone\"") &&
	sqlite3 "$DATA/slipway.db" "PRAGMA foreign_keys=1;
		DELETE FROM apps WHERE name = \"gone\"" &&
	target reconcile && [ "$(status gone.localhost)" = 404 ] &&
	count_is 1 containers &&
	test_must_fail docker_ network inspect slipway-${OWNER:0:8}-$id
'

test_expect_success 'addresses that the machine has are not taken' '
	target create guest && sqlite3 "$DATA/slipway.db" "UPDATE apps
		SET subnet = \"$POOL.224/27\" WHERE name = \"guest\"" &&
	ip link add $BRIDGE type bridge && at_exit "ip link del $BRIDGE" &&
	ip addr add $POOL.225/28 dev $BRIDGE &&
	ip link set $BRIDGE up && target deploy guest $TAG:one "$WEB" &&
	shows guest.localhost one && target destroy guest
'

test_expect_success 'a destroyed app leaves nothing behind' '
	target destroy shop && [ "$(status shop.localhost)" = 404 ] &&
	count_is 0 containers &&
	count_is 0 docker_ network ls -q --filter "label=slipway.owner=$OWNER" &&
	count_is 0 docker_ images -q slipway-${OWNER:0:8}/$ID
'

test_expect_success 'without an engine the failure names it' '
	test_must_fail "$TOOLS/target_tool" "${OPTIONS[@]}" \
		-o build.engine=unix:///nonexistent/docker.sock reconcile
'

test_done
