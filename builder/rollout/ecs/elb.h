/*
 * builder/rollout/ecs/elb.h - the way to an app's web: a target group, and a
 * rule for its host name on the load balancer's listener.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks as aws_call();
 * errors beside the ones named are those of aws_call().
 *
 * A service can only be made when its target group hangs on a listener, and a
 * target group only be deleted when no rule names it.
 */
#ifndef BUILDER_ROLLOUT_ECS_ELB_H
#define BUILDER_ROLLOUT_ECS_ELB_H

#include <jansson.h>

struct app;
struct buf;
struct ecs;
struct error;

/*
 * Make sure of both; *ret_arn (of the target group) is the caller's, "" when
 * the target has no listener.
 *
 * -ERR_EXISTS: a target group of that name is another app's.  -ERR_INVALID:
 * another rule of the listener takes the host name.
 */
int ecs_elb_ensure(struct ecs *e, const struct app *app, const char *type,
		   int port, char **ret_arn, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Would ecs_elb_ensure() be refused what it makes?  Changes nothing; its
 * errors.
 */
int ecs_elb_check(struct ecs *e, const struct app *app, const char *type,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Remove target group and rules, unless somebody else made the group; 0 also
 * when they were gone. */
int ecs_elb_remove(struct ecs *e, const struct app *app, const char *type,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Append why targets of the group are not healthy: "10.0.1.5 unhealthy: Health
 * checks failed with these codes: [500] (Target.ResponseCodeMismatch)"; nothing
 * when all are, or are still being looked at.
 */
int ecs_elb_trouble(struct ecs *e, const char *group_arn, struct buf *out,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
