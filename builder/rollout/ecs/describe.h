/*
 * builder/rollout/ecs/describe.h - what there is on ECS, as AWS describes it:
 * services and task definitions.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks as aws_call(),
 * whose errors they return beside the ones named.  Descriptions lag some
 * seconds behind what was done.  What is returned in *ret is the caller's.
 */
#ifndef BUILDER_ROLLOUT_ECS_DESCRIBE_H
#define BUILDER_ROLLOUT_ECS_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

struct app;
struct ecs;
struct error;
struct release_plan;

/*
 * DescribeServices with tags for any number of names (NULL-ended).  *ret is
 * an array: those that exist and are not INACTIVE.
 */
int ecs_describe_services(struct ecs *e, const char *const *names, json_t **ret,
			  struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The same, for one app.  -ERR_EXISTS: one of them is another app's. */
int ecs_claimed_services(struct ecs *e, const struct app *app,
			 const char *const *names, json_t **ret,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The same, of the process types that `plan` runs. */
int ecs_planned_services(struct ecs *e, const struct app *app,
			 const struct release_plan *plan, json_t **ret,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* One of that array by serviceName; borrowed, NULL = none. */
json_t *ecs_service_named(const json_t *services, const char *name)
	__attribute__((nonnull));

/*
 * All services of the app, whatever their process type, as above.  One that
 * somebody else made is the app's when it runs a task definition of ours: it
 * has the tags of that in the place of its own, and ecs_is_adopted().
 */
int ecs_app_services(struct ecs *e, const struct app *app, json_t **ret,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Of ecs_app_services(): made by somebody else, and not ours to delete. */
bool ecs_is_adopted(const json_t *service);

/* DescribeTaskDefinition with tags; `name` an ARN or a family (its newest).
 * -ERR_NOTFOUND */
int ecs_describe_taskdef(struct ecs *e, const char *name, json_t **ret,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * The ARNs of a family's ACTIVE revisions, newest first, at most `max` of
 * them.  0, or 1 when there are more.
 */
int ecs_list_family(struct ecs *e, const char *family, size_t max, json_t **ret,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
