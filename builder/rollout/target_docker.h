/*
 * builder/rollout/target_docker.h - apps as containers on the local engine,
 * behind a router.
 */
#ifndef BUILDER_ROLLOUT_TARGET_DOCKER_H
#define BUILDER_ROLLOUT_TARGET_DOCKER_H

struct config;
struct engine;
struct error;
struct store;
struct target;

/*
 * Borrows cfg, engine and store, which must outlive it.  `owner` is the
 * installation's id (label slipway.owner).
 */
int target_docker_open(const struct config *cfg, struct engine *engine,
		       struct store *store, const char *owner,
		       struct target **ret, struct error *err)
    __attribute__((nonnull, warn_unused_result));

#endif
