#include "builder/jobs/deploy.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "builder/engine/engine.h"
#include "builder/engine/image.h"
#include "builder/jobs/image_build.h"
#include "builder/jobs/launch.h"
#include "builder/jobs/process_types.h"
#include "builder/jobs/push_options.h"
#include "builder/jobs/transcript.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"
#include "builder/source/procfile.h"
#include "builder/source/repo.h"
#include "builder/source/source.h"

#include <inttypes.h>
#include <string.h>

#define SHORT_OID    7
#define GAPS_SHOWN   5
#define PROCFILE_MAX 65536

void deploy_release(struct deploy *d)
{
	if (!d)
		return;
	if (d->target)
		d->target->ops->close(d->target);
	d->target = NULL;
	release_release(&d->release);
	free(d->url);
	d->url = NULL;
}

/* ---- source ---- */

static void tell_gap(void *ctx, enum source_gap gap, const char *path)
{
	struct deploy *d = ctx;

	if (gap == SOURCE_SUBMODULE)
		transcript_error(d->out,
				 "%s is a submodule: its files are not in the "
				 "push and will be missing",
				 path);
	else
		transcript_error(d->out,
				 "%s is a Git LFS pointer: the image gets the "
				 "pointer, not the file",
				 path);
}

/* What the Procfile says shall run; without one, web alone. */
static int read_processes(struct deploy *d, struct source *src,
			  struct error *err)
{
	auto_buf struct buf text = BUF_INIT(PROCFILE_MAX);
	struct procfile file = { NULL };
	int r = source_file(src, "Procfile", PROCFILE_MAX, &text, err);

	if (r == 0)
		r = procfile_parse(buf_slice(&text), &file, err);
	else if (r == -ERR_NOTFOUND)
		r = 0;
	if (r == 0)
		r = process_types_plan(&file, &d->release.processes, err);
	procfile_release(&file);
	return r < 0 ? err_wrap(err, r, "Procfile") : 0;
}

static int check_source(struct deploy *d, struct source *src,
			const char *dockerfile, struct error *err)
{
	auto_buf struct buf ignored = BUF_INIT(1 << 20);
	int r = source_file(src, dockerfile, 1 << 20, &ignored, err);

	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_INVALID,
			       "there is no %s at the top of the repository",
			       dockerfile);
	if (r == 0)
		r = source_gaps(src, GAPS_SHOWN, tell_gap, d, err);
	if (r == 0)
		r = read_processes(d, src, err);
	return r;
}

/* ---- release ---- */

static int add_release(struct deploy *d, const struct source *src,
		       struct error *err)
{
	struct release *r = &d->release;

	r->app_id = d->app->id;
	r->job_id = d->job->id;
	r->commit = xstrdup(d->job->commit);
	r->user = xstrdup(d->job->user);
	r->description = xstrdup(d->options->message ? d->options->message
						     : source_subject(src));
	r->image = xstrdup("");
	r->processes = xstrdup("[]");
	r->target = xstrdup(d->app->target);
	r->published = xstrdup("");
	r->config_version = d->app->config_version;
	return store_release_add(d->store, r, &r->version, err);
}

static int check_disk(struct deploy *d, struct engine *engine,
		      struct error *err)
{
	auto_buf struct buf text = BUF_INIT(128);
	int64_t bytes = 0;
	int r = engine_disk_free(engine, &bytes, err);

	if (r == -ERR_NOTFOUND)
		return 0; /* the engine is elsewhere */
	if (r < 0 || bytes >= d->cfg->deploy_min_free)
		return r;
	text_add_size(&text, (uint64_t)bytes);
	return err_set(err, ERR_LIMIT,
		       "only %s of disk are free (deploy.min-free)",
		       buf_str(&text));
}

static int build(struct deploy *d, struct source *src, const char *dockerfile,
		 struct error *err)
{
	struct engine *engine = NULL;
	char *image = NULL;
	int64_t began = clock_ms();
	int r;

	launch_journal(d, "build", "start", "");
	r = engine_open(d->cfg->engine, &engine, err);
	if (r < 0)
		return err_wrap(err, r, "Docker Engine");
	r = check_disk(d, engine, err);
	if (r == 0)
		r = image_build(d, engine, src, dockerfile, &image, err);
	engine_close(engine);
	d->build_ms = clock_ms() - began;
	if (r < 0)
		return r;
	free(d->release.image);
	d->release.image = image;
	r = store_job_set_image(d->store, d->job->id, image, d->build_ms, err);
	if (r == 0)
		r = store_release_set_image(d->store, d->app->id,
					    d->release.version, image,
					    d->release.processes, err);
	launch_journal(d, "build", "done", image);
	return r;
}

static int run_steps(struct deploy *d, struct source *src, struct error *err)
{
	const char *dockerfile =
		d->options->dockerfile ? d->options->dockerfile : "Dockerfile";
	const char *branch = d->job->ref + strlen("refs/heads/");
	int r = add_release(d, src, err);

	if (r < 0)
		return r;
	transcript_step(d->out,
			"Deploying %s from %.*s (%s) as v%" PRId64
			", pushed by %s",
			d->app->name, SHORT_OID, d->job->commit, branch,
			d->release.version, d->job->user);
	free(d->release.processes);
	d->release.processes = NULL;
	/* Before minutes are spent on a build that has nowhere to go. */
	r = target_open(d->cfg, d->store, d->app->target, &d->target, err);
	if (r < 0)
		return err_wrap(err, r, "target '%s'", d->app->target);
	r = check_source(d, src, dockerfile, err);
	if (r == 0)
		r = build(d, src, dockerfile, err);
	if (r == 0)
		r = launch_run(d, err);
	return r;
}

int deploy_run(struct deploy *d, struct error *err)
{
	auto_free char *git_dir = repo_path(d->cfg, d->app->id);
	struct source *src = NULL;
	int r;

	launch_journal(d, "source", "start", d->job->commit);
	r = source_open(git_dir, d->job->commit, &src, err);
	if (r < 0)
		return r;
	r = run_steps(d, src, err);
	source_close(src);
	return r;
}
