#!/bin/bash
# One deploy per app at a time; what waits, what is superseded, what survives.
. "$(dirname "$0")/lib.sh"

# slow DIR MARK: a build that takes 8 s, in the next run of this script, too.
slow() {
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/$1/" &&
		echo "RUN echo $2 $RANDOM$RANDOM; sleep 8" >>"$TRASH/$1/Dockerfile" &&
		commit "$1" "$2"
}

# leaving_push DIR: with its ssh, as process group $client
leaving_push() {
	setsid git -C "$TRASH/$1" push app main >"$TRASH/out" 2>&1 &
	client=$!
}

owned_networks() {
	api GET "/networks?filters=%7B%22label%22%3A%5B%22slipway.owner%3D$OWNER%22%5D%7D" |
		jq length
}

job_state() {
	[ "$(sqlite3 "$DATA/slipway.db" \
		"SELECT state FROM jobs ORDER BY id DESC LIMIT 1")" = "$1" ]
}

test_expect_success 'a server with two users and a live app' '
	start_server && new_user bob --admin && new_user alice --admin &&
	make_app shop && push shop main &&
	git clone -q "$URL/shop" "$TRASH/bobs" &&
	git -C "$TRASH/bobs" remote rename origin app
'

test_expect_success 'a second push waits and says for whom' '
	slow shop first &&
	(push shop main >"$TRASH/first" 2>&1; echo $? >"$TRASH/first.code") &
	first=$! &&
	poll_until 10 job_state running &&
	as_user bob &&
	git -C "$TRASH/bobs" fetch -q "$TRASH/shop" main &&
	git -C "$TRASH/bobs" reset -q --hard FETCH_HEAD &&
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/bobs/" &&
	commit bobs second &&
	push bobs main &&
	wait $first &&
	[ "$(cat "$TRASH/first.code")" = 0 ] &&
	contains "$TRASH/out" "-----> Waiting: alice'\''s deploy of" \
		"is live" &&
	serves shop second &&
	as_user alice
'

test_expect_success 'a waiting push is superseded by a newer one' '
	git -C "$TRASH/shop" pull -q app main &&
	slow shop third &&
	(push shop main >"$TRASH/first" 2>&1) &
	first=$! &&
	poll_until 10 job_state running &&
	for name in w1 w2; do
		cp -R "$TRASH/shop" "$TRASH/$name" &&
		cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/$name/" &&
		commit $name $name || return 1
	done &&
	(git -C "$TRASH/w1" push app main >"$TRASH/w1.out" 2>&1) &
	second=$! &&
	poll_until 20 grep -q Waiting: "$TRASH/w1.out" &&
	git -C "$TRASH/w2" push --force app main >"$TRASH/out" 2>&1
	wait $first $second
	contains "$TRASH/w1.out" "superseded by" "(alice)" &&
	contains "$TRASH/out" "is live" &&
	serves shop w2
'

test_expect_success 'pushes to different apps run side by side' '
	for name in a b; do
		make_app $name && slow $name $name || return 1
	done
	(push a main >"$TRASH/a.out" 2>&1) &
	pa=$!
	git -C "$TRASH/b" push app main >"$TRASH/b.out" 2>&1 && wait $pa &&
	serves a a && serves b b
'

test_expect_success 'the deploy goes on when the client goes away' '
	git -C "$TRASH/shop" fetch -q app && git -C "$TRASH/shop" reset -q --hard app/main &&
	slow shop alone && leaving_push shop &&
	poll_until 10 job_state running &&
	sleep 1 &&
	kill -KILL -- -$client && ! wait $client
	poll_until 30 serves shop alone &&
	poll_until 10 job_state succeeded &&
	[ "$(git ls-remote "$URL/shop" refs/heads/main | cut -f1)" = \
	  "$(git -C "$TRASH/shop" rev-parse HEAD)" ]
'

test_expect_success 'kill -9 of the builder: nothing is locked, the next push works' '
	git -C "$TRASH/shop" fetch -q app &&
	slow shop killed &&
	git -C "$TRASH/shop" push app main >"$TRASH/out" 2>&1 &
	client=$! &&
	poll_until 10 job_state running &&
	sleep 1 &&
	kill -KILL "$(part_pid slipway-builder)" &&
	test_must_fail wait $client &&
	contains "$TRASH/out" "[remote rejected] main -> main" &&
	serves shop alone &&
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/shop/" &&
	commit shop after &&
	push shop main &&
	serves shop after
'

test_expect_success 'kill -9 of the worker is told and leaves nothing' '
	slow shop worker &&
	git -C "$TRASH/shop" push app main >"$TRASH/out" 2>&1 &
	client=$! &&
	poll_until 10 job_state running &&
	sleep 1 &&
	kill -KILL "$(pgrep -P "$(part_pid slipway-builder)" -f "slipway-worker job")" &&
	test_must_fail wait $client &&
	contains "$TRASH/out" "[remote rejected] main -> main" "unexpectedly" &&
	push shop main && serves shop worker
