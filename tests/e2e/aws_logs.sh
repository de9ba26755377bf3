#!/bin/bash
# Logs of an app on ECS out of CloudWatch, against the double of AWS, which
# lets events come in late and answers with empty pages in between.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/e2e/tools/aws_double.sh"

GROUP=/slipway/shop
WEB=web/web/1f0c22ab5d6e4f708192a3b4c5d6e7f8
OTHER=web/web/77aa22ab5d6e4f708192a3b4c5d6e7f8
WORKER=worker/worker/9e8d22ab5d6e4f708192a3b4c5d6e7f8
NOW=$(date +%s)

make_stream() { # STREAM
	aws_call logs CreateLogStream \
		"{\"logGroupName\": \"$GROUP\", \"logStreamName\": \"$1\"}"
}

put() { # STREAM UNIX_S TEXT…: one event each, a millisecond apart
	local stream=$1 at=$2
	shift 2
	jq -n --arg group $GROUP --arg stream "$stream" --argjson at "$at" '{
		logGroupName: $group, logStreamName: $stream,
		logEvents: [$ARGS.positional | to_entries[] |
			{timestamp: ($at * 1000 + .key), message: .value}]}' \
		--args "$@" >"$TRASH/put" &&
		"$BUILD/tests/tools/aws_tool" logs PutLogEvents <"$TRASH/put"
}

lines() { # TEXT…: exactly these, without times
	sed 's/^[^ ]* //' "$TRASH/out" >"$TRASH/lines"
	printf '%s\n' "$@" | diff - "$TRASH/lines"
}

follow() { # ARGUMENT…
	"$BUILD/tests/tools/aws_parts_tool" logs $GROUP -t "$@" \
		>"$TRASH/followed" 2>&1 &
	FOLLOWER=$!
	at_exit "kill $FOLLOWER"
}

count_of() { # TEXT: how often it was printed by the follower
	grep -cF "$1" "$TRASH/followed"
}

# A follower with -n 0 knows what was there before it: lines "marker" until
# one of them is new to $TRASH/NAME.
awaits() { # NAME STREAM
	local i
	for i in $(seq 40); do
		put "$2" $(date +%s) marker >/dev/null
		sleep 0.5
		grep -q marker "$TRASH/$1" && return
	done
	echo "$1 does not follow"
	return 1
}

# How many lines, without those.
lines_of() { # NAME
	grep -vc marker "$TRASH/$1"
}

stop_following() {
	kill $FOLLOWER && wait $FOLLOWER
	true
}

test_expect_success 'a group is made once, with a retention that there is' '
	start_double && tool group $GROUP 20 && tool group $GROUP 20 &&
	aws_call logs DescribeLogGroups \
		"{\"logGroupNamePrefix\": \"$GROUP\"}" >"$TRASH/groups" &&
	jq -e ".logGroups[0].retentionInDays == 30" "$TRASH/groups" &&
	tool group $GROUP 5000 && tool group /slipway/other 30
'

test_expect_success 'a group that is empty, or not there, has no lines' '
	tool logs $GROUP && [ ! -s "$TRASH/out" ] &&
	tool logs /slipway/none && [ ! -s "$TRASH/out" ]
'

test_expect_success 'lines of all tasks come in the order of time' '
	make_stream $WEB && make_stream $OTHER && make_stream $WORKER &&
	put $WEB $((NOW - 3 * 86400)) old &&
	put $WEB $((NOW - 300)) one two && put $OTHER $((NOW - 200)) three &&
	put $WORKER $((NOW - 250)) "{\"level\":\"error\", \"n\": 1}" &&
	put $WEB $((NOW - 30)) "GET /a?b=\"c\" 100%" &&
	poll_until 20 eval "tool logs $GROUP && [ \$(wc -l <$TRASH/out) = 6 ]" &&
	lines "app[web.1f0c22ab]: old" "app[web.1f0c22ab]: one" \
		"app[web.1f0c22ab]: two" \
		"app[worker.9e8d22ab]: {\"level\":\"error\", \"n\": 1}" \
		"app[web.77aa22ab]: three" \
		"app[web.1f0c22ab]: GET /a?b=\"c\" 100%" &&
	[ "$(tail -n 1 "$TRASH/out" | cut -d" " -f1)" = \
		"$(date -ud @$((NOW - 30)) +%Y-%m-%dT%H:%M:%SZ)" ]
