/*
 * builder/rollout/ecs/taskdef.h - task definitions: made of an app, a release
 * and the target's configuration.
 *
 * Internal to builder/rollout/ecs/.  Pure.
 *
 * When there is one already (the service's current one), the new one is that
 * one amended, as JSON, so that sidecars, volumes, ulimits and whatever else
 * people added survive.  What the configuration has a key for, the
 * configuration decides: cpu, memory, architecture, roles, EFS; and ours are
 * the container's image, command, secrets and awslogs options.
 *
 * Source: RegisterTaskDefinition in the Amazon ECS API reference.
 */
#ifndef BUILDER_ROLLOUT_ECS_TASKDEF_H
#define BUILDER_ROLLOUT_ECS_TASKDEF_H

#include <stdint.h>
#include <jansson.h>

struct config_target;
struct error;

#define ECS_TASKDEF_BYTES_MAX 65536 /* as JSON */

struct ecs_taskdef {
	const struct config_target *target;
	const char *family;
	const char *container;	    /* "web" */
	const char *image;	    /* by digest */
	const char *const *command; /* NULL = the image's */
	const json_t *environment;  /* object of strings */
	const json_t *secrets;	    /* secrets_for_container() */
	int64_t cpu;		    /* units */
	int64_t memory;		    /* MiB */
	int port;		    /* 0 = it listens to none */
	int stop_timeout_s;
	const char *region;
	const char *log_group;
	const json_t *tags; /* ecs_tags() */
};

/*
 * The input of RegisterTaskDefinition; *ret is the caller's.  `base` is the
 * reply of DescribeTaskDefinition (with its tags) or NULL.
 *
 * 0; -ERR_INVALID: no container of it is ours to amend (neither called as in
 * `d` nor the only one), or target.NAME.efs is malformed; -ERR_LIMIT: it has
 * more than ECS_TASKDEF_BYTES_MAX.
 */
int ecs_taskdef_make(const struct ecs_taskdef *d, const json_t *base,
		     json_t **ret, struct error *err)
	__attribute__((nonnull(1, 3, 4), warn_unused_result));

/* Name of the container that is ours in what ecs_taskdef_make() made or AWS
 * described; NULL as above.  Borrowed. */
const char *ecs_taskdef_container(const json_t *taskdef, const char *container)
	__attribute__((nonnull));

/* What that container's PORT says; 0 = nothing. */
int ecs_taskdef_port(const json_t *taskdef, const char *container)
	__attribute__((nonnull(2)));

/* The image of that container; NULL = none.  Borrowed. */
const char *ecs_taskdef_image(const json_t *taskdef, const char *container)
	__attribute__((nonnull));

#endif
