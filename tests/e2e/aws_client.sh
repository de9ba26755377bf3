#!/bin/bash
# The AWS client against an endpoint that fails on request: what is tried
# again, how often, and what is said in the end.  tests/doubles/aws_faults.py
# lists the behaviours.
. "$(dirname "$0")/lib.sh"

PORT=$(free_port)
JOURNAL=$TRASH/journal
TOOL=$BUILD/tests/tools/aws_tool
SECRET=wJalrXUtnFEMISECRET

export HOME=$TRASH AWS_REGION=us-east-1
export AWS_ENDPOINT_URL=http://127.0.0.1:$PORT
export AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CA_BUNDLE http_proxy https_proxy

with_keys() {
	export AWS_ACCESS_KEY_ID=AKID1 AWS_SECRET_ACCESS_KEY=$SECRET
}

# In a subshell: a refresh brings another key.
without_keys() {
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$PORT/credentials
}

# start_endpoint PORT [CERTIFICATE]
start_endpoint() {
	/usr/bin/python3 "$ROOT/tests/doubles/aws_faults.py" "$1" "$JOURNAL" \
		${2:+"$2"} 2>>"$TRASH/endpoint.log" &
	at_exit "kill $!"
	: >>"$JOURNAL"
	poll_until 20 eval "(exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null"
}

make_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost \
		-keyout "$TRASH/key.pem" -out "$TRASH/cert.pem" &&
		cat "$TRASH/key.pem" "$TRASH/cert.pem" >"$TRASH/both.pem"
}

new_id() {
	tee "$TRASH/id" </proc/sys/kernel/random/uuid
}

# call SERVICE OPERATION BEHAVIOUR…: a new plan; OPTIONS and MORE (members
# of the input) may be set.
call() {
	local service=$1 operation=$2 id
	shift 2
	id=$(new_id)
	jq -n --arg id $id --arg op "$operation" --argjson more "${MORE:-{\}}" \
		'{id: $id, plan: $ARGS.positional} + $more' \
		--args "$@" >"$TRASH/input"
	"$TOOL" ${OPTIONS:-} "$service" "$operation" \
		<"$TRASH/input" >"$TRASH/out" 2>&1
	local code=$?
	cat "$TRASH/out"
	! grep -qe "$SECRET" "$TRASH/out" || return 99
	return $code
}

# The same for a query service, whose members are written otherwise.
call_query() {
	local service=$1 operation=$2 id
	shift 2
	id=$(new_id)
	jq -n --arg id $id '{Id: $id, Plan: $ARGS.positional}' \
		--args "$@" >"$TRASH/input"
	"$TOOL" ${OPTIONS:-} "$service" "$operation" \
		<"$TRASH/input" >"$TRASH/out" 2>&1
	local code=$?
	cat "$TRASH/out"
	return $code
}

attempts() {
	local n
	n=$(grep -c "^$(cat "$TRASH/id") " "$JOURNAL")
	[ "$n" = "$1" ] && return
	echo "$n attempts instead of $1"
	return 1
}

# fails_as CODE COMMAND…
fails_as() {
	local code=$1
	shift
	test_must_fail "$@" && contains "$TRASH/out" "error $code "
}

took() { # MIN_MS MAX_MS COMMAND…
	local min=$1 max=$2 began ms code
	shift 2
	began=$(date +%s%N)
	"$@"
	code=$?
	ms=$((($(date +%s%N) - began) / 1000000))
	if [ $ms -lt "$min" ] || [ $ms -gt "$max" ]; then
		echo "took $ms ms, not $min to $max"
		return 1
	fi
	return $code
}

test_expect_success 'a call of a JSON service arrives as it should' '
	start_endpoint $PORT && with_keys &&
	AWS_SESSION_TOKEN=tok call ecs DescribeServices echo &&
	jq -e ".\"content-type\" == \"application/x-amz-json-1.1\" and
		.\"x-amz-target\" ==
		\"AmazonEC2ContainerServiceV20141113.DescribeServices\" and
		.host == \"127.0.0.1:$PORT\" and .expect == null and
		.\"x-amz-security-token\" == \"tok\"" "$TRASH/out" &&
	attempts 1
'

test_expect_success 'a call of a query service arrives, its XML becomes JSON' '
	call_query sts GetCallerIdentity ok &&
	[ "$(cat "$TRASH/out")" = "{\"Attempt\":\"1\"}" ] &&
	contains "$JOURNAL" "Action=GetCallerIdentity&Version=2011-06-15" &&
	call_query elasticloadbalancing DescribeRules ok && attempts 1 &&
	contains "$JOURNAL" "Version=2015-12-01" \
		"application/x-www-form-urlencoded; charset=utf-8"
'

