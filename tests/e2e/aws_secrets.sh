#!/bin/bash
# An app's config vars in Secrets Manager, against the double of AWS.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"

NAME=slipway/shop
ARN=arn:aws:secretsmanager:us-east-1:123456789012:secret
PASSWORD="s3cr\"et-$RANDOM$RANDOM"

vars() {
	jq -n --arg p "$PASSWORD" --arg arn "$ARN" '{
		PASSWORD: $p, EMPTY: "", UMLAUT: "ä€",
		DATABASE_URL: "secretsmanager:\($arn):db-AbCdEf",
		DATABASE_USER: "secretsmanager:\($arn):db-AbCdEf:username",
		TOKEN: "ssm:/shop/token"}' | jq "${1:-.}"
}

# put LABEL [JQ-FILTER]; sets $SECRET and $VERSION
put() {
	vars "${2:-.}" | "$BUILD/tests/tools/aws_parts_tool" secret $NAME "$1" \
		>"$TRASH/out" 2>&1
	local code=$?
	cat "$TRASH/out"
	SECRET=$(sed -n 's/^arn //p' "$TRASH/out")
	VERSION=$(sed -n 's/^version //p' "$TRASH/out")
	tail -n 1 "$TRASH/out" >"$TRASH/list"
	return $code
}

value_of() { # VERSION: as a task gets it
	aws_call secretsmanager GetSecretValue \
		"{\"SecretId\": \"$NAME\", \"VersionId\": \"$1\"}" |
		jq -r .SecretString
}

test_expect_success 'the plain vars become one secret, references stay' '
	start_double && put app-7-1 &&
	value_of $VERSION >"$TRASH/value" &&
	jq -e --arg p "$PASSWORD" ". == {PASSWORD: \$p, EMPTY: \"\",
		UMLAUT: \"ä€\"}" "$TRASH/value"
'

test_expect_success 'the container gets them by version, in order' '
	jq -c . >"$TRASH/expected" <<-EOF &&
	[{"name": "DATABASE_URL", "valueFrom": "$ARN:db-AbCdEf"},
	{"name": "DATABASE_USER", "valueFrom": "$ARN:db-AbCdEf:username::"},
	{"name": "EMPTY", "valueFrom": "$SECRET:EMPTY::$VERSION"},
	{"name": "PASSWORD", "valueFrom": "$SECRET:PASSWORD::$VERSION"},
	{"name": "TOKEN", "valueFrom": "/shop/token"},
	{"name": "UMLAUT", "valueFrom": "$SECRET:UMLAUT::$VERSION"}]
	EOF
	diff "$TRASH/expected" "$TRASH/list" && lacks "$TRASH/list" "$PASSWORD"
'

test_expect_success 'the same again writes nothing' '
	FIRST=$VERSION && mark && put app-7-1 && [ $VERSION = $FIRST ] &&
	[ "$(journal PutSecretValue)" = 0 ]
'

test_expect_success 'a new version leaves the old one as it was' '
	put app-7-2 ".PASSWORD = \"other\"" && [ $VERSION != $FIRST ] &&
	[ "$(value_of $VERSION | jq -r .PASSWORD)" = other ] &&
	[ "$(value_of $FIRST | jq -r .PASSWORD)" = "$PASSWORD" ]
'

test_expect_success 'labels that no release needs are taken off' '
	put app-7-3 ".PASSWORD = \"third\"" &&
	tool secret-retain $NAME app-7- app-7-1 app-7-3 &&
	aws_call secretsmanager DescribeSecret "{\"SecretId\": \"$NAME\"}" |
		jq -c "[.VersionIdsToStages[][]] | sort" >"$TRASH/labels" &&
	[ "$(cat "$TRASH/labels")" = \
		"[\"AWSCURRENT\",\"AWSPREVIOUS\",\"app-7-1\",\"app-7-3\"]" ] &&
	tool secret-retain slipway/none app-7-
'

test_expect_success 'twenty-five versions fit when the last ones are kept' '
	kept= &&
	for i in $(seq 10 34); do
		put app-7-$i ".PASSWORD = \"p$i\"" >/dev/null &&
		kept="app-7-$i $kept" &&
		tool secret-retain $NAME app-7- $kept || return 1
	done &&
	[ "$(value_of $VERSION | jq -r .PASSWORD)" = p34 ]
'

test_expect_success 'without plain vars there is no secret' '
	put app-7-40 "{TOKEN}" && [ "$SECRET" = - ] &&
	[ "$(cat "$TRASH/list")" = \
		"[{\"name\":\"TOKEN\",\"valueFrom\":\"/shop/token\"}]" ] &&
	put app-7-41 "{}" && [ "$(cat "$TRASH/list")" = "[]" ]
'

test_expect_success 'a deleted secret comes back, since its name stays taken' '
	tool secret-delete $NAME && tool secret-delete $NAME &&
	tool secret-delete slipway/none &&
	put app-7-50 && [ "$(value_of $VERSION | jq -r .PASSWORD)" = "$PASSWORD" ]
'

test_expect_success 'the label is found on a secret that was deleted, too' '
	BEFORE=$VERSION && tool secret-delete $NAME && put app-7-50 &&
	[ $VERSION = $BEFORE ] && value_of $VERSION >/dev/null
'

test_expect_success 'a reply that is lost does not make two versions' '
	admin POST /faults "{\"kind\": \"lost-reply\", \"times\": 1,
		\"service\": \"secretsmanager\", \"operation\": \"PutSecretValue\"}" &&
	put app-7-60 ".PASSWORD = \"lost\"" && admin DELETE /faults &&
	aws_call secretsmanager ListSecretVersionIds \
		"{\"SecretId\": \"$NAME\"}" |
		jq -e "[.Versions[] | select(.VersionStages // [] |
			index(\"app-7-60\"))] | length == 1"
'

test_expect_success 'too much is refused with both numbers' '
	test_must_fail put app-7-70 ".BIG = \"x\" * 70000" &&
	contains "$TRASH/out" "error limit" 65536
'

test_expect_success 'a malformed reference names the variable' '
	test_must_fail put app-7-71 ".URL = \"secretsmanager:db\"" &&
	contains "$TRASH/out" "error invalid" "URL: a reference is written"
'

test_expect_success 'who may not write is told which action is missing' '
	admin POST /faults "{\"kind\": \"access-denied\",
		\"service\": \"secretsmanager\", \"operation\": \"PutSecretValue\"}" &&
	test_must_fail put app-7-72 && admin DELETE /faults &&
	contains "$TRASH/out" "error denied" secretsmanager:PutSecretValue &&
	lacks "$TRASH/out" "$PASSWORD"
'

test_done
