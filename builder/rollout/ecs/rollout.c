/*
 * A release into the services of an app: register, create or update, follow;
 * or all of it back.
 */
#include "builder/rollout/ecs/ecs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/rollout/ecs/back.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/elb.h"
#include "builder/rollout/ecs/follow.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/roll.h"
#include "builder/rollout/ecs/service.h"
#include "builder/rollout/ecs/taskdef.h"
#include "builder/rollout/ecs/vars.h"
#include "builder/store/app_url.h"
#include "builder/store/store.h"

#include <string.h>

#define KNOWN_MS 30000 /* until a new service is described */
#define AGAIN_MS 2000

struct ecs_rollout {
	struct ecs *e;
	const struct app *app;
	const struct release *release;
	struct release_plan plan;
	char *log_group;
	json_t *services; /* as they were */
	struct ecs_roll rolls[PLAN_TYPES_MAX];
	size_t count;
};

static void ecs_rollout_free(struct ecs_rollout *ro)
{
	for (size_t i = 0; i < ro->count; i++)
		ecs_roll_release(&ro->rolls[i]);
	json_decref(ro->services);
	free(ro->log_group);
	release_plan_release(&ro->plan);
	free(ro);
}

/* ---- what there is ---- */

static int describe(struct ecs_rollout *ro, struct error *err)
{
	for (size_t i = 0; i < ro->plan.types_count; i++) {
		const struct process_plan *p = &ro->plan.types[i];
		struct ecs_roll *roll;

		if (!p->count)
			continue;
		roll = &ro->rolls[ro->count++];
		roll->p = p;
		roll->running = -1;
		roll->name = ecs_service_name(ro->e->section, ro->app->name,
					      p->type);
	}
	return ecs_planned_services(ro->e, ro->app, &ro->plan, &ro->services,
				    err);
}

/* DRAINING ones end by themselves: they are as good as gone. */
static json_t *active(const struct ecs_rollout *ro, const struct ecs_roll *roll)
{
	json_t *service = ecs_service_named(ro->services, roll->name);

	if (strcmp(json_get_str(service, "status", ""), "ACTIVE") != 0)
		return NULL;
	return service;
}

static bool is_last_completed(const json_t *service, const char *taskdef)
{
	return taskdef && strcmp(json_get_str(ecs_completed(service),
					      "taskDefinition", ""),
				 taskdef) == 0;
}

static bool wants_tasks(const json_t *service)
{
	return json_integer_value(json_object_get(service, "desiredCount")) > 0;
}

/* A deploy that failed left its own definition at no task; people, the live
 * one. */
static bool is_at_rest(const struct ecs_rollout *ro, const json_t *service,
		       const json_t *current)
{
	json_t *tags = json_object_get(current, "tags");

	return !wants_tasks(service) && ro->app->live_version &&
	       ecs_owned(tags, ro->e->owner, ro->app->id) == ECS_OURS &&
	       ecs_tag_release(tags) == ro->app->live_version;
}

/* *ret is the task definition that it runs. */
static int look_at_service(struct ecs_rollout *ro, struct ecs_roll *roll,
			   const json_t *service, json_t **ret,
			   struct error *err)
{
	int r = ecs_describe_taskdef(
		ro->e, json_get_str(service, "taskDefinition", ""), ret, err);

	if (r < 0)
		return r;
	/* What has no task is to be as it was. */
	if (!wants_tasks(service))
		roll->previous =
			xstrdup(json_get_str(service, "taskDefinition", ""));
	else
		r = ecs_find_previous(ro->e, ro->app, service, *ret,
				      &roll->previous, err);
	if (r < 0)
		return r;
	roll->completed =
		xstrdup(json_get_str(ecs_completed(service), "id", ""));
	roll->is_completed = is_last_completed(service, roll->previous);
	roll->is_at_rest = is_at_rest(ro, service, *ret);
	return 0;
}

/* Without a service: somebody may have deleted it.  *ret is the task
 * definition of the live release; it stays NULL when there is none. */
static int look_at_live(struct ecs_rollout *ro, struct ecs_roll *roll,
			json_t **ret, struct error *err)
{
	int r = ecs_find_live(ro->e, ro->app, roll->name, &roll->previous, err);

	if (r < 0 || !roll->previous)
		return r;
	r = ecs_describe_taskdef(ro->e, roll->previous, ret, err);
	if (r == 0)
		roll->previous_port = ecs_taskdef_port(
			json_object_get(*ret, "taskDefinition"), roll->p->type);
	return r;
}

