#!/bin/bash
# Which target an app runs on: chosen, shown, changed while nothing runs.
. "$(dirname "$0")/lib.sh"

SECOND=(-o target.blue.type=docker)
CLOUD=(-o target.prod.type=ecs -o target.prod.region=eu-west-1
	-o target.prod.cluster=apps -o target.prod.subnets=subnet-1
	-o target.prod.security-groups=sg-1
	-o target.prod.execution-role=arn:aws:iam::1:role/execution)

target_of() {
	slipway apps:info "$1" --json | jq -r .target
}

test_expect_success 'a server starts with more than one target' '
	start_server "${SECOND[@]}" "${CLOUD[@]}" && new_user alice --admin
'

test_expect_success 'targets:list shows them all and the default' '
	on_ssh targets:list >"$TRASH/out" && contains "$TRASH/out" \
		local blue prod docker ecs "cluster apps in eu-west-1" &&
	[ "$(slipway targets --json | jq -r ".[] | select(.default) | .name")" = \
	  local ]
'

test_expect_success 'an app is made for one and says so' '
	on_ssh apps:create shop --target blue && [ "$(target_of shop)" = blue ] &&
	on_ssh apps:info shop >"$TRASH/out" &&
	grep -q "^Target: *blue" "$TRASH/out" &&
	on_ssh apps:create blog && [ "$(target_of blog)" = local ]
'

test_expect_success 'an unknown target is refused with the nearest' '
	test_must_fail on_ssh apps:create other --target bleu 2>"$TRASH/out" &&
	contains "$TRASH/out" "there is no target '\''bleu'\'': did you mean '\''blue'\''?" &&
	test_must_fail on_ssh apps:exists other &&
	test_must_fail on_ssh apps:set blog target nowhere-near 2>"$TRASH/out" &&
	contains "$TRASH/out" "targets:list"
'

test_expect_success 'a push goes where the app is' '
	make_app shop && push shop main &&
	contains "$TRASH/out" "-----> Rolling out web=1 on blue" &&
	serves shop one
'

test_expect_success 'what runs does not move' '
	test_must_fail on_ssh apps:set shop target local 2>"$TRASH/out" &&
	contains "$TRASH/out" "shop v1 is live on '\''blue'\''" \
		"apps:create NAME --target local" "apps:destroy shop" &&
	[ "$(target_of shop)" = blue ] && serves shop one
'

test_expect_success 'the watch looks after it' '
	id=$(owned_containers | jq -r ".[0].Id") &&
	api POST "/containers/$id/stop?t=1" && poll_until 30 serves shop one
'

test_expect_success 'an app that was never deployed moves freely' '
	on_ssh apps:set blog target prod >"$TRASH/out" &&
	contains "$TRASH/out" "blog runs on prod" &&
	[ "$(target_of blog)" = prod ] &&
	slipway apps:info blog --json | jq -e ".url == null" &&
	on_ssh config:set blog DB=ssm:/blog/db >"$TRASH/out"
'

test_expect_success 'but its vars must mean something there' '
	test_must_fail on_ssh apps:set blog target local 2>"$TRASH/out" &&
	contains "$TRASH/out" "the config var DB is a reference" &&
	lacks "$TRASH/out" /blog/db &&
	on_ssh config:unset blog DB && on_ssh apps:set blog target local &&
	[ "$(target_of blog)" = local ]
'

test_expect_success 'one whose deploys all failed moves, and leaves nothing' '
	make_app pad && echo "web: exit 1" >"$TRASH/pad/Procfile" &&
	commit pad one && test_must_fail push pad main &&
	[ "$(count_owned "$OWNER" networks?)" = 2 ] &&
	on_ssh apps:set pad target blue &&
	[ "$(count_owned "$OWNER" networks?)" = 1 ] &&
	rm "$TRASH/pad/Procfile" && commit pad two && push pad main &&
	contains "$TRASH/out" "on blue" && serves pad two
'

test_expect_success 'a role below operate cannot move an app' '
	new_user dora && as_user alice && on_ssh access:add blog dora deploy &&
	as_user dora && test_must_fail on_ssh apps:set blog target blue &&
	as_user alice
'

test_expect_success 'a target that is configured no more leaves its apps alone' '
	restart_server "${CLOUD[@]}" && poll_until 20 serves shop one &&
	commit shop two && test_must_fail push shop main &&
	contains "$TRASH/out" "there is no [target \"blue\"]" &&
	serves shop one && restart_server "${SECOND[@]}" "${CLOUD[@]}" &&
	push shop main && serves shop two
'

test_done
