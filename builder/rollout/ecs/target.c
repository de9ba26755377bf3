#include "builder/rollout/ecs/target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/aws/cloudwatch_logs.h"
#include "builder/aws/ecr.h"
#include "builder/engine/engine.h"
#include "builder/engine/image.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/elb.h"
#include "builder/rollout/ecs/logs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/publish.h"
#include "builder/rollout/ecs/vars.h"
#include "builder/store/store.h"

#include <string.h>

/* ---- publish ---- */

/* The repository, made when it has to be. */
static int claim_repository(struct ecs *e, const struct app *app,
			    const char *name, struct ecr_repository *ret,
			    struct error *err)
{
	json_auto_t *tags = ecs_tags_spelt(e->owner, app->id, NULL);
	int r = ecr_ensure_repository(e->aws, name, tags, ret, err);

	if (r < 0)
		return r;
	r = ecs_owns(e, ret->tags, "repository", name, "repository-prefix",
		     err);
	e->owns_repository = r > 0;
	if (r < 0)
		ecr_repository_release(ret);
	return r < 0 ? r : 0;
}

/* The log group, made when it has to be; how long one that people made keeps
 * its lines is theirs to say. */
static int claim_group(struct ecs *e, const struct app *app, struct error *err)
{
	auto_free char *group = ecs_log_group(e->section, app->name);
	json_auto_t *tags = NULL;
	json_auto_t *ours = NULL;
	int r = cloudwatch_group_tags(e->aws, group, &tags, err);

	if (r == 0)
		r = ecs_owns(e, tags, "log group", group, "log-group", err);
	else if (r == -ERR_NOTFOUND)
		r = 1;
	if (r <= 0)
		return r;
	ours = ecs_tags_object(e->owner, app->id);
	return cloudwatch_ensure_group(e->aws, group, e->section->log_retention,
				       ours, err);
}

/* Services, target group and host name. */
static int check_names(struct ecs *e, const struct app *app,
		       const struct release *release, struct error *err)
{
	struct release_plan plan;
	const struct process_plan *web;
	json_auto_t *services = NULL;
	int r = release_plan_parse(release->processes, &plan, err);

	if (r < 0)
		return r;
	r = ecs_planned_services(e, app, &plan, &services, err);
	web = release_plan_type(&plan, PLAN_WEB);
	if (r == 0 && web && web->count)
		r = ecs_elb_check(e, app, PLAN_WEB, err);
	release_plan_release(&plan);
	return r;
}

/* Is release->published an image of this repository that is still there?  1,
 * 0 or -code. */
static int is_published(struct ecs *e, const struct ecs_publication *what,
			const struct release *release, struct error *err)
{
	size_t len = strlen(what->uri);
	int r;

	if (!release->published ||
	    strncmp(release->published, what->uri, len) != 0 ||
	    release->published[len] != '@')
		return 0;
	r = ecr_find_digest(e->aws, what->repository,
			    release->published + len + 1, err);
	return r == -ERR_NOTFOUND ? 0 : r < 0 ? r : 1;
}

/* A task for another processor dies with "exec format error". */
static int check_processor(struct ecs *e, const struct release *release,
			   struct error *err)
{
	bool is_arm = strcmp(e->section->architecture, "arm64") == 0;
	const char *wanted = is_arm ? "arm64" : "amd64";
	struct image_info image = { .id = NULL };
	struct error ignored;
	int r = 0;

	if (image_inspect(e->engine, release->image, &image, &ignored) == 0 &&
	    *image.architecture && strcmp(image.architecture, wanted) != 0)
		r = err_set(err, ERR_PEER,
			    "the image is for %s, the tasks of '%s' are for %s "
			    "(target.%s.architecture)",
			    image.architecture, e->section->name, wanted,
			    e->section->name);
	image_info_release(&image);
	return r;
}

static int publish_image(struct ecs *e, const struct ecs_publication *what,
			 const struct release *release, char **ret_image,
			 struct error *err)
{
	int r = is_published(e, what, release, err);

	if (r < 0)
		return r;
	if (r > 0) {
		*ret_image = xstrdup(release->published);
		return 0;
	}
	r = ecs_publish(e->aws, e->engine, what, e->report, ret_image, err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_PEER,
			       "its image is gone from the engine and from "
			       "ECR; push again");
	return r;
}

