/*
 * A release without a push: what is live, once more, with the app's config
 * vars of now.
 */
#include "builder/jobs/worker.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "builder/jobs/app_turn.h"
#include "builder/jobs/deploy.h"
#include "builder/jobs/deploy_ref.h"
#include "builder/jobs/launch.h"
#include "builder/jobs/policy.h"
#include "builder/jobs/transcript.h"
#include "builder/rollout/targets.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <string.h>

struct release_job {
	const struct config *cfg;
	struct store *store;
	const struct job *job;
	struct app app;
	const char *description;
	struct transcript *out;
};

static void set_text(char **at, const char *text)
{
	char *copy = xstrdup(text);

	free(*at);
	*at = copy;
}

/* 1; 0 when what is live has these vars already. */
static int add_release(struct release_job *j, struct release *release,
		       struct error *err)
{
	struct release live = { 0 };
	int r = store_release_get(j->store, j->app.id, 0, &live, err);

	if (r < 0)
		return r;
	if (live.config_version == j->app.config_version) {
		transcript_step(j->out,
				"v%" PRId64 " of %s runs with these vars",
				live.version, j->app.name);
		release_release(&live);
		return 0;
	}
	*release = live;
	release->version = 0; /* until it has one */
	release->job_id = j->job->id;
	release->config_version = j->app.config_version;
	set_text(&release->description, j->description);
	set_text(&release->user, j->job->user);
	set_text(&release->target, j->app.target);
	r = store_release_add(j->store, release, &release->version, err);
	return r < 0 ? r : 1;
}

static void record_ref(struct release_job *j, const struct release *release)
{
	struct error err;

	if (deploy_ref_record(j->cfg, j->app.id, release->version,
			      release->commit, &err) < 0)
		log_warn("app=%s %s", j->app.name, err.msg);
}

/* 1 when a release went live. */
static int release_again(struct release_job *j, struct deploy *d,
			 struct error *err)
{
	int64_t began = clock_ms();
	int r = add_release(j, &d->release, err);

	if (r <= 0)
		return r;
	transcript_step(j->out, "Releasing %s v%" PRId64 ": %s, by %s",
			j->app.name, d->release.version, j->description,
			j->job->user[0] ? j->job->user : "the administrator");
	r = target_open(j->cfg, j->store, j->app.target, &d->target, err);
	if (r < 0)
		return err_wrap(err, r, "target '%s'", j->app.target);
	r = launch_run(d, err);
	if (r == 0)
		r = launch_commit(d, err);
	if (r < 0)
		return r;
	launch_tell_live(d, began);
	record_ref(j, &d->release);
	return 1;
}

static int finish(struct release_job *j, enum job_state state,
		  const char *reason, struct error *err)
{
	int r = store_job_finish(j->store, j->job->id, state, "[]", reason,
				 err);

	transcript_wake(j->out);
	return r < 0 ? r : 0;
}

/* As on Heroku, a change that cannot run yet is not forgotten. */
static int fail(struct release_job *j, struct deploy *d, int r,
		const struct error *why, struct error *err)
{
	auto_buf struct buf line = BUF_INIT(REASON_MAX);

	launch_fail(d, r, why, &line);
	transcript_error(j->out,
			 "the config vars stay as they were set: the next "
			 "deploy or change of them tries again");
	return finish(j, r == -ERR_CANCELED ? JOB_CANCELED : JOB_FAILED,
		      buf_str(&line), err);
}

static int run(struct release_job *j, struct error *err)
{
	struct deploy d = { .cfg = j->cfg,
			    .store = j->store,
			    .out = j->out,
			    .job = j->job,
			    .app = &j->app };
	struct error why = ERROR_INIT;
	auto_close int lock = -1;
	int is_live = 0;
	int r = store_job_start(j->store, j->job->id, err);

	if (r < 0)
		return r;
	r = app_turn_take(j->cfg, j->job->app_id, j->out, &lock, &why);
	if (r == 0)
		r = store_app_get_id(j->store, j->job->app_id, &j->app, &why);
	if (r == 0)
		is_live = r = release_again(j, &d, &why);
	if (r < 0)
		r = fail(j, &d, r, &why, err);
	else
		r = finish(j, JOB_SUCCEEDED, "", err);
	if (is_live > 0)
		launch_settle(&d);
	deploy_release(&d);
	app_release(&j->app);
	return r;
}

int release_job_run(const struct config *cfg, struct store *store,
		    const struct job *job, int notify_fd, struct error *err)
{
	struct transcript out = { .fd = -1 };
	struct release_job j = {
		.cfg = cfg, .store = store, .job = job, .out = &out
	};
	auto_free char *path = job_log_path(cfg->data, job->id);
	json_auto_t *request = NULL;
	int r = json_parse(slice_str(job->request), "release", &request, err);

	if (r < 0)
		return r;
	j.description = json_get_str(request, "description", "");
	r = transcript_open(&out, path, notify_fd, cfg->build_log_max, err);
	if (r == 0)
		r = run(&j, err);
	transcript_close(&out);
	return r;
}
