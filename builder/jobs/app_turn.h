/*
 * builder/jobs/app_turn.h - a job's turn on its app: the app's lock, waited
 * for while the person is told.
 *
 * Runs in slipway-worker.
 */
#ifndef BUILDER_JOBS_APP_TURN_H
#define BUILDER_JOBS_APP_TURN_H

#include <stdint.h>

struct config;
struct error;
struct transcript;

/*
 * Block until the lock is ours; closing *ret_lock gives it back.  0;
 * -ERR_CANCELED; -ERR_TIMEOUT after ten minutes; -ERR_SYS.
 */
int app_turn_take(const struct config *cfg, int64_t app_id,
		  struct transcript *out, int *ret_lock, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
