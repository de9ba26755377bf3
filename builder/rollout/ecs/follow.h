/*
 * builder/rollout/ecs/follow.h - all services of a release on their way
 * forward, until all are complete or one is not to become it.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks.
 */
#ifndef BUILDER_ROLLOUT_ECS_FOLLOW_H
#define BUILDER_ROLLOUT_ECS_FOLLOW_H

#include <stddef.h>

struct ecs;
struct ecs_roll;
struct error;

/*
 * Follow those rolls that were started until all are complete.  Progress and
 * reasons go to the report.
 *
 * 0; -ERR_PEER: one of them failed, was rolled back by ECS, superseded,
 * deleted, or not complete within target.NAME.rollout-timeout: err says which
 * and why in one line; -ERR_CANCELED; or as aws_call().
 */
int ecs_follow(struct ecs *e, struct ecs_roll *rolls, size_t count,
	       struct error *err) __attribute__((nonnull, warn_unused_result));

#endif
