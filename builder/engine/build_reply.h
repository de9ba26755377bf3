/*
 * builder/engine/build_reply.h - what the engine answers to a build, shown
 * through the sinks of the build_spec and remembered as far as the result
 * needs it.
 *
 * Internal to build.c.
 */
#ifndef BUILDER_ENGINE_BUILD_REPLY_H
#define BUILDER_ENGINE_BUILD_REPLY_H

#include <stdbool.h>

#include "builder/engine/build_lines.h"
#include "builder/engine/classic.h"

struct build_result;
struct build_spec;
struct progress;

struct build_reply {
	const struct build_spec *spec;
	struct build_lines lines;
	struct progress *progress; /* of BuildKit */
	struct classic classic;
	char *image;	  /* NULL = not told */
	char *failure;	  /* why it failed; NULL = it did not say so */
	int failure_code; /* exit code; 0 = not told */
	bool has_complained;
};

/* `r` must stay where it is until it is released. */
void build_reply_init(struct build_reply *r, const struct build_spec *spec)
	__attribute__((nonnull));
void build_reply_release(struct build_reply *r);

void build_reply_feed(struct build_reply *r, struct slice data)
	__attribute__((nonnull));
/* Call about every second: waiting output gets its turn. */
void build_reply_tick(struct build_reply *r) __attribute__((nonnull));
/* The reply ended: show what is left. */
void build_reply_end(struct build_reply *r) __attribute__((nonnull));

/* Fill in the steps of a build that succeeded. */
void build_reply_steps(const struct build_reply *r, struct build_result *ret)
	__attribute__((nonnull));
/* Fill in the failed step of one that did not; only with a failure. */
void build_reply_failed_step(const struct build_reply *r,
			     struct build_result *ret) __attribute__((nonnull));

#endif
