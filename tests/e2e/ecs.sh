#!/bin/bash
# Pushes to a target of type ecs: a real server against the double of AWS, whose
# tasks are containers on the engine and whose load balancer carries requests.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"
. "$ROOT/tests/e2e/tools/ecs.sh"

# ---- success ----

test_expect_success 'a server starts with a target of type ecs' '
	start_double && ecs_server && new_user alice --admin
'

# what check says of the target; CLUSTER
target_check() {
	"$BUILD/bin/slipway" check -o "slipway.data=$TRASH/check" \
		-o "slipway.socket=$TRASH/check/s" -o target.prod.type=ecs \
		-o target.prod.region="$AWS_DEFAULT_REGION" \
		-o target.prod.cluster="$1" -o target.prod.subnets=subnet-1 \
		-o target.prod.security-groups=sg-1 \
		-o target.prod.execution-role=role >"$TRASH/out"
	grep "target prod" "$TRASH/out"
}

test_expect_success 'slipway check says who we are, and whether there is a cluster' '
	target_check "$CLUSTER" >"$TRASH/line" &&
	contains "$TRASH/line" "ok    target prod (arn:aws:" \
		" in $AWS_DEFAULT_REGION)" &&
	target_check prodd >"$TRASH/line" &&
	contains "$TRASH/line" "FAIL  target prod" "cluster prodd" \
		ClusterNotFoundException
'

test_expect_success 'the first push makes all there is to make' '
	make_app shop && push shop main &&
	contains "$TRASH/out" "Rolling out web=1 on prod" \
		"pushing slipway/shop:v1-" "creating service shop-web" \
		"web healthy: 1 of 1 running" \
		"shop v1 is live: http://shop.example" &&
	page_is one && stable shop-web 1
'

test_expect_success 'its address is that of the load balancer' '
	slipway apps:info shop --json |
		jq -e ".url == \"http://shop.example\"" &&
	slipway apps:list --json |
		jq -e ".[0].url == \"http://shop.example\""
'