test_expect_success 'a body of 2 MB arrives whole' '
	head -c 2000000 /dev/zero | tr "\0" x >"$TRASH/big" &&
	jq -n --rawfile big "$TRASH/big" \
		"{id: \"big\", plan: [\"echo\"], big: \$big}" |
		"$TOOL" secretsmanager PutSecretValue >"$TRASH/out" &&
	jq -e ".length > 2000000 and .expect == null and
		.\"transfer-encoding\" == null" "$TRASH/out"
'

test_expect_success 'a 500 is tried again' '
	call ecs DescribeServices error:500:ServerException ok &&
	contains "$TRASH/out" "{\"attempt\":2}" && attempts 2
'

test_expect_success 'the third 500 is the last' '
	fails_as sys call ecs DescribeServices error:500:ServerException &&
	attempts 3 &&
	contains "$TRASH/out" "ecs DescribeServices: ServerException: as planned (request req-3; 3 attempts)" \
		"status 500" "code ServerException" "request_id req-3"
'

test_expect_success 'a page of a proxy is tried again, and quoted as words' '
	call ecs DescribeServices html ok && attempts 2 &&
	fails_as sys call ecs DescribeServices html && attempts 3 &&
	contains "$TRASH/out" "HTTP 503: 503 Service Unavailable no healthy upstream"
'

test_expect_success 'throttling is borne longer than faults' '
	call ecs DescribeServices after:1 after:1 after:1 after:1 ok &&
	attempts 5 &&
	call ecs DescribeServices after:1 error:500:E after:1 error:500:E ok &&
	attempts 5
'

test_expect_success 'x-amz-retry-after is waited for' '
	took 2500 6000 call ecs DescribeServices after:2500 ok && attempts 2
'

test_expect_success 'the Retry-After of a proxy is waited for' '
	took 2000 5000 call ecs DescribeServices busy:2 ok && attempts 2
'

test_expect_success 'a query service that throttles is tried again' '
	call_query elasticloadbalancing DescribeRules error:400:Throttling ok &&
	attempts 2
'

test_expect_success 'a quota is no throttling where services mean one, and is elsewhere' '
	fails_as peer call ecs CreateService error:400:LimitExceededException &&
	attempts 1 &&
	fails_as peer call secretsmanager CreateSecret \
		error:400:LimitExceededException && attempts 1 &&
	call_query elasticloadbalancing DescribeRules \
		error:400:LimitExceededException ok && attempts 2
'

test_expect_success 'a refusal is not tried again' '
	fails_as peer call ecs DescribeServices error:400:ClusterNotFoundException &&
	attempts 1 &&
	contains "$TRASH/out" "ClusterNotFoundException: as planned (request req-1)"
'

test_expect_success 'a reset in the middle of a body is tried again' '
	call ecs DescribeServices reset ok && attempts 2 &&
	fails_as sys call ecs DescribeServices reset && attempts 3
'

test_expect_success 'a body cut short is not taken for a whole one' '
	call ecs DescribeServices cut ok &&
	contains "$TRASH/out" "{\"attempt\":2}" && attempts 2 &&
	fails_as sys call ecs DescribeServices cut && attempts 3
'

test_expect_success 'a connection closed without a word is tried again' '
	call ecs DescribeServices drop ok && attempts 2
'

test_expect_success 'what might be done twice is not' '
	fails_as sys call ecs RunTask drop && attempts 1 &&
	contains "$TRASH/out" "it may have been carried out" &&
	fails_as sys call ecs RunTask error:500:ServerException && attempts 1 &&
	contains "$TRASH/out" "it may have been carried out" &&
	MORE="{\"forceNewDeployment\":true}" \
		fails_as sys call ecs UpdateService cut && attempts 1 &&
	call ecs RunTask after:1 ok && attempts 2 &&
	MORE="{\"clientToken\":\"t\"}" call ecs RunTask drop ok && attempts 2
'

test_expect_success 'not even by curl, when a kept connection is dead' '
	OPTIONS="-n 2" call ecs DescribeTasks ok drop ok && attempts 3 &&
	OPTIONS="-n 2" fails_as sys call ecs RunTask ok drop ok && attempts 2
'

test_expect_success 'nobody listening is a fault that says where' '
	AWS_ENDPOINT_URL=http://127.0.0.1:1 \
		fails_as sys call ecs RunTask ok && attempts 0 &&
	contains "$TRASH/out" "127.0.0.1 port 1" "(3 attempts)" &&
	lacks "$TRASH/out" "carried out"
'

test_expect_success 'a certificate is only trusted from who may make it' '
	TLS_PORT=$(free_port) && make_certificate &&
	start_endpoint $TLS_PORT "$TRASH/both.pem" &&
	AWS_ENDPOINT_URL=https://localhost:$TLS_PORT \
		fails_as sys call ecs DescribeServices ok && attempts 0 &&
	contains "$TRASH/out" "certificate" &&
	AWS_CA_BUNDLE=$TRASH/cert.pem \
		AWS_ENDPOINT_URL=https://localhost:$TLS_PORT \
		call ecs DescribeServices ok && attempts 1 &&
	AWS_CA_BUNDLE=$TRASH/cert.pem \
		AWS_ENDPOINT_URL=https://127.0.0.1:$TLS_PORT \
		fails_as sys call ecs DescribeServices ok && attempts 0