/* ---- steps ---- */

static int register_one(struct ecs_rollout *ro, struct ecs_roll *roll,
			struct error *err)
{
	const json_t *service = active(ro, roll);
	json_auto_t *current = NULL;
	struct ecs_registration what = { .app = ro->app,
					 .release = ro->release,
					 .p = roll->p };
	int r;

	r = service ? look_at_service(ro, roll, service, &current, err)
		    : look_at_live(ro, roll, &current, err);
	if (r < 0)
		return r;
	what.base = current;
	if (strcmp(roll->p->type, PLAN_WEB) == 0)
		what.port = ecs_port(ro->e, ro->release, current);
	roll->port = what.port;
	return ecs_register(ro->e, &what, &roll->taskdef, &roll->container,
			    err);
}

/* Its service is there after all. */
static int register_again(struct ecs_rollout *ro, struct ecs_roll *roll,
			  struct error *err)
{
	free(TAKE_PTR(roll->previous));
	free(TAKE_PTR(roll->taskdef));
	free(TAKE_PTR(roll->container));
	return register_one(ro, roll, err);
}

static int register_all(struct ecs_rollout *ro, struct error *err)
{
	for (size_t i = 0; i < ro->count; i++) {
		struct ecs_roll *roll = &ro->rolls[i];
		int r = register_one(ro, roll, err);

		if (r < 0)
			return err_wrap(err, r, "%s", roll->p->type);
	}
	return 0;
}

static int ensure_routes(struct ecs_rollout *ro, struct error *err)
{
	for (size_t i = 0; i < ro->count; i++) {
		struct ecs_roll *roll = &ro->rolls[i];
		int r;

		if (strcmp(roll->p->type, PLAN_WEB) != 0) {
			roll->target_group = xstrdup("");
			continue;
		}
		r = ecs_elb_ensure(ro->e, ro->app, PLAN_WEB, roll->port,
				   &roll->target_group, err);
		if (r < 0)
			return err_wrap(err, r, "%s", roll->p->type);
	}
	return 0;
}

/* From here on AWS may change: what goes back needs roll->undo. */
static int update(struct ecs_rollout *ro, struct ecs_roll *roll,
		  const struct ecs_service_plan *plan, const json_t *service,
		  json_t **ret, struct error *err)
{
	json_auto_t *input = ecs_update_input(ro->e, service, plan);

	roll->undo = ecs_undo_of(service, input);
	if (!roll->previous)
		json_object_set_new(roll->undo, "desiredCount",
				    json_integer(0));
	return ecs_update_service(ro->e, input, ret, err);
}

static int create(struct ecs_rollout *ro, struct ecs_roll *roll,
		  const struct ecs_service_plan *plan, json_t **ret,
		  struct error *err)
{
	roll->undo = roll->previous
			     ? ecs_undo_of_creation(plan, roll->previous_port)
			     : json_pack("{s:i}", "desiredCount", 0);
	ecs_detail(ro->e, "creating service %s", roll->name);
	return ecs_create_service(ro->e, plan, ret, err);
}

/* Create or update; *ret is the service as AWS sees it now. */
static int change_service(struct ecs_rollout *ro, struct ecs_roll *roll,
			  const json_t *service, json_t **ret,
			  struct error *err)
{
	const struct ecs_service_plan plan = {
		.app = ro->app,
		.name = roll->name,
		.type = roll->p->type,
		.version = ro->release->version,
		.count = roll->is_at_rest ? 0 : roll->p->count,
		.taskdef = roll->taskdef,
		.container = roll->container,
		.target_group = roll->target_group,
		.port = roll->port,
	};
	int r;

	json_decref(roll->undo);
	roll->undo = NULL;
	r = service ? update(ro, roll, &plan, service, ret, err)
		    : create(ro, roll, &plan, ret, err);
	/* Not refused, but not answered either. */
	roll->may_have_begun = ecs_is_passing(r) || r == -ERR_CANCELED;
	return r;
}

/* In the place of what was described before under its name. */
static void note_service(struct ecs_rollout *ro, json_t *service)
{
	const char *name = json_get_str(service, "serviceName", "");

	for (size_t i = json_array_size(ro->services); i-- > 0;)
		if (strcmp(json_get_str(json_array_get(ro->services, i),
					"serviceName", ""),
			   name) == 0)
			json_array_remove(ro->services, i);
	json_array_append(ro->services, service);
}

