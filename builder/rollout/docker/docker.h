/*
 * builder/rollout/docker/docker.h - the parts of target.c among each
 * other.
 *
 * Internal to builder/rollout/docker/.  All of it runs in workers and blocks.
 */
#ifndef BUILDER_ROLLOUT_DOCKER_DOCKER_H
#define BUILDER_ROLLOUT_DOCKER_DOCKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "builder/rollout/release_plan.h"
#include "builder/rollout/target.h"

struct app;
struct container;
struct engine;
struct release;
struct router;
struct router_route;
struct store;

struct docker {
	struct target base;
	const struct config *cfg;
	struct engine *engine;
	struct store *store;
	struct router *router;
	char *owner; /* installation id */
};

/* What the containers of a release have in common. */
struct blueprint {
	const struct app *app;
	const struct release *release;
	struct release_plan plan;
	json_t *vars; /* config vars of the release */
	char *network;
	int port; /* of web */
	bool has_healthcheck;
};

/* A container of a release that is being started. */
struct instance {
	const struct process_plan *type;
	int index;
	char label[PLAN_TYPE_BYTES + 16]; /* "web.1" */
	char *id;			  /* NULL until created */
	int64_t started_ms;		  /* clock_ms() */
};

struct docker *docker_of(struct target *t) __attribute__((nonnull));

/* "slipway-OWNER8-7"; the caller frees it. */
char *docker_network_name(const struct docker *d, int64_t app_id)
	__attribute__((nonnull));
/* ---- instance.c ---- */

/*
 * Read the release's plan and look at its image.  -ERR_PEER: it cannot be
 * started, or its image is gone.
 */
int blueprint_init(struct docker *d, const struct app *app,
		   const struct release *release, struct blueprint *ret,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));
void blueprint_release(struct blueprint *b);

void instance_init(struct instance *i, const struct process_plan *type,
		   int index) __attribute__((nonnull));

/* Make sure that the app's network is there.  0 or -code. */
int docker_ensure_network(struct docker *d, const struct blueprint *b,
			  struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Create and start it in the place of one of the same name.  i->id is set as
 * soon as there is one, also on failure.  -ERR_PEER: the release is to blame.
 */
int instance_start(struct docker *d, const struct blueprint *b,
		   struct instance *i, bool restart_always, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* SIGTERM, deploy.stop-timeout, SIGKILL, and away with it. */
int docker_retire(struct docker *d, const char *id, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The containers of the app (0 = all of ours); count. */
int docker_containers(struct docker *d, int64_t app_id, struct container **ret,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));
void docker_containers_free(struct container *list, int count);

/* ---- route.c ---- */

/*
 * Route the app's host to the running web containers of the release.
 * only_if_absent: leave a route alone that is there.
 */
int docker_route(struct docker *d, const struct blueprint *b,
		 bool only_if_absent, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- the operations of struct target_ops ---- */

/* release_phase.c */
int docker_release_phase(struct target *t, const struct app *app,
			 const struct release *release,
			 const char *const *command,
			 const struct target_report *report, struct error *err);
/* rollout.c */
int docker_rollout(struct target *t, const struct app *app,
		   const struct release *release,
		   const struct target_report *report, char **ret_url,
		   struct error *err);
/* settle.c */
int docker_settle(struct target *t, const struct app *app,
		  const struct release *release,
		  const struct target_report *report, struct error *err);
int docker_destroy(struct target *t, const struct app *app, struct error *err);
/* reconcile.c */
int docker_reconcile(struct target *t, const struct app *apps,
		     const struct release *live, size_t count,
		     const struct target_report *report, struct error *err);
/* logs.c */
int docker_logs(struct target *t, const struct app *app,
		const struct target_log_options *options,
		int (*sink)(void *ctx, struct slice line), void *ctx,
		struct error *err);

#endif
