#!/bin/bash
# The double of AWS must be strict, or what is tested against it proves
# little: wrong signatures and members are refused, foreign clients work.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"

# The clients must find nothing of whoever runs this.
unset AWS_PROFILE AWS_SESSION_TOKEN
export AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=$TRASH/none AWS_SHARED_CREDENTIALS_FILE=$TRASH/none

probe() {
	cd "$ROOT" && /usr/bin/python3 tests/e2e/tools/aws_probe.py "$1"
}

# Sentence and the check of aws_probe.py that shows it.
shows() {
	test_expect_success "$1" "probe $2"
}

test_expect_success 'the double starts and says where it is' '
	start_double && test -n "$REGISTRY"
'

shows 'a good signature is accepted' good_signature
shows 'a wrong secret is refused' wrong_secret
shows 'an unknown access key is refused' unknown_key
shows 'an unsigned or half signed request is refused' no_signature
shows 'dates more than 5 minutes off are refused' old_date
shows 'a wrong region, service or day in the scope is refused' wrong_scope
shows 'what was changed after signing is refused' changed_after_signing
shows 'an x-amz header that is not signed is refused' unsigned_header
shows 'session tokens are needed, expire and are rotated' session_token

shows 'unknown members are refused' unknown_member
shows 'missing members are refused' missing_member
shows 'values outside of an enum are refused' wrong_enum
shows 'patterns and ranges are checked' wrong_pattern_and_range
shows 'wrong types and broken JSON are refused' wrong_type
shows 'unknown operations and services are refused' unknown_operation
shows 'replies of the double are checked, too' own_replies_are_checked
shows 'newer shapes of ECS are known' newer_shapes

shows 'STS tells who one is and lends roles' sts
shows 'instance metadata answers with a session token only' instance_metadata
shows 'container credentials need their token' container_credentials
shows 'Secrets Manager keeps versions and labels' secret_versions
shows 'Secrets Manager reserves the names of deleted secrets' secret_deletion
shows 'SSM keeps parameters and their versions' parameters
shows 'log groups and streams' logs_groups
shows 'a log stream is read to its end and further' logs_one_stream
shows 'a log group is searched page by page, late' logs_search
shows 'filter patterns' filter_patterns
shows 'searching is throttled as at AWS' logs_search_is_throttled

test_expect_success 'awscli finds log lines' '
	awscli logs tail /shop --log-stream-name-prefix web/ --format short \
		>"$TRASH/out" &&
	contains "$TRASH/out" "line 24" "more 1" &&
	awscli sts get-caller-identity >"$TRASH/out" &&
	contains "$TRASH/out" user/slipway
'

shows 'ECR makes repositories' ecr_repositories

# ---- the registry ----

# X-Registry-Auth of a token as the API gives it
registry_auth() {
	awscli ecr get-authorization-token --output text \
		--query "authorizationData[0].authorizationToken" |
		base64 -d | jq -Rj --arg server "$REGISTRY" \
		'{username: "AWS", password: .[4:], serveraddress: $server}' |
		base64 -w0 | tr '+/' '-_'
}

# tag SOURCE REPOSITORY TAG, remembered to be removed
tag() {
	at_exit "api DELETE '/images/$REGISTRY/$2:$3'"
	api POST "/images/$1/tag?repo=$REGISTRY/$2&tag=$3" >/dev/null
}

push_image() { # REPOSITORY TAG [AUTH]
	api POST "/images/$REGISTRY/$1/push?tag=$2" \
		-H "X-Registry-Auth: ${3:-$AUTH}" >"$TRASH/out"
	cat "$TRASH/out"
	! grep -q errorDetail "$TRASH/out"
}

pull_image() { # REFERENCE [AUTH]
	curl -s --max-time 60 --unix-socket "$DOCKER_SOCKET" -X POST \
		-H "X-Registry-Auth: ${2:-$AUTH}" \
		"http://engine/images/create?fromImage=$1" >"$TRASH/out"
	cat "$TRASH/out"
	! grep -q '"errorDetail"\|"message"' "$TRASH/out"
}

