#!/bin/bash
# What goes wrong with AWS or with us while a push rolls a service of ECS: the
# push says why, what ran before keeps serving, and the next push works.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"
. "$ROOT/tests/e2e/tools/ecs.sh"

# A moment later than at once: ECS counts what never was RUNNING, and only that.
CRASH='web: echo about to die; sleep 2; exit 3'

began= # the rollout that crashes
over=  # that push
third= # when the third task died, by the double
took=  # from then to the end of the push

fault() { # JSON: ordered misfortune
	admin POST /faults "$1"
}

# What the push said; the faults end with it.
push_with() { # FAULTS-JSON
	local code
	fault "$1" || return 1
	push shop main
	code=$?
	admin DELETE /faults
	return $code
}

fails_with() { # FAULTS-JSON
	local code
	fault "$1" || return 1
	test_must_fail push "${2:-shop}" main
	code=$?
	admin DELETE /faults
	return $code
}

# A push in the background, a group of its own that can be killed.
push_in_background() {
	rm -f "$TRASH/code"
	: >"$TRASH/pushed"
	setsid bash -c 'git -C "$1/shop" push app main >"$1/pushed" 2>&1
		echo $? >"$1/code"' push "$TRASH" &
	pusher=$!
}

ended() {
	[ -f "$TRASH/code" ]
}

ended_with() { # CODE
	poll_until 90 ended && cat "$TRASH/pushed" && [ "$(cat "$TRASH/code")" = "$1" ]
}

said() { # TEXT
	grep -qF -- "$1" "$TRASH/pushed"
}

rolling() {
	told shop-web '.deployments | length == 2'
}

# Does the service run what is recorded as live?
consistent() { # VERSION
	local live
	live=$(slipway releases shop --json |
		jq '[.[] | select(.state == "live")][0].version') &&
		definition shop-web | jq -e "[.tags[] | select(.key ==
			\"slipway:release\")][0].value == \"$live\"" &&
		page_is "$1" && poll_until 30 stable shop-web 1
}

next_push_works() { # VERSION
	procfile "$WEB" && commit shop "$1" && push shop main &&
		consistent "$1"
}

job_state() {
	[ "$(slipway builds:list shop --json | jq -r '.[0].state')" = "$1" ]
}

calls_since() { # JQ-FILTER on the journal since mark
	admin GET "/journal?since=$SEQ" >"$TRASH/journal" &&
		jq -e "$1" "$TRASH/journal"
}

now() {
	date +%s.%N
}

# ---- services of AWS that fail ----

test_expect_success 'an app runs' '
	start_double &&
	ecs_server -o target.prod.rollout-timeout=3m && new_user alice --admin &&
	make_app shop && next_push_works one
'

test_expect_success 'half of all calls throttled: the push succeeds' '
	commit shop storm && mark &&
	push_with "{\"kind\": \"throttle\", \"probability\": 0.5}" &&
	consistent storm && calls_since \
		"[.[] | select(.fault == \"throttle\")] | length > 10"
'

some_calls() { # PROBABILITY: of each kind
	local kind list=
	for kind in http-500 http-503 reset lost-reply; do
		list="$list,{\"kind\": \"$kind\", \"probability\": $1}"
	done
	echo "[${list#,}]"
}

test_expect_success 'one call in six answered with 500 or 503, cut or lost' '
	commit shop noise && mark &&
	if push_with "$(some_calls 0.04)"; then
		consistent noise
	else
		contains "$TRASH/out" "failed: " "still live" &&
		consistent storm
	fi && calls_since "[.[] | select(.fault != null) | .fault] | unique |
		length > 1"
'

test_expect_success 'and when half of them fail, nothing is half done' '
	before=$(page) && commit shop half &&
	if push_with "$(some_calls 0.15)"; then
		consistent half
	else
		contains "$TRASH/out" "failed: " && consistent "$before"
	fi
'

test_expect_success 'the next push works' '
	next_push_works two
'

test_expect_success 'a clock ten minutes off: the push succeeds' '
	commit shop skew && mark && admin POST /clock "{\"skew\": 600}" &&
	{ push shop main; code=$?; admin POST /clock "{\"skew\": 0}";
		[ $code = 0 ]; } && consistent skew && calls_since \
		"[.[] | select((.message // \"\") | test(\"^Signature expired\"))] |
		length > 0"
'

test_expect_success 'a registry token refused in the middle: one refresh' '
	head -c 100000 /dev/urandom >"$TRASH/shop/www/data" &&
	commit shop token && mark &&
	fault "{\"kind\": \"delay\", \"service\": \"registry\",
		\"operation\": \"HEAD blobs\", \"seconds\": 2, \"times\": 4}" &&
	push_in_background && poll_until 30 eval \
		"[ \$(journal GetAuthorizationToken) = 1 ]" &&
	admin POST /registry "{\"expire_tokens\": true}" &&
	ended_with 0 && admin DELETE /faults && consistent token &&
	[ "$(journal GetAuthorizationToken)" = 2 ]
'

