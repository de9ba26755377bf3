/*
 * builder/rollout/ecs/cleaning.h - services and task definitions that no
 * release needs any more.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks as aws_call().
 *
 * Its steps are to be done all, whatever becomes of one of them: so they note
 * the first failure in `o` instead of returning it.
 */
#ifndef BUILDER_ROLLOUT_ECS_CLEANING_H
#define BUILDER_ROLLOUT_ECS_CLEANING_H

#include <stdint.h>
#include <jansson.h>

#include "builder/rollout/outcome.h"

struct app;
struct ecs;
struct release_plan;

struct ecs_cleaning {
	struct ecs *e;
	const struct app *app;
	json_t *types;	 /* names of process types, as keys */
	json_t *in_use;	 /* ARNs of task definitions, as keys */
	json_t *digests; /* of images to keep, as keys */
	struct outcome o;
};

void ecs_cleaning_init(struct ecs_cleaning *c, struct ecs *e,
		       const struct app *app) __attribute__((nonnull));
void ecs_cleaning_release(struct ecs_cleaning *c);

/* End those services whose type `plan` has not (NULL = all); what the others
 * use is noted. */
void ecs_clean_services(struct ecs_cleaning *c, const struct release_plan *plan)
	__attribute__((nonnull(1)));

/*
 * Deregister and delete the app's revisions but those in use and the newest
 * `keep` of each family.  The images of what stays are noted; when there are
 * too many to see all of them, that is a failure.
 */
void ecs_clean_taskdefs(struct ecs_cleaning *c, int64_t keep)
	__attribute__((nonnull));

/* Note that "URI@sha256:…" is to be kept; accepts NULL. */
void ecs_keep_image(struct ecs_cleaning *c, const char *image)
	__attribute__((nonnull(1)));

#endif
