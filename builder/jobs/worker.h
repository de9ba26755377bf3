/*
 * builder/jobs/worker.h - what the steps of a job share.
 *
 * Runs in slipway-worker.
 */
#ifndef BUILDER_JOBS_WORKER_H
#define BUILDER_JOBS_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct error;
struct job;
struct store;

/* Somebody (the builder, ^C in a test) asked this process to end. */
bool worker_is_canceled(void);

/* Install the handler behind worker_is_canceled(). */
void worker_catch_signals(void);

/*
 * `slipway-worker job ID`: carry out a stored push (push_job.c), or a release
 * without one (release_job.c).
 */
int push_job_run(const struct config *cfg, struct store *store,
		 const struct job *job, int notify_fd, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int release_job_run(const struct config *cfg, struct store *store,
		    const struct job *job, int notify_fd, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * `slipway-worker watch`: keep containers and routes as recorded: reconcile
 * at start, after the engine or the router came back, after containers of
 * ours restarted, and every minute.  Ends when canceled.
 */
int watch_run(const struct config *cfg, struct store *store, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
