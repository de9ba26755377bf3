/*
 * builder/rollout/ecs/check.h - would a target of type ecs work?
 *
 * For `slipway check`; blocks as aws_call().
 */
#ifndef BUILDER_ROLLOUT_ECS_CHECK_H
#define BUILDER_ROLLOUT_ECS_CHECK_H

struct buf;
struct config_target;
struct error;

/*
 * Are there credentials, and is there the cluster?  Appends " (ARN in REGION)"
 * to `label` as soon as it is known who we are.  0 or as aws_call().
 */
int ecs_check(const struct config_target *t, struct buf *label,
	      struct error *err) __attribute__((nonnull, warn_unused_result));

#endif
