/*
 * builder/engine/build_upload.h - the context on its way to the engine.
 *
 * Internal to build.c.  Keeps the first REPLAY_MAX bytes on request: an
 * engine that refuses BuildKit does so before it takes more, and the classic
 * builder then gets the same context from its start.
 */
#ifndef BUILDER_ENGINE_BUILD_UPLOAD_H
#define BUILDER_ENGINE_BUILD_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

struct build_spec;

struct build_upload {
	const struct build_spec *spec;
	struct buf kept;
	size_t kept_sent; /* of kept, in this try */
	bool is_keeping;  /* all that was read so far is in kept */
	bool at_end;	  /* of what spec->read gives */
};

void build_upload_init(struct build_upload *u, const struct build_spec *spec,
		       bool keep) __attribute__((nonnull));
void build_upload_release(struct build_upload *u);

/* As spec->read. */
ssize_t build_upload_read(struct build_upload *u, char *data, size_t size)
	__attribute__((nonnull));

/* From the start again; only while is_keeping. */
void build_upload_rewind(struct build_upload *u) __attribute__((nonnull));

#endif
