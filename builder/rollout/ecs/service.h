/*
 * builder/rollout/ecs/service.h - make, change and end the service of one
 * process type.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks as aws_call() and
 * where said.  Errors beside the ones named are those of aws_call().  What is
 * returned in *ret is the caller's: the service as AWS answered.
 */
#ifndef BUILDER_ROLLOUT_ECS_SERVICE_H
#define BUILDER_ROLLOUT_ECS_SERVICE_H

#include <stdint.h>
#include <jansson.h>

struct app;
struct ecs;
struct error;

struct ecs_service_plan {
	const struct app *app;
	const char *name;
	const char *type;
	int64_t version;
	int count; /* tasks of one that has none; 0 = it is to have none */
	const char *taskdef;
	const char *container;
	const char *target_group; /* ARN; "" = not behind the load balancer */
	int port;
};

/*
 * Create the service; one that drains is waited for, up to 5 min, and so is
 * what AWS does not know yet of a role or a listener rule, up to 1 min (also
 * by the others).
 *
 * -ERR_EXISTS: there is one after all (look again).
 */
int ecs_create_service(struct ecs *e, const struct ecs_service_plan *p,
		       json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * The input of UpdateService that rolls `service` (as described) to
 * p->taskdef; the caller's.  It has what differs from how the service is:
 * people's deploymentConfiguration stays but for the circuit breaker, their
 * other load balancers stay, and of a service that they made the network,
 * too.  How many tasks there are is left alone, because autoscaling may own
 * it, unless there are none and p->count asks for some.
 */
json_t *ecs_update_input(const struct ecs *e, const json_t *service,
			 const struct ecs_service_plan *p)
	__attribute__((nonnull));

/* The members of UpdateService that make what `input` changes as it was, but
 * for the task definition; the caller's. */
json_t *ecs_undo_of(const json_t *service, const json_t *input)
	__attribute__((nonnull));

/* The same for a service that is created: what makes it fit for a revision
 * that listens on `port` (0 = not known); the caller's. */
json_t *ecs_undo_of_creation(const struct ecs_service_plan *p, int port)
	__attribute__((nonnull));

int ecs_update_service(struct ecs *e, const json_t *input, json_t **ret,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Back to this task definition (NULL = as it is), with the members of `undo`.
 * -ERR_NOTFOUND: there is no such service.
 */
int ecs_restore_service(struct ecs *e, const char *name, const char *taskdef,
			const json_t *undo, json_t **ret, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5, 6), warn_unused_result));

/*
 * Stop the deployment that is going on: ECS makes the last COMPLETED one
 * PRIMARY again, by its old id and with the tasks that it still has.
 *
 * -ERR_NOTFOUND: none is going on.  -ERR_PEER also when there is none to go
 * back to.
 */
int ecs_stop_deployment(struct ecs *e, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* With its tasks; 0 also when it was gone. */
int ecs_delete_service(struct ecs *e, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
