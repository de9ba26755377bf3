/*
 * builder/jobs/deploy.h - one deploy: commit -> context -> image -> release
 * -> rollout, each step journaled.  The second half is in launch.h.
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
	const struct push_options *options; /* of a push */
	/* filled in by deploy_run, or by who makes a release without a build */
	struct target *target;
	struct release release; /* version 0 until there is one */
	char *url;
	int64_t build_ms; /* 0 = nothing was built */
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

#endif
