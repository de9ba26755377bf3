/*
 * builder/jobs/deploy_ref.h - refs/deploys/vN: which commit release N is.
 *
 * Runs in workers and in the builder; runs git.
 */
#ifndef BUILDER_JOBS_DEPLOY_REF_H
#define BUILDER_JOBS_DEPLOY_REF_H

#include <stdint.h>

struct config;
struct error;

/* "refs/deploys/v12"; the caller frees it. */
char *deploy_ref_name(int64_t version);

/* Write it, for a release that no push made.  As repo_update_refs. */
int deploy_ref_record(const struct config *cfg, int64_t app_id, int64_t version,
		      const char *commit, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
