/*
 * Services that a rollout left behind, because the worker that did it was
 * killed: back to what is recorded as live.  ECS keeps the rest running
 * itself.
 */
#include "builder/rollout/ecs_target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/rollout/ecs_back.h"
#include "builder/rollout/ecs_describe.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_service.h"
#include "builder/rollout/ecs_taskdef.h"
#include "builder/store/app_lock.h"
#include "builder/store/store.h"

#include <string.h>

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

/* With the port that this revision has. */
static int send_to(struct ecs *e, const struct app *app, const json_t *service,
		   const char *arn, struct error *err)
{
	const char *type =
		ecs_tag(json_object_get(service, "tags"), ECS_TAG_PROCESS);
	json_auto_t *described = NULL;
	json_auto_t *input = NULL;
	json_auto_t *now = NULL;
	const json_t *def;
	struct ecs_service_plan plan = {
		.app = app,
		.name = json_get_str(service, "serviceName", ""),
		.type = type ? type : "",
		.taskdef = arn,
		.target_group = "",
	};
	int r = ecs_describe_taskdef(e, arn, &described, err);

	if (r < 0)
		return r;
	def = json_object_get(described, "taskDefinition");
	plan.container = ecs_taskdef_container(def, plan.type);
	plan.port = ecs_taskdef_port(def, plan.type);
	if (plan.container && plan.port)
		plan.target_group = group_of(service, plan.container);
	input = ecs_update_input(e, service, &plan);
	return ecs_update_service(e, input, &now, err);
}

static int send_back(struct ecs *e, const struct app *app,
		     const json_t *service, const json_t *current,
		     struct error *err)
{
	const char *name = json_get_str(service, "serviceName", "");
	auto_free char *previous = NULL;
	json_auto_t *none = json_pack("{s:i}", "desiredCount", 0);
	json_auto_t *now = NULL;
	int r = ecs_find_previous(e, app, service, current, &previous, err);

	if (r < 0)
		return r;
	ecs_detail(e, "%s: service %s was left on %s: back to %s", app->name,
		   name,
		   ecs_short_name(json_get_str(service, "taskDefinition", "")),
		   previous ? ecs_short_name(previous) : "0 tasks");
	if (previous)
		return send_to(e, app, service, previous, err);
	return ecs_restore_service(e, name, NULL, none, &now, err);
}

/* Does it run a release of ours that came after the live one? */
static int look_at(struct ecs *e, const struct app *app, const json_t *service,
		   struct error *err)
{
	const char *arn = json_get_str(service, "taskDefinition", "");
	json_auto_t *current = NULL;
	json_t *tags;
	int r;

	if (strcmp(json_get_str(service, "status", ""), "ACTIVE") != 0 ||
	    !json_integer_value(json_object_get(service, "desiredCount")))
		return 0;
	r = ecs_describe_taskdef(e, arn, &current, err);
	if (r < 0)
		return r;
	tags = json_object_get(current, "tags");
	if (ecs_owned(tags, e->owner, app->id) != ECS_OURS ||
	    ecs_tag_release(tags) <= app->live_version)
		return 0;
	return send_back(e, app, service, current, err);
}

static int reconcile_app(struct ecs *e, const struct app *app,
			 struct error *err)
{
	auto_close int lock = -1;
	json_auto_t *services = NULL;
	size_t i;
	json_t *service;
	int r = app_lock_take(e->cfg->data, app->id, 0, &lock, err);

	if (r == 0)
		r = ecs_app_services(e, app, &services, err);
	json_array_foreach(services, i, service)
	{
		if (r == 0)
			r = look_at(e, app, service, err);
	}
	return r < 0 ? err_wrap(err, r, "%s", app->name) : 0;
}

int ecs_reconcile(struct target *t, const struct app *apps,
		  const struct release *live, size_t count,
		  const struct target_report *report, struct error *err)
{
	struct ecs *e = ecs_of(t);
	struct error why;
	int first = 0;

	(void)live; /* apps[i].live_version says it */
	e->report = report;
	for (size_t i = 0; i < count; i++) {
		int r = reconcile_app(e, &apps[i], &why);

		if (r < 0 && first == 0) {
			first = r;
			*err = why;
		}
	}
	e->report = NULL;
	return first;
}
