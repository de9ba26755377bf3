#!/bin/bash
# The double of AWS's ECS and load balancer, driven by foreign clients: Debian's
# awscli, curl's own signer, wrk.  What is so, Docker says: containers are
# looked at on the engine, not only through the double's API.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"

ROLE=arn:aws:iam::123456789012:role/execution
NETWORK='{"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"],
	"securityGroups": ["sg-0a1b2c3d"]}}'

# ---- the clients ----

# The key for curl, in no command line.
write_curlrc() {
	printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" \
		"$AWS_SECRET_ACCESS_KEY" >"$TRASH/curlrc"
}

# Its code 254 is an answer, not a death.
cli() {
	awscli --output json "$@" || return 1
}

# ecs OPERATION JSON: the reply; fails unless 200, and shows the error
ecs() {
	curl -sS --fail-with-body --max-time 30 -K "$TRASH/curlrc" \
		--aws-sigv4 "aws:amz:$AWS_DEFAULT_REGION:ecs" \
		-H 'Content-Type: application/x-amz-json-1.1' \
		-H "X-Amz-Target: AmazonEC2ContainerServiceV20141113.$1" \
		-d "$2" "$AWS_ENDPOINT_URL/"
}

# definition FAMILY COMMAND [CONTAINER-MEMBERS]: registers; prints the ARN
definition() {
	jq -n --arg family "$1" --arg command "$2" --arg role "$ROLE" \
		--arg image "$IMAGE@$DIGEST" \
		--argjson more "${3:-{\}}" '{
		family: $family, networkMode: "awsvpc", cpu: "256",
		memory: "512", requiresCompatibilities: ["FARGATE"],
		executionRoleArn: $role,
		containerDefinitions: [{
			name: "web", image: $image,
			command: ["sh", "-c", $command], stopTimeout: 2,
			portMappings: [{containerPort: 8080}],
			logConfiguration: {logDriver: "awslogs", options: {
				"awslogs-group": "/app",
				"awslogs-region": "us-east-1",
				"awslogs-stream-prefix": "web"}}} + $more]}' \
		>"$TRASH/definition.json" || return 1
	ecs RegisterTaskDefinition "@$TRASH/definition.json" >"$TRASH/reply" ||
		{ cat "$TRASH/reply" >&2; return 1; }
	jq -r .taskDefinition.taskDefinitionArn "$TRASH/reply"
}

# A page that says $2 for service $1; its containers carry it as a label.
web() {
	definition "$1" "mkdir -p /tmp/w/cgi-bin && echo $2 >/tmp/w/index.html &&
		printf '#!/bin/sh\nsleep 3\nprintf \"Content-Type: text/plain\\\\r\\\\n\\\\r\\\\nslow $2\"\n' \
			>/tmp/w/cgi-bin/slow && chmod +x /tmp/w/cgi-bin/slow &&
		echo serving $2 && exec httpd -f -p 8080 -h /tmp/w" \
		"{\"dockerLabels\": {\"version\": \"$2\"}}"
}

# create SERVICE DEFINITION [MEMBERS]; the breaker rolls back
create() {
	ecs CreateService "$(jq -n --arg name "$1" --arg definition "$2" \
		--argjson network "$NETWORK" --argjson more "${3:-{\}}" '{
		cluster: "prod", serviceName: $name, desiredCount: 1,
		taskDefinition: $definition, launchType: "FARGATE",
		networkConfiguration: $network, deploymentConfiguration: {
			deploymentCircuitBreaker: {
				enable: true, rollback: true}}} + $more')"
}

# update SERVICE DEFINITION: prints the id of the new deployment
update() {
	ecs UpdateService "{\"cluster\": \"prod\", \"service\": \"$1\",
		\"taskDefinition\": \"$2\"}" >"$TRASH/reply" ||
		{ cat "$TRASH/reply" >&2; return 1; }
	jq -r '.service.deployments[0].id' "$TRASH/reply"
}

described() {
	ecs DescribeServices "{\"cluster\": \"prod\", \"services\": [\"$1\"]}" |
		jq '.services[0]'
}

# told SERVICE JQ-FILTER: is it true of the service?
told() {
	described "$1" >"$TRASH/service.json" &&
		jq -e "$2" "$TRASH/service.json"
}

