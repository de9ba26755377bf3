/*
 * A release into the services of an app: register, create or update, follow;
 * or all of it back.
 */
#include "builder/rollout/ecs_target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs_elb.h"
#include "builder/rollout/ecs_follow.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_service.h"
#include "builder/store/app_url.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <string.h>

#define FAMILY_LOOKED_AT 20 /* revisions, for the live release's */

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
	const char *names[PLAN_TYPES_MAX + 1] = { NULL };

	for (size_t i = 0; i < ro->plan.types_count; i++) {
		const struct process_plan *p = &ro->plan.types[i];
		struct ecs_roll *roll = &ro->rolls[ro->count];

		if (!p->count)
			continue;
		roll->p = p;
		roll->running = -1;
		roll->name = ecs_service_name(ro->e->section, ro->app->name,
					      p->type);
		names[ro->count++] = roll->name;
	}
	return ecs_describe_services(ro->e, names, &ro->services, err);
}

static int check_owners(struct ecs_rollout *ro, struct error *err)
{
	for (size_t i = 0; i < ro->count; i++) {
		const char *name = ro->rolls[i].name;
		json_t *service = ecs_service_named(ro->services, name);
		json_t *tags = json_object_get(service, "tags");

		if (ecs_owned(tags, ro->e->owner, ro->app->id) == ECS_ANOTHERS)
			return err_set(err, ERR_EXISTS,
				       "service %s belongs to another app: its "
				       "tags say so (choose another "
				       "target.%s.name-prefix)",
				       name, ro->e->section->name);
	}
	return 0;
}

/* DRAINING ones end by themselves: they are as good as gone. */
static json_t *active(const struct ecs_rollout *ro, const struct ecs_roll *roll)
{
	json_t *service = ecs_service_named(ro->services, roll->name);

	if (strcmp(json_get_str(service, "status", ""), "ACTIVE") != 0)
		return NULL;
	return service;
}

/* ---- what to go back to ---- */

static bool is_live(const struct ecs_rollout *ro, const json_t *described)
{
	return ecs_tag_release(json_object_get(described, "tags")) ==
	       ro->app->live_version;
}

/* The revision of the live release in a family, or NULL.  Best effort. */
static char *find_live(struct ecs_rollout *ro, const char *family)
{
	json_auto_t *input = json_pack("{s:s, s:s, s:s, s:i}", "familyPrefix",
				       family, "status", "ACTIVE", "sort",
				       "DESC", "maxResults", FAMILY_LOOKED_AT);
	json_auto_t *reply = NULL;
	struct error ignored;
	size_t i;
	json_t *arn;

	if (aws_call(ro->e->aws, AWS_ECS, "ListTaskDefinitions", input, &reply,
		     &ignored) < 0)
		return NULL;
	json_array_foreach(json_object_get(reply, "taskDefinitionArns"), i, arn)
	{
		const char *text = json_string_value(arn);
		json_auto_t *def = NULL;

		if (text &&
		    ecs_describe_taskdef(ro->e, text, &def, &ignored) == 0 &&
		    is_live(ro, def))
			return xstrdup(text);
	}
	return NULL;
}

/* `current` is the service's task definition, described. */
static char *find_previous(struct ecs_rollout *ro, const json_t *service,
			   const json_t *current)
{
	const json_t *completed = ecs_completed(service);
	const char *family = json_get_str(
		json_object_get(current, "taskDefinition"), "family", "");
	const char *arn;
	char *found = NULL;

	if (!json_integer_value(json_object_get(service, "desiredCount")))
		return NULL;
	if (ro->app->live_version) {
		arn = json_get_str(service, "taskDefinition", "");
		if (is_live(ro, current))
			return xstrdup(arn);
		found = find_live(ro, family);
	}
	arn = json_get_str(completed, "taskDefinition", NULL);
	return found || !arn ? found : xstrdup(arn);
}

/* ---- steps ---- */

static int register_one(struct ecs_rollout *ro, struct ecs_roll *roll,
			struct error *err)
{
	const json_t *service = active(ro, roll);
	json_auto_t *current = NULL;
	int r;

	if (service) {
		r = ecs_describe_taskdef(
			ro->e, json_get_str(service, "taskDefinition", ""),
			&current, err);
		if (r < 0)
			return r;
		roll->previous = find_previous(ro, service, current);
	}
	return ecs_register(ro->e, ro->app, ro->release, roll->p, current,
			    &roll->taskdef, &roll->container, err);
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
		r = ecs_elb_ensure(ro->e, ro->app, PLAN_WEB,
				   ecs_port(ro->e, ro->release),
				   &roll->target_group, err);
		if (r < 0)
			return err_wrap(err, r, "%s", roll->p->type);
	}
	return 0;
}

/* Create or update; *ret is the service as AWS sees it now. */
static int change_service(struct ecs_rollout *ro, struct ecs_roll *roll,
			  json_t *service, json_t **ret, struct error *err)
{
	const struct ecs_service_plan plan = {
		.app = ro->app,
		.name = roll->name,
		.type = roll->p->type,
		.version = ro->release->version,
		.count = roll->p->count,
		.taskdef = roll->taskdef,
		.container = roll->container,
		.target_group = roll->target_group,
		.port = ecs_port(ro->e, ro->release),
	};

	if (service)
		return ecs_update_service(ro->e, service, &plan, ret, err);
	ecs_detail(ro->e, "creating service %s", roll->name);
	return ecs_create_service(ro->e, &plan, ret, err);
}

static void watch(struct ecs_rollout *ro, struct ecs_roll *roll,
		  const json_t *before, const json_t *now)
{
	const json_t *d = ecs_deployment(now, NULL);

	roll->id = xstrdup(json_get_str(d, "id", ""));
	roll->before = xstrdup(
		before ? json_get_str(ecs_deployment(before, NULL), "id", "")
		       : "");
	roll->started_ms = clock_ms();
	roll->reasons.e = ro->e;
	roll->reasons.service = roll->name;
	roll->reasons.type = roll->p->type;
	roll->reasons.container = roll->container;
	roll->reasons.log_group = ro->log_group;
	roll->reasons.deployment = roll->id;
	roll->reasons.target_group = roll->target_group;
	ecs_reasons_init(&roll->reasons, before ? now : NULL);
}

static int start_one(struct ecs_rollout *ro, struct ecs_roll *roll,
		     struct error *err)
{
	json_t *service = active(ro, roll);
	json_auto_t *now = NULL;
	int r = change_service(ro, roll, service, &now, err);

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
		if (ro->rolls[i].id)
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
		r = check_owners(ro, err);
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
