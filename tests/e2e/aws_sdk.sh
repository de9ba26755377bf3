#!/bin/bash
# Our client of AWS and Amazon's own for JavaScript do the same things on the
# double: they must agree on what is answered, refused and tried again.  What
# one of the three got wrong alone, shows.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"
. "$ROOT/tests/e2e/tools/aws_sdk.sh"

command -v node >/dev/null || skip_all 'there is no node'
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
	skip_all "node $(node --version) is older than 18"
command -v npm >/dev/null || skip_all 'there is no npm'
install_sdk || skip_all "npm ci: $(grep -i error "$TRASH/npm" | head -n 1)"

# The clients must find nothing of whoever runs this.
for name in $(env | sed -n 's/^\(AWS_[A-Z_0-9]*\)=.*/\1/p'); do
	unset "$name"
done
export HOME=$TRASH AWS_EC2_METADATA_DISABLED=true
export AWS_REGION=us-east-1 # the SDK does not look at AWS_DEFAULT_REGION

REPOSITORY=slipway/sdk-$RANDOM
ROLE=arn:aws:iam::123456789012:role/execution
NETWORK='{"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"],
	"securityGroups": ["sg-0a1b2c3d"]}}'

PAGE="mkdir /tmp/w && echo page >/tmp/w/index.html &&
	exec httpd -f -p 8080 -h /tmp/w"

# definition COMMAND: members of RegisterTaskDefinition for the family "web"
definition() {
	jq -n --arg command "$1" --arg role "$ROLE" --arg image "$IMAGE" '{
		family: "web", networkMode: "awsvpc", cpu: "256",
		memory: "512", requiresCompatibilities: ["FARGATE"],
		executionRoleArn: $role,
		tags: [{key: "slipway:app", value: "web"}],
		containerDefinitions: [{
			name: "web", image: $image, essential: true,
			command: ["sh", "-c", $command], stopTimeout: 2,
			environment: [{name: "GREETING", value: "héllo <&> \""}],
			dockerLabels: {"a.b": "c"},
			ulimits: [{name: "nofile", softLimit: 500,
				hardLimit: 600}],
			healthCheck: {command: ["CMD", "true"], interval: 5},
			portMappings: [{containerPort: 8080}],
			logConfiguration: {logDriver: "awslogs", options: {
				"awslogs-group": "/web",
				"awslogs-region": "us-east-1",
				"awslogs-stream-prefix": "web"}}}]}'
}

service() { # MEMBERS: of one call about the service
	jq -n --argjson more "$1" '{cluster: "prod"} + $more'
}

described() {
	aws_call ecs DescribeServices \
		'{"cluster": "prod", "services": ["web"]}' | jq '.services[0]'
}

told() { # JQ-FILTER
	described >"$TRASH/service.json" && jq -e "$1" "$TRASH/service.json"
}

# our_pages SERVICE OPERATION JSON: one a line, as the SDK's paginator
our_pages() {
	local input=$3 token= next
	while aws_call "$1" "$2" "$input" >"$TRASH/page"; do
		cat "$TRASH/page"
		next=$(jq -r '.nextToken // .nextForwardToken // empty' \
			"$TRASH/page")
		[ -n "$next" ] && [ "$next" != "$token" ] || return 0
		token=$next
		input=$(jq -n --argjson input "$3" --arg token "$token" \
			'$input + {nextToken: $token}')
	done
	cat "$TRASH/page"
	return 1
}

same_pages() { # COUNT SERVICE OPERATION JSON
	local count=$1
	shift
	our_pages "$@" >"$TRASH/ours" && sdk -p "$@" >"$TRASH/theirs" || {
		cat "$TRASH/ours" "$TRASH/theirs"
		return 1
	}
	cat "$TRASH/ours"
	agree "$TRASH/ours" "$TRASH/theirs" &&
		[ "$(wc -l <"$TRASH/theirs")" = "$count" ]
}