completed() {
	told "$1" '.deployments | length == 1 and
		.[0].rolloutState == "COMPLETED"'
}

has_event() {
	told "$1" "[.events[].message | select(test(\"$2\"))] | length > 0"
}

# Tasks of a service that ended, as DescribeTasks tells.
stopped_tasks() {
	local arns
	arns=$(ecs ListTasks "{\"cluster\": \"prod\", \"serviceName\": \"$1\",
		\"desiredStatus\": \"STOPPED\"}" | jq -c .taskArns)
	[ "$arns" = '[]' ] && return 1
	ecs DescribeTasks "{\"cluster\": \"prod\", \"tasks\": $arns}"
}

# every_stopped SERVICE JQ-FILTER: of some that ended; true of all of them
every_stopped() {
	stopped_tasks "$1" >"$TRASH/stopped.json" &&
		jq -e "[.tasks[] | select(.lastStatus == \"STOPPED\" and
			.stopCode != \"ServiceSchedulerInitiated\")] |
			length > 0 and all($2)" "$TRASH/stopped.json"
}

# What Docker runs for a service: the versions, one a line, sorted.  It may
# show a moment later what ECS told.
running() {
	api GET "/containers/json?filters=%7B%22label%22%3A%5B%22slipway.double%3D$DOUBLE_ID%22%2C%22slipway.double.service%3D$1%22%2C%22slipway.double.container%3Dweb%22%5D%7D" |
		jq -r '.[] | .Labels.version // "none"' | sort | tr '\n' ' '
}

runs() { # SERVICE VERSION…
	local service=$1 wanted
	shift
	wanted="$*"
	[ "$(running "$service")" = "${wanted:+$wanted }" ]
}

left_over() {
	api GET "/$1filters=%7B%22label%22%3A%5B%22slipway.double%3D$DOUBLE_ID%22%5D%7D" |
		jq length
}

page() { # HOST [PATH]
	curl -sf --max-time 20 -H "Host: $1" "http://$LOAD_BALANCER${2:-/}"
}

page_is() {
	[ "$(page "$1")" = "$2" ]
}

# ---- first things ----

test_expect_success 'the double starts, with a cluster and a listener' '
	start_double && write_curlrc &&
	cli ecs describe-clusters --clusters prod | jq -e \
		".clusters[0].status == \"ACTIVE\"" &&
	cli elbv2 describe-listeners --listener-arns "$LISTENER_ARN" |
		jq -e ".Listeners[0].DefaultActions[0].FixedResponseConfig
			.StatusCode == \"404\"" &&
	[ "$(curl -s -o "$TRASH/out" -w "%{http_code}" \
		"http://$LOAD_BALANCER/")" = 404 ] &&
	cli logs create-log-group --log-group-name /app
'

# Pushes the base image as app/web; the engine tells its digest.
push_image() {
	local uri=$1
	cli ecr get-authorization-token --query \
		'authorizationData[0].authorizationToken' | tr -d '"' |
		base64 -d | jq -Rr --arg server "${uri%%/*}" '{username: "AWS",
		password: ltrimstr("AWS:"), serveraddress: $server} |
		@base64 | gsub("\\+"; "-") | gsub("/"; "_") |
		"X-Registry-Auth: " + .' >"$TRASH/auth" &&
		api POST "/images/$BASE_IMAGE/tag?repo=$uri&tag=1" &&
		api POST "/images/$uri/push?tag=1" -H "@$TRASH/auth" \
			>"$TRASH/pushed" &&
		api DELETE "/images/$uri:1" >"$TRASH/out"
	DIGEST=$(jq -r '.aux.Digest // empty' "$TRASH/pushed")
	[ -n "$DIGEST" ] || { cat "$TRASH/pushed"; return 1; }
}

