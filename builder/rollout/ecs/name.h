/*
 * builder/rollout/ecs/name.h - what the things of an app are called on AWS.
 *
 * Internal to builder/rollout/ecs/.  Pure.  Names carry the app's name, so that
 * people find them in the console; that they are ours is said by tags:
 * slipway:owner (the installation), slipway:app (its id), slipway:process,
 * slipway:release (the number alone).  All strings returned are the caller's.
 */
#ifndef BUILDER_ROLLOUT_ECS_NAME_H
#define BUILDER_ROLLOUT_ECS_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

struct config_target;

#define ECS_TAG_OWNER	"slipway:owner"
#define ECS_TAG_APP	"slipway:app"
#define ECS_TAG_PROCESS "slipway:process"
#define ECS_TAG_RELEASE "slipway:release"

#define ECS_TASK_SHOWN 8 /* digits of a task's id that people see */

/* "PREFIXshop-web": the service and its family of task definitions. */
char *ecs_service_name(const struct config_target *t, const char *app,
		       const char *type) __attribute__((nonnull));

/* As the service, but at most 32 characters: a long one ends in a hash. */
char *ecs_group_name(const struct config_target *t, const char *app,
		     const char *type) __attribute__((nonnull));

/* "shop.apps.example.com"; "" when the target has no domain. */
char *ecs_host(const struct config_target *t, const char *app)
	__attribute__((nonnull));

/* "slipway/shop", "/slipway/shop", "slipway/shop" */
char *ecs_repository(const struct config_target *t, const char *app)
	__attribute__((nonnull));
char *ecs_log_group(const struct config_target *t, const char *app)
	__attribute__((nonnull));
char *ecs_secret_name(const struct config_target *t, const char *app)
	__attribute__((nonnull));

/* "slipway-OWNER-7-": what the labels of the app's config versions begin
 * with. */
char *ecs_secret_prefix(const char *owner, int64_t app_id)
	__attribute__((nonnull));

/*
 * 32 hex digits made of the words (NULL-ended): the same request has the same
 * token, so that AWS does it once.
 */
char *ecs_token(const char *const *words) __attribute__((nonnull));

/* "1f0c22ab…" of a task's ARN: what is behind the last slash; borrowed. */
const char *ecs_task_id(const char *arn) __attribute__((nonnull));
/* "shop-web:12" of a task definition's ARN; borrowed. */
const char *ecs_short_name(const char *arn) __attribute__((nonnull));

/* [{"key": …, "value": …}, …]; process and version are left out when NULL and
 * 0. */
json_t *ecs_tags(const char *owner, int64_t app_id, const char *process,
		 int64_t version) __attribute__((nonnull(1)));
/* The same as [{"Key": …, "Value": …}, …], as ECR, Secrets Manager and the
 * load balancer spell it, and as an object, as CloudWatch does. */
json_t *ecs_tags_spelt(const char *owner, int64_t app_id, const char *process)
	__attribute__((nonnull(1)));
json_t *ecs_tags_object(const char *owner, int64_t app_id)
	__attribute__((nonnull));

/* A tag's value, however they are spelt; NULL = none. */
const char *ecs_tag(const json_t *tags, const char *key)
	__attribute__((nonnull(2)));
/* The number in slipway:release; 0 = none. */
int64_t ecs_tag_release(const json_t *tags);

enum ecs_owned {
	ECS_OURS,     /* made by this installation for this app */
	ECS_NOBODYS,  /* without our tags: made by somebody, for us to use */
	ECS_ANOTHERS, /* of another app or installation */
};
/* app_id 0: for any app.  (What is called by an app's name is also what an
 * app of that name, which is gone, left.) */
enum ecs_owned ecs_owned(const json_t *tags, const char *owner, int64_t app_id)
	__attribute__((nonnull(2)));

#endif
