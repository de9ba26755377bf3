/*
 * builder/jobs/finish.h - end a job from outside its worker: one that never
 * began, or one whose worker is gone.
 *
 * Runs in slipway-builder.
 */
#ifndef BUILDER_JOBS_FINISH_H
#define BUILDER_JOBS_FINISH_H

#include <stdint.h>

#include "builder/store/store.h"

struct config;
struct error;

/* End it, its refs refused for `reason` but those that moved.  0 or -code. */
int job_refuse(const struct config *cfg, struct store *store, int64_t job_id,
	       enum job_state state, const char *reason, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * After its worker is gone: nothing when the job has ended.  When its release
 * went live, finish what was left (move the refs) and let it succeed; else
 * refuse it for `reason` and mark the release as failed.  0 or -code.
 *
 * A worker that outlives its builder still holds the app's lock: then the job
 * is left to it.
 */
int job_settle(const struct config *cfg, struct store *store, int64_t job_id,
	       const char *reason, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