test_expect_success 'a secret that is missing: named, and the old one serves' '
	arn=arn:aws:secretsmanager:us-east-1:123456789012:secret:no-such-AbCdEf &&
	test_must_fail slipway config:set shop DB=secretsmanager:$arn \
		>"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" ResourceInitializationError no-such-AbCdEf \
		"still live" && consistent token
'

test_expect_success 'it is unset, and the next push works' '
	slipway config:unset shop DB --no-restart >"$TRASH/out" 2>&1 &&
	next_push_works three
'

# ---- a crash, at the real speed of AWS ----

third_death() { # when, by the double
	ecs DescribeTasks "{\"cluster\": \"$CLUSTER\", \"tasks\": $(
		ecs ListTasks "{\"cluster\": \"$CLUSTER\", \"serviceName\":
			\"shop-web\", \"desiredStatus\": \"STOPPED\"}" |
		jq -c .taskArns)}" | jq "[.tasks[] |
		select(.startedBy == \"$1\" and .stopCode ==
		\"EssentialContainerExited\") | .stoppingAt] | sort | .[2]"
}

# The same revision, rolled out by awscli on a service of its own.
test_expect_success 'a twin of the service, that Slipway knows nothing of' '
	good=$(described shop-web | jq -r .taskDefinition) &&
	awscli ecs create-service --cluster "$CLUSTER" --service-name twin \
		--task-definition "$good" --desired-count 1 \
		--network-configuration \
		"awsvpcConfiguration={subnets=[subnet-0a1b2c3d]}" \
		--deployment-configuration "deploymentCircuitBreaker={enable=true,rollback=true}" &&
	poll_until 30 stable twin 1
'

test_expect_success 'a revision that crashes at boot, for both' '
	procfile "$CRASH" && commit shop crash &&
	admin POST /clock "{\"scale\": 1}" &&
	push_in_background && poll_until 30 rolling && began=$(now) &&
	described shop-web >"$TRASH/service" &&
	id=$(jq -r ".deployments[0].id" "$TRASH/service") &&
	crash=$(jq -r ".deployments[0].taskDefinition" "$TRASH/service") &&
	awscli ecs update-service --cluster "$CLUSTER" --service twin \
		--task-definition "$crash" >"$TRASH/reply" &&
	{ awscli ecs wait services-stable --cluster "$CLUSTER" --services twin \
		>"$TRASH/waited" 2>&1 & } && waiter=$! && at_exit "kill $waiter"
'

# Meanwhile: what may not be done.
test_expect_success 'AccessDenied names the action: repository, then rule' '
	make_app store && fails_with "{\"kind\": \"access-denied\", \"service\":
		\"ecr\", \"operation\": \"CreateRepository\"}" store &&
	contains "$TRASH/out" "allow ecr:CreateRepository: " &&
	fails_with "{\"kind\": \"access-denied\", \"service\": \"elbv2\",
		\"operation\": \"CreateRule\"}" store &&
	contains "$TRASH/out" "allow elasticloadbalancing:CreateRule: "
'

test_expect_success 'and a role that may not be passed, with the role' '
	fails_with "{\"kind\": \"error\", \"service\": \"ecs\", \"operation\":
		\"RegisterTaskDefinition\", \"code\": \"ClientException\",
		\"message\": \"User: arn:aws:iam::123456789012:user/slipway is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/execution because no identity-based policy allows the iam:PassRole action\"}" store &&
	contains "$TRASH/out" "allow iam:PassRole: " role/execution
'

test_expect_success 'the push says so within 30 s of the third death' '
	poll_until 120 ended && over=$(now) && cat "$TRASH/pushed" &&
	[ "$(cat "$TRASH/code")" != 0 ] &&
	contains "$TRASH/pushed" "exited 3" "about to die" "3 times" \
		"web: back on" && third=$(third_death "$id") &&
	took=$(jq -n "$over - $third | round") && [ "$took" -le 30 ]
'

# Nothing will end that but its own limit, 40 looks 15 s apart: what dies after
# it was RUNNING is no failure to ECS.
test_expect_success 'where awscli still waits without a word' '
	[ ! -s "$TRASH/waited" ] && kill $waiter &&
	told twin ".deployments[0] | .rolloutState == \"IN_PROGRESS\" and
		.failedTasks == 0" &&
	say "from UpdateService to the third death:" \
		"$(jq -n "$third - $began | round") s, to the end of the push:" \
		"$(jq -n "$over - $began | round") s ($took s later);" \
		"aws ecs wait services-stable: still waiting after" \
		"$(jq -n "$(now) - $began | round") s, gives up after 600 s" &&
	admin POST /clock "{\"scale\": 60}" &&
	awscli ecs delete-service --cluster "$CLUSTER" --service twin --force \
		>"$TRASH/reply" && consistent three
'

# ---- deadlines and people ----

# Keys as a task of ECS gets them, a short deadline, pushes that end with
# their pusher.
test_expect_success 'a server with the credentials of a container' '
	key=$AWS_ACCESS_KEY_ID secret=$AWS_SECRET_ACCESS_KEY &&
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY &&
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=$CONTAINER_CREDENTIALS_URL &&
	AWS_CONTAINER_AUTHORIZATION_TOKEN=$(cat "$CONTAINER_TOKEN_FILE") &&
	export AWS_CONTAINER_AUTHORIZATION_TOKEN &&
	restart_server "${SERVER_OPTIONS[@]}" \
		-o target.prod.rollout-timeout=12s \
		-o build.cancel-on-disconnect=true
	code=$?
	unset AWS_CONTAINER_CREDENTIALS_FULL_URI
	export AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret
	[ $code = 0 ]
'

test_expect_success 'keys that end in the middle of a deploy are got anew' '
	procfile "$WEB" && commit shop keys && mark &&
	fault "{\"kind\": \"expired-token\", \"service\": \"ecs\",
		\"operation\": \"RegisterTaskDefinition\", \"times\": 1}" &&
	push_in_background && poll_until 60 rolling &&
	admin POST /credentials "{\"rotate\": true}" && ended_with 0 && admin DELETE /faults && consistent keys && calls_since \
		"[.[] | .error] | contains([\"UnrecognizedClientException\",
			\"ExpiredTokenException\"])"
'

test_expect_success 'no room for a task: said at the deadline, and back' '
	commit shop room &&
	fails_with "{\"kind\": \"no-capacity\",
		\"subject\": \"service:shop-web\"}" &&
	contains "$TRASH/out" "web was not healthy within 12.0s" \
		"ECS was unable to place a task. Reason: Capacity is" \
		"Going back to v" "web: back on" "still live" && consistent keys
'

test_expect_success 'a task that never starts: the same' '
	commit shop stuck &&
	fails_with "{\"kind\": \"stuck-pending\",
		\"subject\": \"service:shop-web\"}" &&
	contains "$TRASH/out" "web was not healthy within 12.0s" PENDING \
		"web: back on" "still live" && consistent keys
'

test_expect_success 'a pusher that goes away, by choice, takes it back' '
	commit shop leaving && fault "{\"kind\": \"stuck-pending\",
		\"subject\": \"service:shop-web\"}" &&
	push_in_background && poll_until 60 rolling &&
	kill -KILL -- -$pusher && ! wait $pusher
	poll_until 30 job_state canceled && admin DELETE /faults &&
	consistent keys
'

# ---- what is killed ----

workers() {
	local pid
	# Of this server, whoever else runs one.
	pgrep -f "slipway-worker job" | while read -r pid; do
		if [ "$(readlink "/proc/$pid/exe")" = \
			"$TRASH/prog/bin/slipway-worker" ]; then
			echo "$pid"
		fi
	done
}

test_expect_success 'kill -9 of the builder alone: its worker takes it back' '
	commit shop orphan && fault "{\"kind\": \"stuck-pending\",
		\"subject\": \"service:shop-web\"}" &&
	push_in_background && poll_until 60 rolling &&
	kill -9 "$(part_pid slipway-builder)" && poll_until 60 ended &&
	admin DELETE /faults && cat "$TRASH/pushed" &&
	[ "$(cat "$TRASH/code")" != 0 ] && said "[remote rejected]" &&
	poll_until 30 consistent keys
'

test_expect_success 'kill -9 of builder and worker during the rollout' '
	commit shop killed && fault "{\"kind\": \"stuck-pending\",
		\"subject\": \"service:shop-web\"}" &&
	push_in_background && poll_until 60 rolling &&
	builder=$(part_pid slipway-builder) && worker=$(workers) &&
	[ -n "$worker" ] && kill -9 "$builder" $worker &&
	poll_until 60 ended && admin DELETE /faults &&
	[ "$(cat "$TRASH/code")" != 0 ] && said "push again" &&
	job_state interrupted
'

test_expect_success 'what it began is taken back' '
	poll_until 30 consistent keys &&
	contains "$TRASH/server.log" "was interrupted: service shop-web goes back"
'

test_expect_success 'nothing is locked: the next push works' '
	next_push_works four
'

# ---- more than one target ----

test_expect_success 'apps on two targets, both answer' '
	slipway targets:list >"$TRASH/out" && slipway apps:create pad --target local &&
	slipway apps:create home --target local &&
	slipway apps:set pad target prod && make_app pad && make_app home &&
	push pad main && contains "$TRASH/out" "on prod" &&
	push home main && contains "$TRASH/out" "on local" &&
	serves home one && page_is four && [ "$(curl -sf --max-time 10 \
		-H "Host: pad.example" "http://$LOAD_BALANCER/version.txt")" = one ]
'

test_expect_success 'what runs does not move, and says what to do' '
	test_must_fail slipway apps:set home target prod >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "home v1 is live on '\''local'\''" "apps:create NAME --target prod"
'

test_expect_success 'what cannot be on ECS says why' '
	test_must_fail slipway logs shop -p web.1 >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "tasks on ECS have no numbers"
'

# Its containers have the labels of the images that the server built.
test_expect_success 'the double ends, with its tasks' '
	stop_double
'

test_done
