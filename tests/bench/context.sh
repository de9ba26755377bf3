#!/bin/bash
# How fast a tree becomes a build context, against `git archive` of the same
# commit.  No server takes part.
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS_CONTEXT:-7}
TOOL=$ROOT/build/${VARIANT:-release}/tests/tools/context_tool

# make_repo NAME FILES AVERAGE-SIZE LARGE-FILE-MB: text of random words
make_repo() {
	git init -q --bare "$TRASH/$1" && python3 - "$2" "$3" "$4" <<-'END' |
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
	END
		git --git-dir "$TRASH/$1" -c core.bigFileThreshold=64m \
			fast-import --quiet
}

stat_of() { # NAME: of what context_tool said
	sed -n "s/.*$1=\([0-9]*\).*/\1/p" "$TRASH/stats"
}

bench() { # FILES AVERAGE-SIZE LARGE-FILE-MB TITLE
	local repo=$TRASH/tree oid
	must make_repo tree "$1" "$2" "$3"
	oid=$(git --git-dir "$repo" rev-parse refs/heads/main)
	theirs() { git --git-dir "$repo" archive "$oid" >/dev/null; }
	ours() { "$TOOL" "$repo" "$oid" Dockerfile >/dev/null; }
	duel "$ROUNDS" : theirs ours
	"$TOOL" --stats "$repo" "$oid" Dockerfile >"$TRASH/stats"
	row "context of $4" "$RIVAL_MS" "$OURS_MS" ms 0.9
	row '  files' "$(awk "BEGIN { print $1 / $RIVAL_MS * 1000 }")" \
		"$(awk "BEGIN { print $1 / $OURS_MS * 1000 }")" 1/s ''
	row '  bytes' \
		"$(awk "BEGIN { print $(stat_of bytes) / 1000 / $RIVAL_MS }")" \
		"$(awk "BEGIN { print $(stat_of bytes) / 1000 / $OURS_MS }")" \
		MB/s ''
	row '  peak memory' - "$(awk "BEGIN { print $(stat_of peak_kb) / 1000 }")" \
		MB ''
	rm -rf "$repo"
}

bench_begin
bench 100000 1000 0 '100,000 files of 1 kB'
bench 20000 5000 0 '20,000 files of 5 kB'
bench 2000 10000 0 '2,000 files of 10 kB'
bench 100 1000 300 'one file of 300 MB'
