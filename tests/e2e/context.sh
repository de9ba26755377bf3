#!/bin/bash
# The build context against `git archive`: for a repository with nasty names,
# links and modes both streams unpack to the same, minus what .dockerignore
# says; equal trees give equal bytes; memory stays flat.
#
# Usage: tests/e2e/context.sh [-v] [-k]   (needs build/$VARIANT/tests/tools)

. "$(dirname "$0")/lib.sh"

TOOL=$BUILD/tests/tools/context_tool
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com

cd "$TRASH" || exit 1

# Files by name, type, mode, link target and content, one line each.
inventory() {
	(cd "$1" && python3 - <<'EOF'
import hashlib, os, stat
for top, dirs, files in os.walk(b'.'):
    for name in sorted(dirs + files):
        p = os.path.join(top, name)
        s = os.lstat(p)
        if stat.S_ISLNK(s.st_mode):
            print(repr(p), 'link', repr(os.readlink(p)))
        elif stat.S_ISDIR(s.st_mode):
            print(repr(p), 'folder')
        else:
            data = open(p, 'rb').read()
            print(repr(p), oct(s.st_mode & 0o111), len(data),
                  hashlib.sha256(data).hexdigest())
EOF
	) | sort
}

unpack() {
	mkdir "$1" && tar -x -p -C "$1"
}

# context REPO > tar
context() {
	"$TOOL" "$1" "$(git --git-dir "$1" rev-parse HEAD)" "${2:-Dockerfile}"
}

test_expect_success 'a repository with nasty names is made' '
	git init -q -b main work &&
	cd work &&
	echo "FROM scratch" >Dockerfile &&
	echo "#!/bin/sh" >run && chmod 755 run &&
	: >empty &&
	echo x >"sp ace" && echo x >"new
line" && echo x >"quote\"s" && echo x >"back\\slash" && echo x >-dash &&
	echo x >"tab	tab" && echo x >café && echo x >"$(printf "latin\351")" &&
	echo x >日本語 &&
	mkdir -p a/b/c "$(printf "%0255d" 0)" &&
	echo deep >a/b/c/d &&
	echo x >"$(printf "%0255d" 0)/$(printf "%0255d" 1)" &&
	long=$(for i in $(seq 40); do printf "folder-%02d/" $i; done) &&
	mkdir -p "$long" && echo x >"$long/file" &&
	n99=$(printf "%099d" 0) && n100=$(printf "%0100d" 0) &&
	n101=$(printf "%0101d" 0) && p155=$(printf "%0155d" 0) &&
	for f in $n99 $n100 $n101; do echo "$f" >"$f" || return 1; done &&
	mkdir "$p155" && echo x >"$p155/$n100" && echo x >"$p155/$n101" &&
	ln -s a/b/c/d link && ln -s nowhere dangling && ln -s .. a/up &&
	ln -s "$long/file" long-link && ln -s "ü" "ö" &&
	head -c 3000000 /dev/urandom >random &&
	head -c 512 /dev/zero >block && head -c 513 /dev/zero >block+1 &&
	head -c 40000000 /dev/zero >large &&
	git add -A && git commit -q -m one &&
	git clone -q --bare . ../r.git
'

test_expect_success 'it unpacks to what git archive unpacks to' '
	context r.git | unpack ours &&
	git --git-dir r.git archive HEAD | unpack theirs &&
	inventory ours >ours.txt && inventory theirs >theirs.txt &&
	test $(wc -l <ours.txt) -gt 70 &&
	diff ours.txt theirs.txt
'

test_expect_success 'and to what Python makes of it' '
	context r.git >r.tar &&
	mkdir python &&
	python3 -c "
