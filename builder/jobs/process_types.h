/*
 * builder/jobs/process_types.h - from the Procfile to the processes of a
 * release.
 *
 * Pure.  Every type runs once: `web`, which is there also without a line of
 * its own (then as the image's own command), and the others beside it.
 * `release` does not run beside them: it is stored with a count of 0 and run
 * to its end before the others start.
 */
#ifndef BUILDER_JOBS_PROCESS_TYPES_H
#define BUILDER_JOBS_PROCESS_TYPES_H

struct buf;
struct error;
struct procfile;
struct release_plan;

#define PROCESS_RELEASE "release"

/*
 * The processes as a release stores them (builder/rollout/release_plan.h); no
 * entries: `web` alone.  *ret_json is the caller's.  -ERR_INVALID or
 * -ERR_LIMIT naming the type that cannot be one.
 */
int process_types_plan(const struct procfile *file, char **ret_json,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append "web=1 worker=1": what runs. */
void process_types_add_counts(const struct release_plan *plan, struct buf *out)
	__attribute__((nonnull));

#endif
