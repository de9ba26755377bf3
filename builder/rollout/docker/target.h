/*
 * builder/rollout/docker/target.h - apps as containers on the local engine,
 * behind a router.
 *
 * Runs in workers; blocks.  One bridge network per app; containers are named
 * slipway-OWNER8-APPID-TYPE-VERSION-INDEX and are found by their labels.
 */
#ifndef BUILDER_ROLLOUT_DOCKER_TARGET_H
#define BUILDER_ROLLOUT_DOCKER_TARGET_H

struct config;
struct engine;
struct error;
struct store;
struct target;

/*
 * Borrows cfg and store, which must outlive it; takes `engine` over when it
 * succeeds.  `owner` is the installation's id (label slipway.owner).
 * 0 or -ERR_SYS.
 */
int target_docker_open(const struct config *cfg, struct engine *engine,
		       struct store *store, const char *owner,
		       struct target **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
