#!/bin/bash
# Images to ECR: the repository, the login, the push through the engine, what
# is kept.  Against the double of AWS, whose registry is docker-registry.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"

TOOL=$BUILD/tests/tools/aws_parts_tool
REPOSITORY=slipway/e2e-$RANDOM
IMAGE= # an id

# An image of its own each time, so that there is a layer to push.
new_image() { # NAME
	mkdir -p "$TRASH/$1" &&
		head -c 100000 /dev/urandom >"$TRASH/$1/file" &&
		printf 'FROM %s\nCOPY file /\n' $BASE_IMAGE \
			>"$TRASH/$1/Dockerfile" &&
		tar -C "$TRASH/$1" -c . |
		curl -sf --max-time 120 --unix-socket "$DOCKER_SOCKET" \
			-H 'Content-Type: application/x-tar' --data-binary @- \
			"http://engine/build?t=slipway-e2e-ecr:$1-$$&labels=%7B%22slipway.e2e%22%3A%22$$%22%7D" \
			>"$TRASH/built" &&
		at_exit "api DELETE '/images/slipway-e2e-ecr:$1-$$?force=1'" &&
		IMAGE=$(api GET "/images/slipway-e2e-ecr:$1-$$/json" |
			jq -r .Id) &&
		[ -n "$IMAGE" ]
}

image_of() {
	sed -n 's/^image //p' "$TRASH/out"
}

# The engine has no name of the registry's left.
no_local_names() {
	[ "$(api GET "/images/$IMAGE/json" |
		jq "[(.RepoTags + .RepoDigests)[] |
			select(contains(\"$REPOSITORY\"))] | length")" = 0 ]
}

# What the registry gives for it, asked as a puller asks.
registry_digest() {
	local name=${1%@*} digest=${1#*@} token
	token=$(printf '{}' | "$BUILD/tests/tools/aws_tool" ecr \
		GetAuthorizationToken | jq -r '.authorizationData[0].authorizationToken')
	curl -sf -H "Authorization: Basic $token" \
		-H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
		"http://${name%%/*}/v2/${name#*/}/manifests/$digest" |
		sha256sum | cut -d' ' -f1
}

test_expect_success 'the first push makes the repository and gives a digest' '
	start_double && new_image first &&
	tool publish $REPOSITORY $IMAGE 12 &&
	FIRST=$(image_of) &&
	[ "$(registry_digest $FIRST)" = "${FIRST#*@sha256:}" ] &&
	contains "$TRASH/out" "pushing $REPOSITORY:v12-" \
		"pushed $REPOSITORY:v12-" &&
	[ "$(journal CreateRepository)" = 1 ] && no_local_names
'

test_expect_success 'the repository has fixed tags and scans what comes' '
	printf "{\"repositoryNames\":[\"$REPOSITORY\"]}" |
		"$BUILD/tests/tools/aws_tool" ecr DescribeRepositories >"$TRASH/out" &&
	jq -e ".repositories[0] | .imageTagMutability == \"IMMUTABLE\" and
		.imageScanningConfiguration.scanOnPush" "$TRASH/out"
'

test_expect_success 'a second try finds it there and pushes nothing' '
	mark && tool publish $REPOSITORY $IMAGE 12 &&
	[ "$(image_of)" = "$FIRST" ] &&
	contains "$TRASH/out" "ECR has $REPOSITORY:v12-" &&
	[ "$(journal GetAuthorizationToken)" = 0 ]
'

test_expect_success 'the same image as another release has the same digest' '
	tool publish $REPOSITORY $IMAGE 13 && [ "$(image_of)" = "$FIRST" ]
'

test_expect_success 'a token that ends in the middle is fetched anew, once' '
	new_image second && mark &&
	admin POST /faults "{\"kind\": \"delay\", \"service\": \"registry\",
		\"operation\": \"HEAD blobs\", \"seconds\": 2, \"times\": 4}" &&
	{ "$TOOL" publish $REPOSITORY $IMAGE 14 >"$TRASH/out" 2>&1 & } &&
	PID=$! && sleep 1 &&
	poll_until 20 eval "[ \$(journal GetAuthorizationToken) = 1 ]" &&
	admin POST /registry "{\"expire_tokens\": true}" &&
	wait $PID && admin DELETE /faults &&
	SECOND=$(image_of) && [ -n "$SECOND" ] && [ "$SECOND" != "$FIRST" ] &&
	[ "$(journal GetAuthorizationToken)" = 2 ] && no_local_names
'

test_expect_success 'who may not push is told which action is missing' '
	new_image third && mark &&
	admin POST /faults "{\"kind\": \"access-denied\",
		\"service\": \"registry\", \"operation\": \"PUT manifests\"}" &&
	test_must_fail tool publish $REPOSITORY $IMAGE 15 &&
	admin DELETE /faults &&
	contains "$TRASH/out" "error denied" "not authorized to perform: ecr:" &&
	[ "$(journal GetAuthorizationToken)" = 2 ] && no_local_names
'

test_expect_success 'who may not make the repository is told so, too' '
	admin POST /faults "{\"kind\": \"access-denied\", \"service\": \"ecr\",
		\"operation\": \"CreateRepository\"}" &&
	test_must_fail tool publish $REPOSITORY-other $IMAGE 1 &&
	admin DELETE /faults &&
	contains "$TRASH/out" "error denied" ecr:CreateRepository
'

test_expect_success 'an image that the engine has not is named' '
	test_must_fail tool publish $REPOSITORY \
		sha256:$(printf %064d 0) 16 &&
	contains "$TRASH/out" "error notfound" && no_local_names
'

test_expect_success 'a push is canceled' '
	admin POST /faults "{\"kind\": \"delay\", \"service\": \"registry\",
		\"operation\": \"PUT manifests\", \"seconds\": 20}" &&
	CANCEL_MS=2000 test_must_fail tool publish $REPOSITORY $IMAGE 17 &&
	admin DELETE /faults && contains "$TRASH/out" "error canceled" &&
	no_local_names
'

test_expect_success 'the registry may fail for a moment' '
	admin POST /faults "{\"kind\": \"http-503\", \"service\": \"registry\",
		\"operation\": \"HEAD blobs\", \"times\": 1}" &&
	tool publish $REPOSITORY $IMAGE 18 && admin DELETE /faults &&
	THIRD=$(image_of) && [ -n "$THIRD" ]
'

test_expect_success 'what a release needs stays, the rest goes' '
	tool retain $REPOSITORY 3600 && contains "$TRASH/out" "deleted 0" &&
	tool retain $REPOSITORY -5 ${FIRST#*@} ${THIRD#*@} &&
	contains "$TRASH/out" "deleted 1" &&
	registry_digest $FIRST && registry_digest $THIRD &&
	! curl -sf "http://${SECOND%%/*}/v2/${SECOND#*/}" &&
	tool retain $REPOSITORY -5 ${FIRST#*@} ${THIRD#*@} &&
	contains "$TRASH/out" "deleted 0" &&
	tool retain $REPOSITORY-none 0 && contains "$TRASH/out" "deleted 0"
'

test_expect_success 'the repository is deleted with its images, twice too' '
	tool delete-repository $REPOSITORY &&
	tool delete-repository $REPOSITORY &&
	tool publish $REPOSITORY $IMAGE 19
'

test_expect_success 'no password is in any output' '
	! grep -raqE "[A-Za-z0-9_-]{200}" "$TRASH/out" &&
	! grep -qi password "$TRASH/out"
'

test_done