# searched JSON: what both find in all pages; some pages are empty, by chance
searched() {
	our_pages logs FilterLogEvents "$1" | jq -s "map(.events) | add" \
		>"$TRASH/ours" &&
		sdk -p logs FilterLogEvents "$1" | jq -s "map(.events) | add" \
			>"$TRASH/theirs" &&
		agree "$TRASH/ours" "$TRASH/theirs"
}

# ---- who ----

test_expect_success 'both clients sign so that the double knows them' '
	start_double && same sts GetCallerIdentity "{}" &&
	jq -e ".Arn == \"arn:aws:iam::123456789012:user/slipway\"" \
		"$TRASH/theirs" &&
	same ecs DescribeClusters "{\"clusters\": [\"prod\"]}"
'

test_expect_success 'a wrong secret is refused, to both with the same words' '
	(export AWS_SECRET_ACCESS_KEY=wrong &&
	same_refusal ecs ListTasks "{\"cluster\": \"prod\"}" \
		InvalidSignatureException &&
	same_refusal sts GetCallerIdentity "{}" SignatureDoesNotMatch)
'

# ---- answers ----

test_expect_success 'an image that ours pushed, theirs finds' '
	tool publish $REPOSITORY \
		"$(api GET "/images/$BASE_IMAGE/json" | jq -r .Id)" 1 &&
	IMAGE=$(sed -n "s/^image //p" "$TRASH/out") && [ -n "$IMAGE" ] &&
	same ecr DescribeRepositories \
		"{\"repositoryNames\": [\"$REPOSITORY\"]}" &&
	same ecr ListImages "{\"repositoryName\": \"$REPOSITORY\"}" &&
	same ecr DescribeImages "{\"repositoryName\": \"$REPOSITORY\"}" &&
	jq -e "\"${IMAGE#*@}\" == .imageDetails[0].imageDigest" \
		"$TRASH/theirs"
'

test_expect_success 'a task definition of theirs reads the same to both' '
	sdk ecs RegisterTaskDefinition \
		"$(definition "$PAGE")" >"$TRASH/out" &&
	same ecs DescribeTaskDefinition \
		"{\"taskDefinition\": \"web:1\", \"include\": [\"TAGS\"]}" &&
	jq -e ".taskDefinition.containerDefinitions[0].environment[0].value ==
		\"héllo <&> \\\"\" and .tags[0].value == \"web\"" \
		"$TRASH/ours"
'

test_expect_success 'and one of ours equals one of theirs' '
	aws_call ecs RegisterTaskDefinition \
		"$(definition "$PAGE")" >"$TRASH/out" &&
	for revision in 1 2; do
		sdk ecs DescribeTaskDefinition \
			"{\"taskDefinition\": \"web:$revision\"}" |
			jq -S ".taskDefinition | del(.revision, .registeredAt,
				.taskDefinitionArn)" \
			>"$TRASH/revision.$revision" || return 1
	done &&
	diff "$TRASH/revision.1" "$TRASH/revision.2" &&
	same ecs ListTaskDefinitions "{\"familyPrefix\": \"web\"}"
'

test_expect_success 'secrets, of text and of bytes' '
	aws_call secretsmanager CreateSecret "{\"Name\": \"web/text\",
		\"ClientRequestToken\": \"$(cat /proc/sys/kernel/random/uuid)\",
		\"SecretString\": \"{\\\"KEY\\\": \\\"wört\\\"}\"}" \
		>"$TRASH/out" &&
	same secretsmanager GetSecretValue "{\"SecretId\": \"web/text\"}" &&
	aws_call secretsmanager PutSecretValue "{\"SecretId\": \"web/text\",
		\"ClientRequestToken\": \"$(cat /proc/sys/kernel/random/uuid)\",
		\"SecretBinary\": \"AAH+/w==\"}" >"$TRASH/out" &&
	same secretsmanager GetSecretValue "{\"SecretId\": \"web/text\"}" &&
	jq -e ".SecretBinary == \"AAH+/w==\"" "$TRASH/theirs" &&
	sdk secretsmanager PutSecretValue "{\"SecretId\": \"web/text\",
		\"SecretString\": \"three\"}" >"$TRASH/out" &&
	same secretsmanager GetSecretValue "{\"SecretId\": \"web/text\"}" &&
	same secretsmanager DescribeSecret "{\"SecretId\": \"web/text\"}" &&
	same secretsmanager ListSecretVersionIds \
		"{\"SecretId\": \"web/text\"}"
