/*
 * After a release is live: what no kept release needs goes; and the end of an
 * app.
 */
#include "builder/rollout/ecs_target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/aws/cloudwatch_logs.h"
#include "builder/aws/ecr.h"
#include "builder/aws/secrets.h"
#include "builder/rollout/ecs_elb.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_service.h"
#include "builder/rollout/ecs_taskdef.h"
#include "builder/rollout/engine_images.h"
#include "builder/rollout/outcome.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RELEASES_READ 10000
#define FAMILY_READ   100 /* revisions of one look */
#define FAMILY_LOOKS  20
#define DELETE_BATCH  10
#define IMAGE_AGE_S   3600 /* younger ones may belong to a rollout */
#define TYPE_RELEASE  "release"

struct cleaning {
	struct ecs *e;
	const struct app *app;
	struct release *releases; /* newest first */
	int releases_count;
	json_t *types;	 /* names of process types, as keys */
	json_t *in_use;	 /* ARNs of task definitions, as keys */
	json_t *digests; /* of images to keep, as keys */
	struct outcome o;
};

static void cleaning_release(struct cleaning *c)
{
	for (int i = 0; i < c->releases_count; i++)
		release_release(&c->releases[i]);
	free(c->releases);
	json_decref(c->types);
	json_decref(c->in_use);
	json_decref(c->digests);
}

static void add(json_t *set, const char *key)
{
	json_object_set_new(set, key, json_true());
}

/* The keys of a set, NULL-ended, borrowed; the caller frees the array. */
static const char **keys_of(json_t *set)
{
	const char **list = xcalloc(json_object_size(set) + 1, sizeof(*list));
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach(set, key, value) list[n++] = key;
	return list;
}

/* ---- what is known ---- */

/* Every process type that any release had. */
static void collect_types(struct cleaning *c)
{
	add(c->types, TYPE_RELEASE);
	add(c->types, PLAN_WEB);
	for (int i = 0; i < c->releases_count; i++) {
		struct release_plan plan = { .types_count = 0 };
		struct error ignored;

		if (release_plan_parse(c->releases[i].processes, &plan,
				       &ignored) < 0)
			continue;
		for (size_t t = 0; t < plan.types_count; t++)
			add(c->types, plan.types[t].type);
		release_plan_release(&plan);
	}
}

static void cleaning_init(struct cleaning *c, struct ecs *e,
			  const struct app *app)
{
	struct error err;

	memset(c, 0, sizeof(*c));
	c->e = e;
	c->app = app;
	c->types = json_object();
	c->in_use = json_object();
	c->digests = json_object();
	c->releases_count = store_releases(e->store, app->id, RELEASES_READ,
					   &c->releases, &err);
	if (c->releases_count < 0) {
		outcome_note(&c->o, c->releases_count, &err);
		c->releases_count = 0;
	}
	collect_types(c);
}

static void keep_image(struct cleaning *c, const char *image)
{
	const char *at = image ? strrchr(image, '@') : NULL;

	if (at && ecr_is_digest(at + 1))
		add(c->digests, at + 1);
}

/*
 * Call `keep` for the releases that are kept: the live one, and the newest
 * that ever were live.
 */
static void each_kept(struct cleaning *c, int64_t live,
		      void (*keep)(struct cleaning *c, const struct release *r))
{
	int64_t kept = 0;

	for (int i = 0; i < c->releases_count; i++) {
		const struct release *r = &c->releases[i];
		bool was_live =
			r->state == RELEASE_LIVE || r->state == RELEASE_OLD;

		if (r->version == live ||
		    (was_live && kept < c->e->cfg->deploy_keep_releases))
			keep(c, r);
		kept += was_live;
	}
}

/* ---- services ---- */

static void note_in_use(struct cleaning *c, const json_t *service)
{
	size_t i;
	json_t *d;

	add(c->in_use, json_get_str(service, "taskDefinition", ""));
	json_array_foreach(json_object_get(service, "deployments"), i, d)
	{
		add(c->in_use, json_get_str(d, "taskDefinition", ""));
	}
}

