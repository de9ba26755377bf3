#!/bin/bash
# A push whose build is cached to the last step: 2,000 files, 20 MB.  The
# rival builds in its pre-receive hook and starts nothing; ours also brings
# the image into service, so the rollout is taken off and shown alone.
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS_BUILD:-7}
BUILD_URL="http://engine/build?version=2&t=slipway-bench:latest"

# Strict as pushers expect: a build that fails refuses the push.
write_hook() {
	cat >"$TRASH/rival/app/hooks/pre-receive" <<-END
	#!/bin/sh
	while read -r old new ref; do
		git archive --format=tar "\$new" |
			curl -sS --unix-socket "$DOCKER_SOCKET" \
				-H 'Content-Type: application/x-tar' \
				-H Expect: -T - -X POST "$BUILD_URL" >"$TRASH/hook.out" || exit 1
		if grep -q '"errorDetail"' "$TRASH/hook.out"; then exit 1; fi
		grep -q moby.image.id "$TRASH/hook.out" || exit 1
	done
	END
	chmod +x "$TRASH/rival/app/hooks/pre-receive"
}

# The example app with ballast; two steps after FROM.
make_ballast() {
	make_tree app 2000 10000
	cp -R "$ROOT/contrib/examples/hello/." "$TRASH/app" &&
		cat >"$TRASH/app/Dockerfile" <<-END &&
		FROM $BASE_IMAGE
		COPY . /srv/
		RUN cp -R /srv/www /srv/start /
		CMD ["/start"]
		END
		git -C "$TRASH/app" add -A &&
		git -C "$TRASH/app" commit -q -m ballast
}

# The engine alone: the same tar, ready on disk.
engine_alone() {
	curl -sS --unix-socket "$DOCKER_SOCKET" \
		-H 'Content-Type: application/x-tar' -H Expect: \
		-T "$TRASH/context.tar" -X POST "$BUILD_URL" >"$TRASH/engine.out" &&
		grep -q moby.image.id "$TRASH/engine.out"
}

forget_image() {
	api DELETE '/images/slipway-bench:latest?force=1'
}

# "(build 131ms, rollout 1.2s)" or "(build 1m3s, …": milliseconds of a part
part_ms() { # NAME
	grep -o "$1 [0-9.hms]*" "$TRASH/push.out" | tail -n 1 | awk '{
		t = $2
		unit["ms"] = 1; unit["s"] = 1000
		unit["m"] = 60000; unit["h"] = 3600000
		while (match(t, /^[0-9.]+/)) {
			n = substr(t, 1, RLENGTH)
			t = substr(t, RLENGTH + 1)
			match(t, /^[a-z]+/)
			ms += n * unit[substr(t, 1, RLENGTH)]
			t = substr(t, RLENGTH + 1)
		}
		print ms }'
}

# The same tree again: nothing to build, but git has a commit to bring.
prepare() {
	git -C "$TRASH/app" commit -q --allow-empty -m "round $1" &&
		git -C "$TRASH/app" archive --format=tar HEAD \
			>"$TRASH/context.tar"
}
alone() { timed "$TRASH/alone" engine_alone; }
rival() { git -C "$TRASH/app" push "$RIVAL_URL/app" HEAD:refs/heads/main; }
ours() {
	git -C "$TRASH/app" push "$URL/app" HEAD:refs/heads/main \
		>"$TRASH/push.out" 2>&1 &&
		grep -q 'is live' "$TRASH/push.out"
}

bench_begin
start_both
at_exit forget_image
must make_ballast
must rival_repo app
must write_hook
rm -f "$TRASH/build" "$TRASH/rollout"
prepare_round() {
	# What the last push left to do must not be billed to this one.
	poll_until 20 one_container && prepare "$1" && alone
}
one_container() {
	[ ! -f "$TRASH/push.out" ] || [ "$(owned_containers | jq length)" = 1 ]
}
ours_parts() {
	ours && part_ms build >>"$TRASH/build" &&
		part_ms rollout >>"$TRASH/rollout"
}
duel "$ROUNDS" prepare_round rival ours_parts
sed -i 1d "$TRASH/alone" "$TRASH/build" "$TRASH/rollout" # round 0

alone_ms=$(median "$TRASH/alone")
build_ms=$(median "$TRASH/build")
rollout_ms=$(median "$TRASH/rollout")
before_rollout=$(awk "BEGIN { print $OURS_MS - $rollout_ms }")
row 'push with a cached build, without the rollout' "$RIVAL_MS" \
	"$before_rollout" ms 0.50
row '  the build alone: curl of a ready tar / our step' "$alone_ms" "$build_ms" ms ''
row '  the whole of ours, new containers in service' - "$OURS_MS" ms ''
