#!/bin/bash
# The SSH receiver against stock clients, with a stand-in for the builder.
#
#     VARIANT=asan tests/e2e/receiver.sh
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/e2e/tools/tap.sh"
B=$top/build/${VARIANT:-release}
receiver=$B/bin/slipway-receiver
# Debian's, which has paramiko and dulwich.
python=/usr/bin/python3
client="$python $top/tests/doubles/ssh_client.py"
# A session's memory; AddressSanitizer needs more, and keeps what was freed.
max_kb=24000
if nm -D "$receiver" | grep -q __asan_init; then
	max_kb=120000
	export ASAN_OPTIONS=quarantine_size_mb=4
fi
# The pack of the memory test, in MB; 500 is what is promised.
big_mb=${RECEIVER_BIG_MB:-500}

T=$(mktemp -d "${TMPDIR:-/tmp}/slipway-receiver.XXXXXX")
pids=

cleanup() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$T"
}
trap cleanup EXIT

# start_receiver NAME KEY=VALUE…: sets $port and $pid; its log is NAME.log
start_receiver() {
	local name=$1
	shift
	log=$T/$name.log
	: >"$log"
	$python - "$T" "$receiver" "$log" "$@" <<'PY' &
import os, sys
t, program, log = sys.argv[1:4]
fd = os.memfd_create("config", 0)
pairs = ["slipway.data=%s/data" % t, "slipway.socket=%s/sock" % t,
         "ssh.listen=127.0.0.1:0", "slipway.log-level=debug"] + sys.argv[4:]
os.write(fd, b"".join(p.encode() + b"\0" for p in pairs))
os.lseek(fd, 0, 0)
os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), 2)
os.dup2(fd, 3, True)
os.environ["LEAKED"] = "from-the-start"
os.execv(program, [program, "--config-fd", "3", "--hooks", t + "/hooks"])
PY
	pid=$!
	pids="$pids $pid"
	wait_for 20 grep -q 'listening on' "$log" || return 1
	port=$(sed -n 's/.*listening on 127.0.0.1:\([0-9]*\).*/\1/p' "$log")
}

stop_receiver() {
	kill "$1"
	wait "$1"
}

ssh_options="-F /dev/null -o StrictHostKeyChecking=no -o BatchMode=yes
	-o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes
	-o IdentityAgent=none"

# as KEY ARGUMENTS…: ssh with that key to $port.  A program, so that `kill $!`
# reaches it.
mkdir "$T/bin"
cat >"$T/bin/as" <<END
#!/bin/sh
key=\$1
shift
exec timeout --foreground 60 ssh $(echo $ssh_options) \\
	-o LogLevel=\${log_level:-ERROR} -i "$T/\$key" -p "\$port" "\$@"
END
chmod +x "$T/bin/as"
PATH=$T/bin:$PATH
export port

# at APP: its URL
at() {
	echo "ssh://git@127.0.0.1:$port/$1"
}

session_pids() {
	pgrep -P "$pid"
}

has_session() {
	[ -n "$(session_pids)" ]
}

has_sessions() {
	[ "$(session_pids | wc -l)" = "$1" ]
}

no_sessions() {
	[ -z "$(session_pids)" ]
}

# A zombie counts as gone: its parent, the shell, reaps it later.
is_gone() {
	[ ! -e "/proc/$1" ] || grep -q "^State:.*Z" "/proc/$1/status"
}

# What git receive-pack has started, in a session of $pid.
unpackers() {
	pgrep -P "$(pgrep -d, -P "$(session_pids | paste -s -d,)")"
}

# watch_memory PID KB: until PID ends well; no session may ever hold more
watch_memory() {
	local peak=0 kb s
	while kill -0 "$1" 2>/dev/null; do
		for s in $(session_pids); do
			kb=$(high_water_kb "$s" 2>/dev/null) || continue
			[ "${kb:-0}" -le $peak ] || peak=$kb
		done
		sleep 0.1
	done
	wait "$1" || return 1
	echo "peak $peak kB"
	[ $peak -gt 0 ] && [ $peak -lt "$2" ]
}

