/*
 * builder/rollout/ecs/reasons.h - why a rollout does not get on: tasks that
 * died, what ECS says about the service, what the load balancer sees.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks as aws_call().
 * Each distinct reason is told once; that of a death with the task's last
 * lines.
 */
#ifndef BUILDER_ROLLOUT_ECS_REASONS_H
#define BUILDER_ROLLOUT_ECS_REASONS_H

#include <stddef.h>
#include <jansson.h>

#include "builder/rollout/ecs/verdict.h"

struct ecs;
struct error;

struct ecs_reasons {
	/* What is looked at; borrowed */
	struct ecs *e;
	const char *service;
	const char *type;
	const char *container;
	const char *log_group;
	const char *deployment;	  /* id; tasks say so in startedBy */
	const char *target_group; /* ARN; "" = none */
	/* What was found */
	struct ecs_deaths deaths;
	json_t *seen;  /* tasks, events and texts that were dealt with */
	char *trouble; /* of the load balancer, last seen; NULL = none */
	char *stuck;   /* why ECS cannot start tasks, last said; NULL */
	int looks;
	bool has_complained; /* that something may not be read */
};

/* The fields of the first part are set already; `service` is a description:
 * its events are old; NULL = it is new. */
void ecs_reasons_init(struct ecs_reasons *x, const json_t *service)
	__attribute__((nonnull(1)));
void ecs_reasons_release(struct ecs_reasons *x);

/*
 * Look at the service (as described just now) and tell what is new.  That
 * something may not be read is told once and is no failure.
 *
 * 0; -ERR_LIMIT: AWS throttles.
 */
int ecs_reasons_look(struct ecs_reasons *x, const json_t *service)
	__attribute__((nonnull));

/* "exited 3 (Essential container in task exited)", or what the load balancer
 * sees, or why ECS starts nothing; NULL = nothing is known.  Borrowed. */
const char *ecs_reasons_worst(const struct ecs_reasons *x)
	__attribute__((nonnull));

/* Tell the last lines of a task's container, waiting a few seconds for them. */
void ecs_tell_lines(struct ecs *e, const char *log_group, const char *type,
		    const char *container, const char *task_id)
	__attribute__((nonnull));

#endif