'

test_expect_success 'the last lines are found, however old' '
	tool logs $GROUP -n 2 &&
	lines "app[web.77aa22ab]: three" "app[web.1f0c22ab]: GET /a?b=\"c\" 100%" &&
	tool logs $GROUP -n 0 && [ ! -s "$TRASH/out" ]
'

test_expect_success '-p chooses a type, or a task by its first digits' '
	tool logs $GROUP -p worker && [ $(wc -l <"$TRASH/out") = 1 ] &&
	tool logs $GROUP -p web.77aa && lines "app[web.77aa22ab]: three" &&
	tool logs $GROUP -p nobody && [ ! -s "$TRASH/out" ]
'

test_expect_success 'a number says why it means nothing here' '
	test_must_fail tool logs $GROUP -p web.1 &&
	contains "$TRASH/out" "error invalid" "tasks on ECS have no numbers" \
		"all as '\''web'\''"
'

test_expect_success '--since and --grep choose' '
	tool logs $GROUP -s $((NOW - 260)) && [ $(wc -l <"$TRASH/out") = 3 ] &&
	tool logs $GROUP -g t && lines "app[web.1f0c22ab]: two" \
		"app[web.77aa22ab]: three" &&
	tool logs $GROUP -g "?b=\"c" && [ $(wc -l <"$TRASH/out") = 1 ] &&
	tool logs $GROUP -g "{\"level" && [ $(wc -l <"$TRASH/out") = 1 ] &&
	tool logs $GROUP -g "100%" && [ $(wc -l <"$TRASH/out") = 1 ] &&
	tool logs $GROUP -g absent && [ ! -s "$TRASH/out" ]
'

test_expect_success 'many lines over many pages are all there, once' '
	put $WEB $((NOW - 100)) $(seq -f "n%g" 1200) &&
	poll_until 20 eval "tool logs $GROUP -s $((NOW - 101)) -n 100000 &&
		[ \$(wc -l <$TRASH/out) = 1201 ]" &&
	[ "$(grep -c "n[0-9]*$" "$TRASH/out")" = 1200 ] &&
	[ "$(sort -u "$TRASH/out" | wc -l)" = 1201 ] &&
	tool logs $GROUP -n 1000 && [ $(wc -l <"$TRASH/out") = 1000 ] &&
	contains "$TRASH/out" "]: n202" && lacks "$TRASH/out" "]: n201"
'

test_expect_success 'the history of a task is its last lines' '
	tool history $GROUP $WEB 3 &&
	printf "n1199\nn1200\nGET /a?b=\"c\" 100%%\n" | diff - "$TRASH/out" &&
	tool history $GROUP $WEB 20 && [ $(wc -l <"$TRASH/out") = 20 ] &&
	tool history $GROUP web/web/none 20 && [ ! -s "$TRASH/out" ]
'

test_expect_success 'a task that has ended is read to its end' '
	make_stream web/web/release1 &&
	put web/web/release1 $NOW migrating &&
	{ "$BUILD/tests/tools/aws_parts_tool" drain $GROUP web/web/release1 \
		3000 10000 >"$TRASH/drained" 2>&1 & } && PID=$! &&
	sleep 1.5 && put web/web/release1 $NOW late "very late" && wait $PID &&
	printf "migrating\nlate\nvery late\n" | diff - "$TRASH/drained"
'

test_expect_success 'a stream that never comes is waited for, but not for ever' '
	tool drain $GROUP web/web/never 1000 2500 && [ ! -s "$TRASH/out" ]
'