'

now_ms() {
	date +%s%3N
}

log_events() { # FIRST LAST
	jq -n --argjson from "$1" --argjson to "$2" --argjson at "$(now_ms)" '{
		logGroupName: "/web", logStreamName: "web/web/1",
		logEvents: [range($from; $to + 1) |
			{timestamp: ($at + .), message: "line \(.) ä <&>"}]}'
}

test_expect_success 'log lines that each of them wrote' '
	aws_call logs CreateLogGroup "{\"logGroupName\": \"/web\"}" &&
	sdk logs CreateLogStream "{\"logGroupName\": \"/web\",
		\"logStreamName\": \"web/web/1\"}" &&
	sdk logs PutLogEvents "$(log_events 1 5)" >"$TRASH/out" &&
	aws_call logs PutLogEvents "$(log_events 6 9)" >"$TRASH/out" &&
	same logs DescribeLogStreams "{\"logGroupName\": \"/web\"}" &&
	same logs GetLogEvents "{\"logGroupName\": \"/web\",
		\"logStreamName\": \"web/web/1\", \"startFromHead\": true}" &&
	jq -e "[.events[].message] == [range(1; 10) | \"line \\(.) ä <&>\"]" \
		"$TRASH/theirs" &&
	searched_nine() {
		searched "{\"logGroupName\": \"/web\", \"limit\": 4,
			\"filterPattern\": \"line\"}" &&
			jq -e "length == 9" "$TRASH/ours"
	} &&
	poll_until 10 searched_nine
'

test_expect_success 'a load balancer, in the XML of a query service' '
	GROUP=$(aws_call elasticloadbalancing CreateTargetGroup "{
		\"Name\": \"web\", \"Protocol\": \"HTTP\", \"Port\": 80,
		\"VpcId\": \"vpc-0a1b2c3d\", \"TargetType\": \"ip\",
		\"HealthCheckIntervalSeconds\": 10}" |
		jq -r ".TargetGroups[0].TargetGroupArn") &&
	sdk elasticloadbalancing CreateRule "{\"ListenerArn\":
		\"$LISTENER_ARN\", \"Priority\": 5, \"Conditions\": [{
		\"Field\": \"host-header\", \"Values\": [\"web.example\"]}],
		\"Actions\": [{\"Type\": \"forward\",
		\"TargetGroupArn\": \"$GROUP\"}]}" >"$TRASH/out" &&
	same elasticloadbalancing DescribeLoadBalancers "{}" &&
	same elasticloadbalancing DescribeListeners \
		"{\"LoadBalancerArn\": \"$LOAD_BALANCER_ARN\"}" &&
	same elasticloadbalancing DescribeRules \
		"{\"ListenerArn\": \"$LISTENER_ARN\"}" &&
	same elasticloadbalancing DescribeTargetGroups "{}" &&
	same elasticloadbalancing DescribeTargetGroupAttributes \
		"{\"TargetGroupArn\": \"$GROUP\"}" &&
	same elasticloadbalancing DescribeTargetHealth \
		"{\"TargetGroupArn\": \"$GROUP\"}"
'

# ---- services ----