high_water_kb() {
	awk '/^VmHWM/ { print $2 }' "/proc/$1/status"
}

mkdir -p "$T/data/repos" "$T/hooks"
: >"$T/keys"
for type in ed25519 ecdsa rsa; do
	ssh-keygen -q -t $type -N '' -C '' -f "$T/$type"
	awk '{ print $1, $2, "alice" }' "$T/$type.pub" >>"$T/keys"
done
ssh-keygen -q -t ed25519 -N '' -C '' -f "$T/unknown"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$T/ca"

# A hook that accepts everything and tells what it sees.
cat >"$T/hooks/proc-receive" <<'PY'
#!/usr/bin/python3
import os, socket, subprocess, sys, time
home = os.path.dirname(os.environ["SLIPWAY_SOCKET"])
repos = home + "/data/repos"
git_in, git_out = sys.stdin.buffer, sys.stdout.buffer
def read():
    n = int(git_in.read(4), 16)
    return git_in.read(n - 4) if n else None
def write(data):
    git_out.write(b"%04x" % (len(data) + 4) + data)
def flush():
    git_out.write(b"0000")
    git_out.flush()
version = read()
while read() is not None:
    pass
has_options = b"push-options" in version
write(b"version=1\0push-options atomic" if has_options else b"version=1")
flush()
updates = list(iter(read, None))
options = list(iter(read, None)) if has_options else []
with open(repos + "/seen-env", "w") as f:
    f.write("\n".join(sorted(os.environ)))
with open(repos + "/seen-options", "wb") as f:
    f.write(b"\n".join(options))
with open(repos + "/seen-limits", "w") as f:
    for what in (lambda: open("/etc/shadow"), lambda: open(home + "/keys"),
                 lambda: open("/proc/self/environ"),
                 lambda: socket.socket(socket.AF_INET)):
        try:
            what()
            f.write("allowed\n")
        except OSError as e:
            f.write("refused %d\n" % e.errno)
print("-----> deploying %s for %s" % (os.environ["SLIPWAY_APP"],
                                      os.environ["SLIPWAY_USER"]),
      file=sys.stderr, flush=True)
for option in options:
    if option.startswith(b"sleep="):
        time.sleep(float(option[6:]))
for update in updates:
    old, new, ref = update.rstrip(b"\n").split(b" ")
    words = [ref, new] if new.strip(b"0") else ["-d", ref]
    code = subprocess.run(["git", "update-ref"] + words).returncode
    write((b"ng %s failed" if code else b"ok %s") % ref)
open(repos + "/hook-ended", "w").close()
flush()
PY
chmod +x "$T/hooks/proc-receive"

$python "$top/tests/doubles/fake_builder.py" "$T" "$T/sock" &
pids="$pids $!"
wait_for 10 test -S "$T/sock"

export GIT_CONFIG_GLOBAL=$T/gitconfig GIT_CONFIG_NOSYSTEM=1
export GIT_SSH_VARIANT=ssh
export GIT_SSH_COMMAND="ssh $(echo $ssh_options) -o LogLevel=ERROR -i $T/ed25519"
git config --global user.name Test
git config --global user.email test@example.com
git config --global init.defaultBranch main
git init -q "$T/work"
(cd "$T/work" && for i in 1 2 3; do
	echo "$i" >file && git add file && git commit -q -m "commit $i"
done)

# ---- logging in ----

start_receiver first || { echo "Bail out! the receiver does not start"; exit 1; }
first=$pid
first_port=$port

test_expect_success 'host keys are made, for the owner only' '
	test "$(stat -c %a data/ssh/ssh_host_*_key | sort -u)" = 600
	test "$(ls data/ssh/ssh_host_*_key | wc -l)" = 3
'

test_expect_success 'all three host keys are offered' '
	ssh-keyscan -p $port -t ed25519,ecdsa,rsa 127.0.0.1 >scanned
	test "$(wc -l <scanned)" = 3
'

