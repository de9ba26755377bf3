/*
 * builder/rollout/ecs_target.h - the parts of target_ecs.c among each other.
 *
 * Internal to builder/rollout/.  All of it runs in workers and blocks.
 */
#ifndef BUILDER_ROLLOUT_ECS_TARGET_H
#define BUILDER_ROLLOUT_ECS_TARGET_H

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
	/* What publish() made of a release's config vars. */
	int64_t prepared; /* version; 0 = none */
	json_t *secrets;  /* for the container */
};

struct ecs *ecs_of(struct target *t) __attribute__((nonnull));

/* Canceled as the report says?  False without a report and while going
 * back. */
bool ecs_is_canceled(const struct ecs *e) __attribute__((nonnull));
/* Up to `ms`; true at once when canceled. */
bool ecs_pause(const struct ecs *e, int ms) __attribute__((nonnull));
/* Of aws_call(): may it go better later, and may the call have been carried
 * out all the same? */
bool ecs_is_passing(int r);
/* Lines of the transcript, as printf(). */
void ecs_detail(const struct ecs *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
void ecs_complain(const struct ecs *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));

/*
 * Put the release's config vars where tasks read them, unless that was done:
 * e->secrets is set then.
 */
int ecs_prepare(struct ecs *e, const struct app *app,
		const struct release *release, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Register the task definition of one process type; `base` as in
 * ecs_taskdef_make().  *ret_arn and *ret_container (may be NULL) are the
 * caller's.
 */
int ecs_register(struct ecs *e, const struct app *app,
		 const struct release *release, const struct process_plan *p,
		 const json_t *base, char **ret_arn, char **ret_container,
		 struct error *err)
	__attribute__((nonnull(1, 2, 3, 4, 6, 8), warn_unused_result));

/* DescribeTaskDefinition with tags; `name` an ARN or a family (its newest).
 * *ret is the caller's.  -ERR_NOTFOUND */
int ecs_describe_taskdef(struct ecs *e, const char *name, json_t **ret,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Port on which web listens: the image's single exposed one, else the
 * target's. */
int ecs_port(struct ecs *e, const struct release *release)
	__attribute__((nonnull));

/* awsvpcConfiguration as the target's keys say; the caller's. */
json_t *ecs_network(const struct ecs *e) __attribute__((nonnull));
/* Set launchType or capacityProviderStrategy. */
void ecs_set_capacity(const struct ecs *e, json_t *input)
	__attribute__((nonnull));

/* The revision of the live release in a family, the caller's; NULL = there is
 * none, or AWS did not say. */
char *ecs_find_live(struct ecs *e, const struct app *app, const char *family)
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
int ecs_reconcile(struct target *t, const struct app *apps,
		  const struct release *live, size_t count,
		  const struct target_report *report, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int ecs_destroy(struct target *t, const struct app *app, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
