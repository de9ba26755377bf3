/*
 * builder/jobs/deploy.h - one deploy: commit -> context -> image -> release
 * -> rollout, each step journaled.
 *
 * Runs in slipway-worker, which holds the app's lock.
 */
#ifndef BUILDER_JOBS_DEPLOY_H
#define BUILDER_JOBS_DEPLOY_H

#include <stdint.h>

#include "builder/store/store.h"

struct config;
struct error;
struct push_options;
struct target;
struct transcript;

struct deploy {
	const struct config *cfg;
	struct store *store;
	struct transcript *out;
	const struct job *job;
	const struct app *app;
	const struct push_options *options;
	/* filled in by deploy_run */
	struct target *target;
	struct release release; /* version 0 until there is one */
	char *url;
	int64_t build_ms;
	int64_t rollout_ms;
};

void deploy_release(struct deploy *d);

/*
 * Everything up to the moment when the new release gets the traffic.  On
 * failure the transcript has the evidence, err the one line for the ref, and
 * what ran before still runs.
 *
 * 0; -ERR_PEER or -ERR_INVALID the commit is to blame; others: we are.
 */
int deploy_run(struct deploy *d, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Record the release as live.  0 or -code */
int deploy_commit(struct deploy *d, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Drain and stop what was live before, forget what is too old.  What goes
 * wrong is logged: the deploy is done. */
void deploy_settle(struct deploy *d) __attribute__((nonnull));

/* Journal the end of a failed deploy and mark its release. */
void deploy_fail(struct deploy *d, const char *reason) __attribute__((nonnull));

#endif