for type in ed25519 ecdsa rsa; do
	test_expect_success "a known $type key logs in" '
		as '$type' git@127.0.0.1 echo a >out
		grep "\"user\": \"alice\"" out
	'
done

test_expect_success 'a FIDO key logs in' '
	mkfifo go
	$client $port sk <go >token &
	sk=$!
	exec 9>go
	wait_for 10 test -s token
	awk "{ print \$1, \$2, \"token\" }" token >>keys
	echo >&9
	wait $sk
	grep "\"user\": \"token\"" token
'

test_expect_success 'the builder gets the whole key and its fingerprint' '
	key=$(cut -d" " -f1,2 ed25519.pub)
	print=$(ssh-keygen -lf ed25519.pub | cut -d" " -f2)
	grep -F "\"key\": \"$key\"" requests.log | grep -F "$print"
'

test_expect_success 'an unknown key is refused' '
	test_must_fail as unknown git@127.0.0.1 true 2>err
	grep "Permission denied (publickey)" err
	grep "is not known" first.log
'

test_expect_success 'passwords are not offered' '
	test_must_fail ssh $ssh_options -o PubkeyAuthentication=no \
		-p $port git@127.0.0.1 2>err
	grep "(publickey)" err
'

test_expect_success 'another user name is refused, and says so' '
	test_must_fail env log_level=INFO as ed25519 root@127.0.0.1 true 2>err
	grep "log in as user git" err
'

test_expect_success 'a short RSA key is refused at once' '
	ssh-keygen -q -t rsa -b 1024 -N "" -C "" -f short
	awk "{ print \$1, \$2, \"mallory\" }" short.pub >>keys
	began=$SECONDS
	test_must_fail as short -o RequiredRSASize=1024 git@127.0.0.1 true
	test $((SECONDS - began)) -lt 5
	grep "key of type ssh-rsa refused" first.log
'

test_expect_success 'a certificate is refused, its plain key is not' '
	ssh-keygen -q -s ca -I id -n git ed25519.pub
	$client $port certificate ed25519 >out
	grep refused out
	grep "key of type ssh-ed25519-cert-v01@openssh.com refused" first.log
	as ed25519 git@127.0.0.1 echo a >out
	grep alice out
'
rm -f "$T"/ed25519-cert.pub

test_expect_success 'after six refused keys the connection ends' '
	set --
	for i in 1 2 3 4 5 6 7; do
		ssh-keygen -q -t ed25519 -N "" -C "" -f many$i
		set -- "$@" -i many$i
	done
	test_must_fail ssh $ssh_options "$@" -i ed25519 -p $port \
		git@127.0.0.1 true 2>err
	grep -i "too many keys refused" err
	wait_for 5 grep "Too many keys refused" first.log
'

test_expect_success 'old algorithms are not offered' '
	for option in KexAlgorithms=diffie-hellman-group14-sha1 \
		KexAlgorithms=diffie-hellman-group14-sha256 \
		Ciphers=aes128-cbc HostKeyAlgorithms=ssh-rsa; do
		test_must_fail as ed25519 -o $option git@127.0.0.1 true
	done
	test_must_fail as ed25519 -o Ciphers=aes128-ctr -o MACs=hmac-sha1 \
		git@127.0.0.1 true
'

for cipher in chacha20-poly1305@openssh.com aes128-gcm@openssh.com \
	aes256-gcm@openssh.com aes128-ctr; do
	test_expect_success "cipher $cipher works" '
		as ed25519 -c '$cipher' git@127.0.0.1 fill 3000000 >out
		test "$(wc -c <out)" = 3000000
	'
done

# ---- sessions ----

test_expect_success 'a plain login is greeted' '
	as ed25519 git@127.0.0.1 >out </dev/null
	grep "Hello alice" out
	grep "help" out
	grep "git push" out
	test_must_fail grep -q "$(printf "\r")" out
'

test_expect_success 'with a terminal, lines end in CR LF' '
	as ed25519 -tt git@127.0.0.1 >out </dev/null
	test "$(grep -c "$(printf "\r")\$" out)" = "$(wc -l <out)"