/* Types that the live release has no more. */
static void end_services(struct cleaning *c, const struct release_plan *plan)
{
	json_auto_t *services = NULL;
	struct error err;
	size_t i;
	json_t *service;
	int r = ecs_app_services(c->e, c->app, &services, &err);

	outcome_note(&c->o, r, &err);
	json_array_foreach(services, i, service)
	{
		const char *name = json_get_str(service, "serviceName", "");
		const char *type = ecs_tag(json_object_get(service, "tags"),
					   ECS_TAG_PROCESS);
		const struct process_plan *p =
			plan && type ? release_plan_type(plan, type) : NULL;

		if (p && p->count) {
			note_in_use(c, service);
			continue;
		}
		outcome_note(&c->o, ecs_delete_service(c->e, name, &err), &err);
	}
}

/* ---- task definitions ---- */

static int list_family(struct cleaning *c, const char *family, json_t **ret,
		       struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:s, s:s, s:i}", "familyPrefix",
				       family, "status", "ACTIVE", "sort",
				       "DESC", "maxResults", FAMILY_READ);
	json_auto_t *reply = NULL;
	int r = aws_call(c->e->aws, AWS_ECS, "ListTaskDefinitions", input,
			 &reply, err);

	if (r == 0)
		*ret = json_incref(
			json_object_get(reply, "taskDefinitionArns"));
	return r;
}

static int deregister(struct cleaning *c, const char *arn, struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "taskDefinition", arn);
	json_auto_t *reply = NULL;

	return aws_call(c->e->aws, AWS_ECS, "DeregisterTaskDefinition", input,
			&reply, err);
}

/* INACTIVE ones cost nothing; that AWS keeps them is no failure. */
static int delete_batch(struct cleaning *c, json_t *arns, struct error *err)
{
	json_auto_t *input = json_pack("{s:O}", "taskDefinitions", arns);
	json_auto_t *reply = NULL;
	int r = 0;

	if (json_array_size(arns))
		r = aws_call(c->e->aws, AWS_ECS, "DeleteTaskDefinitions", input,
			     &reply, err);
	json_array_clear(arns);
	return r;
}

/* 1 when it went, 0 when it stays, or -code. */
static int tidy_one(struct cleaning *c, const char *type, const char *arn,
		    bool is_kept, struct error *err)
{
	json_auto_t *def = NULL;
	int r = ecs_describe_taskdef(c->e, arn, &def, err);

	if (r < 0)
		return r == -ERR_NOTFOUND ? 0 : r;
	if (is_kept || json_object_get(c->in_use, arn) ||
	    ecs_owned(json_object_get(def, "tags"), c->e->owner, c->app->id) !=
		    ECS_OURS) {
		keep_image(c, ecs_taskdef_image(
				      json_object_get(def, "taskDefinition"),
				      type));
		return 0;
	}
	r = deregister(c, arn, err);
	return r < 0 ? r : 1;
}

