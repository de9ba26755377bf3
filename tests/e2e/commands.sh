#!/bin/bash
# What people type: the commands over SSH with a stock client and locally,
# against a real server.  Needs no Docker Engine: nothing is deployed here.
#
#     B=build/release tests/e2e/commands.sh
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/e2e/tools/tap.sh"
B=${B:-build/${VARIANT:-release}}
case $B in /*) ;; *) B=$top/$B ;; esac

T=$(mktemp -d "${TMPDIR:-/tmp}/slipway-commands.XXXXXX")
PORT=$((20000 + $$ % 10000))
serve=

cleanup() {
	[ -z "$serve" ] || kill "$serve" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# test_expect_code N COMMAND…
test_expect_code() {
	local want=$1 code=0
	shift
	"$@" || code=$?
	[ $code = "$want" ] || { echo "status $code, not $want: $*"; false; }
}

# As root the whole server runs as an ordinary user, from a copy that this
# user can reach: what the parts may do as which user is another test's topic.
as_user=
if [ "$(id -u)" = 0 ]; then
	as_user="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi

start_server() {
	mkdir "$T/home" && cp -R "$B/bin" "$B/libexec" "$T/" || exit 1
	chmod a+rx "$T" && chmod -R a+rX "$T/bin" "$T/libexec"
	[ -z "$as_user" ] || chown 65534:65534 "$T/home"
	HOME=$T/home $as_user "$T/bin/slipway" serve \
		-o slipway.data="$T/home/data" \
		-o slipway.socket="$T/home/control.sock" \
		-o ssh.listen=127.0.0.1:$PORT \
		-o router.listen=127.0.0.1:$((PORT + 10000)) \
		>"$T/serve.log" 2>&1 &
	serve=$!
}

slipway() {
	$as_user "$T/bin/slipway" --socket "$T/home/control.sock" "$@"
}

ssh_options="-F none -p $PORT -o BatchMode=yes -o StrictHostKeyChecking=no \
	-o UserKnownHostsFile=$T/known_hosts -o LogLevel=ERROR \
	-o IdentitiesOnly=yes -o IdentityAgent=none"

# as NAME COMMAND…: over SSH with the key of that name
as() {
	local name=$1
	shift
	timeout 30 ssh $ssh_options -i "$T/$name" git@127.0.0.1 "$@"
}

# git_as NAME …: git with the key of that name
git_as() {
	local name=$1
	shift
	GIT_SSH_COMMAND="ssh $ssh_options -i $T/$name" timeout 60 git "$@"
}

is_json() {
	python3 -c 'import json, sys; json.load(sys.stdin)'
}

can_connect() {
	(exec 3<>/dev/tcp/127.0.0.1/$PORT) 2>/dev/null
}

fingerprint() {
	ssh-keygen -lf "$1" | cut -d' ' -f2
}

for name in root alice bob stranger; do
	ssh-keygen -q -t ed25519 -N '' -C "$name@test" -f "$T/$name"
done
start_server

test_expect_success 'the local administrator is known without a user' '
	wait_for 20 slipway whoami
	wait_for 20 can_connect
	[ "$(slipway whoami)" = "the local administrator" ]
'

test_expect_success 'a key has the fingerprint that ssh-keygen prints' '
	slipway users:add root --admin
	slipway users:add alice
	slipway users:add bob
	[ "$(slipway keys:add root desk <root.pub)" = "$(fingerprint root.pub)" ]
	[ "$(slipway keys:add alice laptop <alice.pub)" = \
		"$(fingerprint alice.pub)" ]
'

test_expect_success 'a key may come as words, quoted or not' '
	[ "$(as root keys:add bob "$(cat bob.pub)")" = \
		"$(fingerprint bob.pub)" ] &&
	as bob keys:list | grep "bob@test" &&
	slipway keys:remove bob bob@test &&
	slipway keys:add bob home $(cat bob.pub)
'

test_expect_success 'each key is its user' '
	[ "$(as alice whoami)" = alice ] &&
	[ "$(as root whoami)" = "root (administrator)" ]
'

test_expect_success 'an unknown key is refused' '
	test_expect_code 255 as stranger whoami 2>err
	grep "Permission denied (publickey)" err
'

test_expect_success 'what is no public key is refused' '
	test_expect_code 1 slipway keys:add bob x <bob 2>err
	grep "private key" err
	test_expect_code 1 slipway keys:add bob x </dev/null
	head -c 100000 /dev/zero >zeros
	test_expect_code 1 slipway keys:add bob x <zeros
'

test_expect_success 'an app tells its address and remote' '
	as alice apps:create shop >out
	grep "http://shop.localhost:$((PORT + 10000))" out
	grep "ssh://git@localhost:$PORT/shop" out
	as alice apps:info shop | grep "Owner: *alice"
'

test_expect_success 'names that clash, are taken or impossible are refused' '
	for name in shop git www Shop a.b -- ../x; do
		test_expect_code 1 as alice apps:create -- "$name" || exit 1
	done
'

test_expect_success 'an app one may not see reads like a missing one' '
	test_expect_code 1 as bob apps:info shop 2>hidden
	test_expect_code 1 as bob apps:info shoq 2>missing
	sed s/shoq/shop/ missing | cmp - hidden
	test_expect_code 1 as bob apps:exists shop
	test_must_fail git_as bob ls-remote ssh://git@127.0.0.1:$PORT/shop
'

test_expect_success 'roles open one thing after the other' '
	as alice access:add shop bob view
	as bob apps:info shop
	git_as bob ls-remote ssh://git@127.0.0.1:$PORT/shop
	test_expect_code 1 as bob git:set shop deploy-branch live 2>err
	grep "needs the role operate" err
	as alice access:add shop bob -p operate
	as bob git:set shop deploy-branch live
	as bob git:report shop | grep "Deploy branch: *live"
	test_expect_code 1 as bob access:add shop bob admin
	as alice access:remove shop bob
	test_expect_code 1 as bob git:report shop
'

test_expect_success 'who may only look cannot push' '
	as alice access:add shop bob view
	git init -q -b main tree
	git -C tree -c user.name=t -c user.email=t@t commit -q \
		--allow-empty -m one
	test_must_fail git_as bob -C tree push ssh://git@127.0.0.1:$PORT/shop main 2>err
	grep "role: view" err
'

test_expect_success 'users are for administrators' '
	test_expect_code 1 as alice users:add eve --admin
	test_expect_code 1 as alice users:list
	test_expect_code 1 as alice keys:remove bob home
	as root users:list | grep "^alice *no "
	test_expect_code 1 as root users:remove root 2>err
	grep "last administrator" err
'

test_expect_success 'an unknown command suggests the nearest' '
	test_expect_code 127 as alice app:list 2>err
	grep "did you mean .apps:list." err
	test_expect_code 127 slipway ssh-keys add x 2>err
	grep "did you mean .keys:add." err
	test_expect_code 2 as alice apps:info 2>err
	grep "^usage: apps:info APP" err
'

test_expect_success 'every listing has JSON' '
	for command in apps:list "apps:info shop" "git:report shop" \
		"builds shop" "releases shop" "ps shop" "access shop" \
		keys users whoami version; do
		echo "$command"
		as root $command --json | is_json
	done
'

test_expect_success 'the app may be given as an option' '
	as alice apps:info -a shop | grep "^Name: *shop"
	as alice apps:info --app=shop --json | is_json
'

test_expect_success 'a renamed app is known by its new name' '
	as alice apps:rename shop store >out 2>err
	grep "git remote set-url" err
	test_expect_code 1 as alice apps:exists shop
	as alice apps:exists store
	test_must_fail git_as bob ls-remote ssh://git@127.0.0.1:$PORT/shop
	git_as bob ls-remote ssh://git@127.0.0.1:$PORT/store
'

test_expect_success 'destroying asks for the name' '
	test_expect_code 2 as alice apps:destroy store </dev/null
	echo shop >wrong && echo store >right
	test_expect_code 1 as alice apps:destroy store <wrong
	test_expect_code 1 as alice apps:destroy store --confirm shop
	as alice apps:exists store
	as alice apps:destroy store <right
	test_expect_code 1 as alice apps:exists store
'

test_expect_success 'in a terminal the typed name is shown' '
	as alice apps:create term
	(sleep 1; printf "texm\177\177rm\r") |
		as alice -tt apps:destroy term >out
	grep "Destroyed term" out
'

test_expect_success 'the data of a destroyed app is gone' '
	[ -z "$(ls home/data/repos)" ]
	as alice apps:create shop --quiet
	as alice apps:destroy shop --force
	[ -z "$(ls home/data/repos)" ]
'

test_expect_success 'commands share a connection' '
	as alice -M -S "$T/mux" -o ControlPersist=30 -N -f
	for i in 1 2 3 4 5; do
		as alice -S "$T/mux" whoami || exit 1
	done >out
	ssh $ssh_options -S "$T/mux" -O exit git@127.0.0.1
	[ "$(grep -c "^alice$" out)" = 5 ]
'

test_expect_success 'twenty at a time are all answered' '
	pids=
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		as alice apps:create "app$i" --quiet >"created.$i" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait $pid
	done
	[ "$(as alice apps:list --quiet | wc -l)" = 20 ]
'

test_expect_success 'a removed key is refused at once' '
	as root keys:remove "$(fingerprint bob.pub)"
	test_expect_code 255 as bob whoami 2>err
	grep "Permission denied" err
	as root users:remove alice
	test_expect_code 255 as alice whoami 2>err
	grep "Permission denied" err
'

test_done
