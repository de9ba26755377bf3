/*
 * builder/rollout/ecs_service.h - the service of one process type.
 *
 * Internal to builder/rollout/.  Runs in workers; blocks as aws_call() and
 * where said.  Errors beside the ones named are those of aws_call().
 */
#ifndef BUILDER_ROLLOUT_ECS_SERVICE_H
#define BUILDER_ROLLOUT_ECS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

struct app;
struct ecs;
struct error;

/*
 * DescribeServices with tags for up to any number of names (NULL-ended).
 * *ret is an array, the caller's: those that exist and are not INACTIVE.
 */
int ecs_describe_services(struct ecs *e, const char *const *names, json_t **ret,
			  struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* One of that array by serviceName; borrowed, NULL = none. */
json_t *ecs_service_named(const json_t *services, const char *name)
	__attribute__((nonnull));

/*
 * -ERR_EXISTS: another installation has an app of this name here; repository,
 * log group and secret of that name are its.  0, or as aws_call().
 */
int ecs_check_namesake(struct ecs *e, const struct app *app, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* All services of the app, by their tags, whatever their process type;
 * *ret as above. */
int ecs_app_services(struct ecs *e, const struct app *app, json_t **ret,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));

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
 * IAM when it does not know a new role yet, up to 1 min.  *ret is the service
 * as AWS described it, the caller's.
 *
 * -ERR_EXISTS: there is one after all (look again).
 */
int ecs_create_service(struct ecs *e, const struct ecs_service_plan *p,
		       json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Roll `service` (as described) to p->taskdef.  How many tasks there are is
 * left alone, because autoscaling may own it, unless there are none and
 * p->count asks for some.  *ret as above.
 */
int ecs_update_service(struct ecs *e, const json_t *service,
		       const struct ecs_service_plan *p, json_t **ret,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Back to this task definition, the rest as it is; *ret as above. */
int ecs_revert_service(struct ecs *e, const char *name, const char *taskdef,
		       json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Stop the deployment that is going on: ECS makes the last COMPLETED one
 * PRIMARY again, by its old id and with the tasks that it still has.
 *
 * -ERR_NOTFOUND: none is going on.  -ERR_PEER also when there is none to go
 * back to.
 */
int ecs_stop_deployment(struct ecs *e, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

int ecs_scale_service(struct ecs *e, const char *name, int count,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* With its tasks; 0 also when it was gone. */
int ecs_delete_service(struct ecs *e, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
