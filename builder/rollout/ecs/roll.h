/*
 * builder/rollout/ecs/roll.h - one service of a release on its way, and how to
 * look at all of them at a time.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers.
 */
#ifndef BUILDER_ROLLOUT_ECS_ROLL_H
#define BUILDER_ROLLOUT_ECS_ROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "builder/rollout/ecs/reasons.h"
#include "builder/rollout/ecs/verdict.h"

struct ecs;
struct error;
struct process_plan;

struct ecs_roll {
	const struct process_plan *p;
	char *name; /* of the service */
	int port;   /* 0 = it listens to none */
	/* The new release's */
	char *taskdef;	    /* ARN */
	char *container;    /* its name */
	char *target_group; /* ARN; "" = none */
	/* To go back: the task definition's ARN (NULL = there is none), and
	 * what else of UpdateService is to be as it was. */
	char *previous;
	int previous_port; /* of one whose service is gone; 0 = not known */
	char *completed;   /* id of the deployment that was COMPLETED last */
	bool is_completed; /* `previous` is what it runs */
	bool is_at_rest;   /* people want no task of what is live */
	json_t *undo;
	/* Our deployment */
	char *id;	     /* NULL = not started */
	char *before;	     /* id that was PRIMARY before; "" = none */
	bool may_have_begun; /* AWS did not answer; id is NULL */
	int64_t started_ms;  /* clock_ms() */
	bool was_seen;	     /* in a description */
	enum ecs_verdict verdict;
	int64_t running; /* as told last; -1 = nothing yet */
	int64_t pending; /* tasks that were starting at the last look */
	struct ecs_reasons reasons;
};

void ecs_roll_release(struct ecs_roll *r);

/* The PRIMARY deployment of `service` (a reply) is ours from now on; before
 * it was `before` ("" = none). */
void ecs_roll_watch(struct ecs_roll *r, const json_t *service,
		    const char *before) __attribute__((nonnull));

/* Judge by a description of its service; NULL = there is none.  *ret borrows
 * from it. */
void ecs_roll_judge(struct ecs_roll *r, const json_t *service,
		    struct ecs_state *ret) __attribute__((nonnull(1, 3)));

/* Looks every 2 s, less often while AWS throttles or fails. */
struct ecs_poller {
	int wait_ms;
	bool is_throttled; /* since the last look */
	int64_t end_ms;	   /* target.NAME.rollout-timeout from its start */
	int64_t good_ms;   /* of the last answer */
};

void ecs_poller_start(struct ecs_poller *p, const struct ecs *e)
	__attribute__((nonnull));

/*
 * Describe these services (NULL-ended) with one call.  *ret is NULL when AWS
 * did not answer this time: the next look is later then.
 *
 * 0; -ERR_DENIED for a minute on end; or as aws_call().
 */
int ecs_poller_look(struct ecs_poller *p, struct ecs *e,
		    const char *const *names, json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* AWS throttles: look less often. */
void ecs_poller_slow_down(struct ecs_poller *p) __attribute__((nonnull));

#endif
