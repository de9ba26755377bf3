/*
 * After the switch: the old release ends; and the end of an app.
 */
#include "builder/rollout/docker/docker.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/engine/container.h"
#include "builder/engine/network.h"
#include "builder/rollout/engine_images.h"
#include "builder/rollout/outcome.h"
#include "builder/rollout/router/router.h"
#include "builder/store/store.h"

#include <inttypes.h>

/* ---- containers ---- */

/* Retire the app's containers but those of release `keep`. */
static void retire_all(struct docker *d, const struct app *app, int64_t keep,
		       const struct target_report *report, struct outcome *o)
{
	struct container *list = NULL;
	struct error err;
	int count = docker_containers(d, app->id, &list, &err);

	outcome_note(o, count, &err);
	for (int i = 0; i < count; i++) {
		auto_free char *busy = NULL;

		if (list[i].version == keep)
			continue;
		busy = xasprintf("stopping %s.%d of v%" PRId64, list[i].process,
				 list[i].index, list[i].version);
		if (report)
			report->busy(report->ctx, busy);
		outcome_note(o, docker_retire(d, list[i].id, &err), &err);
	}
	if (report)
		report->busy(report->ctx, NULL);
	docker_containers_free(list, count);
}

/* live = 0: drop all of them. */
static int forget_images(struct docker *d, const struct app *app, int64_t live,
			 struct error *err)
{
	const struct engine_images images = {
		.engine = d->engine,
		.store = d->store,
		.owner = d->owner,
		.keep = d->cfg->deploy_keep_releases,
	};

	return engine_images_retain(&images, app, live, err);
}

/* ---- settle ---- */

/* The route is set once more: HAProxy may have been restarted between the
 * switch and the record of it. */
static void route_again(struct docker *d, const struct app *app,
			const struct release *release, struct outcome *o)
{
	struct blueprint b = { .app = app };
	struct error err;
	int r = blueprint_init(d, app, release, &b, &err);

	if (r == 0)
		r = docker_route(d, &b, false, &err);
	outcome_note(o, r, &err);
	blueprint_release(&b);
}

static void drain(struct docker *d, const struct app *app,
		  const struct target_report *report, struct outcome *o)
{
	struct error err;
	int r;

	report->busy(report->ctx, "draining the old release");
	r = d->router->ops->drain(d->router, app->id,
				  (int)d->cfg->deploy_drain_timeout_ms, &err);
	if (r == -ERR_TIMEOUT)
		report->detail(report->ctx, err.msg);
	else
		outcome_note(o, r, &err);
}

int docker_settle(struct target *t, const struct app *app,
		  const struct release *release,
		  const struct target_report *report, struct error *err)
{
	struct docker *d = docker_of(t);
	struct outcome o = { .r = 0 };
	struct error why;

	route_again(d, app, release, &o);
	drain(d, app, report, &o);
	retire_all(d, app, release->version, report, &o);
	outcome_note(&o, forget_images(d, app, release->version, &why), &why);
	return outcome_result(&o, err);
}

/* ---- destroy ---- */

int docker_destroy(struct target *t, const struct app *app, struct error *err)
{
	struct docker *d = docker_of(t);
	auto_free char *network = docker_network_name(d, app->id);
	struct outcome o = { .r = 0 };
	struct error why;
	int r = d->router->ops->remove(d->router, app->id, &why);

	/* A router that does not run has forgotten the app anyway. */
	if (r != -ERR_PEER)
		outcome_note(&o, r, &why);
	retire_all(d, app, 0, NULL, &o);
	outcome_note(&o, network_remove(d->engine, network, &why), &why);
	outcome_note(&o, forget_images(d, app, 0, &why), &why);
	return outcome_result(&o, err);
}