'

words='run "a b" c\ d '\''$HOME *'\'' ; id'
test_expect_success 'a command arrives as words, unexpanded' '
	as ed25519 git@127.0.0.1 "$words" >out
	grep -F "[\"run\", \"a b\", \"c d\", \"\$HOME *\", \";\", \"id\"]" out
'

test_expect_success 'exit status and standard error arrive' '
	code=0
	as ed25519 git@127.0.0.1 fail 7 >out 2>err || code=$?
	test $code = 7
	grep "it failed" err
	test ! -s out
'

test_expect_success 'input is passed on, and its end' '
	head -c 5000000 /dev/urandom >random
	as ed25519 git@127.0.0.1 cat <random >out
	cmp random out
'

test_expect_success 'a command ends when its client does' '
	as ed25519 git@127.0.0.1 tail >out &
	tail=$!
	wait_for 10 grep -q "line 3" out
	kill $tail
	wait_for 10 no_sessions
'

test_expect_success '^C at a terminal ends a command' '
	code=0
	{ sleep 2; printf "\003"; sleep 5; } |
	as ed25519 -tt git@127.0.0.1 tail >out || code=$?
	test $code = 130
'

test_expect_success 'a builder that goes away is reported' '
	test_must_fail as ed25519 git@127.0.0.1 vanish 2>err
	grep "went away" err
'

test_expect_success 'broken command lines are refused' '
	test_must_fail as ed25519 git@127.0.0.1 "echo \"a" 2>err
	grep "unfinished" err
	test_must_fail as ed25519 git@127.0.0.1 "echo $(printf "\001")"
	test_must_fail as ed25519 git@127.0.0.1 "echo $(printf "\377")"
'

test_expect_success 'subsystems, forwarding and agents are refused' '
	test_must_fail as ed25519 -s git@127.0.0.1 sftp
	test_must_fail as ed25519 -o ExitOnForwardFailure=yes \
		-R 2200:127.0.0.1:1 -N git@127.0.0.1
	test_must_fail as ed25519 -W 127.0.0.1:22 git@127.0.0.1
'

test_expect_success 'several channels of one connection work at once' '
	as ed25519 -M -S "$T/mux" -f -N git@127.0.0.1
	for i in 1 2 3 4 5 6; do
		as ed25519 -S "$T/mux" git@127.0.0.1 cat <random >mux$i &
		list="${list-} $!"
	done
	for one in $list; do wait $one; done
	for i in 1 2 3 4 5 6; do cmp random mux$i; done
	test "$(session_pids | wc -l)" = 1
	as ed25519 -S "$T/mux" -O exit git@127.0.0.1
'

test_expect_success 'no more than ssh.max-channels of them' '
	test "$($client $port channels ed25519 15)" = 10
'

# ---- git ----

test_expect_success 'the first push creates the app' '
	cd work
	git push "$(at shop)" main 2>err
	grep "created app .shop." err
	grep "remote: -----> deploying shop for alice" err
	test "$(git -C ../data/repos/shop.git rev-parse main)" = \
		"$(git rev-parse main)"
'

test_expect_success 'the hook sees our environment and nothing else' '
	printf "%s\n" GIT_ATTR_NOSYSTEM GIT_CONFIG_GLOBAL \
		GIT_CONFIG_NOSYSTEM GIT_CONFIG_PARAMETERS GIT_DIR \
		GIT_EXEC_PATH GIT_TERMINAL_PROMPT HOME LC_ALL PATH \
		SLIPWAY_APP SLIPWAY_FINGERPRINT SLIPWAY_SOCKET SLIPWAY_USER |
		sort >expected
	# These three are made by git or follow from the request.
	grep -v -e GIT_PROTOCOL -e GIT_PUSH_OPTION -e LC_CTYPE \
		data/repos/seen-env | sort >got
	diff expected got
'

