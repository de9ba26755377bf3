/*
 * builder/rollout/ecs/target.h - apps as services of Amazon ECS.
 *
 * Runs in workers; blocks.  Each process type of an app is a service with a
 * family of task definitions; web is a target group behind a rule of the load
 * balancer.  Images go to ECR, lines to CloudWatch Logs, config vars to
 * Secrets Manager.  How things are called: name.h.
 *
 * What is there is asked of AWS each time: nothing about it is remembered
 * between deploys, so that what a killed builder left in the middle of a
 * rollout can be taken back (back.h says to what).
 */
#ifndef BUILDER_ROLLOUT_ECS_TARGET_H
#define BUILDER_ROLLOUT_ECS_TARGET_H

struct config;
struct config_target;
struct engine;
struct error;
struct store;
struct target;

/*
 * Borrows cfg, section and store, which must outlive it; takes `engine` (which
 * has the images) over when it succeeds.  `owner` is the installation's id.
 * 0 or as aws_open().
 */
int target_ecs_open(const struct config *cfg,
		    const struct config_target *section, struct engine *engine,
		    struct store *store, const char *owner, struct target **ret,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