'

test_expect_success 'a reply over the maximum is refused at once' '
	call ecs DescribeServices huge:8000000 >/dev/null &&
	fails_as limit call ecs DescribeServices huge:9000000 && attempts 1 &&
	contains "$TRASH/out" "8388608 bytes"
'

test_expect_success 'a 200 that is no answer is nonsense, and not quoted' '
	fails_as proto call ecs DescribeServices garbage && attempts 1 &&
	lacks "$TRASH/out" SECRET &&
	fails_as proto call_query sts GetCallerIdentity garbage && attempts 1 &&
	lacks "$TRASH/out" SECRET
'

test_expect_success 'what speaks no HTTP is told apart' '
	fails_as proto call ecs DescribeServices nohttp && attempts 1 &&
	contains "$TRASH/out" "no HTTP"
'

test_expect_success 'a redirect is not followed' '
	fails_as proto call ecs DescribeServices redirect && attempts 1 &&
	contains "$TRASH/out" "HTTP 307"
'

test_expect_success 'a clock ten minutes slow is repaired, once for all calls' '
	OPTIONS="-n 3" call ecs DescribeServices skew:600 && attempts 4
'

test_expect_success 'a clock an hour fast, told by a query service' '
	call_query sts GetCallerIdentity skew:-3600 && attempts 2
'

test_expect_success 'a clock that is right is not repaired: the keys are wrong' '
	fails_as denied call ecs DescribeServices \
		"message:InvalidSignatureException:The request signature we calculated does not match" &&
	attempts 1 && contains "$TRASH/out" "credentials from environment: InvalidSignatureException"
'

test_expect_success 'a signature too old on a clock that agrees ends the call' '
	fails_as denied call ecs DescribeServices \
		"message:InvalidSignatureException:Signature expired" && attempts 1
'

test_expect_success 'keys that expired are fetched anew, once' '
	(without_keys && call ecs DescribeServices key:2) && attempts 2 &&
	cut -d" " -f1,3 "$JOURNAL" | grep "^$(cat "$TRASH/id") " >"$TRASH/keys" &&
	contains "$TRASH/keys" AKID1 AKID2
'

test_expect_success 'keys that are still called expired end the call' '
	(without_keys && fails_as denied call ecs DescribeServices key:99) &&
	attempts 2 &&
	contains "$TRASH/out" "credentials from container: ExpiredTokenException"
'

test_expect_success 'AccessDenied names the action to allow, in the words of AWS' '
	fails_as denied call ecs UpdateService \
		"message:AccessDeniedException:User: arn:aws:sts::1:x is not authorized to perform: iam:PassRole on resource: arn" &&
	attempts 1 &&
	contains "$TRASH/out" "ecs UpdateService: allow iam:PassRole: AccessDeniedException: User: arn:aws:sts::1:x is not authorized to perform: iam:PassRole on resource: arn (request req-1)" &&
	fails_as denied call_query elasticloadbalancing DescribeRules \
		error:403:AccessDenied &&
	contains "$TRASH/out" "allow elasticloadbalancing:DescribeRules: AccessDenied: as planned"
'

test_expect_success 'a long message leaves room for the request id' '
	fails_as peer call ecs DescribeServices \
		"message:ClientException:$(head -c 3000 /dev/zero | tr "\0" m)" &&
	contains "$TRASH/out" "m… (request req-1)" &&
	[ "$(sed -n "s/^message //p" "$TRASH/out" | tr -d "\n" | wc -c)" = 1023 ]
'

test_expect_success 'a reply that is late is waited for' '
	took 1500 4000 call ecs DescribeServices slow:1500 && attempts 1
'

test_expect_success 'a call is canceled while it waits for the reply' '
	OPTIONS="-t 500" took 400 2000 \
		fails_as canceled call ecs DescribeServices stall && attempts 1
'

test_expect_success 'a call is canceled while it waits to try again' '
	OPTIONS="-t 500" took 400 2000 \
		fails_as canceled call ecs DescribeServices after:4000 && attempts 1
'

test_expect_success 'a storm of faults uses up the quota of a session' '
	OPTIONS="-k -n 20" fails_as sys call ecs DescribeServices error:500:E &&
	attempts 55
'

test_expect_success 'no answer at all ends in time' '
	took 29000 40000 fails_as timeout call ecs RunTask stall &&
	attempts 1 && contains "$TRASH/out" "it may have been carried out"
'

test_done
