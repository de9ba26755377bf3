/*
 * builder/engine/build.h - build an image from a tar stream: BuildKit with a
 * session (nghttp2) where the engine has it, the classic builder elsewhere.
 *
 * Runs in workers; blocks until the build ended.  Plain progress lines in the
 * manner of `docker build --progress=plain` go to the sink as they come.
 */
#ifndef BUILDER_ENGINE_BUILD_H
#define BUILDER_ENGINE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>

#include "base/buf.h"

struct engine;
struct error;

struct build_credential {
	const char *host; /* as in image names; "docker.io" for Docker Hub */
	const char *username;
	const char *password;
};

struct build_secret {
	const char *id;
	struct slice data;
};

struct build_spec {
	const char *tag;	/* "slipway-f8ba0694/7:12" */
	const char *dockerfile; /* path in the context; NULL = Dockerfile */
	const char *stage;	/* --target; NULL = last */
	json_t *args;		/* object of strings, or NULL; borrowed */
	json_t *labels;		/* object of strings, or NULL; borrowed */
	bool no_cache;
	bool pull;
	int64_t memory;		   /* bytes, classic builder */
	const char *cgroup_parent; /* or NULL */
	enum { BUILDER_AUTO, BUILDER_BUILDKIT, BUILDER_CLASSIC } builder;
	const struct build_credential *credentials;
	size_t credentials_count;
	const struct build_secret *secrets;
	size_t secrets_count;
	int64_t timeout_ms;	 /* whole build */
	int64_t idle_timeout_ms; /* nothing heard from the engine */
	/*
	 * The context: up to `size` bytes of tar into `data`; 0 = end, -1 =
	 * failed (the caller knows why; the build ends with -ERR_CANCELED).
	 */
	ssize_t (*read)(void *ctx, char *data, size_t size);
	/* One line of progress, raw bytes without LF ("#5 DONE 4.1s"). */
	void (*line)(void *ctx, struct slice line);
	/* Called at least every second; true = cancel the build. */
	bool (*is_canceled)(void *ctx);
	/* What is going on now, for "still running: …"; valid in the call. */
	void (*step)(void *ctx, const char *name);
	void *ctx;
};

struct build_result {
	char *image; /* sha256:… */
	int steps;   /* Dockerfile steps */
	int steps_cached;
	/* on failure of a step (ERR_PEER): what to show at the end */
	char *failed_step;   /* "[2/3] RUN npm ci"; NULL when none is known */
	int exit_code;	     /* of that step; 0 = not known */
	char *failed_output; /* its last lines, LF between; may be NULL */
};

void build_result_release(struct build_result *r);

/*
 * Build.  *ret is filled in on success, and its failure part also on
 * -ERR_PEER, so it must be released either way.
 *
 * 0; -ERR_PEER the build failed (err: the engine's message) or the engine
 * went away; -ERR_TIMEOUT; -ERR_CANCELED; -ERR_INVALID the engine refused the
 * request; -ERR_LIMIT out of disk space.
 */
int build_run(struct engine *e, const struct build_spec *spec,
	      struct build_result *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
