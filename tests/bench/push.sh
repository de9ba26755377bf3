#!/bin/bash
# A small push: one commit on a repository of 2,000 files, to a tag.
. "$(dirname "$0")/lib.sh"

next_commit() {
	echo "$1" >"$TRASH/app/src/d0/f0.txt" &&
		git -C "$TRASH/app" commit -q -a -m "round $1"
}

push_to() { # URL ROUND
	git -C "$TRASH/app" push -q "$1/app" "HEAD:refs/tags/t$2"
}
rival_push() { push_to "$RIVAL_URL" "$@"; }
our_push() { push_to "$URL" "$@"; }
local_push() { push_to "$TRASH/local" "$@"; }
# What we ask of git: everything checked and synced.
careful_rival() {
	git -C "$TRASH/rival/app" config receive.fsckObjects true &&
		git -C "$TRASH/rival/app" config receive.unpackLimit 1 &&
		git -C "$TRASH/rival/app" config core.fsync committed
}

bench_begin
start_both
make_tree app 2000 10000
must rival_repo app
must git init -q --bare "$TRASH/local/app"
must rival_push base
must our_push base
must local_push base

prepare() { next_commit "a$1"; }
rival() { rival_push "a$1"; }
ours() { our_push "a$1"; }
duel "$ROUNDS" prepare rival ours
row 'small push: one commit to a tag, 2,000 files' "$RIVAL_MS" "$OURS_MS" ms 0.20

must careful_rival
prepare() { next_commit "b$1"; }
rival() { rival_push "b$1"; }
ours() { our_push "b$1"; }
duel "$ROUNDS" prepare rival ours
row '  rival with fsck and sync as ours' "$RIVAL_MS" "$OURS_MS" ms ''

prepare() { next_commit "c$1"; }
rival() { local_push "c$1"; }
ours() { our_push "c$1"; }
duel "$ROUNDS" prepare rival ours
row '  against a push to a local path, without SSH' "$RIVAL_MS" "$OURS_MS" ms ''
