/*
 * builder/engine/lines.h - output of a build step as bounded lines: cutting
 * a stream into lines, and remembering the last ones.
 *
 * Pure.
 */
#ifndef BUILDER_ENGINE_LINES_H
#define BUILDER_ENGINE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Bytes of a line given out, its prefix included. */
#define BUILD_LINE_MAX 16384
/* Lines shown again when a step failed, and the bytes kept of each. */
#define LINE_TAIL_COUNT 20
#define LINE_TAIL_BYTES 1024

typedef void (*line_fn)(void *ctx, struct slice line);

/*
 * Cuts a stream at its line ends.  Of a line that is rewritten in place (CR)
 * only the last writing is kept; of one that is too long the front, with a
 * mark.
 */
struct line_splitter {
	struct buf line;
	bool is_cut;   /* dropping up to the line end */
	bool is_after; /* a CR came; what follows rewrites the line */
};

void line_splitter_init(struct line_splitter *s) __attribute__((nonnull));
void line_splitter_release(struct line_splitter *s);
void line_splitter_feed(struct line_splitter *s, struct slice data, line_fn fn,
			void *ctx) __attribute__((nonnull(1, 3)));
/* Give out an unfinished line. */
void line_splitter_end(struct line_splitter *s, line_fn fn, void *ctx)
	__attribute__((nonnull(1, 2)));

/* The last LINE_TAIL_COUNT lines. */
struct line_tail {
	char *lines[LINE_TAIL_COUNT];
	size_t count; /* lines ever added */
};

void line_tail_release(struct line_tail *t);
void line_tail_add(struct line_tail *t, struct slice line)
	__attribute__((nonnull));
/* They, with LF between; NULL when there are none.  The caller frees it. */
char *line_tail_text(const struct line_tail *t) __attribute__((nonnull));

#endif
