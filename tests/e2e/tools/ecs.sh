# tests/e2e/tools/ecs.sh - sourced, after aws_double.sh, by scripts that push to
# a target of type ecs.
#
#   ecs_server [-o key=value]…     a server whose target `prod` is the double
#   procfile LINE…                 of the app shop
#   page [PATH]                    of shop, through the double's load balancer
#   page_is VERSION
#   ecs OPERATION JSON             one call by our own client
#   described SERVICE              the service, as JSON
#   definition SERVICE             the task definition it runs, with tags
#   told SERVICE JQ-FILTER         is that so of the service?
#   stable SERVICE RUNNING         rolled out, with so many tasks

WEB='web: exec /start'

# ecs_server [-o …]: deploys to the double, patient as tests are
ecs_server() {
	start_server -o deploy.target=prod -o target.prod.type=ecs \
		-o target.prod.region="$AWS_DEFAULT_REGION" \
		-o target.prod.cluster="$CLUSTER" \
		-o target.prod.subnets=subnet-0a1b2c3d \
		-o target.prod.security-groups=sg-0a1b2c3d \
		-o target.prod.execution-role=arn:aws:iam::123456789012:role/execution \
		-o target.prod.listener="$LISTENER_ARN" \
		-o target.prod.vpc=vpc-0a1b2c3d \
		-o target.prod.domain=example -o target.prod.scheme=http \
		-o target.prod.health-path=/version.txt \
		-o target.prod.rollout-timeout=60s \
		-o deploy.keep-releases=2 -o deploy.release-timeout=20s "$@"
}

procfile() { # LINE…
	printf '%s\n' "$@" >"$TRASH/shop/Procfile"
}

page() { # [PATH]
	curl -sf --max-time 10 -H "Host: shop.example" \
		"http://$LOAD_BALANCER${1:-/version.txt}"
}

page_is() {
	[ "$(page)" = "$1" ]
}

ecs() { # OPERATION JSON
	aws_call ecs "$1" "$2"
}

described() { # SERVICE
	ecs DescribeServices "{\"cluster\": \"$CLUSTER\", \"services\":
		[\"$1\"], \"include\": [\"TAGS\"]}" | jq '.services[0]'
}

definition() { # SERVICE: what it runs now
	ecs DescribeTaskDefinition "{\"taskDefinition\": \"$(described "$1" |
		jq -r .taskDefinition)\", \"include\": [\"TAGS\"]}"
}

told() { # SERVICE JQ-FILTER
	described "$1" >"$TRASH/service.json" &&
		jq -e "$2" "$TRASH/service.json"
}

stable() { # SERVICE RUNNING
	told "$1" "(.deployments | length) == 1 and
		.deployments[0].rolloutState == \"COMPLETED\" and
		.runningCount == $2"
}
