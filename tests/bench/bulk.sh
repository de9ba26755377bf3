#!/bin/bash
# A push of 200 MB that does not compress: how fast it is received.
. "$(dirname "$0")/lib.sh"

MIB=${MIB:-200}
ROUNDS=${ROUNDS_BULK:-3}

# Stored as one pack, so that the client only copies it.
make_bulk() {
	git init -q "$TRASH/bulk" &&
		git -C "$TRASH/bulk" config core.compression 0 &&
		git -C "$TRASH/bulk" config pack.window 0 &&
		python3 -c "
import os
for i in range($MIB):
    open('$TRASH/bulk/f%d' % i, 'wb').write(os.urandom(1 << 20))" &&
		git -C "$TRASH/bulk" add -A &&
		git -C "$TRASH/bulk" commit -q -m bulk &&
		git -C "$TRASH/bulk" repack -q -a -d
}

# Both begin with an empty repository.
fresh() {
	rm -rf "$TRASH/rival/bulk"
	rival_repo bulk || return 1
	if [ -n "$careful" ]; then
		git -C "$TRASH/rival/bulk" config receive.fsckObjects true &&
			git -C "$TRASH/rival/bulk" config receive.unpackLimit 1 &&
			git -C "$TRASH/rival/bulk" config core.fsync committed ||
			return 1
	fi
	slipway apps:destroy bulk --force
	slipway apps:create bulk
}

push_to() { # URL
	git -C "$TRASH/bulk" push -q "$1/bulk" HEAD:refs/tags/bulk
}
rival() { push_to "$RIVAL_URL"; }
ours() { push_to "$URL"; }

with_cipher() {
	export GIT_SSH_COMMAND="ssh ${SSH_OPTIONS[*]} -c $1"
}

speed() {
	awk "BEGIN { print $MIB * 1000 / $1 }"
}

measure() { # TITLE AIM
	duel "$ROUNDS" fresh rival ours
	row "$1" "$(speed "$RIVAL_MS")" "$(speed "$OURS_MS")" MiB/s "$2"
}

bench_begin
start_both
must make_bulk
with_cipher chacha20-poly1305@openssh.com
careful=
measure "push of $MIB MB, chacha20" ''
careful=1
measure '  rival with fsck and sync as ours' 1.4
with_cipher aes128-gcm@openssh.com
measure '  the same, aes128-gcm' 1.4
