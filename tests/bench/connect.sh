#!/bin/bash
# Connect, log in, do the least; and the least that git asks.
. "$(dirname "$0")/lib.sh"

rival_true() { rival_ssh true </dev/null; }
our_version() { on_ssh version </dev/null; }
# A plain login shows a greeting and ends with 0 or 1; nothing is started.
our_greeting() { on_ssh </dev/null | grep -q alice; }
rival_list() { git ls-remote "$RIVAL_URL/app"; }
our_list() { git ls-remote "$URL/app"; }
seed() {
	git -C "$TRASH/app" push -q "$RIVAL_URL/app" HEAD:refs/tags/base &&
		git -C "$TRASH/app" push -q "$URL/app" HEAD:refs/tags/base
}

# The rival's default key exchange costs the client alone some 90 ms.
with_curve25519() {
	SSH_OPTIONS+=(-o KexAlgorithms=curve25519-sha256)
	export GIT_SSH_COMMAND="ssh ${SSH_OPTIONS[*]}"
}

bench_begin
start_both
must make_app app
must rival_repo app
must seed

duel "$ROUNDS" : rival_true our_greeting
row 'connect, log in: `true` / greeting' "$RIVAL_MS" "$OURS_MS" ms 0.12
duel "$ROUNDS" : rival_true our_version
row 'connect, log in, exec: `true` / `version`' "$RIVAL_MS" "$OURS_MS" ms ''
duel "$ROUNDS" : rival_list our_list
row 'git ls-remote' "$RIVAL_MS" "$OURS_MS" ms ''
with_curve25519
duel "$ROUNDS" : rival_true our_greeting
row '  `true` / greeting, client forced to curve25519' "$RIVAL_MS" "$OURS_MS" \
	ms ''
duel "$ROUNDS" : rival_list our_list
row '  git ls-remote, client forced to curve25519' "$RIVAL_MS" "$OURS_MS" ms ''
