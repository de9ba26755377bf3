/*
 * builder/rollout/ecs_follow.h - all services of a release on their way, to
 * the end: all of them complete, or all of them back where they were.
 *
 * Internal to builder/rollout/.  Runs in workers; blocks: it asks every 2 s,
 * less often while AWS throttles.
 *
 * What a service goes back to is found on AWS, so that it is known also after
 * the builder was killed in the middle of a rollout: the task definition of
 * its family that is tagged with the live release, else the one of its last
 * COMPLETED deployment.  A service that had no tasks, or was made by this
 * rollout, is scaled to 0.
 */
#ifndef BUILDER_ROLLOUT_ECS_FOLLOW_H
#define BUILDER_ROLLOUT_ECS_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "builder/rollout/ecs_reasons.h"
#include "builder/rollout/ecs_verdict.h"
#include "builder/rollout/release_plan.h"

struct app;
struct ecs;
struct error;

/* One service of the release. */
struct ecs_roll {
	const struct process_plan *p;
	char *name;	    /* of the service */
	char *taskdef;	    /* ARN of the new one */
	char *container;    /* its name */
	char *target_group; /* ARN; "" = none */
	char *previous;	    /* ARN to go back to; NULL = to 0 tasks */
	bool is_completed;  /* is `previous` what was COMPLETED last? */
	bool is_at_rest;    /* people want no task of what is live */
	char *id;	    /* of our deployment; NULL = not started, "" = not
				known, and whether it started neither */
	char *before;	    /* id that was PRIMARY before; "" = none */
	int64_t started_ms; /* clock_ms() */
	bool was_seen;	    /* our deployment, in a description */
	enum ecs_verdict verdict;
	int64_t running; /* as told last; -1 = nothing yet */
	int64_t pending; /* tasks that were starting at the last look */
	struct ecs_reasons reasons;
};

void ecs_roll_release(struct ecs_roll *r);

/*
 * Follow those rolls that were started until all are complete.  Progress and
 * reasons go to the report.
 *
 * 0; -ERR_PEER: one of them failed, was rolled back by ECS, superseded,
 * deleted, or not complete within target.NAME.rollout-timeout: err says which
 * and why in one line; -ERR_CANCELED; or as aws_call().
 */
int ecs_follow(struct ecs *e, struct ecs_roll *rolls, size_t count,
	       struct error *err) __attribute__((nonnull, warn_unused_result));

/*
 * Bring all that were started back, by a rollback of ECS where that leads to
 * `previous` (its tasks still run), else by deploying it again; and wait, up to
 * rollout-timeout, until they are stable again.  One that somebody else has
 * taken over is left alone. What goes wrong is told: there is nothing more to
 * do about it.
 */
void ecs_go_back(struct ecs *e, const struct app *app, struct ecs_roll *rolls,
		 size_t count) __attribute__((nonnull));

#endif