test_expect_success 'an image is pushed to ECR' '
	IMAGE=$(cli ecr create-repository --repository-name app/web \
		--query repository.repositoryUri | tr -d \") &&
	push_image "$IMAGE"
'

test_expect_success 'what it does not do, it says aloud' '
	test_must_fail ecs ListServicesByNamespace "{}" >"$TRASH/out" &&
	contains "$TRASH/out" UnknownOperationException &&
	test_must_fail ecs NoSuchThing "{}" >"$TRASH/out" &&
	contains "$TRASH/out" UnknownOperationException &&
	test_must_fail definition odd true "{\"privileged\": true}" \
		>"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" privileged &&
	test_must_fail definition odd true "{\"nosuch\": 1}" \
		>"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" nosuch &&
	test_must_fail ecs CreateService "{\"serviceName\": \"x\"}" \
		>"$TRASH/out" &&
	contains "$TRASH/out" ClusterNotFoundException
'

test_expect_success 'target groups and rules keep the rules of AWS' '
	group=$(cli elbv2 create-target-group --name web --protocol HTTP \
		--port 80 --vpc-id vpc-0a1b2c3d --target-type ip \
		--health-check-interval-seconds 10 --query \
		"TargetGroups[0].TargetGroupArn" | tr -d \") &&
	cli elbv2 modify-target-group-attributes --target-group-arn "$group" \
		--attributes \
		Key=deregistration_delay.timeout_seconds,Value=120 &&
	WEB_MEMBERS=$(jq -n --arg group "$group" "{desiredCount: 2,
		loadBalancers: [{targetGroupArn: \$group,
		containerName: \"web\", containerPort: 8080}]}") &&
	first=$(web web one) &&
	test_must_fail create web "$first" "$WEB_MEMBERS" >"$TRASH/out" &&
	contains "$TRASH/out" "does not have an associated load balancer" &&
	cli elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 5 \
		--conditions Field=host-header,Values=web.example \
		--actions "Type=forward,TargetGroupArn=$group" &&
	test_must_fail cli elbv2 create-rule --listener-arn "$LISTENER_ARN" \
		--priority 5 --conditions Field=host-header,Values=x.example \
		--actions "Type=forward,TargetGroupArn=$group" \
		2>"$TRASH/out" &&
	contains "$TRASH/out" PriorityInUse &&
	test_must_fail cli elbv2 delete-target-group \
		--target-group-arn "$group" 2>"$TRASH/out" &&
	contains "$TRASH/out" ResourceInUse &&
	[ "$(curl -s -o "$TRASH/out" -w "%{http_code}" -H "Host: web.example" \
		"http://$LOAD_BALANCER/")" = 503 ]
'

test_expect_success 'a service comes up behind the load balancer' '
	create web "$first" "$WEB_MEMBERS" >"$TRASH/out" &&
	cli ecs wait services-stable --cluster prod --services web &&
	poll_until 30 completed web &&
	poll_until 20 runs web one one && page_is web.example one &&
	cli elbv2 describe-target-health --target-group-arn "$group" | jq -e \
		"[.TargetHealthDescriptions[].TargetHealth.State] ==
		[\"healthy\", \"healthy\"]" &&
	has_event web "registered 1 targets" &&
	has_event web "has reached a steady state" &&
	test_must_fail create web "$first" >"$TRASH/out" &&
	contains "$TRASH/out" "Creation of service was not idempotent."
'

test_expect_success 'a rolling deployment fails no request' '
	second=$(web web two) || return 1
	wrk -t 1 -c 4 -d 20s -H "Host: web.example" \
		"http://$LOAD_BALANCER/" >"$TRASH/wrk" 2>&1 &
	wrk=$!
	curl -sf -H "Host: web.example" -o "$TRASH/slow" \
		"http://$LOAD_BALANCER/cgi-bin/slow" &
	slow=$!
	GOOD=$(update web "$second") &&
	poll_until 60 completed web && told web ".deployments[0].id ==
		\"$GOOD\"" &&
	poll_until 20 runs web two two && page_is web.example two &&
	wait $slow && contains "$TRASH/slow" "slow one" &&
	wait $wrk && cat "$TRASH/wrk" && contains "$TRASH/wrk" "requests in" &&
	lacks "$TRASH/wrk" "Non-2xx" && lacks "$TRASH/wrk" "Socket errors" &&
	has_event web "has begun draining connections on 1 tasks"
'

# ---- rollouts that fail ----

test_expect_success 'a crash loop trips the breaker; the old id comes back' '
	crash=$(definition web "echo dying; exit 3" \
		"{\"dockerLabels\": {\"version\": \"crash\"}}") &&
	BAD=$(update web "$crash") && [ "$BAD" != "$GOOD" ] &&
	poll_until 60 told web ".deployments[0].id == \"$GOOD\" and
		.deployments[0].rolloutState == \"IN_PROGRESS\"" &&
	told web ".deployments[0].rolloutStateReason == \"ECS deployment circuit breaker: rolling back to deploymentId $GOOD\"" &&
	told web ".deployments[1] | .id == \"$BAD\" and
		.status == \"ACTIVE\" and .rolloutState == \"FAILED\" and
		.failedTasks >= 3" &&
	poll_until 60 completed web &&
	told web ".deployments[0].id == \"$GOOD\" and
		.taskDefinition == \"$second\"" &&
	has_event web "deployment $BAD\\\\) deployment failed: tasks failed to start" &&
	has_event web "rolling back to deployment $GOOD" &&
	poll_until 20 runs web two two && page_is web.example two
'

test_expect_success 'those that died are told of, with reason and exit code' '
	stopped_tasks web | jq -e "[.tasks[] | select(.startedBy == \"$BAD\" and
		.stopCode == \"EssentialContainerExited\" and
		.stoppedReason == \"Essential container in task exited\" and
		.containers[0].exitCode == 3)] | length >= 3" &&
	id=$(stopped_tasks web | jq -r "[.tasks[] |
		select(.startedBy == \"$BAD\")][0].taskArn") &&
	cli logs get-log-events --log-group-name /app \
		--log-stream-name "web/web/${id##*/}" |
		jq -e ".events[0].message == \"dying\""
'

test_expect_success 'service deployments keep the history' '
	ecs ListServiceDeployments "{\"cluster\": \"prod\",
		\"service\": \"web\"}" >"$TRASH/out" &&
	jq -e "[.serviceDeployments[].status] == [\"ROLLBACK_SUCCESSFUL\",
		\"SUCCESSFUL\", \"SUCCESSFUL\"]" "$TRASH/out" &&
	arn=$(jq -r ".serviceDeployments[0].serviceDeploymentArn" \
		"$TRASH/out") &&
	ecs DescribeServiceDeployments \
		"{\"serviceDeploymentArns\": [\"$arn\"]}" | jq -e \
		".serviceDeployments[0].deploymentCircuitBreaker |
		.status == \"TRIGGERED\" and .threshold == 3"
'

# host_group NAME PRIORITY: a target group for NAME.example; prints the ARN
host_group() {
	local arn
	arn=$(cli elbv2 create-target-group --name "$1" --protocol HTTP \
		--port 80 --vpc-id vpc-0a1b2c3d --target-type ip \
		--health-check-interval-seconds 10 --query \
		'TargetGroups[0].TargetGroupArn' | tr -d '"') &&
		cli elbv2 create-rule --listener-arn "$LISTENER_ARN" \
			--priority "$2" --conditions \
			"Field=host-header,Values=$1.example" --actions \
			"Type=forward,TargetGroupArn=$arn" >"$TRASH/out" &&
		echo "$arn"
}

# balanced GROUP: members of CreateService
balanced() {
	jq -n --arg group "$1" '{loadBalancers: [{targetGroupArn: $group,
		containerName: "web", containerPort: 8080}]}'
}

# Each in its own service, at the same time.
FAILING='crash nopull sick nosecret wrong'
test_expect_success 'first deployments that fail have nowhere to go back to' '
	none=sha256:$(printf %064d 0) &&
	create crash "$(definition crash "exit 3")" >"$TRASH/out" &&
	create nopull "$(definition nopull true "{\"image\":
		\"$IMAGE@$none\"}")" >"$TRASH/out" &&
	create sick "$(definition sick "exec sleep 1000" "{\"healthCheck\": {
		\"command\": [\"CMD\", \"false\"], \"interval\": 5,
		\"retries\": 2}}")" >"$TRASH/out" &&
	create nosecret "$(definition nosecret true "{\"secrets\": [{
		\"name\": \"KEY\", \"valueFrom\":
		\"arn:aws:secretsmanager:us-east-1:123456789012:secret:none-AAAAAA\"
		}]}")" >"$TRASH/out" &&
	create wrong "$(definition wrong "exec httpd -f -p 8080 -h /tmp")" \
		"$(balanced "$(host_group wrong 6)")" >"$TRASH/out" &&
	for service in $FAILING; do
		poll_until 90 told $service "(.deployments | length) == 1 and
			.deployments[0].rolloutState == \"FAILED\" and
			.deployments[0].rolloutStateReason == \"ECS deployment circuit breaker: tasks failed to start.\"" ||
			return 1
	done
