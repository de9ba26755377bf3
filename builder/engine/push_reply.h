/*
 * builder/engine/push_reply.h - the stream of lines that the engine answers
 * to a push: layers, the digest, or why it failed.
 *
 * Internal to builder/engine/.  Pure: a fuzz target.
 */
#ifndef BUILDER_ENGINE_PUSH_REPLY_H
#define BUILDER_ENGINE_PUSH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct error;

#define PUSH_LINE_MAX	65536
#define PUSH_LAYERS_MAX 512

struct push_layer {
	char id[16]; /* "3f4ca61aafcd" */
	uint64_t bytes;
	bool is_done;
};

struct push_reply {
	struct buf line; /* unfinished */
	bool is_dropping;
	struct push_layer *layers;
	size_t layers_count;
	char *digest; /* NULL = none yet */
	char *failure;
};

void push_reply_init(struct push_reply *p) __attribute__((nonnull));
void push_reply_release(struct push_reply *p);
void push_reply_feed(struct push_reply *p, struct slice data)
	__attribute__((nonnull));
/* The stream has ended; a last line may lack its end. */
void push_reply_end(struct push_reply *p) __attribute__((nonnull));
/* "5 of 7 layers, 48.2 MB" */
void push_reply_state(const struct push_reply *p, struct buf *out)
	__attribute__((nonnull));
/* What came of it, as image_push(). */
int push_reply_result(const struct push_reply *p, char **ret_digest,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
