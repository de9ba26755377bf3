/*
 * After a deploy that was interrupted (its worker or the machine died): what
 * ECS was told then is taken back.
 */
#include "builder/rollout/ecs/ecs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/rollout/ecs/back.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/service.h"
#include "builder/rollout/ecs/taskdef.h"
#include "builder/rollout/ecs/verdict.h"
#include "builder/rollout/outcome.h"
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

/* Where the load balancer finds our container now; "" = nowhere. */
static const char *group_of(const json_t *service, const char *container)
{
	size_t i;
	json_t *lb;

	json_array_foreach(json_object_get(service, "loadBalancers"), i, lb)
	{
		if (strcmp(json_get_str(lb, "containerName", ""), container) ==
		    0)
			return json_get_str(lb, "targetGroupArn", "");
	}
	return "";
}

/* With the port that this revision has: the interrupted one may have another.
 */
static int send_to(const struct taking_back *b, const json_t *service,
		   const char *arn, struct error *err)
{
	const char *type =
		ecs_tag(json_object_get(service, "tags"), ECS_TAG_PROCESS);
	json_auto_t *described = NULL;
	json_auto_t *input = NULL;
	json_auto_t *now = NULL;
	const json_t *def;
	struct ecs_service_plan plan = {
		.app = b->app,
		.name = json_get_str(service, "serviceName", ""),
		.type = type ? type : "",
		.taskdef = arn,
		.target_group = "",
	};
	int r = ecs_describe_taskdef(b->e, arn, &described, err);

	if (r < 0)
		return r;
	def = json_object_get(described, "taskDefinition");
	plan.container = ecs_taskdef_container(def, plan.type);
	plan.port = ecs_taskdef_port(def, plan.type);
	if (plan.container && plan.port)
		plan.target_group = group_of(service, plan.container);
	input = ecs_update_input(b->e, service, &plan);
	return ecs_update_service(b->e, input, &now, err);
}

/* The service runs what was interrupted. */
static int send_back(const struct taking_back *b, const json_t *service,
		     const json_t *current, struct error *err)
{
	const char *name = json_get_str(service, "serviceName", "");
	auto_free char *previous = NULL;
	json_auto_t *none = json_pack("{s:i}", "desiredCount", 0);
	json_auto_t *now = NULL;
	int r = ecs_find_previous(b->e, b->app, service, current, &previous,
				  err);

	if (r < 0)
		return r;
	/* Of a first release that was complete before it was live. */
	if (previous &&
	    strcmp(previous, json_get_str(service, "taskDefinition", "")) == 0)
		free(TAKE_PTR(previous));
	if (!previous && ecs_is_adopted(service)) {
		ecs_complain(b->e,
			     "app=%s v%" PRId64 " was interrupted: service %s "
			     "is left on it, as what it ran before is not "
			     "known",
			     b->app->name, b->version, name);
		return 0;
	}
	tell(b, name, previous ? ecs_short_name(previous) : "no task at all");
	if (previous)
		return send_to(b, service, previous, err);
	return ecs_restore_service(b->e, name, NULL, none, &now, err);
}

static int look_at_service(const struct taking_back *b, const json_t *service,
			   struct error *err)
{
	const json_t *primary = ecs_deployment(service, NULL);
	json_auto_t *current = NULL;
	json_t *tags;
	int64_t release;
	int r = ecs_describe_taskdef(
		b->e, json_get_str(primary, "taskDefinition", ""), &current,
		err);

	if (r == -ERR_NOTFOUND)
		return 0; /* nothing that we know of */
	if (r < 0)
		return r;
	tags = json_object_get(current, "tags");
	release = ecs_tag_release(tags);
	/* Whatever else runs, ECS or somebody has decided on. */
	if (ecs_owned(tags, b->e->owner, b->app->id) != ECS_OURS ||
	    release <= b->app->live_version || release > b->version)
		return 0;
	return send_back(b, service, current, err);
}

static bool has_tasks_wanted(const json_t *service)
{
	return strcmp(json_get_str(service, "status", ""), "ACTIVE") == 0 &&
	       json_integer_value(json_object_get(service, "desiredCount")) > 0;
}

static int take_back(const struct taking_back *b, struct error *err)
{
	json_auto_t *services = NULL;
	struct outcome o = { .r = 0 };
	size_t i;
	json_t *service;
	int r = ecs_app_services(b->e, b->app, &services, err);

	if (r < 0)
		return r;
	json_array_foreach(services, i, service)
	{
		if (has_tasks_wanted(service))
			outcome_note(&o, look_at_service(b, service, err), err);
	}
	return outcome_result(&o, err);
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
