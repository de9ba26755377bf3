#!/bin/bash
# Foreign clients each deploy once; several channels share a connection; a
# large pack passes through in little memory.
. "$(dirname "$0")/lib.sh"

PYTHON=/usr/bin/python3 # the distribution's, which has dulwich and paramiko

# give_key NAME TYPE BITS: another key of alice in $TRASH/keys/NAME.
give_key() {
	mkdir -p "$TRASH/keys" &&
		ssh-keygen -q -t "$2" ${3:+-b "$3"} -m PEM -N '' -C "$1" \
			-f "$TRASH/keys/$1" &&
		slipway keys:add alice "$1" <"$TRASH/keys/$1.pub"
}

test_expect_success 'a server, a user with keys of every kind' '
	start_server && new_user alice --admin && make_app shop &&
	give_key ecdsa256 ecdsa 256 && give_key ecdsa384 ecdsa 384 &&
	give_key ecdsa521 ecdsa 521 && give_key rsa rsa 3072
'

test_expect_success 'OpenSSH deploys with ecdsa and rsa keys' '
	for key in ecdsa256 ecdsa384 ecdsa521 rsa; do
		commit shop $key &&
		GIT_SSH_COMMAND="${GIT_SSH_COMMAND/home\/alice\/key/keys\/$key}" \
			git -C "$TRASH/shop" push app main >"$TRASH/out" 2>&1 &&
		serves shop $key || return 1
	done
'

test_expect_success 'dbclient deploys' '
	dropbearkey -t ed25519 -f "$TRASH/keys/dropbear" >"$TRASH/keys/said" &&
	grep ^ssh- "$TRASH/keys/said" | slipway keys:add alice dropbear &&
	printf "#!/bin/sh\nexec dbclient -y -y -i %s \"\$@\"\n" \
		"$TRASH/keys/dropbear" >"$TRASH/keys/db" &&
	chmod +x "$TRASH/keys/db" && commit shop dbclient &&
	env -u GIT_SSH_COMMAND GIT_SSH="$TRASH/keys/db" GIT_SSH_VARIANT=simple \
		git -C "$TRASH/shop" push "git@127.0.0.1:shop" main \
		>"$TRASH/out" 2>&1 ||
	env -u GIT_SSH_COMMAND GIT_SSH="$TRASH/keys/db" GIT_SSH_VARIANT=ssh \
		git -C "$TRASH/shop" push app main >"$TRASH/out" 2>&1 &&
	serves shop dbclient
'

test_expect_success 'plink deploys' '
	puttygen "$TRASH/keys/rsa" -O private -o "$TRASH/keys/rsa.ppk" &&
	host=$(ssh-keyscan -t ed25519 -p "$SSH_PORT" 127.0.0.1 2>/dev/null |
		ssh-keygen -lf - | cut -d" " -f2) && commit shop plink &&
	GIT_SSH_VARIANT=plink \
	GIT_SSH_COMMAND="plink -batch -hostkey $host -i $TRASH/keys/rsa.ppk" \
		git -C "$TRASH/shop" push app main >"$TRASH/out" 2>&1 &&
	serves shop plink
'

test_expect_success 'dulwich with paramiko deploys' '
	commit shop dulwich &&
	"$PYTHON" - "$TRASH/shop" "$URL/shop" "$TRASH/keys/rsa" \
		>"$TRASH/out" 2>&1 <<-\EOF &&
	import sys
	import paramiko
	from dulwich import client, porcelain
	from dulwich.contrib.paramiko_vendor import ParamikoSSHVendor
	repository, url, key = sys.argv[1:]
	class Vendor(ParamikoSSHVendor):
	    def run_command(self, *args, ssh_command=None, **kwargs):
	        return super().run_command(*args, **kwargs)
	client.get_ssh_vendor = Vendor
	porcelain.push(repository, url, "refs/heads/main",
	               key_filename=key, errstream=sys.stdout.buffer)
	EOF
	contains "$TRASH/out" "is live" && serves shop dulwich
'

test_expect_success 'JGit deploys' '
	jars=$(echo /usr/share/java/org.eclipse.jgit.jar \
		/usr/share/java/slf4j-api.jar /usr/share/java/slf4j-nop.jar \
		/usr/share/java/javaewah.jar /usr/share/java/jsch.jar |
		tr " " :) &&
	javac -cp "$jars" -d "$TRASH/java" "$ROOT/tests/e2e/tools/JgitPush.java" &&
	printf "#!/bin/sh\nexec %s \"\$@\"\n" "$GIT_SSH_COMMAND" \
		>"$TRASH/keys/ssh" && chmod +x "$TRASH/keys/ssh" &&
	commit shop jgit &&
	GIT_SSH="$TRASH/keys/ssh" java -cp "$TRASH/java:$jars" JgitPush \
		"$TRASH/shop" "$URL/shop" refs/heads/main >"$TRASH/out" 2>&1 &&
	contains "$TRASH/out" "is live" "OK refs/heads/main" &&
	serves shop jgit
'

test_expect_success 'a push and five commands share one connection' '
	master=(-o ControlPath="$TRASH/cm" -o ControlMaster=auto
		-o ControlPersist=30) &&
	ssh "${SSH_OPTIONS[@]}" "${master[@]}" -p "$SSH_PORT" git@127.0.0.1 \
		version && commit shop shared &&
	pids= &&
	for i in 1 2 3 4 5; do
		ssh "${SSH_OPTIONS[@]}" "${master[@]}" -p "$SSH_PORT" \
			git@127.0.0.1 apps:list >"$TRASH/list$i" &
		pids="$pids $!"
	done
	GIT_SSH_COMMAND="$GIT_SSH_COMMAND ${master[*]}" \
		git -C "$TRASH/shop" push app main >"$TRASH/out" 2>&1 &&
	wait $pids &&
	for i in 1 2 3 4 5; do
		contains "$TRASH/list$i" shop || return 1
	done
	[ "$(pgrep -P "$(part_pid slipway-receiver)" | wc -l)" = 1 ] &&
	ssh "${SSH_OPTIONS[@]}" "${master[@]}" -p "$SSH_PORT" -O exit \
		git@127.0.0.1 &&
	serves shop shared
'

# The most that any of our processes has had in memory, in MiB.
peak() {
	local pid most=0 kib
	for pid in $(pgrep -P "$(pgrep -d, -P $SERVER_PID),$SERVER_PID"); do
		[[ $(readlink "/proc/$pid/exe") == "$TRASH"/* ]] || continue
		kib=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
		[ "${kib:-0}" -gt "$most" ] && most=$kib
	done
	echo $((most / 1024))
}

# Sanitizers keep what was freed for a while.
most_allowed=100
[ "$VARIANT" != asan ] || most_allowed=450

test_expect_success 'a pack of 500 MB passes through in little memory' '
	head -c 500000000 /dev/urandom >"$TRASH/shop/large.bin" &&
	echo large.bin >>"$TRASH/shop/.dockerignore" &&
	commit shop large &&
	git -C "$TRASH/shop" -c pack.compression=0 -c core.compression=0 \
		push app main >"$TRASH/out" 2>&1 &
	client=$!
	most=0
	while kill -0 $client 2>/dev/null; do
		now=$(peak)
		[ "$now" -gt "$most" ] && most=$now
		sleep 0.1
	done
	wait $client && echo "peak: $most MiB" && cat "$TRASH/out" &&
	serves shop large && [ "$most" -gt 0 ] && [ "$most" -lt "$most_allowed" ]
'

test_done