'

test_expect_success 'a stop of the server during a deploy undoes it' '
	slow shop stopped &&
	git -C "$TRASH/shop" push app main >"$TRASH/out" 2>&1 &
	client=$! &&
	poll_until 10 job_state running &&
	sleep 1 &&
	stop_server &&
	test_must_fail wait $client
	launch_server &&
	poll_until 20 serves shop worker &&
	cp "$ROOT/contrib/examples/hello/Dockerfile" "$TRASH/shop/" &&
	commit shop again && push shop main && serves shop again
'

test_expect_success 'routes come back after kill -9 of the router' '
	kill -KILL "$(part_pid haproxy)" &&
	poll_until 20 serves shop again &&
	serves a a
'

test_expect_success 'and after a restart of everything' '
	restart_server && poll_until 20 serves shop again && serves b b
'

test_expect_success 'a container that dies comes back' '
	id=$(owned_containers | jq -r ".[] | select(.Labels[\"slipway.app\"] == \"1\") | .Id") &&
	pid=$(api GET "/containers/$id/json" | jq .State.Pid) &&
	kill -KILL "$pid" &&
	poll_until 20 serves shop again
'

test_expect_success 'destroy removes everything of the app' '
	before=$(owned_networks) && before=$((before - 1)) &&
	slipway apps:destroy a --force &&
	test_must_fail http a.localhost &&
	test_must_fail git ls-remote "$URL/a" &&
	[ "$(owned_networks)" = "$before" ] &&
	serves b b
'

# In the background; output and exit code in $TRASH/NAME.out and .code.
start_push() { # NAME DIR ARGUMENTS…
	local name=$1 dir=$2
	shift 2
	rm -f "$TRASH/$name.code"
	(
		git -C "$TRASH/$dir" push "$@" >"$TRASH/$name.out" 2>&1
		echo $? >"$TRASH/$name.code"
	) &
}

push_ended() {
	[ -f "$TRASH/$1.code" ]
}

said() { # NAME TEXT
	grep -qsF -- "$2" "$TRASH/$1.out"
}

test_expect_success 'tags do not wait for a deploy' '
	slow shop busy && start_push busy shop -f app main &&
	poll_until 20 said busy "RUN echo busy" &&
	git -C "$TRASH/shop" tag while-busy &&
	timeout 5 git -C "$TRASH/shop" push -q app while-busy &&
	! push_ended busy
'

test_expect_success 'a push from an older state is refused after its wait' '
	cp -R "$TRASH/shop" "$TRASH/old" &&
	git -C "$TRASH/old" reset -q --hard HEAD~1 &&
	commit old elsewhere && start_push old old -f app main &&
	poll_until 10 said old "Waiting: alice" &&
	poll_until 60 push_ended busy && [ "$(cat "$TRASH/busy.code")" = 0 ] &&
	poll_until 60 push_ended old && [ "$(cat "$TRASH/old.code")" != 0 ] &&
	said old "meanwhile" && serves shop busy
'

test_expect_success 'build.concurrency bounds the deploys of all apps' '
	restart_server -o build.concurrency=1 &&
	poll_until 20 serves b b && slow shop alone2 && commit b later &&
	start_push alone2 shop app main &&
	poll_until 20 said alone2 "RUN echo alone2" &&
	start_push later b app main &&
	poll_until 10 said later "build.concurrency" &&
	! push_ended alone2 && serves b b &&
	poll_until 60 push_ended later && [ "$(cat "$TRASH/later.code")" = 0 ] &&
	[ "$(cat "$TRASH/alone2.code")" = 0 ] && serves b later
'

test_expect_success 'ten first pushes to one name make one app' '
	restart_server && poll_until 20 serves shop alone2 && make_app crowd &&
	for i in 1 2 3 4 5 6 7 8 9 10; do
		cp -R "$TRASH/crowd" "$TRASH/crowd$i" &&
			commit crowd$i crowd$i &&
			start_push c$i crowd$i app main || return 1
	done &&
	for i in 1 2 3 4 5 6 7 8 9 10; do
		poll_until 120 push_ended c$i || return 1
	done &&
	grep -lx 0 "$TRASH"/c[0-9]*.code &&
	tip=$(git ls-remote "$URL/crowd" refs/heads/main | cut -f1) &&
	http crowd.localhost >"$TRASH/page" && contains "$TRASH/page" "$tip" &&
	slipway apps:list --json |
		jq -e "[.[] | select(.name == \"crowd\")] | length == 1"
'

test_expect_success 'by choice a deploy ends when its pusher goes away' '
	restart_server -o build.cancel-on-disconnect=true &&
	slow shop leaving && leaving_push shop &&
	poll_until 10 job_state running &&
	sleep 1 &&
	kill -KILL -- -$client && ! wait $client
	poll_until 20 job_state canceled
'

test_done
