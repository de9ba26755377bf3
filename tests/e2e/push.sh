#!/bin/bash
# git push to a healthy, routed container, and everything else git can ask.
. "$(dirname "$0")/lib.sh"

test_expect_success 'a server starts and an administrator has a key' '
	start_server && new_user alice --admin
'

test_expect_success 'the first push creates the app and deploys it' '
	make_app shop &&
	push shop main &&
	contains "$TRASH/out" \
		"-----> Deploying shop from" "as v1, pushed by alice" \
		"-----> Building from Dockerfile" \
		"-----> Rolling out web=1 on local" \
		"web.1 healthy" \
		"=====> shop v1 is live: http://shop.localhost:$HTTP_PORT" \
		"main -> main" &&
	serves shop one
'

test_expect_success 'the page shows release and commit' '
	http shop.localhost >"$TRASH/page" &&
	contains "$TRASH/page" "<dd>v1</dd>" \
		"$(git -C "$TRASH/shop" rev-parse HEAD)"
'

test_expect_success 'the next push replaces it and the cache is used' '
	commit shop two && push shop main &&
	contains "$TRASH/out" "shop v2 is live" "steps cached)" &&
	serves shop two
'

test_expect_success 'the same commit again is up to date' '
	push shop main && contains "$TRASH/out" "Everything up-to-date"
'

test_expect_success 'old containers go away' '
	poll_until 20 eval "[ \$(owned_containers | jq length) = 1 ]"
'

test_expect_success 'clone and fetch give back what was pushed' '
	git clone -q "$URL/shop" "$TRASH/clone" &&
	[ "$(git -C "$TRASH/clone" rev-parse HEAD)" = \
	  "$(git -C "$TRASH/shop" rev-parse HEAD)" ] &&
	[ "$(git -C "$TRASH/clone" branch --show-current)" = main ] &&
	git -C "$TRASH/clone" fetch -q origin "refs/deploys/*:refs/deploys/*" &&
	git -C "$TRASH/clone" rev-parse -q --verify refs/deploys/v2
'

test_expect_success 'another branch is refused with the command to type' '
	git -C "$TRASH/shop" checkout -q -b feat &&
	commit shop three &&
	test_must_fail push shop feat &&
	contains "$TRASH/out" "[remote rejected] feat -> feat" \
		"not the deploy branch; type: git push $URL/shop feat:main" &&
	serves shop two
'

test_expect_success 'and that command works' '
	git -C "$TRASH/shop" push "$URL/shop" feat:main &&
	serves shop three
'

test_expect_success 'a non-fast-forward is refused by git without --force' '
	git -C "$TRASH/shop" checkout -q main &&
	commit shop four &&
	test_must_fail push shop main &&
	contains "$TRASH/out" "[rejected]" "main -> main"
'

test_expect_success 'and deploys with it' '
	push shop --force main &&
	contains "$TRASH/out" "forced update" &&
	serves shop four
'

test_expect_success 'tags are stored, moved and deleted, without a deploy' '
	git -C "$TRASH/shop" tag v1.0 &&
	git -C "$TRASH/shop" tag -a -m note v1.1 &&
	push shop v1.0 v1.1 && lacks "$TRASH/out" "Deploying" &&
	git ls-remote "$URL/shop" >"$TRASH/refs" &&
	contains "$TRASH/refs" refs/tags/v1.0 "refs/tags/v1.1^{}" &&
	push shop :v1.0 &&
	git ls-remote "$URL/shop" >"$TRASH/refs" &&
	lacks "$TRASH/refs" refs/tags/v1.0
'

test_expect_success 'several refs at once: each gets its own answer' '
	commit shop five &&
	git -C "$TRASH/shop" tag v2.0 &&
	git -C "$TRASH/shop" branch -f feat &&
	test_must_fail push shop main feat v2.0 &&
	contains "$TRASH/out" "main -> main" "v2.0 -> v2.0" \
		"[remote rejected] feat -> feat" &&
	serves shop five
'

test_expect_success '--atomic is all or nothing' '
	commit shop six &&
	git -C "$TRASH/shop" tag v3.0 &&
	test_must_fail push shop --atomic main feat v3.0 &&
	contains "$TRASH/out" "atomic push failed" &&
	serves shop five &&
	git ls-remote "$URL/shop" >"$TRASH/refs" &&
	lacks "$TRASH/refs" refs/tags/v3.0 &&
	push shop --atomic main v3.0 &&
	serves shop six &&
	git ls-remote "$URL/shop" v3.0 | grep v3.0
'

test_expect_success 'deleting the deploy branch is refused' '
	test_must_fail push shop :main &&
	contains "$TRASH/out" "deleting the deploy branch is refused"
'

test_expect_success 'other refs are refused' '
	test_must_fail push shop HEAD:refs/notes/x &&
	contains "$TRASH/out" "only branches and tags can be pushed" &&
	test_must_fail push shop HEAD:refs/deploys/v99
'

test_expect_success 'push options reach the build' '
	commit shop seven &&
	push shop -o no-cache -o "message=the seventh" main &&
	contains "$TRASH/out" "(1 of 3 steps cached)" &&
	slipway releases shop >"$TRASH/releases" &&
	contains "$TRASH/releases" "the seventh"
'

test_expect_success 'an unknown push option is refused and named' '
	commit shop eight &&
	test_must_fail push shop -o no-cash main &&
	contains "$TRASH/out" "unknown push option" "no-cash" \
		"did you mean" &&
	push shop main
'

test_expect_success 'a shallow clone can push' '
	git clone -q --depth 1 "$URL/shop" "$TRASH/shallow" &&
	git -C "$TRASH/shallow" remote rename origin app &&
	commit shallow nine &&
	push shallow main &&
	serves shop nine
'

test_expect_success 'a shallow clone of another history can make an app' '
	git clone -q --depth 1 "file://$TRASH/shop" "$TRASH/graft" &&
	git -C "$TRASH/graft" remote add app "$URL/graft" &&
	push graft main &&
	contains "$TRASH/out" "graft v1 is live"
'

test_expect_success 'an annotated tag pushed to the branch name is no branch' '
	test_must_fail push shop v1.1:main
'

pack_count() {
	find "$DATA/repos" -name "*.pack" | wc -l
}

test_expect_success 'after many pushes packs are merged, and all is there' '
	git clone -q "$URL/graft" "$TRASH/many" &&
	for i in $(seq 32); do
		git -C "$TRASH/many" commit -q --allow-empty -m "$i" &&
			git -C "$TRASH/many" push -q origin "HEAD:refs/tags/t$i" ||
			return 1
	done &&
	poll_until 20 eval "[ \$(pack_count) -lt 32 ]" &&
	git clone -q "$URL/graft" "$TRASH/again" &&
	[ "$(git -C "$TRASH/again" tag | wc -l)" -ge 32 ] &&
	git -C "$TRASH/again" fsck
'

test_expect_success 'an unknown app cannot be cloned, a bad name not made' '
	test_must_fail git clone "$URL/nosuch" "$TRASH/nosuch" 2>"$TRASH/out" &&
	contains "$TRASH/out" "nosuch" &&
	test_must_fail git -C "$TRASH/shop" push "$URL/Bad_Name" main
'

test_done
