#!/bin/bash
# The credential chain against the places where credentials come from
# (tests/doubles/aws_identity.py), and which processes get to see AWS_*.
. "$(dirname "$0")/lib.sh"

PORT=$(free_port)
URL_HERE=http://127.0.0.1:$PORT
TOOL=$BUILD/tests/tools/aws_credentials_tool
PLACES=$TRASH/places
ALL=$TRASH/said # by the tool, in all tests

for name in $(env | sed -n 's/^\(AWS_[A-Z_0-9]*\)=.*/\1/p') \
	http_proxy https_proxy; do
	unset "$name"
done
export HOME=$TRASH

start_places() {
	mkdir -p "$PLACES" "$TRASH/.aws" && : >"$PLACES/journal" &&
		echo '{"AKIDSTATIC": "HUSH-static"}' >"$PLACES/keys.json"
	/usr/bin/python3 "$ROOT/tests/doubles/aws_identity.py" "$PORT" \
		"$PLACES" 2>"$TRASH/places.log" &
	at_exit "kill $!"
	poll_until 20 eval "(exec 3<>/dev/tcp/127.0.0.1/$PORT) 2>/dev/null"
}

# Nothing is asked for and nothing configured, but where STS and metadata are.
plain() {
	local name
	for name in $(env | sed -n 's/^\(AWS_[A-Z_0-9]*\)=.*/\1/p'); do
		unset "$name"
	done
	rm -f "$TRASH/.aws/config" "$TRASH/.aws/credentials"
	plan '{}'
	: >"$PLACES/journal"
	export AWS_ENDPOINT_URL_STS=$URL_HERE
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL_HERE
	export AWS_REGION=us-east-1
}

plan() {
	echo "$1" >"$PLACES/plan.new" && mv "$PLACES/plan.new" "$PLACES/plan.json"
}

# tool ARGUMENTS…: what it says is in $TRASH/out.
tool() {
	"$TOOL" "$@" >"$TRASH/out" 2>&1
	local code=$?
	cat "$TRASH/out" >>"$ALL"
	cat "$TRASH/out"
	return $code
}

# says PATTERN…: one line each.
says() {
	local n=0 pattern
	for pattern; do
		n=$((n + 1))
		sed -n ${n}p "$TRASH/out" | grep -qE "^$pattern\$" || {
			echo "line $n is not $pattern"
			return 1
		}
	done
	[ "$(wc -l <"$TRASH/out")" = $n ]
}

journal() { # FILTER VALUE: does it say so of the last request?
	local found
	found=$(tail -n 1 "$PLACES/journal" | jq -r "$1")
	[ "$found" = "$2" ] || {
		echo "$1 is $found"
		return 1
	}
}

asked() { # "METHOD PATH" lines of all requests
	jq -r '"\(.method) \(.path)"' "$PLACES/journal"
}

config() {
	cat >"$TRASH/.aws/config"
}

keys() {
	cat >"$TRASH/.aws/credentials" <<-EOF
	[base]
	aws_access_key_id = AKIDSTATIC
	aws_secret_access_key = HUSH-static
	EOF
}

NUMBER='[0-9]{10}'

test_expect_success 'the places start' 'start_places'

# ---- environment, files, process ----

test_expect_success 'keys of the environment; nobody is asked' '
	plain && export AWS_ACCESS_KEY_ID=AKIDENV AWS_SECRET_ACCESS_KEY=HUSH &&
	tool get get force && says "environment\|AKIDENV\|-\|0" \
		"environment\|AKIDENV\|-\|0" "environment\|AKIDENV\|-\|0" &&
	[ ! -s "$PLACES/journal" ]
'

test_expect_success 'a profile of ~/.aws/credentials' '
	plain && keys && AWS_PROFILE=base tool get &&
	says "credentials file\|AKIDSTATIC\|-\|0" &&
	tool -p base get && says "credentials file\|AKIDSTATIC\|-\|0"
'

test_expect_success 'credential_process runs without a shell' '
	plain && cat >"$TRASH/helper" <<-EOF &&
	#!/bin/sh
	[ "\$1" = "two words; exit 9" ] && [ "\$HOME" = "$TRASH" ] || exit 1
	echo "{\"Version\": 1, \"AccessKeyId\": \"AKIDPROC\",
		\"SecretAccessKey\": \"HUSH\", \"SessionToken\": \"HUSH\",
		\"Expiration\": \"2099-01-01T00:00:00Z\"}"
	EOF
	chmod +x "$TRASH/helper" && config <<-EOF &&
	[default]
	credential_process = $TRASH/helper "two words; exit 9"
	EOF
	tool get && says "credential process\|AKIDPROC\|token\|4070908800"
'

# ---- containers ----