'

test_expect_success 'they stall: nothing more is started' '
	for service in $FAILING; do
		poll_until 30 runs $service || return 1
	done &&
	for service in $FAILING; do
		described $service | jq "[.events[].id]"
	done >"$TRASH/before" &&
	sleep 4 &&
	for service in $FAILING; do
		runs $service && described $service | jq "[.events[].id]" ||
			return 1
	done >"$TRASH/after" &&
	cmp "$TRASH/before" "$TRASH/after"
'

test_expect_success 'each says why, in the words of AWS' '
	every_stopped crash ".containers[0].exitCode == 3" &&
	every_stopped nopull ".stopCode == \"TaskFailedToStart\" and
		(.stoppedReason | startswith(\"CannotPullContainerError: \"))" &&
	every_stopped nosecret ".stopCode == \"TaskFailedToStart\" and
		(.stoppedReason | startswith(\"ResourceInitializationError: unable to pull secrets or registry auth: \")) and
		(.containers[0] | has(\"exitCode\") | not)" &&
	has_event nosecret "was unable to place a task. Reason: ResourceInitializationError" &&
	has_event sick "failed container health checks" &&
	has_event wrong "is unhealthy in .target-group .*Health checks failed with these codes: .404" &&
	stopped_tasks wrong | jq -e ".tasks | all(.stoppedReason |
		startswith(\"Task failed ELB health checks in (target-group arn:\"))" &&
	stopped_tasks sick | jq -e ".tasks | all(.stoppedReason ==
		\"Task failed container health checks\")"
'

test_expect_success 'deleted services end as INACTIVE, without containers' '
	for service in $FAILING; do
		ecs DeleteService "{\"cluster\": \"prod\",
			\"service\": \"$service\", \"force\": true}" \
			>"$TRASH/out" || return 1
	done &&
	for service in $FAILING; do
		poll_until 30 told $service ".status == \"INACTIVE\"" &&
			runs $service || return 1
	done &&
	test_must_fail ecs UpdateService "{\"cluster\": \"prod\",
		\"service\": \"crash\"}" >"$TRASH/out" &&
	contains "$TRASH/out" ServiceNotActiveException
'

# ---- other ways of a rollout ----

test_expect_success 'a newer deployment supersedes one that goes on' '
	third=$(web web three) && fourth=$(web web four) &&
	OLD=$(update web "$third") && NEW=$(update web "$fourth") &&
	poll_until 10 told web "[.deployments[].id] == [\"$NEW\", \"$GOOD\"] or
		(.deployments[1] | .id == \"$OLD\" and .status == \"ACTIVE\" and
		.rolloutState == \"IN_PROGRESS\")" &&
	poll_until 60 completed web &&
	told web ".deployments[0].id == \"$NEW\"" && poll_until 20 runs web four four &&
	ecs ListServiceDeployments "{\"cluster\": \"prod\",
		\"service\": \"web\"}" | jq -e "[.serviceDeployments[].status][:2] ==
		[\"SUCCESSFUL\", \"STOPPED\"]"
'

test_expect_success 'a count alone starts no deployment' '
	ecs UpdateService "{\"cluster\": \"prod\", \"service\": \"web\",
		\"desiredCount\": 1}" | jq -e \
		".service.deployments[0].id == \"$NEW\"" &&
	poll_until 30 runs web four && completed web &&
	[ "$(update web "$fourth")" = "$NEW" ] &&
	ecs UpdateService "{\"cluster\": \"prod\", \"service\": \"web\",
		\"forceNewDeployment\": true}" | jq -e \
		".service.deployments[0].id != \"$NEW\"" &&
	poll_until 60 completed web
'

test_expect_success 'ordered misfortune: stuck in PENDING, no capacity' '
	admin POST /faults "{\"kind\": \"stuck-pending\",
		\"subject\": \"service:slow\"}" &&
	create slow "$(web slow one)" "{\"propagateTags\": \"SERVICE\",
		\"tags\": [{\"key\": \"app\", \"value\": \"slow\"}]}" \
		>"$TRASH/out" &&
	poll_until 20 told slow ".pendingCount == 1" &&
	sleep 2 && told slow ".runningCount == 0" && runs slow &&
	admin DELETE /faults && poll_until 30 completed slow &&
	admin POST /faults "{\"kind\": \"no-capacity\",
		\"subject\": \"service:slow\"}" &&
	update slow "$(web slow two)" &&
	poll_until 20 has_event slow "Capacity is unavailable at this time" &&
	poll_until 20 runs slow one && admin DELETE /faults &&
	poll_until 60 completed slow && poll_until 20 runs slow two
'

test_expect_success 'its tasks carry the tags of the service' '
	task=$(ecs ListTasks "{\"cluster\": \"prod\",
		\"serviceName\": \"slow\"}" | jq -r ".taskArns[0]") &&
	cli ecs describe-tasks --cluster prod --tasks "$task" --include TAGS |
		jq -e ".tasks[0].tags == [{key: \"app\", value: \"slow\"}]"
'

test_expect_success 'percentages that leave no room are told of' '
	ecs UpdateService "$(jq -n --arg definition "$(web slow three)" "{
		cluster: \"prod\", service: \"slow\",
		taskDefinition: \$definition, deploymentConfiguration: {
		minimumHealthyPercent: 100, maximumPercent: 100}}")" &&
	poll_until 20 has_event slow "was unable to stop or start tasks during a deployment because of the service deployment configuration" &&
	poll_until 20 runs slow two &&
	ecs UpdateService "{\"cluster\": \"prod\", \"service\": \"slow\",
		\"deploymentConfiguration\": {\"minimumHealthyPercent\": 0,
		\"maximumPercent\": 100}}" &&
	poll_until 60 completed slow && poll_until 20 runs slow three
'

# Services are described as they were a moment ago: "completed" before it began.
deployment_is() { # ARN STATUS
	ecs DescribeServiceDeployments "{\"serviceDeploymentArns\": [\"$1\"]}" |
		jq -e ".serviceDeployments[0].status == \"$2\""
}

test_expect_success 'a deployment is stopped and goes back' '
	update slow "$(definition slow "exec sleep 1000" "{\"healthCheck\":
		{\"command\": [\"CMD\", \"false\"], \"interval\": 60}}")" &&
	arn=$(ecs ListServiceDeployments "{\"cluster\": \"prod\",
		\"service\": \"slow\", \"status\": [\"IN_PROGRESS\"]}" |
		jq -r ".serviceDeployments[0].serviceDeploymentArn") &&
	ecs StopServiceDeployment "{\"serviceDeploymentArn\": \"$arn\",
		\"stopType\": \"ROLLBACK\"}" &&
	poll_until 60 deployment_is "$arn" ROLLBACK_SUCCESSFUL &&
	poll_until 20 completed slow && poll_until 20 runs slow three
'

# ---- single tasks ----

run_task() { # DEFINITION [MEMBERS]
	ecs RunTask "$(jq -n --arg definition "$1" \
		--argjson network "$NETWORK" --argjson more "${2:-{\}}" '{
		cluster: "prod", taskDefinition: $definition,
		launchType: "FARGATE",
		networkConfiguration: $network} + $more')" >"$TRASH/reply" ||
		{ cat "$TRASH/reply"; return 1; }
	TASK=$(jq -r '.tasks[0].taskArn' "$TRASH/reply")
}

task_told() {
	ecs DescribeTasks "{\"cluster\": \"prod\", \"tasks\": [\"$TASK\"]}" \
		>"$TRASH/task.json" && jq -e ".tasks[0] | $1" "$TRASH/task.json"
}

test_expect_success 'a task runs once: overrides, exit code, log' '
	run_task "$(definition once "echo \$WORD; exit 7" "{\"environment\": [{
		\"name\": \"WORD\", \"value\": \"defined\"}]}")" "{
		\"startedBy\": \"job-1\", \"overrides\": {
		\"containerOverrides\": [{\"name\": \"web\", \"environment\":
		[{\"name\": \"WORD\", \"value\": \"overridden\"}]}]}}" &&
	jq -e ".tasks[0].containers == []" "$TRASH/reply" &&
	poll_until 30 task_told ".lastStatus == \"STOPPED\"" &&
	task_told ".containers[0].exitCode == 7 and .startedBy == \"job-1\"" &&
	cli ecs wait tasks-stopped --cluster prod --tasks "$TASK" &&
	cli logs tail /app --since 1h --format short >"$TRASH/out" &&
	contains "$TRASH/out" overridden
'

test_expect_success 'containers wait for each other and share a volume' '
	definition duo "cat /data/word" >"$TRASH/out" &&
	jq ".volumes = [{name: \"data\", efsVolumeConfiguration:
			{fileSystemId: \"fs-0a1b2c3d\"}}] |
		.containerDefinitions[0].mountPoints = [{
			sourceVolume: \"data\", containerPath: \"/data\"}] |
		.containerDefinitions += [.containerDefinitions[0] + {
			name: \"init\", essential: false, portMappings: [],
			command: [\"sh\", \"-c\",
				\"sleep 1; echo stored >/data/word\"]}] |
		.containerDefinitions[0].dependsOn = [{
			containerName: \"init\", condition: \"SUCCESS\"}]" \
		"$TRASH/definition.json" >"$TRASH/duo.json" &&
	ecs RegisterTaskDefinition "@$TRASH/duo.json" >"$TRASH/out" &&
	run_task duo && poll_until 30 task_told ".lastStatus == \"STOPPED\"" &&
	task_told "[.containers[].exitCode] == [0, 0]" &&
	cli logs get-log-events --log-group-name /app \
		--log-stream-name "web/web/${TASK##*/}" |
		jq -e ".events[0].message == \"stored\""
'

test_expect_success 'a task that eats its memory, and one that is stopped' '
	run_task "$(definition eater "a=x; while :; do a=\$a\$a; done" \
		"{\"memory\": 32}")" &&
	poll_until 30 task_told ".lastStatus == \"STOPPED\"" &&
	task_told ".containers[0] | .exitCode == 137 and
		(.reason | startswith(\"OutOfMemoryError\"))" &&
	run_task "$(definition idle "exec sleep 1000")" &&
	poll_until 30 task_told ".lastStatus == \"RUNNING\"" &&
	ecs StopTask "{\"cluster\": \"prod\", \"task\": \"$TASK\",
		\"reason\": \"enough\"}" &&
	poll_until 30 task_told ".lastStatus == \"STOPPED\"" &&
	task_told ".stopCode == \"UserInitiated\" and
		.stoppedReason == \"enough\""
'

test_expect_success 'task definitions come and go' '
	ecs DeregisterTaskDefinition "{\"taskDefinition\": \"idle:1\"}" &&
	test_must_fail run_task idle:1 && contains "$TRASH/reply" inactive &&
	ecs DeleteTaskDefinitions "{\"taskDefinitions\": [\"idle:1\",
		\"once:1\"]}" >"$TRASH/out" &&
	jq -e ".taskDefinitions[0].status == \"DELETE_IN_PROGRESS\" and
		(.failures[0].reason | test(\"still in ACTIVE status\"))" \
		"$TRASH/out" &&
	poll_until 10 test_must_fail ecs DescribeTaskDefinition \
		"{\"taskDefinition\": \"idle:1\"}"
'

# ---- the end ----

test_expect_success 'the double did not break' '
	admin GET "/journal?since=0" | jq -e \
		"[.[] | select(.kind == \"crash\")] == []" &&
	lacks "$TRASH/double.log" Traceback
'

test_expect_success 'it ends and leaves nothing, not even what was starting' '
	admin POST /clock "{\"scale\": 5}" &&
	run_task "$(definition late "exec sleep 1000")" &&
	stop_double &&
	[ "$(left_over "containers/json?all=1&")" = 0 ] &&
	[ "$(left_over "networks?")" = 0 ] &&
	test_must_fail api GET "/images/$IMAGE@$DIGEST/json"
'

test_done
