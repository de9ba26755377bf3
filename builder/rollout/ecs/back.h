/*
 * builder/rollout/ecs/back.h - the services of a release back to what ran
 * before it.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks.
 *
 * What a service goes back to is found on AWS, so that it is known also after
 * the builder was killed in the middle of a rollout.  It is the first of
 *
 *	- what the service runs, when that is the live release's, or somebody
 *	  else's that was complete;
 *	- the revision of its family that is tagged with the live release;
 *	- that of its last complete deployment.
 *
 * Without any of them it goes back to 0 tasks; and so does a service that had
 * none, with the definition that it had.  One that this rollout made goes to
 *the live release's revision, if there is one: somebody had deleted it.
 */
#ifndef BUILDER_ROLLOUT_ECS_BACK_H
#define BUILDER_ROLLOUT_ECS_BACK_H

#include <stddef.h>
#include <jansson.h>

struct app;
struct ecs;
struct ecs_roll;
struct error;

/* The ARN of the live release's revision in a family; *ret is the caller's,
 * NULL = none. */
int ecs_find_live(struct ecs *e, const struct app *app, const char *family,
		  char **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * The ARN to go back to; *ret is the caller's, NULL = none.  `service` is a
 * description of it, `current` that of its task definition.  0 or as
 * aws_call().
 */
int ecs_find_previous(struct ecs *e, const struct app *app,
		      const json_t *service, const json_t *current, char **ret,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Bring all that were started, or may have been, back: by a rollback of ECS
 * where that leads to what ran before (its tasks still run), else by deploying
 * that again.  Wait, up to rollout-timeout, until they are stable.  One that
 * somebody else has taken over is left alone.  What goes wrong is told: there
 * is nothing more to do about it.
 */
void ecs_go_back(struct ecs *e, const struct app *app, struct ecs_roll *rolls,
		 size_t count) __attribute__((nonnull));

#endif
