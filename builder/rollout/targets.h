/*
 * builder/rollout/targets.h - targets by the names that apps know them by.
 *
 * Runs in workers; blocks while the engine is asked for its version (5 s).
 */
#ifndef BUILDER_ROLLOUT_TARGETS_H
#define BUILDER_ROLLOUT_TARGETS_H

struct config;
struct error;
struct store;
struct target;

/*
 * Open the target `name`: "local", or a [target "name"] section of type
 * docker.  It owns its connection to the engine and borrows cfg and store;
 * close it with its `close`.
 *
 * 0; -ERR_NOTFOUND no such target; -ERR_INVALID its type; or as
 * engine_open().
 */
int target_open(const struct config *cfg, struct store *store, const char *name,
		struct target **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