test_expect_success 'the engine pushes with a token of the API' '
	AUTH=$(registry_auth) && tag $BASE_IMAGE shop/web v1 &&
	push_image shop/web v1 &&
	DIGEST=$(jq -r "select(.aux) | .aux.Digest" "$TRASH/out") &&
	awscli ecr describe-images --repository-name shop/web >"$TRASH/out" &&
	contains "$TRASH/out" "$DIGEST"
'

test_expect_success 'and pulls by tag and by digest' '
	api DELETE "/images/$REGISTRY/shop/web:v1" >/dev/null &&
	pull_image "$REGISTRY/shop/web:v1" &&
	pull_image "$REGISTRY/shop/web@$DIGEST" &&
	! pull_image "$REGISTRY/shop/web:v2" &&
	contains "$TRASH/out" "not found"
'

test_expect_success 'a tag that is there again with the same image is fine' '
	push_image shop/web v1 && tag $BASE_IMAGE shop/web same &&
	push_image shop/web same
'

test_expect_success 'a tag cannot be moved in an immutable repository' '
	(unset DOCKER_HOST; mkdir "$TRASH/build" && cd "$TRASH/build" &&
		printf "FROM %s\nLABEL a=b\n" $BASE_IMAGE >Dockerfile &&
		tar c Dockerfile | api POST "/build?t=$REGISTRY/shop/web:v1" \
			-H "Content-Type: application/x-tar" \
			--data-binary @-) &&
	! push_image shop/web v1 &&
	contains "$TRASH/out" "tag invalid: The image tag" "is immutable"
'

test_expect_success 'an unknown repository is named' '
	tag $BASE_IMAGE shop/none v1 && ! push_image shop/none v1 &&
	contains "$TRASH/out" "name unknown: The repository with name"
'

test_expect_success 'without a token nothing is pushed or pulled' '
	! push_image shop/web v1 e30= &&
	! pull_image "$REGISTRY/shop/web:same" e30= &&
	[ "$(curl -s -o /dev/null -w "%{http_code}" \
		-u AWS:guess "http://$REGISTRY/v2/")" = 401 ]
'

test_expect_success 'an expired token is refused in words' '
	curl -sf -d "{\"expire_tokens\": true}" "$ADMIN_URL/registry" &&
	! push_image shop/web same &&
	contains "$TRASH/out" "denied: Your authorization token has expired" &&
	! pull_image "$REGISTRY/shop/web:same" &&
	contains "$TRASH/out" "authorization token has expired" &&
	AUTH=$(registry_auth) && push_image shop/web same
'

test_expect_success 'the data plane fails as ordered' '
	for fault in expired-token throttle access-denied; do
		curl -sf -d "{\"service\": \"registry\", \"times\": 1,
			\"operation\": \"PUT manifests\",
			\"kind\": \"$fault\"}" "$ADMIN_URL/faults" &&
		! push_image shop/web same >>"$TRASH/said" || return 1
	done &&
	contains "$TRASH/said" "denied: Your authorization token has expired" \
		"toomanyrequests: Rate exceeded" \
		"not authorized to perform: ecr:PutImage" &&
	push_image shop/web same
'

shows 'images are described, tagged and deleted' ecr_images

test_expect_success 'a deleted image cannot be pulled' '
	! pull_image "$REGISTRY/shop/web:v1"
'

# ---- misfortune ----

shows 'throttling strikes the nth call, with the time to wait' fault_throttle
shows 'half of the calls fail and a patient client gets through' fault_storm
shows '500 and 503 come as HTML' fault_html
shows 'connections are reset, bodies cut, answers delayed' fault_connection
shows 'an answer is lost after the work was done' fault_lost_reply
shows 'AccessDenied names the action' fault_named
shows 'a clock that is off is refused and told' skewed_clock
shows 'the journal has every request and no secret' journal

test_expect_success 'it found no fault in itself and ends with its registry' '
	! grep -q Traceback "$TRASH/double.log" &&
	lacks "$TRASH/aws/journal.jsonl" "\"bug\"" &&
	registry=$(pgrep -P $DOUBLE_PID -f docker-registry) && kill $DOUBLE_PID &&
	poll_until 20 gone $DOUBLE_PID && poll_until 5 gone $registry
'

test_done
