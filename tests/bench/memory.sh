#!/bin/bash
# What one idle, logged in connection keeps: proportional set size of its
# processes, of several connections at once.
. "$(dirname "$0")/lib.sh"

COUNT=${COUNT:-10}

# descendants PID: not itself
descendants() {
	local child
	for child in $(pgrep -P "$1"); do
		echo "$child"
		descendants "$child"
	done
}

pss_mb() { # PARENT: per connection
	local pid
	for pid in $(descendants "$1"); do
		sed -n 's/^Pss: *//p' "/proc/$pid/smaps_rollup"
	done | awk -v n="$COUNT" '{ kb += $1 } END { print kb / n / 1024 }'
}

# Masters without a command: logged in, and nothing asked.
open_all() { # NAME PORT USER
	local i
	for ((i = 0; i < COUNT; i++)); do
		ssh "${SSH_OPTIONS[@]}" -p "$2" -M -N -f -S "$TRASH/$1.$i" \
			"$3@127.0.0.1" || return 1
	done
}

close_all() { # NAME
	local i
	for ((i = 0; i < COUNT; i++)); do
		ssh -F /dev/null -S "$TRASH/$1.$i" -O exit x
	done
}

bench_begin
start_both
receiver=$(part_pid slipway-receiver)
at_exit 'close_all ours; close_all theirs'
must open_all ours "$SSH_PORT" git
must open_all theirs "$RIVAL_PORT" "$(id -un)"
[ "$(descendants "$receiver" | wc -l)" = "$COUNT" ] ||
	must false 'one session each'
row 'memory of an idle connection, logged in (PSS)' "$(pss_mb "$RIVAL_PID")" \
	"$(pss_mb "$receiver")" MB '0.8 MB'
