/*
 * After a release is live: what no kept release needs goes; and the end of an
 * app.
 */
#include "builder/rollout/ecs/ecs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/config_target.h"
#include "base/error.h"
#include "builder/aws/cloudwatch_logs.h"
#include "builder/aws/ecr.h"
#include "builder/rollout/ecs/cleaning.h"
#include "builder/rollout/ecs/elb.h"
#include "builder/rollout/ecs/kept.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/publish.h"
#include "builder/rollout/ecs/vars.h"
#include "builder/rollout/engine_images.h"
#include "builder/store/store.h"

#define IMAGE_AGE_S 3600 /* younger ones may belong to a rollout */

/* ---- settle ---- */

static int keep_published(struct ecs_cleaning *c, int64_t live,
			  struct error *err)
{
	struct release *kept = NULL;
	int count = ecs_kept(c->e, c->app, live, &kept, err);

	for (int i = 0; i < count; i++)
		ecs_keep_image(c, kept[i].published);
	if (count >= 0)
		ecs_kept_free(kept, count);
	return count;
}

static int clean_images(struct ecs_cleaning *c, struct error *err)
{
	auto_free char *repository =
		ecs_repository(c->e->section, c->app->name);
	auto_free const char **keep =
		xcalloc(json_object_size(c->digests) + 1, sizeof(*keep));
	const struct ecr_retention rule = {
		.keep = keep,
		.min_age_s = IMAGE_AGE_S,
		.is_ours = ecs_is_image_tag,
		.with_untagged = c->e->owns_repository,
	};
	const char *digest;
	json_t *value;
	size_t n = 0;

	json_object_foreach(c->digests, digest, value) keep[n++] = digest;
	return ecr_retain(c->e->aws, repository, &rule, err);
}

/* Those on the engine that built them; live = 0: all. */
static void clean_engine(struct ecs_cleaning *c, int64_t live)
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

static void clean(struct ecs_cleaning *c, const struct release_plan *plan,
		  int64_t live)
{
	struct error err;

	ecs_clean_services(c, plan);
	/* Without the whole picture nothing is thrown away. */
	if (c->o.r == 0)
		ecs_clean_taskdefs(c, c->e->cfg->deploy_keep_releases);
	if (c->o.r == 0)
		outcome_note(&c->o, keep_published(c, live, &err), &err);
	if (c->o.r == 0)
		outcome_note(&c->o, clean_images(c, &err), &err);
	if (c->o.r == 0)
		outcome_note(&c->o, ecs_retain_vars(c->e, c->app, live, &err),
			     &err);
}

int ecs_settle(struct target *t, const struct app *app,
	       const struct release *release,
	       const struct target_report *report, struct error *err)
{
	struct release_plan plan = { .types_count = 0 };
	struct ecs_cleaning c;
	int r = release_plan_parse(release->processes, &plan, err);

	if (r < 0)
		return r;
	ecs_of(t)->report = report;
	report->busy(report->ctx, "removing what is no longer needed");
	ecs_cleaning_init(&c, ecs_of(t), app);
	clean(&c, &plan, release->version);
	clean_engine(&c, release->version);
	r = outcome_result(&c.o, err);
	c.e->report = NULL;
	report->busy(report->ctx, NULL);
	ecs_cleaning_release(&c);
	release_plan_release(&plan);
	return r;
}

/* ---- destroy ---- */

static int remove_logs(struct ecs *e, const struct app *app, struct error *err)
{
	auto_free char *group = ecs_log_group(e->section, app->name);
	json_auto_t *tags = NULL;
	int r = cloudwatch_group_tags(e->aws, group, &tags, err);

	if (r == -ERR_NOTFOUND)
		return 0;
	if (r < 0 || ecs_owned(tags, e->owner, 0) != ECS_OURS)
		return r;
	return cloudwatch_delete_group(e->aws, group, err);
}

static int remove_images(struct ecs *e, const struct app *app,
			 struct error *err)
{
	auto_free char *name = ecs_repository(e->section, app->name);
	struct ecr_repository repository = { NULL, NULL };
	enum ecs_owned owned;
	int r = ecr_find_repository(e->aws, name, &repository, err);

	if (r < 0)
		return r == -ERR_NOTFOUND ? 0 : r;
	owned = ecs_owned(repository.tags, e->owner, 0);
	ecr_repository_release(&repository);
	return owned == ECS_OURS ? ecr_delete_repository(e->aws, name, err) : 0;
}

/* What is not ours stays: it was there before, or belongs to another app. */
int ecs_destroy(struct target *t, const struct app *app, struct error *err)
{
	struct ecs *e = ecs_of(t);
	struct ecs_cleaning c;
	struct error why;
	int r;

	ecs_cleaning_init(&c, e, app);
	ecs_clean_services(&c, NULL);
	/* What still runs needs all the rest. */
	if (c.o.r == 0) {
		outcome_note(&c.o, ecs_elb_remove(e, app, PLAN_WEB, &why),
			     &why);
		ecs_clean_taskdefs(&c, 0);
		outcome_note(&c.o, ecs_remove_vars(e, app, &why), &why);
		outcome_note(&c.o, remove_logs(e, app, &why), &why);
		outcome_note(&c.o, remove_images(e, app, &why), &why);
		clean_engine(&c, 0);
	}
	r = outcome_result(&c.o, err);
	ecs_cleaning_release(&c);
	return r;
}
