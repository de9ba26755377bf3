#!/bin/bash
# When is a rollout on ECS known to have ended, well or badly?  The rival is
# awscli: `ecs update-service` and `ecs wait services-stable`, of the same
# service and revision.  AWS is the tests' double, at AWS's own speed; the bad
# one takes the ten minutes after which awscli gives up.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"
. "$ROOT/tests/e2e/tools/ecs.sh"

roll_out() { # REVISION; ends as the waiter does
	awscli ecs update-service --cluster "$CLUSTER" --service shop-web \
		--task-definition "$1" --force-new-deployment &&
		awscli ecs wait services-stable --cluster "$CLUSTER" \
			--services shop-web
}

gives_up() { # REVISION
	! roll_out "$1"
}

seconds() { # FILE of one time
	jq -n "$(cat "$1") / 1000"
}

compare() { # WORK
	row "$1" "$(seconds "$TRASH/rival")" "$(seconds "$TRASH/ours")" s ''
}

running() {
	described shop-web | jq -r .taskDefinition
}

# The newest one, which need not run any more.
newest() {
	ecs ListTaskDefinitions '{"familyPrefix": "shop-web", "sort": "DESC",
		"maxResults": 1}' | jq -r '.taskDefinitionArns[0]'
}

bench_begin
must start_double
must ecs_server -o target.prod.rollout-timeout=10m
must new_user alice --admin
must make_app shop
must procfile "$WEB"
must commit shop one
must push shop main
must poll_until 30 stable shop-web 1

must admin POST /clock '{"scale": 1}'
must commit shop two
timed "$TRASH/ours" push shop main
timed "$TRASH/rival" roll_out "$(running)"
compare 'rollout on ECS: push / update-service and wait'

rm "$TRASH/ours" "$TRASH/rival"
must procfile 'web: echo about to die; sleep 2; exit 3'
must commit shop crash
timed "$TRASH/ours" test_must_fail push shop main
timed "$TRASH/rival" gives_up "$(newest)"
compare '  of what crashes at boot'
