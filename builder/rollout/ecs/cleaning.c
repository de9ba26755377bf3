#include "builder/rollout/ecs/cleaning.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/json.h"
#include "builder/aws/ecr.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/service.h"
#include "builder/rollout/ecs/taskdef.h"
#include "builder/store/store.h"

#include <string.h>

#define RELEASES_READ 10000
#define FAMILY_MAX    500 /* revisions of one look */
#define FAMILY_LOOKS  20
#define DELETE_BATCH  10
#define TYPE_RELEASE  "release"

static void add(json_t *set, const char *key)
{
	json_object_set_new(set, key, json_true());
}

/* ---- what is known ---- */

static void add_types(struct ecs_cleaning *c, const struct release *release)
{
	struct release_plan plan = { .types_count = 0 };
	struct error ignored;

	if (release_plan_parse(release->processes, &plan, &ignored) < 0)
		return; /* it failed before it had any */
	for (size_t i = 0; i < plan.types_count; i++)
		add(c->types, plan.types[i].type);
	release_plan_release(&plan);
}

/* Every process type that any release had. */
static void collect_types(struct ecs_cleaning *c)
{
	struct release *releases = NULL;
	struct error err;
	int count = store_releases(c->e->store, c->app->id, RELEASES_READ,
				   &releases, &err);

	outcome_note(&c->o, count, &err);
	add(c->types, TYPE_RELEASE);
	add(c->types, PLAN_WEB);
	for (int i = 0; i < count; i++) {
		add_types(c, &releases[i]);
		release_release(&releases[i]);
	}
	free(releases);
}

void ecs_cleaning_init(struct ecs_cleaning *c, struct ecs *e,
		       const struct app *app)
{
	memset(c, 0, sizeof(*c));
	c->e = e;
	c->app = app;
	c->types = json_object();
	c->in_use = json_object();
	c->digests = json_object();
	collect_types(c);
}

void ecs_cleaning_release(struct ecs_cleaning *c)
{
	if (!c)
		return;
	json_decref(c->types);
	json_decref(c->in_use);
	json_decref(c->digests);
}

void ecs_keep_image(struct ecs_cleaning *c, const char *image)
{
	const char *at = image ? strrchr(image, '@') : NULL;

	if (at && ecr_is_digest(at + 1))
		add(c->digests, at + 1);
}

/* ---- services ---- */

static void note_in_use(struct ecs_cleaning *c, const json_t *service)
{
	size_t i;
	json_t *d;

	add(c->in_use, json_get_str(service, "taskDefinition", ""));
	json_array_foreach(json_object_get(service, "deployments"), i, d)
	{
		add(c->in_use, json_get_str(d, "taskDefinition", ""));
	}
}

static int end_service(struct ecs_cleaning *c, const json_t *service,
		       struct error *err)
{
	const char *name = json_get_str(service, "serviceName", "");

	/* One that drains ends by itself. */
	if (strcmp(json_get_str(service, "status", ""), "ACTIVE") != 0)
		return 0;
	if (!ecs_is_adopted(service))
		return ecs_delete_service(c->e, name, err);
	return err_set(
		err, ERR_EXISTS,
		"service %s was not made by Slipway, so that it is left: "
		"delete it first (aws ecs delete-service --force "
		"--cluster %s --service %s)",
		name, c->e->section->cluster, name);
}

void ecs_clean_services(struct ecs_cleaning *c, const struct release_plan *plan)
{
	json_auto_t *services = NULL;
	struct error err;
	size_t i;
	json_t *service;

	outcome_note(&c->o, ecs_app_services(c->e, c->app, &services, &err),
		     &err);
	json_array_foreach(services, i, service)
	{
		const char *type = ecs_tag(json_object_get(service, "tags"),
					   ECS_TAG_PROCESS);
		const struct process_plan *p =
			plan && type ? release_plan_type(plan, type) : NULL;

		if (p && p->count)
			note_in_use(c, service);
		else
			outcome_note(&c->o, end_service(c, service, &err),
				     &err);
	}
}

/* ---- task definitions ---- */

static int deregister(struct ecs_cleaning *c, const char *arn,
		      struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "taskDefinition", arn);
	json_auto_t *reply = NULL;

	return ecs_call(c->e, "DeregisterTaskDefinition", input, &reply, err);
}

/* INACTIVE ones cost nothing; that AWS keeps some of them is no failure. */
static int delete_batch(struct ecs_cleaning *c, json_t *arns, struct error *err)
{
	json_auto_t *input = json_pack("{s:O}", "taskDefinitions", arns);
	json_auto_t *reply = NULL;
	int r = 0;

	if (json_array_size(arns))
		r = ecs_call(c->e, "DeleteTaskDefinitions", input, &reply, err);
	json_array_clear(arns);
	return r;
}

/* 1 when it went, 0 when it stays, or -code. */
static int clean_one(struct ecs_cleaning *c, const char *type, const char *arn,
		     bool is_kept, struct error *err)
{
	json_auto_t *def = NULL;
	int r = ecs_describe_taskdef(c->e, arn, &def, err);

	if (r < 0)
		return r == -ERR_NOTFOUND ? 0 : r;
	if (is_kept || json_object_get(c->in_use, arn) ||
	    ecs_owned(json_object_get(def, "tags"), c->e->owner, c->app->id) !=
		    ECS_OURS) {
		ecs_keep_image(
			c,
			ecs_taskdef_image(
				json_object_get(def, "taskDefinition"), type));
		return 0;
	}
	r = deregister(c, arn, err);
	return r < 0 ? r : 1;
}

static int clean_list(struct ecs_cleaning *c, const char *type,
		      const json_t *arns, int64_t keep, struct error *err)
{
	json_auto_t *gone = json_array();
	int went = 0;
	size_t i;
	json_t *arn;

	json_array_foreach(arns, i, arn)
	{
		const char *text = json_string_value(arn);
		int r = text ? clean_one(c, type, text, (int64_t)i < keep, err)
			     : 0;

		if (r < 0)
			return r;
		if (r > 0)
			json_array_append(gone, arn);
		went += r;
		if (json_array_size(gone) == DELETE_BATCH)
			outcome_note(&c->o, delete_batch(c, gone, err), err);
	}
	outcome_note(&c->o, delete_batch(c, gone, err), err);
	return went;
}

/* A look at the newest; what went makes room for older ones. */
static int clean_family(struct ecs_cleaning *c, const char *type, int64_t keep,
			struct error *err)
{
	auto_free char *family =
		ecs_service_name(c->e->section, c->app->name, type);

	for (int i = 0; i < FAMILY_LOOKS; i++) {
		json_auto_t *arns = NULL;
		int more =
			ecs_list_family(c->e, family, FAMILY_MAX, &arns, err);
		int went =
			more < 0 ? more : clean_list(c, type, arns, keep, err);

		if (went < 0 || more == 0)
			return went;
		if (went == 0)
			break;
	}
	return err_set(err, ERR_LIMIT,
		       "task definition %s has too many revisions that are not "
		       "ours",
		       family);
}

void ecs_clean_taskdefs(struct ecs_cleaning *c, int64_t keep)
{
	const char *type;
	json_t *value;

	json_object_foreach(c->types, type, value)
	{
		struct error err;

		outcome_note(&c->o, clean_family(c, type, keep, &err), &err);
	}
}