test_expect_success 'git is confined: files, network, privileges' '
	test "$(grep -c "refused 13" data/repos/seen-limits)" = 4
	as ed25519 git@127.0.0.1 tail >/dev/null 2>&1 &
	tail=$!
	wait_for 10 has_session
	cat /proc/$(session_pids | tail -1)/status >status
	kill $tail
	grep "NoNewPrivs:.*1" status
	grep "Seccomp:.*2" status
'

test_expect_success 'a clone comes back, with protocol version 2' '
	GIT_TRACE_PACKET=$T/trace git -c protocol.version=2 \
		clone -q "$(at shop)" clone
	test "$(git -C clone rev-parse HEAD)" = "$(git -C work rev-parse main)"
	grep "version 2" trace
'

for version in 0 1; do
	test_expect_success "protocol version $version works, too" '
		rm -rf clone
	git -c protocol.version='$version' \
			clone -q "$(at shop)" clone
		test -f clone/file
	'
done

for form in shop.git /shop '~/shop' shop/ "'shop'"; do
	test_expect_success "an app may be written $form" '
		as ed25519 git@127.0.0.1 "git-upload-pack '"$form"'" </dev/null \
			>out 2>err || :
		grep -a refs/heads/main out
	'
done

test_expect_success 'git SERVICE is the same as git-SERVICE' '
	as ed25519 git@127.0.0.1 "git upload-pack shop" </dev/null >out || :
	grep -a refs/heads/main out
'

test_expect_success 'no path, option or second command gets to git' '
	before=$(grep -c authorize requests.log)
	q="'\''"
	for line in "git-receive-pack $q../../etc$q" \
		"git-receive-pack /etc/passwd" "git-upload-pack -x" \
		"git-upload-pack --help" "git-receive-pack .git" \
		"git-upload-pack ${q}shop$q;id" "git-upload-pack shop id" \
		"git-upload-pack" "git-upload-archive a/b" \
		"git-receive-pack $q\$(id)$q"; do
		test_must_fail as ed25519 git@127.0.0.1 "$line" </dev/null \
			>out 2>err
		grep "slipway: " err
	done
	test "$(grep -c authorize requests.log)" = "$before"
'

test_expect_success 'the environment of a client does not reach git' '
	cd work
	echo e >env
	git add env
	git commit -q -m env
	GIT_SSH_COMMAND="$GIT_SSH_COMMAND -o SetEnv=\"GIT_TRACE=1 A=1\"" \
		git push -q "$(at shop)" main
	as ed25519 -o SetEnv="GIT_PROTOCOL=version=2;id" git@127.0.0.1 true
	test_must_fail grep -e GIT_TRACE -e LEAKED -e ^A= ../data/repos/seen-env
'

test_expect_success 'push options, atomic, tags, force, deletion' '
	cd work
	git tag v1
	git branch other HEAD~1
	git push -q --atomic -o one -o "two words" "$(at shop)" main v1 other
	printf "one\ntwo words" | cmp - ../data/repos/seen-options
	git push -q -f "$(at shop)" HEAD~2:other
	git push -q "$(at shop)" :other
	git ls-remote "$(at shop)" >refs
	grep refs/tags/v1 refs
	test_must_fail grep other refs
'

test_expect_success 'a shallow clone may push' '
	rm -rf shallow
	git clone -q --depth 1 "$(at shop)" shallow
	cd shallow
	echo s >s
	git add s
	git commit -q -m s
	git push -q "$(at shop)" main
'

test_expect_success 'git archive --remote works' '
	git archive --remote="$(at shop)" main | tar t >out
	grep file out
'

test_expect_success 'an app one may not see is not found' '
	touch deny-secret
	test_must_fail git clone "$(at secret)" no 2>err
	grep "slipway: app .secret. not found" err
	test_must_fail git clone "$(at missing)" no 2>err
	grep "slipway: app .missing. not found" err
'