/* Whose the names are, and malformed references, are found before the image
 * is pushed. */
static int publish_all(struct ecs *e, const struct app *app,
		       const struct release *release, char **ret_image,
		       struct error *err)
{
	auto_free char *name = ecs_repository(e->section, app->name);
	struct ecr_repository repository = { NULL, NULL };
	struct ecs_publication what = { .repository = name,
					.image = release->image,
					.version = release->version };
	int r = check_processor(e, release, err);

	if (r == 0)
		r = check_names(e, app, release, err);
	if (r == 0)
		r = claim_repository(e, app, name, &repository, err);
	if (r == 0)
		r = ecs_prepare(e, app, release, err);
	if (r == 0)
		r = claim_group(e, app, err);
	what.uri = repository.uri;
	if (r == 0)
		r = publish_image(e, &what, release, ret_image, err);
	ecr_repository_release(&repository);
	return r;
}

static int publish(struct target *t, const struct app *app,
		   const struct release *release,
		   const struct target_report *report, char **ret_image,
		   struct error *err)
{
	struct ecs *e = ecs_of(t);
	int r;

	e->report = report;
	r = publish_all(e, app, release, ret_image, err);
	e->report = NULL;
	return r;
}

/* ---- logs ---- */

static int logs(struct target *t, const struct app *app,
		const struct target_log_options *options,
		int (*sink)(void *ctx, struct slice line), void *ctx,
		struct error *err)
{
	struct ecs *e = ecs_of(t);
	auto_free char *group = ecs_log_group(e->section, app->name);
	auto_free const char **names = NULL;
	json_auto_t *services = NULL;
	struct ecs_log_source source = { .aws = e->aws,
					 .group = group,
					 .cluster = e->section->cluster,
					 .folder = e->cfg->data };
	int r = ecs_app_services(e, app, &services, err);

	if (r < 0)
		return r;
	names = xcalloc(json_array_size(services) + 1, sizeof(*names));
	for (size_t i = 0; i < json_array_size(services); i++)
		names[i] = json_get_str(json_array_get(services, i),
					"serviceName", "");
	source.services = names;
	return ecs_logs(&source, options, sink, ctx, err);
}

/* ---- rename ---- */

/* Services, repositories and log groups cannot be renamed on AWS. */
static int rename_app(struct target *t, const struct app *app,
		      struct error *err)
{
	struct release *releases = NULL;
	int count =
		store_releases(ecs_of(t)->store, app->id, 1, &releases, err);

	if (count <= 0)
		return count; /* nothing was ever made there */
	release_release(&releases[0]);
	free(releases);
	return err_set(err, ERR_INVALID,
		       "its services, repository and log group on AWS have its "
		       "name, which AWS cannot change: create %s, push to it, "
		       "and destroy this one",
		       app->name);
}

/* ---- open and close ---- */

static void close_target(struct target *t)
{
	struct ecs *e;

	if (!t)
		return;
	e = ecs_of(t);
	aws_close(e->aws);
	engine_close(e->engine);
	json_decref(e->secrets);
	free(e->owner);
	free(e);
}

static const struct target_ops ops = {
	.publish = publish,
	.release_phase = ecs_release_phase,
	.rollout = ecs_rollout,
	.settle = ecs_settle,
	.processes = ecs_processes,
	.logs = logs,
	.destroy = ecs_destroy,
	.rename = rename_app,
	.reconcile = ecs_reconcile,
	.close = close_target,
};

static bool is_canceled(void *ctx)
{
	return ecs_is_canceled(ctx);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

int target_ecs_open(const struct config *cfg,
		    const struct config_target *section, struct engine *engine,
		    struct store *store, const char *owner, struct target **ret,
		    struct error *err)
{
	struct ecs *e = xcalloc(1, sizeof(*e));
	const struct aws_options options = {
		.region = or_null(section->region),
		.profile = or_null(section->profile),
		.endpoint_url = or_null(section->endpoint_url),
		.is_canceled = is_canceled,
		.ctx = e,
	};
	int r = aws_open(&options, &e->aws, err);

	if (r < 0) {
		free(e);
		return r;
	}
	e->base.ops = &ops;
	e->cfg = cfg;
	e->section = section;
	e->engine = engine;
	e->store = store;
	e->owner = xstrdup(owner);
	*ret = &e->base;
	return 0;
}
