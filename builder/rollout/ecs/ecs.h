/*
 * builder/rollout/ecs/ecs.h - the parts of target.c among each other.
 *
 * Internal to builder/rollout/ecs/.  All of it runs in workers and blocks.
 */
#ifndef BUILDER_ROLLOUT_ECS_ECS_H
#define BUILDER_ROLLOUT_ECS_ECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "builder/rollout/release_plan.h"
#include "builder/rollout/target.h"

struct app;
struct aws;
struct config;
struct config_target;
struct engine;
struct error;
struct release;
struct store;

struct ecs {
	struct target base;
	const struct config *cfg;
	const struct config_target *section;
	struct engine *engine;
	struct store *store;
	struct aws *aws;
	char *owner; /* installation id */
	/* Asked for cancels while a call waits; NULL = nobody to ask. */
	const struct target_report *report;
	bool is_going_back; /* nobody is asked: it is to be ended */
	/* What publish() found and made */
	bool owns_repository; /* its tags say so */
	int64_t prepared;     /* version whose vars are `secrets`; 0 = none */
	json_t *secrets;      /* for the container: secrets_for_container() */
};

struct ecs *ecs_of(struct target *t) __attribute__((nonnull));

/* Canceled as the report says?  False without a report and while going
 * back. */
bool ecs_is_canceled(const struct ecs *e) __attribute__((nonnull));
/* Up to `ms`; true at once when canceled. */
bool ecs_pause(const struct ecs *e, int ms) __attribute__((nonnull));
/* Lines of the transcript, as printf(). */
void ecs_detail(const struct ecs *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
void ecs_complain(const struct ecs *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));

/*
 * aws_call() to ECS, and to the load balancer.  What AWS refuses because of
 * the target's configuration has the key's name in err.
 */
int ecs_call(struct ecs *e, const char *operation, const json_t *input,
	     json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int ecs_call_elb(struct ecs *e, const char *operation, const json_t *input,
		 json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* May a call that failed so go better the next time?  And: whether AWS did
 * what it was asked for is not known. */
bool ecs_is_passing(int r);

/*
 * Whose is the thing with these tags, that is called by the app's name and the
 * target's prefix `key`?  1: this installation's; 0: nobody's.
 *
 * -ERR_EXISTS: another installation's: err says which thing, and the key.
 */
int ecs_owns(const struct ecs *e, const json_t *tags, const char *what,
	     const char *name, const char *key, struct error *err)
	__attribute__((nonnull(1, 3, 4, 5, 6), warn_unused_result));

/*
 * The same of a service or target group, which is the one app's alone: 1, 0,
 * or -ERR_EXISTS when it is another app's.
 */
int ecs_app_owns(const struct ecs *e, const struct app *app, const json_t *tags,
		 const char *what, const char *name, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5, 6), warn_unused_result));

struct ecs_registration {
	const struct app *app;
	const struct release *release;
	const struct process_plan *p;
	int port;	    /* 0 = it listens to none */
	const json_t *base; /* as in ecs_taskdef_make(); NULL = none */
};

/* Register the task definition of one process type.  *ret_arn and
 * *ret_container are the caller's. */
int ecs_register(struct ecs *e, const struct ecs_registration *what,
		 char **ret_arn, char **ret_container, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Port on which web listens: the image's single exposed one, else the
 * target's.  Of an image that is gone from the engine it is not known any
 * more: then it is that of `base` (as above), if any.
 */
int ecs_port(struct ecs *e, const struct release *release, const json_t *base)
	__attribute__((nonnull(1, 2)));

/* awsvpcConfiguration as the target's keys say; the caller's. */
json_t *ecs_network(const struct ecs *e) __attribute__((nonnull));
/* Set launchType or capacityProviderStrategy. */
void ecs_set_capacity(const struct ecs *e, json_t *input)
	__attribute__((nonnull));

/* ---- target_ops ---- */

int ecs_release_phase(struct target *t, const struct app *app,
		      const struct release *release, const char *const *command,
		      const struct target_report *report, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int ecs_rollout(struct target *t, const struct app *app,
		const struct release *release,
		const struct target_report *report, char **ret_url,
		struct error *err) __attribute__((nonnull, warn_unused_result));
int ecs_settle(struct target *t, const struct app *app,
	       const struct release *release,
	       const struct target_report *report, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int ecs_processes(struct target *t, const struct app *app,
		  struct target_process **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/*
 * Services of these apps that run a release newer than the live one, which a
 * killed worker left there, are sent back to it; ECS does the rest.
 * -ERR_TIMEOUT: somebody works on an app.
 */
int ecs_reconcile(struct target *t, const struct app *apps,
		  const struct release *live, size_t count,
		  const struct target_report *report, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int ecs_destroy(struct target *t, const struct app *app, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
