# tests/e2e/lib.sh - sourced by every end-to-end script: TAP in git's test
# vocabulary, and a real server with an engine, a router and stock clients.
#
# A script is `. "$(dirname "$0")/lib.sh"`, some test_expect_success, and
# test_done.  It runs alone (`bash tests/e2e/push.sh`, -v to see commands'
# output, -k to keep the trash folder) and cleans up what it made.
#
# What scripts use:
#   test_expect_success 'a sentence' 'commands &&…'
#   test_must_fail COMMAND…        fails, but not by a signal
#   skip_all REASON                ends a script that this machine cannot run
#   poll_until SECONDS COMMAND…    until it succeeds
#   contains FILE TEXT…            every text is in it; shows it when not
#   start_server [-o key=value]…   fresh data folder, ready when it returns
#   stop_server                    keeps the data folder
#   restart_server [-o key=value]  the same, with other options if any
#   part_pid NAME                  slipway-builder, slipway-receiver, haproxy
#   slipway COMMAND…               as the local administrator
#   on_ssh COMMAND…                the same as user $USER_NAME over SSH
#   new_user NAME [--admin]        a user with an ed25519 key, made current
#   as_user NAME                   switch to a user made before
#   make_app DIR                   a repository with the example web app
#   push DIR [REF…|OPTION…]        git push to the app; output in $TRASH/out
#   http HOST [PATH]               body from the router; fails unless 200
#   http_status HOST [PATH]        the status code alone
#   serves APP VERSION             does the app's page say so?

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
ROOT=$PWD
VARIANT=${VARIANT:-release}
BUILD=$ROOT/build/$VARIANT
DOCKER_SOCKET=${DOCKER_SOCKET:-/var/run/docker.sock}
BASE_IMAGE=slipway/busybox:latest

test_count=0
test_failed=0
verbose=
keep=
for arg in "$@"; do
	case $arg in
	-v) verbose=1 ;;
	-k) keep=1 ;;
	esac
done

TRASH=$(mktemp -d /tmp/slipway-e2e.XXXXXX)
chmod 755 "$TRASH"
SERVER_PID=
DATA=$TRASH/data
SOCKET=$TRASH/run/s
cleanups=()
exec 5>&1 # TAP; the tests' own output goes to $TRASH/log

# ---- vocabulary ----

say() {
	echo "# $*" >&5
}

# A function, so that `return` in a script ends the script alone.
run_script() {
	eval "$1"
}

test_expect_success() {
	test_count=$((test_count + 1))
	: >"$TRASH/log"
	if [ -n "$verbose" ]; then
		run_script "$2" </dev/null >&2
	else
		run_script "$2" </dev/null >"$TRASH/log" 2>&1
	fi
	local code=$?
	cd "$TRASH" || exit 1
	if [ $code = 0 ]; then
		echo "ok $test_count - $1" >&5
	else
		test_failed=$((test_failed + 1))
		echo "not ok $test_count - $1" >&5
		{
			echo "exit code $code of:"
			echo "$2"
			echo "--- output"
			tail -n 60 "$TRASH/log"
			if [ -f "$TRASH/out" ]; then
				echo "--- last push or command"
				tail -n 40 "$TRASH/out"
			fi
			if [ -f "$TRASH/server.log" ]; then
				echo "--- server"
				tail -n 30 "$TRASH/server.log"
			fi
		} | sed -e 's/^/# /' -e '$a\' >&5 # "$a\": ends the last line
	fi
	return 0
}

test_must_fail() {
	"$@"
	local code=$?
	if [ $code = 0 ]; then
		echo "should have failed: $*"
		return 1
	fi
	if [ $code -gt 128 ]; then
		echo "died ($code): $*"
		return 1
	fi
	return 0
}

# tests/run shows the reason.
skip_all() {
	echo "1..0 # SKIP $1" >&5
	exit 0
}

# Stopping and removing is a test, too.
test_done() {
	[ -z "${OWNER:-}" ] ||
		test_expect_success 'nothing is left over' 'leave_nothing'
	echo "1..$test_count" >&5
	[ $test_failed = 0 ]
	exit
}

at_exit() {
	cleanups+=("$1")
}

