/*
 * builder/rollout/ecs/elb_rule.h - the listener's rule that brings the requests
 * for an app's host name to its target group.
 *
 * Internal to builder/rollout/ecs/elb.c.  Runs in workers; blocks as
 * aws_call(); errors beside the ones named are those of aws_call().
 */
#ifndef BUILDER_ROLLOUT_ECS_ELB_RULE_H
#define BUILDER_ROLLOUT_ECS_ELB_RULE_H

struct app;
struct ecs;
struct error;

/*
 * -ERR_INVALID when another rule takes the host name.  Changes nothing.
 * group_arn "" is a target group that is to be made.
 */
int ecs_rule_check(struct ecs *e, const struct app *app, const char *group_arn,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Make sure of it.  -ERR_INVALID as above. */
int ecs_rule_ensure(struct ecs *e, const struct app *app, const char *type,
		    const char *group_arn, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Remove all rules that bring requests to this group alone; 0 also when there
 * was none. */
int ecs_rule_delete(struct ecs *e, const char *group_arn, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
