/*
 * builder/jobs/launch.h - the second half of a deploy: a release that has its
 * image is published, run through its release phase and rolled out, each step
 * journaled.
 *
 * Runs in slipway-worker, which holds the app's lock.  Works on a deploy whose
 * release is stored and whose target is open.
 */
#ifndef BUILDER_JOBS_LAUNCH_H
#define BUILDER_JOBS_LAUNCH_H

#include <stdint.h>

struct buf;
struct deploy;
struct error;

/* Note a step in the journal; a failure to do so is logged. */
void launch_journal(struct deploy *d, const char *step, const char *event,
		    const char *detail) __attribute__((nonnull));

/*
 * Up to the moment when the release gets the traffic; d->url and
 * d->rollout_ms are set.  On failure the transcript has the evidence, and
 * what ran before still runs.
 *
 * 0; -ERR_PEER the release is to blame; others: we are.
 */
int launch_run(struct deploy *d, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Record the release as live.  0 or -code */
int launch_commit(struct deploy *d, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* "=====> shop v13 is live: …", with the times since `began`. */
void launch_tell_live(struct deploy *d, int64_t began_ms)
	__attribute__((nonnull));

/* Drain and stop what was live before, forget what is too old.  What goes
 * wrong is logged: the deploy is done. */
void launch_settle(struct deploy *d) __attribute__((nonnull));

/*
 * It failed with the code r: tell, journal, and mark the release.  *ret_line
 * gets the one line for the person: "v13 failed: …; v12 still live".
 */
void launch_fail(struct deploy *d, int r, const struct error *why,
		 struct buf *ret_line) __attribute__((nonnull));

#endif
