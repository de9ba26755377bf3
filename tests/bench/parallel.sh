#!/bin/bash
# Twenty pushes to twenty apps at once: how long, and what it costs the server.
. "$(dirname "$0")/lib.sh"

PUSHES=${PUSHES:-20}
ROUNDS=${ROUNDS_PARALLEL:-5}

next_commit() {
	echo "$1" >"$TRASH/app/src/d0/f0.txt" &&
		git -C "$TRASH/app" commit -q -a -m "round $1"
}

push_all() { # URL ROUND
	local i pids=() pid code=0
	for ((i = 1; i <= PUSHES; i++)); do
		git -C "$TRASH/app" push -q "$1/app$i" "HEAD:refs/tags/t$2" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || code=1
	done
	return $code
}

# The last session may still be ending when its client is gone.
settle() {
	sleep 0.3
}

cpu_of() { # FILE PID COMMAND…
	local file=$1 pid=$2 before
	shift 2
	before=$(tree_cpu_ms "$pid")
	"$@" || return 1
	settle
	echo $(($(tree_cpu_ms "$pid") - before)) >>"$file"
}

seed() {
	local i
	for ((i = 1; i <= PUSHES; i++)); do
		rival_repo "app$i" &&
			git -C "$TRASH/app" push -q "$RIVAL_URL/app$i" \
				HEAD:refs/tags/base &&
			git -C "$TRASH/app" push -q "$URL/app$i" \
				HEAD:refs/tags/base || return 1
	done
}

bench_begin
start_both
make_tree app 2000 1000
must seed
rival() { push_all "$RIVAL_URL" "a$1"; }
ours() { push_all "$URL" "a$1"; }
prepare() { next_commit "a$1"; }
duel "$ROUNDS" prepare rival ours
row "$PUSHES pushes at once, until the last has ended" "$RIVAL_MS" "$OURS_MS" \
	ms 0.25

rival() { cpu_of "$TRASH/cpu.a" "$RIVAL_PID" push_all "$RIVAL_URL" "b$1"; }
ours() { cpu_of "$TRASH/cpu.b" "$SERVER_PID" push_all "$URL" "b$1"; }
prepare() { next_commit "b$1"; }
duel "$ROUNDS" prepare rival ours
row "  CPU of the server for these" "$(median "$TRASH/cpu.a")" \
	"$(median "$TRASH/cpu.b")" ms ''
