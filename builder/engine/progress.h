/*
 * builder/engine/progress.h - BuildKit's trace as plain lines, in the manner
 * of `docker build --progress=plain`.
 *
 *	#5 [2/4] RUN npm ci
 *	#5 added 212 packages
 *	#5 DONE 4.1s
 *
 * Pure but for the sinks: time is handed in.  Steps run in parallel, lines do
 * not: output stays with one step for a while, and that of the others waits.
 * Memory is bounded whatever the engine sends: VERTICES_MAX steps, the bytes
 * that wait, and STATUSES_MAX transfers per step.
 */
#ifndef BUILDER_ENGINE_PROGRESS_H
#define BUILDER_ENGINE_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "builder/engine/lines.h"

struct progress;
struct trace;

/* `step` may be NULL; it is told the name of the step that runs now. */
struct progress *progress_new(line_fn line,
			      void (*step)(void *ctx, const char *name),
			      void *ctx) __attribute__((nonnull(1)));
void progress_free(struct progress *p);

/* Take in what the engine reported at now_ms (any clock that only grows). */
void progress_update(struct progress *p, const struct trace *t, int64_t now_ms)
	__attribute__((nonnull));
/* Call about every second: gives waiting output its turn. */
void progress_tick(struct progress *p, int64_t now_ms) __attribute__((nonnull));
/* The build ended: give out everything that waits. */
void progress_finish(struct progress *p, int64_t now_ms)
	__attribute__((nonnull));

struct progress_summary {
	int steps; /* of the Dockerfile: "[2/4] …" */
	int steps_cached;
	const char *failed_step; /* borrowed; NULL = none failed */
	const char *failed_error;
};

void progress_summary(const struct progress *p, struct progress_summary *ret)
	__attribute__((nonnull));
/* The failed step's last lines; NULL when there are none.  The caller frees
 * it. */
char *progress_failed_output(const struct progress *p) __attribute__((nonnull));

#endif