test_expect_success 'container credentials, not through a proxy' '
	plain && export AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL_HERE/v2/c?id=1 &&
	http_proxy=http://127.0.0.1:1 tool get get force &&
	says "container\|CONTAINER1\|token\|$NUMBER" \
		"container\|CONTAINER1\|token\|$NUMBER" \
		"container\|CONTAINER2\|token\|$NUMBER" &&
	[ "$(asked | sort | uniq -c | tr -s " ")" = " 2 GET /v2/c?id=1" ]
'

test_expect_success 'the token file is read each time and beats the variable' '
	plain && export AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL_HERE/v1 &&
	plan "{\"container_token\": \"HUSH-two words\"}" &&
	export AWS_CONTAINER_AUTHORIZATION_TOKEN=HUSH-wrong &&
	test_must_fail tool get && contains "$TRASH/out" "status 401" &&
	export AWS_CONTAINER_AUTHORIZATION_TOKEN="HUSH-two words" &&
	tool get && export AWS_CONTAINER_AUTHORIZATION_TOKEN=HUSH-wrong &&
	export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$TRASH/token &&
	echo "HUSH-two words" >"$TRASH/token" && tool get &&
	{ tool get wait:2 force & } && sleep 1 &&
	plan "{\"container_token\": \"HUSH-next\"}" &&
	printf HUSH-next >"$TRASH/token" && wait $! &&
	journal .headers.authorization HUSH-next
'

test_expect_success 'two failures of the agent are borne' '
	plain && export AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL_HERE/v1 &&
	plan "{\"fail\": 2}" && tool get && plan "{}" && tool get &&
	plan "{\"fail\": 3}" && test_must_fail tool get &&
	says "error sys container credentials: status 500" && plan "{}" &&
	plan "{\"container\": \"bad\"}" && test_must_fail tool get &&
	says "error invalid container credentials: not a JSON object"
'

test_expect_success 'no keys over plain http from elsewhere' '
	plain &&
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1/v1 &&
	test_must_fail tool get && contains "$TRASH/out" "must be https"
'

# ---- instances ----

test_expect_success 'instance metadata gives region and credentials' '
	plain && unset AWS_REGION && tool region get &&
	says eu-north-1 "instance metadata\|INSTANCE1\|token\|$NUMBER" &&
	asked >"$TRASH/asked" && cat >"$TRASH/expected" <<-\EOF &&
	PUT /latest/api/token
	GET /latest/meta-data/placement/region
	PUT /latest/api/token
	GET /latest/meta-data/iam/security-credentials/
	GET /latest/meta-data/iam/security-credentials/web+role@1
	EOF
	diff "$TRASH/expected" "$TRASH/asked"
'

test_expect_success 'version 1 is never spoken' '
	plain && plan "{\"imds\": \"v1\"}" && test_must_fail tool get &&
	contains "$TRASH/out" "error denied no AWS credentials" &&
	[ "$(asked)" = "PUT /latest/api/token" ]
'

test_expect_success 'turned off, without a role, or refused' '
	plain && plan "{\"imds\": \"off\"}" && test_must_fail tool get &&
	contains "$TRASH/out" "no AWS credentials" &&
	plan "{\"imds\": \"norole\"}" && test_must_fail tool get &&
	contains "$TRASH/out" "no AWS credentials" &&
	plan "{\"imds\": \"denied\"}" && test_must_fail tool get &&
	says "error denied .*: code AssumeRoleUnauthorizedAccess" &&
	: >"$PLACES/journal" && plan "{}" &&
	export AWS_EC2_METADATA_DISABLED=true &&
	test_must_fail tool get && [ ! -s "$PLACES/journal" ]
'

test_expect_success 'nobody there: a second, and the list of where it looked' '
	plain &&
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://192.0.2.1 &&
	SECONDS=0 && test_must_fail tool get && [ $SECONDS -le 4 ] &&
	contains "$TRASH/out" "the environment and profile" "container agent" &&
	unset AWS_REGION && test_must_fail tool get &&
	contains "$TRASH/out" "error notfound no AWS region"
'

test_expect_success 'stale credentials are kept and not asked for at once' '
	plain && plan "{\"imds\": \"stale\"}" && tool get get wait:1 get &&
	[ "$(sort -u "$TRASH/out" | wc -l)" = 1 ] &&
	[ "$(asked | grep -c PUT)" = 1 ]
'

# ---- roles ----

test_expect_success 'a role with source_profile, all its settings' '
	plain && keys && config <<-EOF &&
	[profile ops]
	role_arn = arn:aws:iam::1:role/ops
	source_profile = base
	external_id = a b&c=d
	role_session_name = me@example.com
	duration_seconds = 1800
	EOF
	tool -p ops get get force && says "role\|ROLE1\|token\|$NUMBER" \
		"role\|ROLE1\|token\|$NUMBER" "role\|ROLE2\|token\|$NUMBER" &&
	journal .form.RoleArn arn:aws:iam::1:role/ops &&
	journal .form.ExternalId "a b&c=d" &&
	journal .form.RoleSessionName me@example.com &&
	journal .form.DurationSeconds 1800
