# tests/bench/lib.sh - sourced by every bench: a Slipway server and its rival
# (OpenSSH's sshd and git as this user, on a port of its own), and a table of
# how long both took.
#
# Never asserts on time: a bench fails only when the work it times does.  The
# two take turns in the same run, so that what else the machine does hits
# both; medians are shown, and only ratios mean something on another machine.
#
# What benches use:
#   bench_begin                    the table's head, unless run by tests/bench/run
#   must COMMAND…                  ends the bench when it fails
#   duel ROUNDS PREPARE A B        times the functions A and B, PREPARE before
#                                  each round unless it is `:`; all get the
#                                  round's number.  Sets RIVAL_MS and OURS_MS
#   row WORK RIVAL OURS UNIT AIM   ratio is OURS / RIVAL
#   start_both                     server, user, rival; see rival_* below
#   make_tree DIR FILES BYTES      a repository with that many files, that long
#   tree_cpu_ms PID…               CPU of processes and of all they waited for

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

ROUNDS=${ROUNDS:-11}
RIVAL_PID=

bench_begin() {
	[ -n "${BENCH_HEADLESS:-}" ] && return
	printf '%-52s %9s %9s %-5s %6s  %s\n' work rival slipway '' ratio aim
}

row() {
	awk -v work="$1" -v rival="$2" -v ours="$3" -v unit="$4" -v aim="$5" '
	function show(n) {
		return n == "-" ? n : sprintf(n < 10 ? "%.2f" : "%.0f", n)
	}
	BEGIN {
		ratio = "-"
		if (rival != "-" && ours != "-" && rival > 0)
			ratio = sprintf("%.2f", ours / rival)
		printf "%-52s %9s %9s %-5s %6s  %s\n", work, show(rival),
			show(ours), unit, ratio, aim
	}'
}

must() {
	"$@" >"$TRASH/must" 2>&1 && return
	echo "bench: failed: $*" >&2
	tail -n 20 "$TRASH/must" >&2
	[ -f "$TRASH/server.log" ] && tail -n 20 "$TRASH/server.log" >&2
	exit 1
}

# ---- times ----

now_us() {
	echo "${EPOCHREALTIME/./}"
}

# timed FILE COMMAND…: appends milliseconds
timed() {
	local file=$1 began ended
	shift
	began=${EPOCHREALTIME/./}
	must "$@"
	ended=${EPOCHREALTIME/./}
	awk "BEGIN { printf \"%.3f\\n\", ($ended - $began) / 1000 }" >>"$file"
}

median() { # of the numbers in a file
	sort -n "$1" | awk '{ v[NR] = $1 } END {
		print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# Round 0 warms both up and does not count.  Who goes first alternates.
duel() {
	local rounds=$1 prepare=$2 a=$3 b=$4 i
	rm -f "$TRASH/times.a" "$TRASH/times.b"
	for ((i = 0; i <= rounds; i++)); do
		must "$prepare" $i
		if [ $((i % 2)) = 0 ]; then
			timed "$TRASH/times.a" "$a" $i
			timed "$TRASH/times.b" "$b" $i
		else
			timed "$TRASH/times.b" "$b" $i
			timed "$TRASH/times.a" "$a" $i
		fi
		[ $i != 0 ] || rm "$TRASH/times.a" "$TRASH/times.b"
	done
	RIVAL_MS=$(median "$TRASH/times.a")
	OURS_MS=$(median "$TRASH/times.b")
}

# User and system time with all ended children, of processes and their
# descendants.
tree_cpu_ms() {
	local pid total=0 ticks child
	for pid; do
		ticks=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null |
			awk '{ print $12 + $13 + $14 + $15 }')
		total=$((total + ${ticks:-0} * 1000 / $(getconf CLK_TCK)))
		for child in $(pgrep -P "$pid"); do
			total=$((total + $(tree_cpu_ms "$child")))
		done
	done
	echo $total
}

# ---- the rival ----

rival_cleanup() {
	[ -n "$RIVAL_PID" ] || return 0
	kill "$RIVAL_PID"
	wait "$RIVAL_PID"
}

# Key logins of the bench's user as the user who runs this; no PAM, no DNS.
start_rival() {
	local dir=$TRASH/sshd
	RIVAL_PORT=$(free_port)
	mkdir -p "$dir"
	# Debian's sshd wants its empty folder when root starts it.
	if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then
		mkdir -m 755 /run/sshd
		at_exit 'rmdir /run/sshd'
	fi
	must ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
	cp "$USER_DIR/key.pub" "$dir/keys"
	cat >"$dir/config" <<-END
	Port $RIVAL_PORT
	ListenAddress 127.0.0.1
	HostKey $dir/host
	AuthorizedKeysFile $dir/keys
	PidFile none
	StrictModes no
	UsePAM no
	UseDNS no
	PermitRootLogin yes
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	MaxStartups 200
	LogLevel ERROR
	END
	/usr/sbin/sshd -D -f "$dir/config" -E "$dir/log" &
	RIVAL_PID=$!
	at_exit rival_cleanup
	RIVAL_URL=ssh://$(id -un)@127.0.0.1:$RIVAL_PORT$TRASH/rival
	must poll_until 10 rival_ssh true
}

rival_ssh() {
	ssh "${SSH_OPTIONS[@]}" -p "$RIVAL_PORT" "$(id -un)@127.0.0.1" "$@"
}

rival_repo() { # NAME
	git init -q --bare "$TRASH/rival/$1"
}

start_both() {
	must start_server "$@"
	must new_user alice --admin
	start_rival
}

# A repository of random words: compresses as source code does.
make_tree() {
	must git init -q "$TRASH/$1"
	must python3 - "$TRASH/$1" "$2" "$3" <<-'END'
	import os, random, sys
	root, files, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	r = random.Random(1)
	words = ["".join(r.choices("abcdefghijklmnopqrstuvwxyz",
	                           k=r.randint(3, 9))) for _ in range(3000)]
	for i in range(files):
	    path = f"{root}/src/d{i // 100}/f{i}.txt"
	    os.makedirs(os.path.dirname(path), exist_ok=True)
	    with open(path, "w") as f:
	        f.write(" ".join(r.choices(words, k=size // 7)) + "\n")
	END
	must git -C "$TRASH/$1" add -A
	must git -C "$TRASH/$1" commit -q -m base
}
