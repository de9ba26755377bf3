/*
 * After a deploy that was interrupted (its worker or the machine died): what
 * ECS was told then is taken back.
 */
#include "builder/rollout/ecs_target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_service.h"
#include "builder/rollout/ecs_verdict.h"
#include "builder/store/app_lock.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <string.h>

struct taking_back {
	struct ecs *e;
	const struct app *app;
	int64_t version; /* of the newest release that was interrupted */
};

static void tell(const struct taking_back *b, const char *name, const char *to)
{
	ecs_detail(b->e,
		   "app=%s v%" PRId64 " was interrupted: service %s goes back "
		   "to %s",
		   b->app->name, b->version, name, to);
}

/* The service runs what was interrupted. */
static int send_back(const struct taking_back *b, const char *name,
		     const char *family, struct error *err)
{
	auto_free char *live = ecs_find_live(b->e, b->app, family);
	json_auto_t *service = NULL;

	tell(b, name, live ? ecs_short_name(live) : "no task at all");
	if (!live)
		return ecs_scale_service(b->e, name, 0, err);
	return ecs_revert_service(b->e, name, live, &service, err);
}

static int look_at_service(const struct taking_back *b, const json_t *service,
			   struct error *err)
{
	const json_t *primary = ecs_deployment(service, NULL);
	json_auto_t *current = NULL;
	int64_t tag;
	int r = ecs_describe_taskdef(
		b->e, json_get_str(primary, "taskDefinition", ""), &current,
		err);

	if (r < 0)
		return r;
	tag = ecs_tag_release(json_object_get(current, "tags"));
	/* Whatever else runs, ECS or somebody has decided on. */
	if (tag <= b->app->live_version || tag > b->version)
		return 0;
	return send_back(
		b, json_get_str(service, "serviceName", ""),
		json_get_str(json_object_get(current, "taskDefinition"),
			     "family", ""),
		err);
}

static bool has_tasks_wanted(const json_t *service)
{
	return strcmp(json_get_str(service, "status", ""), "ACTIVE") == 0 &&
	       json_integer_value(json_object_get(service, "desiredCount")) > 0;
}

static int take_back(const struct taking_back *b, struct error *err)
{
	json_auto_t *services = NULL;
	size_t i;
	json_t *service;
	int r = ecs_app_services(b->e, b->app, &services, err);

	json_array_foreach(services, i, service)
	{
		if (r == 0 && has_tasks_wanted(service))
			r = look_at_service(b, service, err);
	}
	return r;
}

static int reconcile_app(struct ecs *e, int64_t id, struct error *err)
{
	auto_close int lock = -1;
	struct app app = { .id = 0 };
	struct taking_back b = { .e = e, .app = &app };
	int r = app_lock_take(e->cfg->data, id, 0, &lock, err);

	if (r == 0)
		r = store_app_get_id(e->store, id, &app, err);
	if (r == -ERR_NOTFOUND)
		return 0; /* destroyed meanwhile */
	if (r == 0)
		r = store_release_interrupted(e->store, id, &b.version, err);
	if (r > 0)
		r = take_back(&b, err);
	if (r < 0)
		r = err_wrap(err, r, "app %s", app.name ? app.name : "?");
	app_release(&app);
	return r;
}

int ecs_reconcile(struct target *t, const struct app *apps,
		  const struct release *live, size_t count,
		  const struct target_report *report, struct error *err)
{
	struct ecs *e = ecs_of(t);
	int r = 0;

	(void)live; /* may be old: the app is read again under its lock */
	e->report = report;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = reconcile_app(e, apps[i].id, err);
	e->report = NULL;
	return r;
}