'

test_expect_success 'a role by way of a role' '
	plain && keys && config <<-EOF &&
	[profile first]
	role_arn = arn:first
	source_profile = base
	[profile second]
	role_arn = arn:second
	source_profile = first
	EOF
	AWS_PROFILE=second tool get && [ "$(wc -l <"$PLACES/journal")" = 2 ] &&
	journal .form.RoleArn arn:second &&
	journal ".form.RoleSessionName | test(\"^slipway-[0-9]+$\")" true &&
	journal ".headers.authorization | test(\"Credential=ROLE[0-9]+/\")" true
'

test_expect_success 'a role by way of credential_source' '
	plain && config <<-EOF &&
	[profile env]
	role_arn = arn:env
	credential_source = Environment
	[profile ecs]
	role_arn = arn:ecs
	credential_source = EcsContainer
	[profile ec2]
	role_arn = arn:ec2
	credential_source = Ec2InstanceMetadata
	EOF
	tool -p ec2 get && journal .form.RoleArn arn:ec2 &&
	journal ".headers.authorization | test(\"=INSTANCE[0-9]+/\")" true &&
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL_HERE/v1 &&
	tool -p ecs get && journal .form.RoleArn arn:ecs &&
	journal ".headers.authorization | test(\"=CONTAINER[0-9]+/\")" true &&
	export AWS_ACCESS_KEY_ID=AKIDSTATIC AWS_SECRET_ACCESS_KEY=HUSH-static &&
	tool -p env get && journal .form.RoleArn arn:env &&
	journal ".headers.authorization | test(\"=AKIDSTATIC/\")" true
'

give_role() {
	keys && config <<-EOF
	[default]
	role_arn = arn:role
	source_profile = base
	EOF
}

test_expect_success 'what STS says is passed on' '
	plain && give_role &&
	plan "{\"sts\": [403, \"AccessDenied\", \"User: x is not authorized to perform: sts:AssumeRole\"]}" &&
	test_must_fail tool get &&
	says "error denied sts AssumeRole: AccessDenied: User: x is not authorized to perform: sts:AssumeRole \(request req-2\)" &&
	[ "$(wc -l <"$PLACES/journal")" = 1 ] && plan "{}" &&
	echo "{\"AKIDSTATIC\": \"other\"}" >"$PLACES/keys.json" &&
	test_must_fail tool get && contains "$TRASH/out" SignatureDoesNotMatch &&
	echo "{\"AKIDSTATIC\": \"HUSH-static\"}" >"$PLACES/keys.json" && tool get
'

test_expect_success 'failures of STS are tried again, three times in all' '
	plain && give_role && plan "{\"fail\": 2}" && tool get &&
	[ "$(wc -l <"$PLACES/journal")" = 3 ] && plan "{}" && tool get &&
	plan "{\"fail\": 9}" && : >"$PLACES/journal" && test_must_fail tool get &&
	says "error sys sts AssumeRole: HTTP 500" &&
	[ "$(wc -l <"$PLACES/journal")" = 3 ]
'

test_expect_success 'a clock ten minutes off is repaired' '
	plain && tool get >/dev/null && give_role && : >"$PLACES/journal" &&
	plan "{\"skew\": 600}" && tool get force &&
	says "role.*" "role.*" && [ "$(wc -l <"$PLACES/journal")" = 3 ] &&
	plan "{\"skew\": -86400}" && tool get && says "role.*"
'

# ---- web identity ----

test_expect_success 'web identity of the environment; the token rotates' '
	plain && export AWS_ROLE_ARN=arn:web AWS_ROLE_SESSION_NAME=pod &&
	export AWS_WEB_IDENTITY_TOKEN_FILE=$TRASH/jwt &&
	echo HUSH.one >"$TRASH/jwt" && tool get &&
	says "web identity\|WEB1\|token\|$NUMBER" &&
	journal .form.WebIdentityToken HUSH.one &&
	journal .form.RoleSessionName pod && journal .form.RoleArn arn:web &&
	journal .headers.authorization null &&
	{ tool get wait:2 force & } && sleep 1 &&
	echo HUSH.two >"$TRASH/jwt" && wait $! &&
	journal .form.WebIdentityToken HUSH.two
'

