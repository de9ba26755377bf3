/*
 * builder/rollout/ecs/vars.h - an app's config vars in Secrets Manager: one
 * secret, of which each config version is a version.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks as aws_call(),
 * whose errors they return beside the ones named.
 */
#ifndef BUILDER_ROLLOUT_ECS_VARS_H
#define BUILDER_ROLLOUT_ECS_VARS_H

#include <stdint.h>

struct app;
struct ecs;
struct error;
struct release;

/*
 * Put the release's config vars where tasks read them, unless that was done:
 * e->secrets is set then.  -ERR_EXISTS: the secret is another installation's.
 */
int ecs_prepare(struct ecs *e, const struct app *app,
		const struct release *release, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Have AWS forget the versions of releases that are not kept (ecs_kept()). */
int ecs_retain_vars(struct ecs *e, const struct app *app, int64_t live,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Delete the secret, if it is ours. */
int ecs_remove_vars(struct ecs *e, const struct app *app, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