test_expect_success 'with image by digest, log options and tags' '
	definition shop-web >"$TRASH/definition" &&
	jq -e ".taskDefinition.containerDefinitions[0] |
		(.image | test(\"/slipway/shop@sha256:[0-9a-f]{64}\$\")) and
		.logConfiguration.options.mode == \"blocking\" and
		([.environment[].name] | contains([\"PORT\"]))" \
		"$TRASH/definition" &&
	jq -e "[.tags[] | select(.key == \"slipway:release\")][0].value ==
		\"1\"" "$TRASH/definition" &&
	told shop-web ".healthCheckGracePeriodSeconds == 60 and
		.deploymentConfiguration.deploymentCircuitBreaker.rollback"
'

test_expect_success 'a second push fails no request' '
	commit shop two &&
	{ wrk -t 1 -c 4 -d 25s -H "Host: shop.example" \
		"http://$LOAD_BALANCER/version.txt" >"$TRASH/wrk" 2>&1 & } &&
	wrk=$! &&
	push shop main &&
	contains "$TRASH/out" "web healthy: 1 of 1 running" \
		"shop v2 is live" &&
	page_is two && wait $wrk && cat "$TRASH/wrk" &&
	contains "$TRASH/wrk" "requests in" &&
	lacks "$TRASH/wrk" "Non-2xx" && lacks "$TRASH/wrk" "Socket errors"
'

test_expect_success 'apps, ps and logs answer' '
	slipway apps:info shop --json | jq -e ".url == \"http://shop.example\"" &&
	slipway ps shop --json | jq -e "length == 1 and .[0].name ==
		\"web.1\" and .[0].release == 2 and .[0].state == \"up\"" &&
	slipway logs shop >"$TRASH/logs" && cat "$TRASH/logs" &&
	contains "$TRASH/logs" "app[ecs]: "
'

test_expect_success 'how many tasks there are is left alone' '
	ecs UpdateService "{\"cluster\": \"$CLUSTER\", \"service\":
		\"shop-web\", \"desiredCount\": 2}" >"$TRASH/reply" &&
	poll_until 60 stable shop-web 2 &&
	commit shop three && push shop main &&
	contains "$TRASH/out" "web healthy: 2 of 2 running" &&
	stable shop-web 2 && page_is three
'

test_expect_success 'what people added to the task definition survives' '
	definition shop-web | jq ".taskDefinition |
		.containerDefinitions[0].ulimits = [{name: \"nofile\",
			softLimit: 5000, hardLimit: 5000}] |
		.containerDefinitions[0].environment += [{name: \"TZ\",
			value: \"UTC\"}] |
		del(.taskDefinitionArn, .revision, .status,
			.requiresAttributes, .compatibilities, .registeredAt,
			.registeredBy)" >"$TRASH/edited" &&
	arn=$(ecs RegisterTaskDefinition "$(cat "$TRASH/edited")" |
		jq -r .taskDefinition.taskDefinitionArn) &&
	ecs UpdateService "{\"cluster\": \"$CLUSTER\", \"service\":
		\"shop-web\", \"taskDefinition\": \"$arn\",
		\"desiredCount\": 1}" >"$TRASH/reply" &&
	poll_until 60 stable shop-web 1 &&
	commit shop four && push shop main &&
	definition shop-web | jq -e ".taskDefinition.containerDefinitions[0] |
		.ulimits[0].softLimit == 5000 and
		([.environment[].name] | contains([\"TZ\", \"PORT\"]))" &&
	page_is four
'

# ---- failure ----

test_expect_success 'a crash at boot: reason, lines, and back' '
	procfile "web: echo about to die; exit 3" && commit shop crash &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "exited 3" "last output of web." \
		"about to die" "Going back to v4" "web: back on shop-web:" \
		"v5 failed: web exited 3" "v4 still live" &&
	page_is four && stable shop-web 1
'

test_expect_success 'an image that cannot be pulled' '
	procfile "$WEB" && commit shop nopull &&
	admin POST /faults "{\"kind\": \"pull-failure\",
		\"subject\": \"service:shop-web\"}" &&
	{ test_must_fail push shop main; code=$?; admin DELETE /faults;
		[ $code = 0 ]; } &&
	contains "$TRASH/out" CannotPullContainerError "v4 still live" &&
	page_is four && stable shop-web 1
'

test_expect_success 'health that never gets green' '
	procfile "web: mkdir /empty; exec busybox httpd -f -p \$PORT -h /empty" &&
	commit shop sick && test_must_fail push shop main &&
	contains "$TRASH/out" "Health checks failed with these codes: [404]" \
		"v4 still live" &&
	page_is four && stable shop-web 1
'

test_expect_success 'somebody else deploys meanwhile: superseded' '
	procfile "$WEB" && commit shop meanwhile &&
	admin POST /faults "{\"kind\": \"stuck-pending\",
		\"subject\": \"service:shop-web\"}" &&
	old=$(described shop-web | jq -r .taskDefinition) &&
	{ push shop main & } && pushing=$! &&
	poll_until 60 told shop-web ".deployments | length == 2" &&
	ecs UpdateService "{\"cluster\": \"$CLUSTER\", \"service\":
		\"shop-web\", \"taskDefinition\": \"$old\",
		\"forceNewDeployment\": true}" >"$TRASH/reply" &&
	admin DELETE /faults && test_must_fail wait $pushing &&
	contains "$TRASH/out" "web was superseded: somebody else deployed" \
		"left as somebody else wants it" "v4 still live" &&
	poll_until 60 stable shop-web 1 && page_is four
'

# ---- more than web ----

test_expect_success 'the release phase runs as a task, its lines are shown' '
	procfile "$WEB" "release: echo migrating \$SLIPWAY_RELEASE" \
		"worker: echo worker of \$SLIPWAY_RELEASE; exec sleep 1000" &&
	commit shop nine && push shop main &&
	contains "$TRASH/out" "Release phase: echo migrating" \
		"migrating v9" "Rolling out web=1 worker=1 on prod" \
		"creating service shop-worker" "worker healthy: 1 of 1" &&
	page_is nine && stable shop-worker 1
'

test_expect_success 'one that fails stops the deploy: nothing was changed' '
	before=$(described shop-web | jq -r .taskDefinition) &&
	procfile "$WEB" "release: echo no database; exit 7" \
		"worker: exec sleep 1000" &&
	commit shop ten && test_must_fail push shop main &&
	contains "$TRASH/out" "no database" \
		"v10 failed: release phase exited 7" "v9 still live" &&
	[ "$(described shop-web | jq -r .taskDefinition)" = "$before" ]
'

test_expect_success 'a worker that dies takes web back with it' '
	procfile "$WEB" "worker: echo no queue; exit 4" && commit shop eleven &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "no queue" "v11 failed: worker exited 4" \
		"web: back on" "worker: back on" "v9 still live" &&
	page_is nine && stable shop-web 1 && stable shop-worker 1
'

test_expect_success 'a type that is gone from the Procfile is ended' '
	procfile "$WEB" && commit shop twelve && push shop main &&
	page_is twelve &&
	poll_until 60 told shop-worker ".status != \"ACTIVE\""
'

test_expect_success 'config vars are secrets of the task' '
	slipway config:set shop COLOUR=ultramarine >"$TRASH/out" 2>&1 &&
	definition shop-web >"$TRASH/definition" &&
	lacks "$TRASH/definition" ultramarine &&
	jq -e "[.taskDefinition.containerDefinitions[0].secrets[].name] ==
		[\"COLOUR\"]" "$TRASH/definition" && page_is twelve
'

test_expect_success 'a name is for ever, says rename' '
	test_must_fail slipway apps:rename shop store >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "which AWS cannot change"
'

test_expect_success 'AccessDenied is shown with the action to allow' '
	commit shop denied &&
	admin POST /faults "{\"kind\": \"access-denied\", \"service\":
		\"ecs\", \"operation\": \"RegisterTaskDefinition\"}" &&
	{ test_must_fail push shop main; code=$?; admin DELETE /faults;
		[ $code = 0 ]; } &&
	contains "$TRASH/out" "ecs:RegisterTaskDefinition" && page_is twelve
'

balanced_on() { # PORT: where the load balancer looks for shop
	told shop-web ".loadBalancers[0].containerPort == $1"
}

test_expect_success 'a release that fails on another port goes back to the old one' '
	echo "EXPOSE 3000" >>"$TRASH/shop/Dockerfile" &&
	procfile "web: exit 4" && commit shop bad-port &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "web exited 4" "Going back to v" \
		"web: back on shop-web:" "still live" &&
	balanced_on 5000 && page_is twelve
'

test_expect_success 'one that works there is found there' '
	procfile "$WEB" && commit shop port && push shop main &&
	balanced_on 3000 && page_is port
'

test_expect_success 'how people tuned a service stays' '
	ecs UpdateService "{\"cluster\": \"$CLUSTER\", \"service\":
		\"shop-web\", \"deploymentConfiguration\":
		{\"minimumHealthyPercent\": 50, \"maximumPercent\": 150},
		\"desiredCount\": 2}" >"$TRASH/reply" &&
	commit shop tuned && push shop main &&
	told shop-web ".deploymentConfiguration | .minimumHealthyPercent == 50
		and .maximumPercent == 150 and
		.deploymentCircuitBreaker.rollback" &&
	stable shop-web 2
'

delete_shop() {
	ecs DeleteService "{\"cluster\": \"$CLUSTER\", \"service\":
		\"shop-web\", \"force\": true}" >"$TRASH/reply"
}

test_expect_success 'a service that somebody deleted comes back with what is live' '
	delete_shop && procfile "web: exit 6" && commit shop lost &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "creating service shop-web" "web exited 6" \
		"web: back on shop-web:" "still live" && page_is tuned
'

test_expect_success 'or with what is pushed' '
	delete_shop && procfile "$WEB" && commit shop again &&
	push shop main && contains "$TRASH/out" "creating service shop-web" \
		"is live" && page_is again
'

test_expect_success 'a first push that fails leaves no tasks, and the next works' '
	make_app pad && echo "web: exit 9" >"$TRASH/pad/Procfile" &&
	commit pad one && test_must_fail push pad main &&
	contains "$TRASH/out" "web exited 9" \
		"web: there is nothing to go back to; scaled to 0" &&
	told pad-web ".desiredCount == 0 and .runningCount == 0" &&
	echo "$WEB" >"$TRASH/pad/Procfile" && commit pad two &&
	push pad main && contains "$TRASH/out" "pad v2 is live" &&
	stable pad-web 1
'

test_expect_success 'what another installation made is refused' '
	make_app theirs && ecs_tags="[{\"Key\": \"slipway:owner\", \"Value\":
		\"x\"}, {\"Key\": \"slipway:app\", \"Value\": \"1\"}]" &&
	aws_call ecr CreateRepository "{\"repositoryName\": \"slipway/theirs\",
		\"tags\": $ecs_tags}" >"$TRASH/reply" &&
	test_must_fail push theirs main &&
	contains "$TRASH/out" "belongs to another installation" \
		"target.prod.repository-prefix" &&
	slipway apps:destroy theirs --confirm theirs &&
	aws_call ecr DescribeRepositories "{\"repositoryNames\":
		[\"slipway/theirs\"]}"
'

test_expect_success 'and so is a service of theirs, before a migration runs' '
	make_app staff && echo "release: echo migrated" \
		>>"$TRASH/staff/Procfile" && commit staff one &&
	ecs RegisterTaskDefinition "{\"family\": \"staff-web\",
		\"containerDefinitions\": [{\"name\": \"web\", \"image\": \"x\",
		\"memory\": 64}]}" >"$TRASH/reply" &&
	ecs CreateService "{\"cluster\": \"$CLUSTER\", \"serviceName\":
		\"staff-web\", \"taskDefinition\": \"staff-web\",
		\"desiredCount\": 0, \"tags\": [{\"key\": \"slipway:owner\",
		\"value\": \"x\"}, {\"key\": \"slipway:app\", \"value\": \"1\"}]}" \
		>"$TRASH/reply" && test_must_fail push staff main &&
	contains "$TRASH/out" "service staff-web belongs to another app" \
		"target.prod.name-prefix" &&
	! grep -q -e migrated -e pushing "$TRASH/out" &&
	slipway apps:destroy staff --confirm staff &&
	told staff-web ".status == \"ACTIVE\""
'

test_expect_success 'and so is a log group of theirs' '
	make_app lines && aws_call logs CreateLogGroup "{\"logGroupName\":
		\"/slipway/lines\", \"tags\": {\"slipway:owner\": \"x\",
		\"slipway:app\": \"1\"}}" >"$TRASH/reply" &&
	test_must_fail push lines main &&
	contains "$TRASH/out" "log group" "/slipway/lines" \
		"belongs to another installation" "target.prod.log-group" &&
	slipway apps:destroy lines --confirm lines &&
	aws_call logs DescribeLogGroups "{\"logGroupNamePrefix\":
		\"/slipway/lines\"}" | jq -e ".logGroups | length == 1 and
		(.[0] | has(\"retentionInDays\") | not)"
'

test_expect_success 'destroying an app half way goes on with the next try' '
	admin POST /faults "{\"kind\": \"access-denied\", \"service\": \"logs\",
		\"operation\": \"DeleteLogGroup\"}" &&
	{ test_must_fail slipway apps:destroy pad --confirm pad \
		>"$TRASH/out" 2>&1; code=$?; admin DELETE /faults;
		[ $code = 0 ]; } &&
	contains "$TRASH/out" logs:DeleteLogGroup &&
	slipway apps:destroy pad --confirm pad
'

test_expect_success 'what people scaled to none stays at none' '
	ecs UpdateService "{\"cluster\": \"$CLUSTER\", \"service\":
		\"shop-web\", \"desiredCount\": 0}" >"$TRASH/reply" &&
	commit shop resting && push shop main &&
	contains "$TRASH/out" "web healthy: 0 of 0 running" &&
	told shop-web ".desiredCount == 0"
'

test_expect_success 'the load balancer hears of another health path' '
	restart_server "${SERVER_OPTIONS[@]}" -o target.prod.health-path=/ready \
		-o target.prod.sizes=shop/web=512:1024 &&
	commit shop ready && push shop main &&
	aws_call elasticloadbalancing DescribeTargetGroups \
		"{\"Names\": [\"shop-web\"]}" |
		jq -e ".TargetGroups[0].HealthCheckPath == \"/ready\""
'

test_expect_success 'and its tasks have the size that is set for them' '
	definition shop-web |
		jq -e ".taskDefinition | .cpu == \"512\" and .memory == \"1024\""
'

test_expect_success 'a target group of somebody else is neither used nor removed' '
	make_app other && echo "release: echo migrated" \
		>>"$TRASH/other/Procfile" && commit other one &&
	aws_call elasticloadbalancing CreateTargetGroup "{
		\"Name\": \"other-web\", \"Protocol\": \"HTTP\", \"Port\": 80,
		\"VpcId\": \"vpc-0a1b2c3d\", \"TargetType\": \"ip\", \"Tags\":
		[{\"Key\": \"slipway:owner\", \"Value\": \"another\"},
		{\"Key\": \"slipway:app\", \"Value\": \"1\"}]}" >"$TRASH/reply" &&
	test_must_fail push other main && contains "$TRASH/out" \
		"target group other-web belongs to another app" &&
	! grep -q -e migrated -e pushing "$TRASH/out" &&
	slipway apps:destroy other --confirm other >"$TRASH/out" 2>&1 &&
	aws_call elasticloadbalancing DescribeTargetGroups \
		"{\"Names\": [\"other-web\"]}" >"$TRASH/reply"
'

test_expect_success 'a host name that another rule has is refused early, too' '
	make_app taken && echo "release: echo migrated" \
		>>"$TRASH/taken/Procfile" && commit taken one &&
	group=$(aws_call elasticloadbalancing DescribeTargetGroups \
		"{\"Names\": [\"shop-web\"]}" |
		jq -r ".TargetGroups[0].TargetGroupArn") &&
	aws_call elasticloadbalancing CreateRule "{\"ListenerArn\":
		\"$LISTENER_ARN\", \"Priority\": 77, \"Conditions\": [{
		\"Field\": \"host-header\", \"Values\": [\"taken.example\"]}],
		\"Actions\": [{\"Type\": \"forward\", \"TargetGroupArn\":
		\"$group\"}]}" >"$TRASH/reply" &&
	test_must_fail push taken main && contains "$TRASH/out" \
		"another rule of the load balancer has taken.example" &&
	! grep -q -e migrated -e pushing "$TRASH/out" &&
	slipway apps:destroy taken --confirm taken
'

test_expect_success 'an app that is destroyed leaves nothing there' '
	slipway apps:destroy shop --confirm shop >"$TRASH/out" 2>&1 &&
	poll_until 60 told shop-web ".status == \"INACTIVE\"" &&
	ecs ListTaskDefinitions "{\"familyPrefix\": \"shop-web\"}" >"$TRASH/out" &&
	jq -e ".taskDefinitionArns | length <= 1" "$TRASH/out" &&
	[ "$(curl -s -o "$TRASH/body" -w "%{http_code}" -H \
		"Host: shop.example" "http://$LOAD_BALANCER/")" = 404 ] &&
	api GET /images/json >"$TRASH/images" &&
	lacks "$TRASH/images" "slipway-${OWNER:0:8}/"
'

test_done
