/*
 * builder/engine/classic.h - output of the classic builder, and of Podman's,
 * as lines, and what can be told from them.
 *
 * Pure but for the sinks.  Both print text only: "Step 2/4 : RUN npm ci" or
 * "STEP 2/4: RUN npm ci", then what the step prints.
 */
#ifndef BUILDER_ENGINE_CLASSIC_H
#define BUILDER_ENGINE_CLASSIC_H

#include "builder/engine/lines.h"

struct classic {
	line_fn line;
	void (*step_fn)(void *ctx, const char *name); /* may be NULL */
	void *ctx;
	struct line_splitter output;
	struct line_tail tail; /* of the present step */
	char *step;	       /* "[2/4] RUN npm ci"; NULL before the first */
	int steps;
	int steps_cached;
};

void classic_init(struct classic *c, line_fn line,
		  void (*step)(void *ctx, const char *name), void *ctx)
	__attribute__((nonnull(1, 2)));
void classic_release(struct classic *c);
/* A piece of output. */
void classic_output(struct classic *c, struct slice text)
	__attribute__((nonnull));
/* A line about a pull; `id` is "" or names a layer. */
void classic_status(struct classic *c, const char *id, struct slice text)
	__attribute__((nonnull));
/* Give out an unfinished line. */
void classic_end(struct classic *c) __attribute__((nonnull));

#endif