test_expect_success 'web identity of a profile, and as the source of a role' '
	plain && echo HUSH.jwt >"$TRASH/jwt" && config <<-EOF &&
	[profile web]
	role_arn = arn:web
	web_identity_token_file = $TRASH/jwt
	[profile ops]
	role_arn = arn:ops
	source_profile = web
	EOF
	tool -p web get && says "web identity\|WEB[0-9]+\|token\|$NUMBER" &&
	tool -p ops get && says "role\|ROLE[0-9]+\|token\|$NUMBER" &&
	journal ".headers.authorization | test(\"=WEB[0-9]+/\")" true
'

test_expect_success 'an issuer that STS cannot reach is tried again' '
	plain && echo HUSH.jwt >"$TRASH/jwt" && export AWS_ROLE_ARN=arn:web &&
	export AWS_WEB_IDENTITY_TOKEN_FILE=$TRASH/jwt &&
	plan "{\"sts\": [400, \"IDPCommunicationError\", \"later\"]}" &&
	test_must_fail tool get && contains "$TRASH/out" IDPCommunicationError &&
	[ "$(wc -l <"$PLACES/journal")" = 3 ]
'

# ---- refresh ----

test_expect_success 'fetched again before they expire; a failure is borne first' '
	plain && export AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL_HERE/v1 &&
	plan "{\"life\": 15}" &&
	{ tool get wait:8 get wait:4 get force & } && sleep 2 &&
	plan "{\"container\": 403}" && { wait $! || :; } &&
	says "container.*" "container.*" \
		"error denied container credentials: status 403" \
		"error denied container credentials: status 403" &&
	[ "$(head -n 1 "$TRASH/out")" = "$(sed -n 2p "$TRASH/out")" ] &&
	plan "{\"life\": 4}" && tool get get wait:3 get &&
	[ "$(sort -u "$TRASH/out" | wc -l)" = 2 ]
'

test_expect_success 'secrets are in nothing it said' '
	[ -s "$ALL" ] && lacks "$ALL" HUSH && lacks "$TRASH/places.log" Traceback
'

# ---- who sees AWS_* ----

# Names of the server's processes whose environment has the mark, sampled for
# as long as $1 exists.
sample() {
	/usr/bin/python3 - "$SERVER_PID" "$1" <<-\EOF
	import os, sys, time
	root, flag = int(sys.argv[1]), sys.argv[2]
	seen, all_ = set(), set()
	while os.path.exists(flag):
	    parents, names = {}, {}
	    for pid in filter(str.isdigit, os.listdir("/proc")):
	        try:
	            with open(f"/proc/{pid}/stat") as f:
	                text = f.read()
	            name = text[text.index("(") + 1:text.rindex(")")]
	            parents[int(pid)] = int(text[text.rindex(")"):].split()[2])
	            names[int(pid)] = name
	        except OSError:
	            pass
	    for pid in names:
	        up = pid
	        while up not in (0, root):
	            up = parents.get(up, 0)
	        if up != root or pid == root:
	            continue
	        all_.add(names[pid])
	        try:
	            with open(f"/proc/{pid}/environ", "rb") as f:
	                if b"AKIDMARK" in f.read():
	                    seen.add(names[pid])
	        except OSError:
	            pass
	    time.sleep(0.005)
	print("seen:", *sorted(seen))
	print("all:", *sorted(all_))
	EOF
}

test_expect_success 'AWS_* reaches builder and workers alone' '
	plain && export AWS_ACCESS_KEY_ID=AKIDMARK AWS_SECRET_ACCESS_KEY=x &&
	start_server && new_user alice --admin && make_app shop &&
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY && : >"$TRASH/flag" &&
	{ sample "$TRASH/flag" >"$TRASH/sampled" & } && sampler=$! &&
	push shop main && rm "$TRASH/flag" && wait $sampler &&
	serves shop one && cat "$TRASH/sampled" &&
	grep -qx "seen: slipway-builder slipway-worker" "$TRASH/sampled" &&
	grep "^all: git .*slipway-receive " "$TRASH/sampled"
'

test_expect_success 'no app sees it' '
	id=$(owned_containers | jq -r ".[0].Id") && [ -n "$id" ] &&
	api GET "/containers/$id/json" >"$TRASH/container" &&
	contains "$TRASH/container" SLIPWAY_APP && lacks "$TRASH/container" AKIDMARK
'

test_expect_success 'HOME of the builder is its own' '
	pid=$(part_pid slipway-builder) &&
	tr "\0" "\n" <"/proc/$pid/environ" >"$TRASH/environ" &&
	cut -d= -f1 "$TRASH/environ" | grep -v ^AWS_ | sort | tr "\n" " " \
		>"$TRASH/names" && [ "$(cat "$TRASH/names")" = "HOME LC_ALL PATH " ] &&
	if [ "$(id -u)" = 0 ]; then
		grep -qx "HOME=$(getent passwd slipway | cut -d: -f6)" \
			"$TRASH/environ"
	fi
'

test_done