test_expect_success 'a broken pack is refused by git, and reported' '
	cd work
	tree=$(printf "100644 .git\0aaaaaaaaaaaaaaaaaaaa" |
		git hash-object -t tree -w --stdin --literally)
	who="a <a@b> 1 +0000"
	commit=$(printf "tree %s\nauthor $who\ncommitter $who\n\nx\n" $tree |
		git hash-object -t commit -w --stdin)
	printf "%s %s refs/heads/bad\0 report-status" \
		0000000000000000000000000000000000000000 $commit >line
	printf "%04x" $(($(wc -c <line) + 4)) >request
	cat line >>request
	printf 0000 >>request
	printf "%s\n" $commit $tree | git pack-objects -q --stdout >>request
	timeout 20 ssh $ssh_options -i ../ed25519 -p $port git@127.0.0.1 \
		git-receive-pack shop <request >out 2>err || :
	grep -a "unpack " out
	test_must_fail grep -a "unpack ok" out
	test_must_fail git -C ../data/repos/shop.git rev-parse -q --verify bad
'

test_expect_success 'a client that leaves does not stop its deploy' '
	cd work
	git commit -q --allow-empty -m leave
	rm -f ../data/repos/hook-ended
	mkfifo ../gone
	printf "%s\n" "#!/bin/sh" "echo \$\$ >$T/ssh-pid" \
		"exec $(echo $GIT_SSH_COMMAND) \"\$@\"" >../leave-ssh
	chmod +x ../leave-ssh
	GIT_SSH_COMMAND=$T/leave-ssh git push -o sleep=3 "$(at leave)" main \
		2>../push.err &
	push=$!
	wait_for 10 grep -q deploying ../push.err
	kill -9 $(cat ../ssh-pid)
	wait $push || :
	wait_for 2 no_sessions
	test ! -e ../data/repos/hook-ended
	wait_for 10 test -e ../data/repos/hook-ended
'

test_expect_success 'rekeying every megabyte, both ways' '
	git init -q bulk
	# No deltas, no compression: the bytes are to flow at once.
	git -C bulk config core.bigFileThreshold 1m
	git -C bulk config core.compression 0
	head -c 30000000 /dev/urandom >bulk/data
	git -C bulk add data
	git -C bulk commit -q -m bulk
	export GIT_SSH_COMMAND="$GIT_SSH_COMMAND -o RekeyLimit=1M"
	git -C bulk push -q "$(at bulk)" main
	git clone -q "$(at bulk)" bulk2
	cmp bulk/data bulk2/data
'

test_expect_success 'a slow reader gets its clone, in flat memory' '
	cat >slow-ssh <<-PY
	#!$python
	import os, subprocess, sys, time
	p = subprocess.Popen("""$GIT_SSH_COMMAND""".split() + sys.argv[1:],
	                     stdout=subprocess.PIPE)
	while True:
	    data = p.stdout.read1(65536)
	    if not data:
	        break
	    os.write(1, data)
	    time.sleep(0.01)
	sys.exit(p.wait())
	PY
	chmod +x slow-ssh
	GIT_SSH_COMMAND=$T/slow-ssh git clone -q "$(at bulk)" bulk3 &
	watch_memory $! $max_kb
	cmp bulk/data bulk3/data
'

test_expect_success 'a client that never reads costs little memory' '
	mkfifo hold
	$client $port stall ed25519 fill 400000000 <hold >stalled &
	exec 8>hold
	wait_for 20 test -s stalled
	kb=$(high_water_kb $(session_pids | tail -1))
	echo "peak $kb kB"
	test $kb -lt $max_kb
	echo >&8
'

test_expect_success 'a git that does not read costs little memory' '
	head -c 60000000 /dev/urandom >bulk/data
	git -C bulk commit -q -a -m more
	git -C bulk push -q "$(at stopped)" main &
	push=$!
	wait_for 20 unpackers >gits
	kill -STOP $(cat gits)
	sleep 2
	kb=$(high_water_kb $(session_pids | tail -1))
	kill -CONT $(cat gits)
	wait $push
	echo "peak $kb kB"
	test $kb -lt $max_kb
'

