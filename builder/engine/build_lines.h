/*
 * builder/engine/build_lines.h - the reply of POST /build: one JSON object
 * per line, from BuildKit, the classic builder and Podman alike.
 *
 * Pure: a fuzz target.
 */
#ifndef BUILDER_ENGINE_BUILD_LINES_H
#define BUILDER_ENGINE_BUILD_LINES_H

#include <stdbool.h>

#include "base/buf.h"

/* A longer line is dropped and reported as BUILD_EVENT_BAD. */
#define BUILD_REPLY_LINE_MAX (4 * 1024 * 1024)

enum build_event_kind {
	BUILD_EVENT_TRACE,  /* text: base64 of BuildKit's trace */
	BUILD_EVENT_OUTPUT, /* text: a piece of the classic builder's output */
	BUILD_EVENT_STATUS, /* text: what a pull does; id: of the layer or "" */
	BUILD_EVENT_IMAGE,  /* text: the image's id; the last one counts */
	BUILD_EVENT_ERROR,  /* text: why the build failed; code: exit code */
	BUILD_EVENT_BAD,    /* the line is not what it should be */
};

struct build_event {
	enum build_event_kind kind;
	struct slice text; /* valid in the call */
	const char *id;
	int code; /* 0 = not known */
};

typedef void (*build_event_fn)(void *ctx, const struct build_event *event);

struct build_lines {
	struct buf line; /* unfinished */
	bool is_dropping;
};

void build_lines_init(struct build_lines *l) __attribute__((nonnull));
void build_lines_release(struct build_lines *l);
void build_lines_feed(struct build_lines *l, struct slice data,
		      build_event_fn fn, void *ctx)
	__attribute__((nonnull(1, 3)));
/* A last line may lack its line end. */
void build_lines_end(struct build_lines *l, build_event_fn fn, void *ctx)
	__attribute__((nonnull(1, 2)));

#endif
