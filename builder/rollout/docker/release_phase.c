/*
 * The release phase: one container of the new release, beside what runs, to
 * its end.
 *
 * Its output is asked for again and again, as in logs.c, so that a
 * cancel and the deadline are seen while it prints nothing.
 */
#include "builder/rollout/docker/docker.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "builder/engine/container.h"
#include "builder/rollout/log_stamp.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS		200
#define READ_TIMEOUT_MS 30000
#define TYPE		"release"

struct phase {
	struct docker *d;
	const struct target_report *report;
	struct blueprint blueprint;
	struct instance instance;
	struct log_cursor cursor;
	struct log_stamp stamp; /* of the line read last */
	struct container_state state;
};

/* ---- its output ---- */

static int on_line(void *ctx, bool is_stderr, struct slice line)
{
	struct phase *p = ctx;

	(void)is_stderr;
	/* Pieces of one long line have the time of the first. */
	if (!log_stamp_take(&line, &p->stamp) && p->stamp.s == 0)
		return 0;
	if (log_cursor_is_new(&p->cursor, p->stamp))
		p->report->output(p->report->ctx, line);
	return 0;
}

static int read_output(struct phase *p, struct error *err)
{
	char since[48];
	struct log_options options = { .tail = -1,
				       .timestamps = true,
				       .timeout_ms = READ_TIMEOUT_MS };

	if (p->cursor.at_last) {
		snprintf(since, sizeof(since), "%" PRId64 ".%09d",
			 p->cursor.last.s, (int)p->cursor.last.ns);
		options.since = since;
	}
	p->stamp = (struct log_stamp){ 0, 0 };
	log_cursor_begin(&p->cursor);
	return container_logs(p->d->engine, p->instance.id, &options, on_line,
			      p, err);
}

/* ---- its end ---- */

static int too_late(const struct phase *p, struct error *err)
{
	auto_buf struct buf limit = BUF_INIT(64);

	text_add_duration(&limit, p->d->cfg->deploy_release_timeout_ms);
	return err_set(err, ERR_PEER,
		       "release phase did not end within %s "
		       "(deploy.release-timeout)",
		       buf_str(&limit));
}

static int judge(const struct phase *p, struct error *err)
{
	auto_buf struct buf took = BUF_INIT(64);
	auto_buf struct buf line = BUF_INIT(128);

	if (p->state.is_oom_killed)
		return err_set(err, ERR_PEER,
			       "release phase ran out of memory (run.memory)");
	if (p->state.exit_code)
		return err_set(err, ERR_PEER, "release phase exited %d%s",
			       p->state.exit_code,
			       container_was_killed(&p->state)
				       ? ": killed, most likely out of memory "
					 "(run.memory)"
				       : "");
	text_add_duration(&took, clock_ms() - p->instance.started_ms);
	buf_addf(&line, "done in %s", buf_str(&took));
	p->report->detail(p->report->ctx, buf_str(&line));
	return 0;
}

static int look(struct phase *p, struct error *err)
{
	int r;

	container_state_release(&p->state);
	r = container_inspect(p->d->engine, p->instance.id,
			      p->blueprint.network, &p->state, err);
	/* What it printed before it was seen to have ended is all there. */
	if (r == 0)
		r = read_output(p, err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_PEER,
			       "release phase: its container was removed by "
			       "somebody");
	return r;
}

static int wait_end(struct phase *p, struct error *err)
{
	int64_t timeout = p->d->cfg->deploy_release_timeout_ms;

	for (;;) {
		int r;

		if (p->report->is_canceled(p->report->ctx))
			return err_set(err, ERR_CANCELED, "canceled");
		r = look(p, err);
		if (r < 0)
			return r;
		if (!p->state.is_running && !p->state.is_restarting) {
			container_learn_oom(p->d->engine, p->instance.id,
					    &p->state);
			return judge(p, err);
		}
		if (clock_ms() - p->instance.started_ms > timeout)
			return too_late(p, err);
		poll(NULL, 0, LOOK_MS);
	}
}

/* It goes away whatever happened; one that still runs may clean up first. */
static void end(struct phase *p)
{
	struct error err;

	if (p->instance.id && docker_retire(p->d, p->instance.id, &err) < 0)
		log_warn("app=%s %s: %s", p->blueprint.app->name,
			 p->instance.label, err.msg);
	free(p->instance.id);
	container_state_release(&p->state);
	blueprint_release(&p->blueprint);
}

static int run(struct phase *p, struct error *err)
{
	int r = docker_ensure_network(p->d, &p->blueprint, err);

	if (r == 0)
		r = instance_start(p->d, &p->blueprint, &p->instance, false,
				   err);
	if (r < 0)
		return r;
	p->report->busy(p->report->ctx, "release phase");
	r = wait_end(p, err);
	p->report->busy(p->report->ctx, NULL);
	return r;
}

int docker_release_phase(struct target *t, const struct app *app,
			 const struct release *release,
			 const char *const *command,
			 const struct target_report *report, struct error *err)
{
	struct process_plan type = { .type = TYPE,
				     .command = (char **)command };
	struct phase p = { .d = docker_of(t), .report = report };
	int r = blueprint_init(p.d, app, release, &p.blueprint, err);

	if (r == 0) {
		instance_init(&p.instance, &type, 1);
		r = run(&p, err);
	}
	end(&p);
	return r;
}