/* One look at the newest of a family: all but `keep` go.  How many went. */
static int tidy_look(struct cleaning *c, const char *type, const char *family,
		     int64_t keep, struct error *err)
{
	json_auto_t *arns = NULL;
	json_auto_t *gone = json_array();
	int went = 0;
	size_t i;
	json_t *arn;
	int r = list_family(c, family, &arns, err);

	if (r < 0)
		return r;
	json_array_foreach(arns, i, arn)
	{
		const char *text = json_string_value(arn);

		if (!text)
			continue;
		r = tidy_one(c, type, text, (int64_t)i < keep, err);
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

static void tidy_families(struct cleaning *c, int64_t keep)
{
	const char *type;
	json_t *value;

	json_object_foreach(c->types, type, value)
	{
		auto_free char *family =
			ecs_service_name(c->e->section, c->app->name, type);
		struct error err;
		int r = 1;

		/* An app that ends may have more than one look shows. */
		for (int i = 0; r > 0 && i < FAMILY_LOOKS; i++) {
			r = tidy_look(c, type, family, keep, &err);
			if (keep)
				break;
		}
		outcome_note(&c->o, r, &err);
	}
}

/* ---- images and secrets ---- */

static void keep_published(struct cleaning *c, const struct release *r)
{
	keep_image(c, r->published);
}

static void tidy_images(struct cleaning *c)
{
	auto_free char *repository =
		ecs_repository(c->e->section, c->app->name);
	auto_free const char **keep = keys_of(c->digests);
	struct error err;

	outcome_note(&c->o,
		     ecr_retain(c->e->aws, repository, keep, IMAGE_AGE_S, &err),
		     &err);
}

static void keep_label(struct cleaning *c, const struct release *r)
{
	auto_free char *prefix = ecs_secret_prefix(c->e->owner, c->app->id);
	auto_free char *label =
		xasprintf("%s%" PRId64, prefix, r->config_version);

	add(c->types, label);
}

static void tidy_secret(struct cleaning *c, int64_t live)
{
	auto_free char *prefix = ecs_secret_prefix(c->e->owner, c->app->id);
	auto_free char *name = ecs_secret_name(c->e->section, c->app->name);
	auto_free const char **keep = NULL;
	struct error err;

	/* The set is used anew; members come out as they went in. */
	json_object_clear(c->types);
	each_kept(c, live, keep_label);
	keep = keys_of(c->types);
	outcome_note(&c->o, secrets_retain(c->e->aws, name, prefix, keep, &err),
		     &err);
}

/* Those on the engine that built them; live = 0: all. */
static void tidy_engine(struct cleaning *c, int64_t live)
{
	const struct engine_images images = {
		.engine = c->e->engine,
		.store = c->e->store,
		.owner = c->e->owner,
		.keep = c->e->cfg->deploy_keep_releases,
	};
	struct error err;

	outcome_note(&c->o, engine_images_retain(&images, c->app, live, &err),
		     &err);
}

/* ---- operations ---- */

int ecs_settle(struct target *t, const struct app *app,
	       const struct release *release,
	       const struct target_report *report, struct error *err)
{
	struct release_plan plan = { .types_count = 0 };
	struct cleaning c;
	int r = release_plan_parse(release->processes, &plan, err);

	if (r < 0)
		return r;
	ecs_of(t)->report = report;
	report->busy(report->ctx, "removing what is no longer needed");
	cleaning_init(&c, ecs_of(t), app);
	end_services(&c, &plan);
	/* Without the whole picture nothing is thrown away. */
	if (c.o.r == 0)
		tidy_families(&c, c.e->cfg->deploy_keep_releases);
	if (c.o.r == 0) {
		each_kept(&c, release->version, keep_published);
		tidy_images(&c);
		tidy_secret(&c, release->version);
	}
	tidy_engine(&c, release->version);
	r = outcome_result(&c.o, err);
	c.e->report = NULL;
	report->busy(report->ctx, NULL);
	cleaning_release(&c);
	release_plan_release(&plan);
	return r;
}

/* What has the app's name alone, not its services'. */
static void delete_named(struct cleaning *c)
{
	const struct config_target *section = c->e->section;
	auto_free char *repository = ecs_repository(section, c->app->name);
	auto_free char *secret = ecs_secret_name(section, c->app->name);
	auto_free char *group = ecs_log_group(section, c->app->name);
	struct aws *aws = c->e->aws;
	struct error err;

	outcome_note(&c->o, secrets_delete(aws, secret, &err), &err);
	outcome_note(&c->o, cloudwatch_delete_group(aws, group, &err), &err);
	outcome_note(&c->o, ecr_delete_repository(aws, repository, &err), &err);
}

int ecs_destroy(struct target *t, const struct app *app, struct error *err)
{
	struct ecs *e = ecs_of(t);
	struct cleaning c;
	struct error why;
	int r;

	cleaning_init(&c, e, app);
	end_services(&c, NULL);
	outcome_note(&c.o, ecs_elb_remove(e, app, PLAN_WEB, &why), &why);
	tidy_families(&c, 0);
	r = ecs_check_namesake(e, app, &why);
	if (r == 0)
		delete_named(&c);
	else if (r != -ERR_EXISTS) /* what has its name is not the app's */
		outcome_note(&c.o, r, &why);
	tidy_engine(&c, 0);
	r = outcome_result(&c.o, err);
	cleaning_release(&c);
	return r;
}
