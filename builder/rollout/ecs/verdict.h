/*
 * builder/rollout/ecs/verdict.h - how it stands with a rollout of one service,
 * by the id of our own deployment; and when deaths are enough.
 *
 * Internal to builder/rollout/ecs/.  Pure.
 *
 * "Services stable" is no verdict: a service that ECS rolled back is stable.
 * Only our own deployment, PRIMARY and COMPLETED, is a success.
 *
 * Reads lag: for some seconds after UpdateService a description may still show
 * the deployment before ours as PRIMARY, and nothing of ours, even when an
 * earlier one knew better.
 *
 * Sources: Deployment in the Amazon ECS API reference; "How the Amazon ECS
 * deployment circuit breaker detects failures" (a rollback makes the old
 * deployment, with its old id, PRIMARY again).
 */
#ifndef BUILDER_ROLLOUT_ECS_VERDICT_H
#define BUILDER_ROLLOUT_ECS_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

struct buf;

enum ecs_verdict {
	ECS_IN_PROGRESS,
	ECS_COMPLETE,
	ECS_FAILED,	 /* as ECS says; our deployment is still PRIMARY */
	ECS_ROLLED_BACK, /* ECS went back to the deployment before */
	ECS_SUPERSEDED,	 /* somebody started another deployment */
	ECS_DELETED,	 /* somebody deleted the service */
};

struct ecs_watched {
	const char *id;	    /* of our deployment: "ecs-svc/…" */
	const char *before; /* id that was PRIMARY before; "" = none */
	int64_t age_ms;	    /* since ours was started */
};

/* What a description said. */
struct ecs_state {
	enum ecs_verdict verdict;
	bool is_seen; /* ours was in it */
	int64_t desired;
	int64_t running;
	int64_t pending;
	int64_t failed;
	/* Of the PRIMARY deployment; borrowed from the description */
	const char *primary_id;
	const char *primary_taskdef;
	bool primary_is_complete;
	bool primary_has_failed;
	const char *reason; /* rolloutStateReason of the one that matters */
};

/* Judge one of services[] of DescribeServices. */
void ecs_judge(const json_t *service, const struct ecs_watched *w,
	       struct ecs_state *ret) __attribute__((nonnull));

/* The one with this id, or with status PRIMARY when `id` is NULL; borrowed,
 * NULL = none. */
const json_t *ecs_deployment(const json_t *service, const char *id)
	__attribute__((nonnull(1)));

/* The newest deployment of a service that is COMPLETED; borrowed, NULL. */
const json_t *ecs_completed(const json_t *service) __attribute__((nonnull));

/* ---- deaths ---- */

/*
 * Is this task (of DescribeTasks) one that a rollout is to blame for?  It has
 * ended, and not because the service was scaled, somebody stopped it, or AWS
 * took the machine away.
 */
bool ecs_is_death(const json_t *task) __attribute__((nonnull));

/* "exited 3 (Essential container in task exited)": what happened to it, for
 * people. */
void ecs_death_reason(const json_t *task, struct buf *out)
	__attribute__((nonnull));

/* The same without what differs from task to task (ids, addresses), to
 * compare by. */
void ecs_death_key(const json_t *task, struct buf *out)
	__attribute__((nonnull));

/* Append `text` with "#" for what looks like an id or an address. */
void ecs_blur(const char *text, struct buf *out) __attribute__((nonnull));

#define ECS_DEATHS_MAX 16 /* distinct ones; more are counted as the last */

struct ecs_deaths {
	struct ecs_death {
		char *key;
		char *reason; /* of the first */
		int count;
	} list[ECS_DEATHS_MAX];
	size_t count;
};

void ecs_deaths_release(struct ecs_deaths *d);
/* Count a task that died; true when nobody died like this before. */
bool ecs_deaths_add(struct ecs_deaths *d, const json_t *task)
	__attribute__((nonnull));
/* The one that happened `attempts` times or more; NULL = none yet. */
const struct ecs_death *ecs_deaths_enough(const struct ecs_deaths *d,
					  int64_t attempts)
	__attribute__((nonnull));
/* The one that happened most often; NULL = none. */
const struct ecs_death *ecs_deaths_worst(const struct ecs_deaths *d)
	__attribute__((nonnull));

#endif