test_expect_success 'following starts with what comes, and prints it once' '
	follow -n 0 && awaits followed $WEB && put $WEB $(date +%s) first &&
	put $WORKER $(($(date +%s) - 20)) belated &&
	poll_until 20 grep -q first "$TRASH/followed" &&
	poll_until 20 grep -q belated "$TRASH/followed" &&
	put $WEB $(date +%s) second &&
	poll_until 20 grep -q second "$TRASH/followed" && sleep 4 &&
	[ "$(lines_of followed)" = 3 ]
'

test_expect_success 'throttling makes it ask less often, and loses nothing' '
	mark &&
	admin POST /faults "{\"kind\": \"throttle\", \"service\": \"logs\",
		\"operation\": \"FilterLogEvents\", \"times\": 6}" &&
	put $WEB $(date +%s) third &&
	poll_until 60 grep -q third "$TRASH/followed" &&
	[ "$(count_of third)" = 1 ] && admin DELETE /faults &&
	kill -0 $FOLLOWER
'

test_expect_success 'so do errors of the service' '
	admin POST /faults "{\"kind\": \"http-500\", \"service\": \"logs\",
		\"operation\": \"FilterLogEvents\", \"times\": 4}" &&
	put $WEB $(date +%s) fourth &&
	poll_until 60 grep -q fourth "$TRASH/followed" &&
	[ "$(lines_of followed)" = 5 ] && admin DELETE /faults &&
	stop_following
'

test_expect_success 'following starts with the last lines, too' '
	follow -n 2 -g th -p web &&
	poll_until 20 grep -q fourth "$TRASH/followed" && put $WEB $(date +%s) "no" fifth &&
	poll_until 20 grep -q fifth "$TRASH/followed" && stop_following &&
	sed "s/^[^ ]* //" "$TRASH/followed" >"$TRASH/lines" &&
	printf "app[web.1f0c22ab]: %s\n" third fourth fifth |
		diff - "$TRASH/lines"
'

# follower NAME ARGUMENT…: shares what it reads; its lines in $TRASH/NAME
follower() {
	local name=$1
	shift
	"$BUILD/tests/tools/aws_parts_tool" logs $GROUP -t -n 0 \
		-d "$TRASH/data" "$@" >"$TRASH/$name" 2>&1 &
	FOLLOWERS="${FOLLOWERS:-} $!"
	at_exit "kill $!"
}

everybody_has() { # TEXT
	local name
	for name in all1 all2 all3 web; do
		grep -q "$1" "$TRASH/$name" || return 1
	done
}

test_expect_success 'several followers ask together no more than one' '
	mkdir -p "$TRASH/data" &&
	follower all1 && follower all2 && follower all3 &&
	follower web -p web && follower worker -p worker &&
	for name in all1 all2 all3 web; do
		awaits $name $WEB || return 1
	done &&
	awaits worker $WORKER && sleep 3 && mark && BEGAN=$SECONDS &&
	for i in 1 2 3 4; do
		put $WEB $(date +%s) "even $i" &&
		put $WORKER $(($(date +%s) - 15)) "odd $i" && sleep 2 || return 1
	done &&
	poll_until 20 everybody_has "even 4" &&
	poll_until 20 grep -q "odd 4" "$TRASH/worker" && sleep 3 &&
	[ "$(journal FilterLogEvents)" -le $((SECONDS - BEGAN + 4)) ] &&
	for name in all1 all2 all3; do
		[ "$(grep -c even "$TRASH/$name")" = 4 ] &&
		[ "$(grep -c odd "$TRASH/$name")" = 4 ] || return 1
	done &&
	[ "$(lines_of web)" = 4 ] && [ "$(lines_of worker)" = 4 ] &&
	[ "$(stat -c %a "$TRASH/data/logs" "$TRASH/data/logs/"* | tr "\n" " ")" = \
		"700 600 " ]
'