test_expect_success "a pack of $big_mb MB passes in flat memory" '
	git init -q big
	cd big
	git config core.bigFileThreshold 1m
	git config core.compression 0
	head -c $((big_mb * 1000000)) /dev/urandom >data
	git add data
	git commit -q -m big
	rm data
	git push -q "$(at big)" main &
	watch_memory $! $max_kb
	git -C ../data/repos/big.git rev-parse -q --verify main
'
rm -rf "$T"/big "$T"/data/repos/big.git

# ---- other clients ----

test_expect_success 'dropbear pushes' '
	dropbearkey -t ed25519 -f ed25519.db
	dropbearkey -y -f ed25519.db |
		awk "/^ssh-/ { print \$1, \$2, \"drop\" }" >>keys
	printf "#!/bin/sh\nexec dbclient -y -y -i $T/ed25519.db \"\$@\"\n" >db
	chmod +x db
	cd work
	git commit -q --allow-empty -m dropbear
	unset GIT_SSH_COMMAND
	HOME=$T GIT_SSH=$T/db git push -q "$(at clients)" HEAD:dropbear
'

test_expect_success 'plink pushes' '
	puttygen ed25519 -O private -o ed25519.ppk
	print=$(ssh-keygen -lf data/ssh/ssh_host_ed25519_key.pub |
		cut -d" " -f2)
	cd work
	git commit -q --allow-empty -m plink
	HOME=$T GIT_SSH_VARIANT=plink \
	GIT_SSH_COMMAND="plink -batch -hostkey $print -i $T/ed25519.ppk" \
		git push -q "$(at clients)" HEAD:plink
'

test_expect_success 'dulwich with paramiko pushes' '
	cat >push.py <<-PY
	import paramiko, sys
	from dulwich import porcelain
	from dulwich.client import SSHGitClient
	from dulwich.contrib.paramiko_vendor import ParamikoSSHVendor
	class Vendor(ParamikoSSHVendor):
	    def run_command(self, host, command, username=None, port=None,
	                    **ignored):
	        return super().run_command(host, command, username, port,
	                                   key_filename="$T/ed25519",
	                                   look_for_keys=False,
	                                   allow_agent=False)
	c = SSHGitClient("127.0.0.1", port=$port, username="git", vendor=Vendor())
	from dulwich.repo import Repo
	r = Repo("$T/work")
	head = r.head()
	res = c.send_pack("clients", lambda refs: {b"refs/heads/dulwich": head},
	                  r.generate_pack_data)
	print(res.ref_status)
	PY
	$python push.py
	test "$(git -C data/repos/clients.git rev-parse dulwich)" = \
		"$(git -C work rev-parse HEAD)"
'

test_expect_success 'twenty pushes at once' '
	for i in $(seq 20); do
		git -C work push -q "$(at par$i)" main &
		list="${list-} $!"
	done
	for p in $list; do wait $p; done
'

# ---- the builder fails ----

test_expect_success 'a builder that does not answer: refused, and says so' '
	touch drop-whois
	test_must_fail env log_level=INFO as ed25519 git@127.0.0.1 true 2>err
	rm drop-whois
	grep "does not answer" err
	touch drop-authorize
	test_must_fail git clone "$(at shop)" no 2>err
	rm drop-authorize
	grep "slipway: " err
'

# ---- ending ----

test_expect_success 'sessions leave no zombies and no children' '
	wait_for 10 no_sessions
'

test_expect_success 'SIGTERM ends it at once, sessions too' '
	as ed25519 git@127.0.0.1 tail >out 2>&1 &
	tail=$!
	wait_for 10 grep -q line out
	kill $first
	wait_for 3 is_gone $first
	wait_for 3 is_gone $tail
'
wait "$first"
code=$?
test_expect_success 'and its exit code is 0' "test $code = 0"

# ---- limits ----

start_receiver grace ssh.login-grace=2s
test_expect_success 'who says nothing is cut off after the grace time' '
	$client $port silent 10 >a &
	one=$!
	$client $port banner 10 >b
	wait $one
	cat a b
	grep "closed [1-3]" a
	grep "closed [1-3]" b
	grep "grace time" grace.log