test_expect_success 'their waiter finds the service of ours stable' '
	aws_call ecs CreateService "$(service "{\"serviceName\": \"web\",
		\"desiredCount\": 1, \"taskDefinition\": \"web:1\",
		\"launchType\": \"FARGATE\",
		\"networkConfiguration\": $NETWORK,
		\"loadBalancers\": [{\"targetGroupArn\": \"$GROUP\",
			\"containerName\": \"web\", \"containerPort\": 8080}],
		\"deploymentConfiguration\": {\"deploymentCircuitBreaker\":
			{\"enable\": true, \"rollback\": true}}}")" \
		>"$TRASH/out" &&
	[ "$(sdk wait ecs ServicesStable 60 \
		"$(service "{\"services\": [\"web\"]}")")" = SUCCESS ] &&
	poll_until 30 told "(.deployments | length) == 1 and
		.runningCount == 1 and
		.deployments[0].rolloutState == \"COMPLETED\"" &&
	GOOD=$(jq -r ".deployments[0].id" "$TRASH/service.json")
'

# same_tasks STATUS: of the service; those that end may still change
same_tasks() {
	same ecs ListTasks "$(service "{\"serviceName\": \"web\",
		\"desiredStatus\": \"$1\"}")" &&
		same ecs DescribeTasks "$(service \
			"{\"tasks\": $(jq -c .taskArns "$TRASH/ours")}")"
}

test_expect_success 'service, tasks and targets read the same to both' '
	poll_until 10 same ecs DescribeServices "$(service "{
		\"services\": [\"web\", \"none\"],
		\"include\": [\"TAGS\"]}")" &&
	jq -e ".failures[0].reason == \"MISSING\"" "$TRASH/theirs" &&
	poll_until 10 same_tasks RUNNING &&
	jq -e ".tasks[0].lastStatus == \"RUNNING\"" "$TRASH/theirs" &&
	same ecs ListServiceDeployments "$(service "{\"service\": \"web\"}")" &&
	same elasticloadbalancing DescribeTargetHealth \
		"{\"TargetGroupArn\": \"$GROUP\"}" &&
	[ "$(jq -r ".TargetHealthDescriptions[0].TargetHealth.State" \
		"$TRASH/ours")" = healthy ]
'

# Why we follow the id of our own deployment and wait for no stable service.
test_expect_success 'their waiter takes a rolled back rollout for a success' '
	aws_call ecs RegisterTaskDefinition "$(definition "exit 3")" \
		>"$TRASH/out" &&
	BAD=$(sdk ecs UpdateService "$(service "{\"service\": \"web\",
		\"taskDefinition\": \"web:3\"}")" |
		jq -r ".service.deployments[0].id") && [ "$BAD" != "$GOOD" ] &&
	[ "$(sdk wait ecs ServicesStable 3 \
		"$(service "{\"services\": [\"web\"]}")")" = TimeoutError ] &&
	[ "$(sdk wait ecs ServicesStable 90 \
		"$(service "{\"services\": [\"web\"]}")")" = SUCCESS ] &&
	poll_until 10 told "[.deployments[].id] == [\"$GOOD\"] and
		(.taskDefinition | endswith(\"web:1\"))" &&
	poll_until 10 same ecs DescribeServices \
		"$(service "{\"services\": [\"web\"]}")" &&
	poll_until 10 same_tasks STOPPED &&
	jq -e "any(.tasks[]; .startedBy == \"$BAD\" and
		.containers[0].exitCode == 3)" "$TRASH/theirs"
'

# ---- pages ----

test_expect_success 'both turn the same pages, and as many' '
	same_pages 2 ecs ListTaskDefinitions \
		"{\"familyPrefix\": \"web\", \"maxResults\": 2}" &&
	tool publish $REPOSITORY \
		"$(api GET "/images/$BASE_IMAGE/json" | jq -r .Id)" 2 &&
	same_pages 2 ecr ListImages \
		"{\"repositoryName\": \"$REPOSITORY\", \"maxResults\": 1}"
'

test_expect_success 'a log stream is read to its end by both' '
	same_pages 4 logs GetLogEvents "{\"logGroupName\": \"/web\",
		\"logStreamName\": \"web/web/1\", \"startFromHead\": true,
		\"limit\": 3}" &&
	jq -r ".events[].message" "$TRASH/theirs" >"$TRASH/lines" &&
	tool history /web web/web/1 100 && cmp "$TRASH/lines" "$TRASH/out"
'

# ---- refusals ----

test_expect_success 'what is not there is told of with the same words' '
	same_refusal ecs DescribeServices "{\"cluster\": \"none\",
		\"services\": [\"web\"]}" ClusterNotFoundException &&
	same_refusal ecs UpdateService "$(service "{\"service\": \"none\",
		\"desiredCount\": 1}")" ServiceNotFoundException &&
	same_refusal ecs DescribeTaskDefinition \
		"{\"taskDefinition\": \"none\"}" ClientException &&
	same_refusal ecr ListImages "{\"repositoryName\": \"none\"}" \
		RepositoryNotFoundException &&
	same_refusal logs GetLogEvents "{\"logGroupName\": \"/none\",
		\"logStreamName\": \"a\"}" ResourceNotFoundException &&
	same_refusal secretsmanager GetSecretValue \
		"{\"SecretId\": \"none\"}" ResourceNotFoundException &&
	same_refusal elasticloadbalancing DescribeTargetHealth \
		"{\"TargetGroupArn\": \"${GROUP%/*}/0123456789abcdef\"}" \
		TargetGroupNotFound
'

test_expect_success 'what breaks a rule of the service, too' '
	same_refusal ecr CreateRepository \
		"{\"repositoryName\": \"$REPOSITORY\"}" \
		RepositoryAlreadyExistsException &&
	same_refusal ecs RunTask "$(service "{\"taskDefinition\": \"web:1\",
		\"launchType\": \"MOON\"}")" InvalidParameterException &&
	same_refusal elasticloadbalancing DeleteTargetGroup \
		"{\"TargetGroupArn\": \"$GROUP\"}" ResourceInUse
'

test_expect_success 'and what is not allowed' '
	admin POST /faults "{\"kind\": \"access-denied\"}" &&
	same_refusal ecs UpdateService "$(service "{\"service\": \"web\"}")" \
		AccessDeniedException &&
	contains "$TRASH/theirs" ecs:UpdateService &&
	same_refusal secretsmanager GetSecretValue \
		"{\"SecretId\": \"web/text\"}" AccessDeniedException &&
	same_refusal elasticloadbalancing DescribeRules \
		"{\"ListenerArn\": \"$LISTENER_ARN\"}" AccessDenied &&
	admin DELETE /faults
'

# ---- what is tried again ----

DESCRIBE='{"cluster": "prod", "services": ["web"]}'

test_expect_success 'throttling is borne by both' '
	same_attempts 3 "{\"kind\": \"throttle\", \"times\": 2}" \
		ecs DescribeServices "$DESCRIBE" &&
	same_attempts 2 "{\"kind\": \"throttle\", \"times\": 1}" \
		elasticloadbalancing DescribeTargetGroups "{}"
'

test_expect_success 'and so are faults of the service and of the way there' '
	for kind in http-500 http-503 reset lost-reply truncate; do
		echo "$kind" &&
		same_attempts 2 "{\"kind\": \"$kind\", \"times\": 1}" \
			ecs DescribeServices "$DESCRIBE" || return 1
	done
'

test_expect_success 'both give up at the third fault' '
	admin POST /faults "{\"kind\": \"error\", \"code\": \"ServerException\",
		\"message\": \"no\", \"status\": 500}" &&
	for client in aws_call sdk; do
		took 3 DescribeServices \
			refused "$TRASH/of.$client" ServerException \
			$client ecs DescribeServices "$DESCRIBE" || return 1
	done &&
	cmp "$TRASH/of.aws_call" "$TRASH/of.sdk" && admin DELETE /faults
'

test_expect_success 'a clock that is wrong is repaired, once for all calls' '
	for skew in 600 -3600; do
		admin POST /clock "{\"skew\": $skew}" &&
		took 3 DescribeServices aws_call -n 2 ecs DescribeServices \
			"$DESCRIBE" &&
		took 3 DescribeServices sdk -n 2 ecs DescribeServices \
			"$DESCRIBE" || return 1
	done
	admin POST /clock "{\"skew\": 0}"
'

# ---- credentials ----

# Whose keys a container gets.
in_container() { # COMMAND…
	(unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=$CONTAINER_CREDENTIALS_URL
	export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=${TOKEN_FILE:-$CONTAINER_TOKEN_FILE}
	"$@")
}

test_expect_success 'both find the same keys of a container' '
	in_container "$BUILD/tests/tools/aws_credentials_tool" get |
		sed "s/^container|//" >"$TRASH/ours" &&
	in_container sdk credentials "" >"$TRASH/theirs" &&
	cat "$TRASH/ours" && contains "$TRASH/ours" "|token|" &&
	cmp "$TRASH/ours" "$TRASH/theirs" &&
	in_container same sts GetCallerIdentity "{}" &&
	contains "$TRASH/theirs" assumed-role/slipway-task
'

test_expect_success 'and none when the token of the container is wrong' '
	printf wrong >"$TRASH/wrong" && mark &&
	TOKEN_FILE=$TRASH/wrong test_must_fail in_container \
		aws_call sts GetCallerIdentity "{}" &&
	TOKEN_FILE=$TRASH/wrong test_must_fail in_container \
		sdk sts GetCallerIdentity "{}" &&
	[ "$(journal GetCallerIdentity)" = 0 ]
'

# The keys of a container, as a person exports them.
with_temporary_keys() { # COMMAND…
	(curl -sf -H "Authorization: $(cat "$CONTAINER_TOKEN_FILE")" \
		"$CONTAINER_CREDENTIALS_URL" >"$TRASH/keys" || exit 1
	AWS_ACCESS_KEY_ID=$(jq -r .AccessKeyId "$TRASH/keys")
	AWS_SECRET_ACCESS_KEY=$(jq -r .SecretAccessKey "$TRASH/keys")
	AWS_SESSION_TOKEN=$(jq -r .Token "$TRASH/keys")
	export AWS_SESSION_TOKEN
	"$@")
}

refused_when() { # CREDENTIALS JSON-CODE QUERY-CODE
	same ecs DescribeServices "$DESCRIBE" &&
		admin POST /credentials "$1" &&
		same_refusal ecs DescribeServices "$DESCRIBE" "$2" &&
		same_refusal sts GetCallerIdentity '{}' "$3"
}

test_expect_success 'keys that expired or were revoked are refused alike' '
	with_temporary_keys refused_when "{\"expire_in\": 0}" \
		ExpiredTokenException ExpiredToken &&
	with_temporary_keys refused_when "{\"rotate\": true}" \
		UnrecognizedClientException InvalidClientTokenId
'

test_expect_success 'keys that end before their time: ours fetches new ones' '
	admin POST /faults "{\"kind\": \"expired-token\", \"times\": 1}" &&
	in_container took 2 DescribeServices \
		aws_call ecs DescribeServices "$DESCRIBE" &&
	admin DELETE /faults &&
	admin POST /faults "{\"kind\": \"expired-token\", \"times\": 1}" &&
	in_container took 1 DescribeServices refused "$TRASH/theirs" \
		ExpiredTokenException sdk ecs DescribeServices "$DESCRIBE" &&
	admin DELETE /faults
'

# ---- the end ----

test_expect_success 'the double did not break' '
	admin GET "/journal?since=0" | jq -e \
		"[.[] | select(.kind == \"crash\" or .bug)] == []" &&
	lacks "$TRASH/double.log" Traceback && stop_double
'

test_done