test_expect_success 'one who leaves, and a file that is begun anew, lose nothing' '
	kill $(echo $FOLLOWERS | cut -d" " -f1) &&
	put $WEB $(date +%s) "after one left" &&
	poll_until 20 grep -q "after one" "$TRASH/all2" &&
	: >"$(echo "$TRASH/data/logs/"*)" &&
	put $WEB $(date +%s) "after the cut" &&
	poll_until 20 grep -q "after the cut" "$TRASH/all2" &&
	poll_until 20 grep -q "after the cut" "$TRASH/web" &&
	rm "$TRASH/data/logs/"* && put $WEB $(date +%s) "after the loss" &&
	poll_until 20 grep -q "after the loss" "$TRASH/all2" &&
	poll_until 20 grep -q "after the loss" "$TRASH/web" && sleep 3 &&
	[ "$(lines_of all2)" = 11 ] && [ "$(lines_of web)" = 7 ] &&
	{ kill $FOLLOWERS || true; }
'

# A service whose only task ends at once: ECS has something to say about it.
make_service() { # NAME
	aws_call ecs RegisterTaskDefinition "{\"family\": \"$1\",
		\"networkMode\": \"awsvpc\", \"cpu\": \"256\",
		\"memory\": \"512\", \"requiresCompatibilities\": [\"FARGATE\"],
		\"executionRoleArn\": \"arn:aws:iam::123456789012:role/execution\",
		\"containerDefinitions\": [{\"name\": \"web\",
			\"image\": \"$BASE_IMAGE\", \"stopTimeout\": 2,
			\"command\": [\"sh\", \"-c\", \"sleep 300\"]}]}" &&
		aws_call ecs CreateService "{\"cluster\": \"prod\",
			\"serviceName\": \"$1\", \"desiredCount\": 1,
			\"taskDefinition\": \"$1\", \"launchType\": \"FARGATE\",
			\"networkConfiguration\": {\"awsvpcConfiguration\": {
				\"subnets\": [\"subnet-0a1b2c3d\"],
				\"securityGroups\": [\"sg-0a1b2c3d\"]}}}"
}

test_expect_success 'what ECS says of the services stands among the lines' '
	make_service shop-web &&
	poll_until 60 eval "tool logs $GROUP -e prod,shop-web -p ecs &&
		grep -q steady $TRASH/out" &&
	contains "$TRASH/out" \
		"Z app[ecs]: (service shop-web) has reached a steady state." &&
	lacks "$TRASH/out" "app[web" &&
	tool logs $GROUP -e prod,shop-web -n 1000 &&
	contains "$TRASH/out" "app[ecs]: (service shop-web) has started 1" \
		"app[web.1f0c22ab]: fifth" &&
	cut -d" " -f1 "$TRASH/out" | sort -c &&
	tool logs $GROUP -e prod,shop-web -g steady &&
	[ $(wc -l <"$TRASH/out") = 1 ] &&
	tool logs $GROUP -e prod,shop-web -p web && lacks "$TRASH/out" "[ecs]"
'

test_expect_success 'events are followed, each printed once' '
	follow -n 0 -e prod,shop-web && awaits followed $WEB &&
	aws_call ecs UpdateService "{\"cluster\": \"prod\",
		\"service\": \"shop-web\", \"desiredCount\": 0}" &&
	poll_until 60 grep -q "has stopped 1" "$TRASH/followed" && sleep 3 &&
	stop_following && [ "$(count_of "has stopped 1")" = 1 ] &&
	lacks "$TRASH/followed" "has started 1"
'

test_expect_success 'lines are worth having without the events' '
	admin POST /faults "{\"kind\": \"access-denied\", \"service\": \"ecs\",
		\"operation\": \"DescribeServices\"}" &&
	tool logs $GROUP -e prod,shop-web &&
	contains "$TRASH/out" "app[web.1f0c22ab]: marker" \
		"app[ecs]: events cannot be read: " ecs:DescribeServices &&
	test_must_fail tool logs $GROUP -e prod,shop-web -p ecs &&
	admin DELETE /faults && contains "$TRASH/out" "error denied"
'

test_expect_success 'who may not read is told which action is missing' '
	admin POST /faults "{\"kind\": \"access-denied\", \"service\": \"logs\",
		\"operation\": \"FilterLogEvents\"}" &&
	test_must_fail tool logs $GROUP && admin DELETE /faults &&
	contains "$TRASH/out" "error denied" logs:FilterLogEvents
'

test_done
