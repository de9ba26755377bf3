#!/bin/bash
# How fast a tree becomes a build context, against `git archive` on the same
# repository in the same run, taking turns; medians.  Aim: 0.9 or less.
#
# Usage: tests/bench/context-bench.sh [ROUNDS]

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
TOOL=$PWD/build/${VARIANT:-release}/tests/tools/context_tool
ROUNDS=${1:-7}
DIR=$(mktemp -d "${TMPDIR:-/tmp}/slipway-bench.XXXXXX")
trap 'rm -rf "$DIR"' EXIT
trap 'exit 1' INT TERM
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C.UTF-8

# make_repo NAME FILES AVERAGE-SIZE LARGE-FILE-MB: text of random words
make_repo() {
	git init -q --bare "$DIR/$1"
	python3 - "$2" "$3" "$4" <<'EOF' |
import random, sys
count, average, large = map(int, sys.argv[1:])
r = random.Random(1)
o = sys.stdout.buffer
words = [bytes(r.choices(b'abcdefghijklmnopqrstuvwxyz', k=r.randint(3, 9)))
         for _ in range(3000)]
def put(path, data):
    o.write(b'M 100644 inline %s\ndata %d\n%s\n' % (path, len(data), data))
o.write(b'commit refs/heads/main\n'
        b'committer a <a@example.com> 1700000000 +0000\ndata 1\nm\n')
put(b'Dockerfile', b'FROM scratch\nCOPY . /\n')
for i in range(count):
    size = max(20, int(r.expovariate(1 / average)))
    text = b' '.join(r.choices(words, k=size // 7 + 1))[:size]
    put(b'pkg%d/mod%d/file%d.js' % (i // 2000, i // 100, i), text)
if large:
    put(b'large.bin', b''.join(r.randbytes(1 << 20) for _ in range(large)))
EOF
	git --git-dir "$DIR/$1" -c core.bigFileThreshold=64m \
		fast-import --quiet
}

# Microseconds of a command, its output thrown away.
timed() {
	local began=${EPOCHREALTIME/./}
	"$@" >/dev/null
	echo $((${EPOCHREALTIME/./} - began))
}

median() {
	sort -n | sed -n "$(((ROUNDS + 1) / 2))p"
}

bench() {
	local name=$1 repo=$DIR/$1 files=$2 oid i stats
	make_repo "$@"
	oid=$(git --git-dir "$repo" rev-parse refs/heads/main)
	for ((i = 0; i < ROUNDS; i++)); do
		timed git --git-dir "$repo" archive --format=tar "$oid" \
			>>"$DIR/theirs"
		timed "$TOOL" "$repo" "$oid" Dockerfile >>"$DIR/ours"
	done
	stats=$("$TOOL" --stats "$repo" "$oid" Dockerfile)
	awk -v name="$name" -v files="$files" -v ours="$(median <"$DIR/ours")" \
		-v theirs="$(median <"$DIR/theirs")" -v stats="$stats" '
	BEGIN {
		match(stats, /bytes=[0-9]+/)
		bytes = substr(stats, RSTART + 6, RLENGTH - 6)
		match(stats, /peak_kb=[0-9]+/)
		peak = substr(stats, RSTART + 8, RLENGTH - 8)
		printf "%-12s %8d %8.0f %9.0f %9.0f %8.2f %9.0f %8.1f\n",
			name, files, theirs / 1000, ours / 1000,
			files / ours * 1e6, ours / theirs, bytes / ours,
			peak / 1000
	}'
	rm -rf "$repo" "$DIR/ours" "$DIR/theirs"
}

printf '%-12s %8s %8s %9s %9s %8s %9s %8s\n' tree files 'git ms' 'ours ms' \
	files/s ratio MB/s 'peak MB'
bench small 100000 1000 0
bench medium 20000 5000 0
bench few 2000 10000 0
bench large 100 1000 300