/* A service that was made a moment ago, or by somebody just now: look at it
 * as soon as AWS describes it. */
static int look_again(struct ecs_rollout *ro, struct ecs_roll *roll,
		      struct error *err)
{
	const char *const names[] = { roll->name, NULL };
	int64_t end = clock_ms() + KNOWN_MS;

	for (;;) {
		json_auto_t *now = NULL;
		int r = ecs_claimed_services(ro->e, ro->app, names, &now, err);

		if (r < 0)
			return r;
		if (json_array_size(now)) {
			note_service(ro, json_array_get(now, 0));
			return 0;
		}
		if (clock_ms() > end)
			return err_set(err, ERR_EXISTS,
				       "service %s exists, but AWS does not "
				       "describe it",
				       roll->name);
		if (ecs_pause(ro->e, AGAIN_MS))
			return err_set(err, ERR_CANCELED, "canceled");
	}
}

static void watch(struct ecs_rollout *ro, struct ecs_roll *roll,
		  const json_t *before, const json_t *now)
{
	const json_t *d = before ? ecs_deployment(before, NULL) : NULL;

	ecs_roll_watch(roll, now, json_get_str(d, "id", ""));
	roll->reasons.e = ro->e;
	roll->reasons.service = roll->name;
	roll->reasons.type = roll->p->type;
	roll->reasons.container = roll->container;
	roll->reasons.log_group = ro->log_group;
	roll->reasons.target_group = roll->target_group;
	ecs_reasons_init(&roll->reasons, before ? now : NULL);
}

static int start_one(struct ecs_rollout *ro, struct ecs_roll *roll,
		     struct error *err)
{
	const json_t *service = active(ro, roll);
	json_auto_t *now = NULL;
	int r = change_service(ro, roll, service, &now, err);

	if (r == -ERR_EXISTS && !service) {
		r = look_again(ro, roll, err);
		service = active(ro, roll);
		if (r == 0)
			r = register_again(ro, roll, err);
		if (r == 0)
			r = change_service(ro, roll, service, &now, err);
	}
	if (r == 0)
		watch(ro, roll, service, now);
	return r;
}

static int start_all(struct ecs_rollout *ro, struct error *err)
{
	for (size_t i = 0; i < ro->count; i++) {
		struct ecs_roll *roll = &ro->rolls[i];
		int r;

		if (ecs_is_canceled(ro->e))
			return err_set(err, ERR_CANCELED, "canceled");
		r = start_one(ro, roll, err);
		if (r < 0)
			return err_wrap(err, r, "%s", roll->p->type);
	}
	return 0;
}

static bool has_started(const struct ecs_rollout *ro)
{
	for (size_t i = 0; i < ro->count; i++)
		if (ro->rolls[i].id || ro->rolls[i].may_have_begun)
			return true;
	return false;
}

static int run(struct ecs_rollout *ro, struct error *err)
{
	int r = release_plan_parse(ro->release->processes, &ro->plan, err);

	if (r == 0)
		r = ecs_prepare(ro->e, ro->app, ro->release, err);
	if (r == 0)
		r = describe(ro, err);
	if (r == 0)
		r = register_all(ro, err);
	if (r == 0)
		r = ensure_routes(ro, err);
	if (r == 0)
		r = start_all(ro, err);
	if (r == 0)
		r = ecs_follow(ro->e, ro->rolls, ro->count, err);
	return r;
}

int ecs_rollout(struct target *t, const struct app *app,
		const struct release *release,
		const struct target_report *report, char **ret_url,
		struct error *err)
{
	struct ecs_rollout *ro = xcalloc(1, sizeof(*ro));
	int r;

	ro->e = ecs_of(t);
	ro->e->report = report;
	ro->app = app;
	ro->release = release;
	ro->log_group = ecs_log_group(ro->e->section, app->name);
	r = run(ro, err);
	if (r < 0 && has_started(ro))
		ecs_go_back(ro->e, app, ro->rolls, ro->count);
	if (r == 0)
		*ret_url = app_url(ro->e->cfg, ro->e->section->name, app->name);
	ro->e->report = NULL;
	ecs_rollout_free(ro);
	return r;
}