import tarfile
tarfile.open(\"r.tar\", errors=\"surrogateescape\").extractall(\"python\")" &&
	inventory python >python.txt &&
	diff python.txt theirs.txt
'

test_expect_success 'nothing in it depends on time or user' '
	TZ=UTC tar --numeric-owner -tvf r.tar >list &&
	test $(grep -c " 0/0 .* 1970-01-01 00:00 " list) = \
		$(grep -c "^[-dl]" list) &&
	! grep -v "^\(-rw-r--r--\|-rwxr-xr-x\|drwxr-xr-x\|lrwxrwxrwx\) " list
'

test_expect_success 'an equal tree in another repository gives equal bytes' '
	git init -q -b main again &&
	tar -C again -xf r.tar &&
	cd again &&
	git add -A && git commit -q -m "another message" &&
	git repack -adfq --depth=50 --window=50 &&
	test "$(git rev-parse HEAD)" != "$(git --git-dir ../r.git rev-parse HEAD)" &&
	test "$(git rev-parse HEAD^{tree})" = \
		"$(git --git-dir ../r.git rev-parse HEAD^{tree})" &&
	context .git >../again.tar &&
	cmp ../again.tar ../r.tar
'

test_expect_success '.dockerignore takes out what it says and no more' '
	cd work &&
	printf "a\n!a/b/c\n**/*.log\nnode_modules\n*dash\nDockerfile\n" \
		>.dockerignore &&
	mkdir -p node_modules/x pkg/node_modules &&
	echo x >node_modules/x/y && echo x >pkg/node_modules/z &&
	echo x >pkg/b.log &&
	git add -A && git commit -q -m two && git push -q ../r.git main &&
	cd .. &&
	git --git-dir r.git archive HEAD | unpack wanted &&
	rm -r wanted/a/up wanted/node_modules wanted/-dash wanted/pkg/b.log &&
	context r.git | unpack filtered &&
	inventory filtered >filtered.txt && inventory wanted >wanted.txt &&
	diff filtered.txt wanted.txt
'

test_expect_success 'DOCKERFILE.dockerignore goes before .dockerignore' '
	cd work &&
	mkdir -p deploy && echo "FROM scratch" >deploy/Dockerfile &&
	printf "*\n!run\n" >deploy/Dockerfile.dockerignore &&
	git add -A && git commit -q -m three && git push -q ../r.git main &&
	cd .. &&
	context r.git deploy/Dockerfile | tar t >list &&
	printf "deploy/\ndeploy/Dockerfile\ndeploy/Dockerfile.dockerignore\nrun\n" >want &&
	diff list want
'

test_expect_success 'a wrong pattern is told with its line, before any byte' '
	cd work &&
	printf "ok\n\n[z-a]\n" >.dockerignore &&
	git add -A && git commit -q -m four && git push -q ../r.git main &&
	cd .. &&
	test_must_fail context r.git >out.tar 2>err &&
	test ! -s out.tar &&
	contains err ".dockerignore: line 3: " "[z-a]"
'

test_expect_success 'submodules and LFS pointers are told, files around them stream' '
	git init -q -b main gaps &&
	cd gaps &&
	echo "FROM scratch" >Dockerfile &&
	printf "version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 123\n" 0 >model.bin &&
	git add -A &&
	git update-index --add --cacheinfo 160000,$(printf "%040d" 1),lib/sub &&
	git commit -q -m one &&
	"$TOOL" --gaps .git "$(git rev-parse HEAD)" >../gaps.txt &&
	printf "submodule lib/sub\nlfs model.bin\n" >../want &&
	diff ../gaps.txt ../want &&
	context .git | tar t | grep -x model.bin
'

test_expect_success 'a large file takes little memory' '
	git init -q --bare large.git &&
	{
		printf "commit refs/heads/main\n" &&
		printf "committer a <a@example.com> 1700000000 +0000\n" &&
		printf "data 1\nm\nM 100644 inline Dockerfile\ndata 0\n\n" &&
		printf "M 100644 inline large\ndata %d\n" $((200 << 20)) &&
		head -c $((200 << 20)) /dev/urandom && echo
	} | git --git-dir large.git -c core.bigFileThreshold=50m \
		fast-import --quiet &&
	"$TOOL" --stats large.git \
		"$(git --git-dir large.git rev-parse refs/heads/main)" \
		Dockerfile >stats &&
	cat stats &&
	peak=$(sed -n "s/.*peak_kb=//p" stats) &&
	if nm -D "$TOOL" | grep -q asan; then limit=300000; else limit=40000; fi &&
	test "$peak" -lt $limit
'

test_done