cleanup() {
	local code=$?
	trap - EXIT
	stop_server
	remove_owned
	for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
		eval "${cleanups[i]}" >/dev/null 2>&1
	done
	if [ -n "$keep" ]; then
		say "kept $TRASH"
	else
		rm -rf "$TRASH"
	fi
	exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

poll_until() {
	local limit=$((SECONDS + $1))
	shift
	until "$@"; do
		if [ $SECONDS -ge $limit ]; then
			echo "gave up waiting for: $*"
			return 1
		fi
		sleep 0.1
	done
}

contains() {
	local file=$1 text
	shift
	for text; do
		grep -qF -- "$text" "$file" && continue
		echo "'$text' is not in $file:"
		cat "$file"
		return 1
	done
}

lacks() {
	! grep -F -- "$2" "$1"
}

free_port() {
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# ---- engine ----

api() {
	local method=$1 path=$2
	shift 2
	curl -sf --max-time 60 --unix-socket "$DOCKER_SOCKET" -X "$method" "$@" \
		"http://engine$path"
}

engine_ready() {
	"$ROOT/contrib/engine" start "$ROOT/build/engine" >&2 &&
		"$ROOT/contrib/base-image" "$BASE_IMAGE"
}

# Containers, networks and images of this server, and nothing else.
remove_owned() {
	local filters id
	[ -n "${OWNER:-}" ] || return 0
	filters="filters=%7B%22label%22%3A%5B%22slipway.owner%3D$OWNER%22%5D%7D"
	for id in $(api GET "/containers/json?all=1&$filters" | jq -r '.[].Id'); do
		api DELETE "/containers/$id?force=1&v=1" >/dev/null
	done
	for id in $(api GET "/networks?$filters" | jq -r '.[].Id'); do
		api DELETE "/networks/$id" >/dev/null
	done
	for id in $(api GET "/images/json?$filters" |
		jq -r '.[] | (.RepoTags // [])[], .Id'); do
		api DELETE "/images/$id?force=1" >/dev/null 2>&1
	done
	OWNER=
}

owned_containers() {
	api GET "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22slipway.owner%3D$OWNER%22%5D%7D"
}

count_owned() { # containers?all=1&, networks? or images?
	api GET "/$2filters=%7B%22label%22%3A%5B%22slipway.owner%3D$1%22%5D%7D" |
		jq length
}

leave_nothing() {
	local owner=$OWNER kind
	stop_server || return 1
	if pgrep -a -f "^$TRASH/prog/"; then
		echo "these still run"
		return 1
	fi
	remove_owned
	for kind in 'containers/json?all=1&' 'networks?' 'images/json?'; do
		[ "$(count_owned "$owner" "$kind")" = 0 ] && continue
		echo "left over: $kind"
		return 1
	done
}

# ---- server ----

# Programs where the two system users can reach them.
install_programs() {
	[ -d "$TRASH/prog" ] && return
	mkdir -p "$TRASH/prog"
	cp -R "$BUILD/bin" "$BUILD/libexec" "$TRASH/prog/"
	chmod -R a+rX "$TRASH/prog"
}

make_system_users() {
	[ "$(id -u)" = 0 ] || return 0
	local name
	for name in slipway slipway-git; do
		id "$name" >/dev/null 2>&1 ||
			useradd --system --user-group --no-create-home "$name"
	done
}

slipway() {
	"$TRASH/prog/bin/slipway" --socket "$SOCKET" "$@"
}

server_answers() {
	slipway version >/dev/null 2>&1 &&
		curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$HTTP_PORT/" &&
		(exec 3<>"/dev/tcp/127.0.0.1/$SSH_PORT") 2>/dev/null
}

launch_server() {
	"$TRASH/prog/bin/slipway" -c "$TRASH/slipway.conf" \
		"${SERVER_OPTIONS[@]}" serve >>"$TRASH/server.log" 2>&1 &
	SERVER_PID=$!
	if ! poll_until 30 server_answers; then
		tail -n 30 "$TRASH/server.log"
		return 1
	fi
}

# "-o a=b" arguments are kept for restarts.
start_server() {
	make_system_users
	install_programs
	engine_ready || return 1
	SSH_PORT=$(free_port)
	HTTP_PORT=$(free_port)
	SERVER_OPTIONS=("$@")
	# A network pool of our own: scripts may run side by side.
	cat >"$TRASH/slipway.conf" <<-EOF
	[slipway]
		data = $DATA
		socket = $SOCKET
	[ssh]
		listen = 127.0.0.1:$SSH_PORT
		host = 127.0.0.1
	[build]
		engine = unix://$DOCKER_SOCKET
	[router]
		listen = 127.0.0.1:$HTTP_PORT
	[deploy]
		min-free = 64m
		health-timeout = 20s
		drain-timeout = 5s
		stop-timeout = 2s
	[network]
		pool = 10.$((RANDOM % 50 + 150)).$((RANDOM % 200)).0/24
	EOF
	launch_server || return 1
	OWNER=$(sqlite3 "$DATA/slipway.db" \
		"SELECT value FROM settings WHERE key = 'owner'" 2>/dev/null)
	[ -n "$OWNER" ]
}

# Ended, waited for or not?
gone() {
	local state
	state=$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) || return 0
	[ -z "$state" ] || [ "$state" = Z ]
}

stop_server() {
	[ -n "$SERVER_PID" ] || return 0
	local pid=$SERVER_PID code=0
	SERVER_PID=
	kill "$pid" 2>/dev/null
	if ! poll_until 60 gone "$pid"; then
		echo "the server does not stop"
		kill -9 "$pid"
		code=1
	fi
	wait "$pid" 2>/dev/null
	return $code
}

restart_server() {
	stop_server || return 1
	[ $# = 0 ] || SERVER_OPTIONS=("$@")
	launch_server
}

# The pid of a part: builder, receiver or router.
part_pid() {
	pgrep -P "$SERVER_PID" -f "$1" | head -n 1
}

# ---- users and git ----

as_user() {
	USER_NAME=$1
	USER_DIR=$TRASH/home/$1
	export HOME=$USER_DIR GIT_CONFIG_GLOBAL=$USER_DIR/gitconfig
	export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 LC_ALL=C.UTF-8
	SSH_OPTIONS=(-F /dev/null -i "$USER_DIR/key" -o IdentitiesOnly=yes
		-o BatchMode=yes -o StrictHostKeyChecking=no
		-o "UserKnownHostsFile=$USER_DIR/known_hosts" -o LogLevel=ERROR)
	export GIT_SSH_COMMAND="ssh ${SSH_OPTIONS[*]}"
	URL=ssh://git@127.0.0.1:$SSH_PORT
}

new_user() {
	local name=$1
	shift
	mkdir -p "$TRASH/home/$name"
	ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$TRASH/home/$name/key" &&
		slipway users:add "$name" "$@" &&
		slipway keys:add "$name" test <"$TRASH/home/$name/key.pub" ||
		return 1
	as_user "$name"
	git config --file "$GIT_CONFIG_GLOBAL" user.name "$name"
	git config --file "$GIT_CONFIG_GLOBAL" user.email "$name@example.com"
	git config --file "$GIT_CONFIG_GLOBAL" init.defaultBranch main
	git config --file "$GIT_CONFIG_GLOBAL" advice.detachedHead false
	git config --file "$GIT_CONFIG_GLOBAL" commit.gpgsign false
}

on_ssh() {
	ssh "${SSH_OPTIONS[@]}" -p "$SSH_PORT" git@127.0.0.1 "$@"
}

# A repository with the example app whose page says VERSION.
make_app() {
	local dir=$TRASH/$1
	mkdir -p "$dir" &&
		cp -R "$ROOT/contrib/examples/hello/." "$dir" &&
		git -C "$dir" init -q &&
		echo one >"$dir/www/version.txt" &&
		commit "$1" one &&
		git -C "$dir" remote add app "$URL/$1"
}

# commit DIR MESSAGE: all there is; the message is the page's version.
commit() {
	echo "$2" >"$TRASH/$1/www/version.txt" &&
		git -C "$TRASH/$1" add -A &&
		git -C "$TRASH/$1" commit -q --allow-empty -m "$2"
}

# push DIR ARGUMENTS…: what git says is in $TRASH/out, the code is git's.
push() {
	local dir=$1
	shift
	git -C "$TRASH/$dir" push app "$@" >"$TRASH/out.raw" 2>&1
	local code=$?
	# git pads sideband lines for terminals.
	sed -e 's/[[:space:]]*$//' "$TRASH/out.raw" >"$TRASH/out"
	cat "$TRASH/out"
	return $code
}

http() {
	curl -sf --max-time 10 -H "Host: $1" "http://127.0.0.1:$HTTP_PORT${2:-/}"
}

http_status() {
	curl -s -o /dev/null -w '%{http_code}' --max-time 10 -H "Host: $1" \
		"http://127.0.0.1:$HTTP_PORT${2:-/}"
}

# Does the app's page say this version?
serves() {
	[ "$(http "$1.localhost" /version.txt)" = "$2" ]
}