'
echo 5 >"$T/delay-whois"
test_expect_success 'a builder that stalls does not hold a login for ever' '
	began=$SECONDS
	test_must_fail as ed25519 git@127.0.0.1 true
	test $((SECONDS - began)) -le 4
'
rm "$T/delay-whois"
test_expect_success 'who logged in may stay longer' '
	{ sleep 4; echo hello; } | as ed25519 git@127.0.0.1 cat >out
	grep hello out
'
stop_receiver "$pid"

start_receiver startups ssh.max-startups=3 ssh.login-grace=10s
test_expect_success 'ssh.max-startups bounds connections without login' '
	for i in 1 2 3; do
		$client $port silent 20 >silent$i &
		list="${list-} $!"
	done
	wait_for 10 has_sessions 3
	test_must_fail as ed25519 git@127.0.0.1 true
	grep "ssh.max-startups reached" startups.log
	for one in $list; do wait $one; done
	as ed25519 git@127.0.0.1 true
'
stop_receiver "$pid"

start_receiver source ssh.max-per-source=2
test_expect_success 'ssh.max-per-source bounds connections of one address' '
	as ed25519 git@127.0.0.1 tail >a &
	one=$!
	as ed25519 git@127.0.0.1 tail >b &
	two=$!
	wait_for 10 grep -q line a
	wait_for 10 grep -q line b
	test_must_fail as ed25519 git@127.0.0.1 true
	grep "ssh.max-per-source reached" source.log
	kill $one $two
	wait_for 10 as ed25519 git@127.0.0.1 true
'
stop_receiver "$pid"

start_receiver penalty
test_expect_success 'fifty failed logins are borne, a flood is not' '
	for i in $(seq 50); do
		test_must_fail as unknown git@127.0.0.1 true 2>/dev/null
	done
	as ed25519 git@127.0.0.1 true
	$python - $port <<-PY || :
	import socket, sys
	for i in range(300):
	    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	    s.recv(8)
	    s.close()
	PY
	wait_for 5 grep "too many failures" penalty.log
	test_must_fail as ed25519 git@127.0.0.1 true
'
stop_receiver "$pid"

start_receiver timeout git.timeout=2s ssh.idle-timeout=8s
test_expect_success 'git.timeout ends a push whose client drips' '
	$client $port drip ed25519 shop 20 >out
	cat out
	grep "ended 1" out
	grep "git.timeout" out
'
test_expect_success 'a deploy may take longer than git.timeout' '
	cd work
	git commit -q --allow-empty -m long
	git push -o sleep=7 "$(at long)" main
'
test_expect_success 'an idle connection ends' '
	as ed25519 -N git@127.0.0.1 &
	idle=$!
	wait_for 15 is_gone $idle
	grep "Idle for too long" timeout.log
'
stop_receiver "$pid"

test_expect_success 'a listener opened by somebody else is taken over' '
	cat >adopt.py <<-PY
	import os, socket, subprocess, sys
	s = socket.create_server(("127.0.0.1", 0))
	fd = os.memfd_create("config", 0)
	os.write(fd, b"slipway.data=$T/data\0slipway.socket=$T/sock\0"
	             b"ssh.listen=127.0.0.1:1\0")
	os.lseek(fd, 0, 0)
	p = subprocess.Popen(["$receiver", "--config-fd", str(fd), "--listen-fd",
	                      str(s.fileno()), "--hooks", "$T/hooks"],
	                     pass_fds=[fd, s.fileno()])
	port = s.getsockname()[1]
	s.close()
	code = subprocess.run(["as", "ed25519", "git@127.0.0.1", "true"],
	                      env=dict(os.environ, port=str(port))).returncode
	p.terminate()
	sys.exit(code or p.wait())
	PY
	$python adopt.py
'

start_receiver pack git.max-pack=1m
test_expect_success 'git.max-pack refuses a larger pack, and says so' '
	test_must_fail git -C bulk push "$(at toolarge)" main 2>err
	grep "maximum allowed size" err
'
stop_receiver "$pid"

test_done
