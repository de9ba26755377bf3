/*
 * builder/rollout/ecs/kept.h - the releases that are kept: what they need on
 * AWS stays there.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks on the store.
 */
#ifndef BUILDER_ROLLOUT_ECS_KEPT_H
#define BUILDER_ROLLOUT_ECS_KEPT_H

#include <stdint.h>

struct app;
struct ecs;
struct error;
struct release;

/*
 * The release `live` (0 = none) and the newest deploy.keep-releases that ever
 * were live, newest first.  Count; *ret is the caller's.
 */
int ecs_kept(struct ecs *e, const struct app *app, int64_t live,
	     struct release **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

void ecs_kept_free(struct release *list, int count);

#endif
