#include "builder/jobs/launch.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "builder/jobs/deploy.h"
#include "builder/jobs/policy.h"
#include "builder/jobs/process_types.h"
#include "builder/jobs/transcript.h"
#include "builder/jobs/worker.h"
#include "builder/rollout/release_plan.h"
#include "builder/rollout/target.h"

#include <inttypes.h>
#include <string.h>

#define SUFFIX_MAX 100 /* of a reason: "; v12 still live" */
#define COUNTS_MAX 1024

void launch_journal(struct deploy *d, const char *step, const char *event,
		    const char *detail)
{
	struct error err;

	if (store_journal(d->store, d->job->id, step, event, detail, &err) < 0)
		log_error("job=%" PRId64 " journal: %s", d->job->id, err.msg);
}

/* ---- what a target has to say ---- */

static void report_step(void *ctx, const char *line)
{
	transcript_step(((struct deploy *)ctx)->out, "%s", line);
}

static void report_detail(void *ctx, const char *line)
{
	transcript_detail(((struct deploy *)ctx)->out, "%s", line);
}

static void report_error(void *ctx, const char *line)
{
	transcript_error(((struct deploy *)ctx)->out, "%s", line);
}

static void report_output(void *ctx, struct slice line)
{
	transcript_output(((struct deploy *)ctx)->out, line);
}

static void report_busy(void *ctx, const char *what)
{
	transcript_busy(((struct deploy *)ctx)->out, what);
}

static void report_progress(void *ctx, const char *text)
{
	transcript_progress(((struct deploy *)ctx)->out, text);
}

static bool report_is_canceled(void *ctx)
{
	transcript_tick(((struct deploy *)ctx)->out);
	return worker_is_canceled();
}

static struct target_report report_to(struct deploy *d)
{
	return (struct target_report){ .step = report_step,
				       .detail = report_detail,
				       .error = report_error,
				       .output = report_output,
				       .busy = report_busy,
				       .progress = report_progress,
				       .is_canceled = report_is_canceled,
				       .ctx = d };
}

/* ---- steps ---- */

static int publish(struct deploy *d, struct error *err)
{
	struct target_report report = report_to(d);
	struct release *release = &d->release;
	char *image = NULL;
	int r;

	launch_journal(d, "publish", "start", "");
	r = d->target->ops->publish(d->target, d->app, release, &report, &image,
				    err);
	transcript_busy(d->out, NULL);
	if (r < 0)
		return r;
	free(release->published);
	release->published = image;
	launch_journal(d, "publish", "done", image);
	return store_release_set_published(d->store, d->app->id,
					   release->version, image, err);
}

/* What the person wrote, of ["/bin/sh", "-c", "npm run migrate"]. */
static const char *last_word(char *const *command)
{
	while (command[1])
		command++;
	return command[0];
}

static int release_phase(struct deploy *d, const struct release_plan *plan,
			 struct error *err)
{
	const struct process_plan *p = release_plan_type(plan, PROCESS_RELEASE);
	struct target_report report = report_to(d);
	int r;

	if (!p || !p->command)
		return 0;
	launch_journal(d, "release-phase", "start", "");
	transcript_step(d->out, "Release phase: %s", last_word(p->command));
	r = d->target->ops->release_phase(d->target, d->app, &d->release,
					  (const char *const *)p->command,
					  &report, err);
	transcript_busy(d->out, NULL);
	if (r == 0)
		launch_journal(d, "release-phase", "done", "");
	return r;
}

static int rollout(struct deploy *d, const struct release_plan *plan,
		   struct error *err)
{
	auto_buf struct buf counts = BUF_INIT(COUNTS_MAX);
	struct target_report report = report_to(d);
	int64_t began = clock_ms();
	int r;

	process_types_add_counts(plan, &counts);
	launch_journal(d, "rollout", "start", buf_str(&counts));
	transcript_step(d->out, "Rolling out %s on %s", buf_str(&counts),
			d->release.target);
	r = d->target->ops->rollout(d->target, d->app, &d->release, &report,
				    &d->url, err);
	transcript_busy(d->out, NULL);
	d->rollout_ms = clock_ms() - began;
	if (r == 0)
		launch_journal(d, "rollout", "done", d->url);
	return r;
}

int launch_run(struct deploy *d, struct error *err)
{
	struct release_plan plan = { .types_count = 0 };
	int r = release_plan_parse(d->release.processes, &plan, err);

	if (r == 0)
		r = publish(d, err);
	if (r == 0)
		r = release_phase(d, &plan, err);
	if (r == 0)
		r = rollout(d, &plan, err);
	release_plan_release(&plan);
	return r;
}

int launch_commit(struct deploy *d, struct error *err)
{
	int r = store_release_live(d->store, d->app->id, d->release.version,
				   err);

	if (r == 0)
		launch_journal(d, "release", "done", "");
	return r;
}

void launch_tell_live(struct deploy *d, int64_t began_ms)
{
	auto_buf struct buf b = BUF_INIT(1024);

	buf_addf(&b, "%s v%" PRId64 " is live%s%s  (", d->app->name,
		 d->release.version, *d->url ? ": " : "", d->url);
	if (d->build_ms) {
		buf_adds(&b, "build ");
		text_add_duration(&b, d->build_ms);
		buf_adds(&b, ", ");
	}
	buf_adds(&b, "rollout ");
	text_add_duration(&b, d->rollout_ms);
	buf_adds(&b, ", total ");
	text_add_duration(&b, clock_ms() - began_ms);
	buf_addc(&b, ')');
	transcript_result(d->out, "%s", buf_str(&b));
}

void launch_settle(struct deploy *d)
{
	struct target_report report = report_to(d);
	struct error err;

	launch_journal(d, "settle", "start", "");
	if (d->target->ops->settle(d->target, d->app, &d->release, &report,
				   &err) < 0) {
		log_warn("app=%s settle: %s", d->app->name, err.msg);
		launch_journal(d, "settle", "failed", err.msg);
	} else {
		launch_journal(d, "settle", "done", "");
	}
	if (store_config_expire(d->store, d->app->id,
				d->cfg->deploy_keep_releases, &err) < 0)
		log_warn("app=%s %s", d->app->name, err.msg);
}

/* ---- failure ---- */

static int64_t live_version(struct deploy *d)
{
	struct app now = { 0 };
	struct error ignored;
	int64_t version = 0;

	if (store_app_get_id(d->store, d->job->app_id, &now, &ignored) == 0)
		version = now.live_version;
	app_release(&now);
	return version;
}

void launch_fail(struct deploy *d, int r, const struct error *why,
		 struct buf *ret_line)
{
	char text[ERR_MSG_MAX];
	int64_t live = live_version(d);
	struct error err;

	err_public(why, d->cfg->data, text, sizeof(text));
	if (d->release.version)
		buf_addf(ret_line, "v%" PRId64 " %s: ", d->release.version,
			 r == -ERR_CANCELED ? "canceled" : "failed");
	buf_add(ret_line, text, strnlen(text, REASON_MAX - SUFFIX_MAX));
	if (live)
		buf_addf(ret_line, "; v%" PRId64 " still live", live);
	transcript_error(d->out, "%s", buf_str(ret_line));
	launch_journal(d, "deploy", "failed", text);
	if (d->release.version &&
	    store_release_fail(d->store, d->app->id, d->release.version, text,
			       &err) < 0)
		log_error("app=%s %s", d->app->name, err.msg);
}
