/*
 * The release phase: one task of the new release, beside what runs, to its
 * end.  Its family is the app's "release".
 *
 * A RunTask whose answer was lost may have run: a task that this release
 * started is looked for then, and followed.
 */
#include "builder/rollout/ecs/ecs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "builder/aws/aws.h"
#include "builder/aws/cloudwatch_logs.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/vars.h"
#include "builder/rollout/ecs/verdict.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TYPE	      "release"
#define LOOK_MS	      2000
#define LOOK_SLOW_MS  30000
#define LOST_TRIES    3
#define LOST_AGAIN_MS 1000
#define MISSING_MS    60000 /* a new task may not be known for so long */
#define QUIET_MS      3000
#define LATE_MS	      10000 /* lines come so late */

struct phase {
	struct ecs *e;
	const struct app *app;
	const struct release *release;
	char *taskdef;
	char *container;
	char *started_by;
	char *task; /* ARN; NULL = not started */
	char *log_group;
	char *stream_name;
	struct cloudwatch_stream stream;
	int64_t began_ms;
	bool was_seen;
	bool is_unread; /* that was told */
};

static void phase_release(struct phase *p)
{
	free(p->taskdef);
	free(p->container);
	free(p->started_by);
	free(p->task);
	free(p->log_group);
	free(p->stream_name);
	cloudwatch_stream_release(&p->stream);
}

/* ---- stop ---- */

static void stop(struct phase *p, const char *reason)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:s}", "cluster", p->e->section->cluster,
			  "task", p->task, "reason", reason);
	json_auto_t *reply = NULL;
	struct error err;
	int r;

	p->e->is_going_back = true; /* also when canceled */
	r = ecs_call(p->e, "StopTask", input, &reply, &err);
	p->e->is_going_back = false;
	if (r < 0)
		ecs_complain(p->e, "release phase could not be stopped: %s",
			     err.msg);
}

/* ---- start ---- */

static int make_taskdef(struct phase *p, const char *const *command,
			struct error *err)
{
	const struct process_plan plan = { .type = TYPE,
					   .command = (char **)command };
	struct ecs_registration what = { .app = p->app,
					 .release = p->release,
					 .p = &plan };
	struct ecs *e = p->e;
	auto_free char *family =
		ecs_service_name(e->section, p->app->name, TYPE);
	json_auto_t *base = NULL;
	int r = ecs_describe_taskdef(e, family, &base, err);

	if (r < 0 && r != -ERR_NOTFOUND)
		return r;
	/* Another app's is not to be amended. */
	if (ecs_owned(json_object_get(base, "tags"), e->owner, p->app->id) !=
	    ECS_ANOTHERS)
		what.base = base;
	return ecs_register(e, &what, &p->taskdef, &p->container, err);
}

/* A task that this release started before, running or ended; NULL. */
static int find_started(struct phase *p, const char *status, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:s}", "cluster", p->e->section->cluster,
			  "startedBy", p->started_by, "desiredStatus", status);
	json_auto_t *reply = NULL;
	const char *arn;
	int r = ecs_call(p->e, "ListTasks", input, &reply, err);

	if (r < 0)
		return r;
	arn = json_string_value(
		json_array_get(json_object_get(reply, "taskArns"), 0));
	if (arn && !p->task)
		p->task = xstrdup(arn);
	return 0;
}

static json_t *run_input(struct phase *p)
{
	const char *const words[] = { p->started_by, p->taskdef, NULL };
	auto_free char *token = ecs_token(words);
	json_t *input = json_pack(
		"{s:s, s:s, s:i, s:s, s:s, s:{s:o}, s:s, s:b}", "cluster",
		p->e->section->cluster, "taskDefinition", p->taskdef, "count",
		1, "startedBy", p->started_by, "clientToken", token,
		"networkConfiguration", "awsvpcConfiguration",
		ecs_network(p->e), "propagateTags", "TASK_DEFINITION",
		"enableECSManagedTags", 1);

	ecs_set_capacity(p->e, input);
	return input;
}

/* It answers 200 also when there was no room for the task. */
static int take_task(struct phase *p, const json_t *reply, struct error *err)
{
	const json_t *task = json_array_get(json_object_get(reply, "tasks"), 0);
	const json_t *failure =
		json_array_get(json_object_get(reply, "failures"), 0);
	const char *arn = json_get_str(task, "taskArn", NULL);

	if (arn) {
		p->task = xstrdup(arn);
		return 0;
	}
	return err_set(err, ERR_PEER, "release phase was not started: %s%s%s",
		       json_get_str(failure, "reason", "ECS does not say why"),
		       json_get_str(failure, "detail", NULL) ? ": " : "",
		       json_get_str(failure, "detail", ""));
}

/* The answer may have been lost, not the question. */
static void find_lost(struct phase *p)
{
	struct error ignored;

	p->e->is_going_back = true; /* also when canceled */
	for (int i = 0; i < LOST_TRIES && !p->task; i++) {
		if (i)
			(void)ecs_pause(p->e, LOST_AGAIN_MS);
		if (find_started(p, "RUNNING", &ignored) < 0 ||
		    find_started(p, "STOPPED", &ignored) < 0)
			break;
	}
	p->e->is_going_back = false;
}

static int start(struct phase *p, struct error *err)
{
	json_auto_t *input = run_input(p);
	json_auto_t *reply = NULL;
	int r = ecs_call(p->e, "RunTask", input, &reply, err);

	if (r == 0)
		return take_task(p, reply, err);
	if (!ecs_is_passing(r) && r != -ERR_CANCELED)
		return r;
	find_lost(p);
	if (p->task && r == -ERR_CANCELED)
		stop(p, "canceled");
	return p->task && r != -ERR_CANCELED ? 0 : r;
}

/* ---- its output ---- */

static int on_line(void *ctx, const struct cloudwatch_event *event)
{
	const struct phase *p = ctx;

	p->e->report->output(p->e->report->ctx, event->message);
	return 0;
}

static bool on_is_canceled(void *ctx)
{
	return ecs_is_canceled(((const struct phase *)ctx)->e);
}

/* The lines are not what decides: that they cannot be read is only told. */
static void tell_unread(struct phase *p, int r, const struct error *err)
{
	if (r >= 0 || r == -ERR_CANCELED || p->is_unread)
		return;
	p->is_unread = true;
	ecs_complain(p->e, "cannot read its output: %s", err->msg);
}

/* ---- its end ---- */

static int too_late(struct phase *p, struct error *err)
{
	auto_buf struct buf limit = BUF_INIT(64);

	stop(p, "release phase took too long");
	text_add_duration(&limit, p->e->cfg->deploy_release_timeout_ms);
	return err_set(err, ERR_PEER,
		       "release phase did not end within %s "
		       "(deploy.release-timeout)",
		       buf_str(&limit));
}

static const json_t *exit_code(const struct phase *p, const json_t *task)
{
	size_t i;
	json_t *c;

	json_array_foreach(json_object_get(task, "containers"), i, c)
	{
		if (strcmp(json_get_str(c, "name", ""), p->container) == 0)
			return json_object_get(c, "exitCode");
	}
	return NULL;
}

static int judge(struct phase *p, const json_t *task, struct error *err)
{
	const json_t *code = exit_code(p, task);
	auto_buf struct buf text = BUF_INIT(ERR_MSG_MAX);

	/* No exit code is no success: it never ran. */
	if (!json_is_integer(code) || json_integer_value(code) != 0) {
		ecs_death_reason(task, &text);
		return err_set(err, ERR_PEER, "release phase%s %s",
			       json_is_integer(code) ? "" : " did not run:",
			       buf_str(&text));
	}
	text_add_duration(&text, clock_ms() - p->began_ms);
	ecs_detail(p->e, "done in %s", buf_str(&text));
	return 0;
}

/* *ret is the task, the caller's; NULL = not known (yet). */
static int describe(struct phase *p, json_t **ret, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:[s]}", "cluster", p->e->section->cluster,
			  "tasks", p->task);
	json_auto_t *reply = NULL;
	int r = ecs_call(p->e, "DescribeTasks", input, &reply, err);

	*ret = NULL;
	if (r < 0)
		return r;
	*ret = json_incref(json_array_get(json_object_get(reply, "tasks"), 0));
	if (*ret || (!p->was_seen && clock_ms() - p->began_ms < MISSING_MS)) {
		p->was_seen = p->was_seen || *ret;
		return 0;
	}
	return err_set(err, ERR_PEER, "release phase: ECS lost its task");
}

static bool has_ended(const json_t *task)
{
	return strcmp(json_get_str(task, "lastStatus", ""), "STOPPED") == 0;
}

static int slower(int wait_ms)
{
	return wait_ms * 2 < LOOK_SLOW_MS ? wait_ms * 2 : LOOK_SLOW_MS;
}

static int wait_end(struct phase *p, struct error *err)
{
	int wait_ms = LOOK_MS;
	struct error why;

	for (;;) {
		json_auto_t *task = NULL;
		int r;

		if (ecs_pause(p->e, wait_ms)) {
			stop(p, "canceled");
			return err_set(err, ERR_CANCELED, "canceled");
		}
		r = describe(p, &task, err);
		if (r < 0 && !ecs_is_passing(r)) {
			stop(p, "nobody can watch it");
			return r;
		}
		wait_ms = r == 0 ? LOOK_MS : slower(wait_ms);
		if (task && has_ended(task)) {
			tell_unread(p,
				    cloudwatch_stream_drain(
					    &p->stream, QUIET_MS,
					    exit_code(p, task) ? LATE_MS : 0,
					    on_line, p, on_is_canceled, &why),
				    &why);
			return judge(p, task, err);
		}
		tell_unread(
			p, cloudwatch_stream_poll(&p->stream, on_line, p, &why),
			&why);
		if (clock_ms() - p->began_ms >
		    p->e->cfg->deploy_release_timeout_ms)
			return too_late(p, err);
	}
}

static int run(struct phase *p, const char *const *command, struct error *err)
{
	int r = ecs_prepare(p->e, p->app, p->release, err);

	if (r == 0)
		r = make_taskdef(p, command, err);
	if (r == 0)
		r = start(p, err);
	if (r < 0)
		return r;
	p->began_ms = clock_ms();
	p->stream_name =
		xasprintf("%s/%s/%s", TYPE, p->container, ecs_task_id(p->task));
	cloudwatch_stream_init(&p->stream, p->e->aws, p->log_group,
			       p->stream_name);
	p->e->report->busy(p->e->report->ctx, "release phase");
	r = wait_end(p, err);
	p->e->report->busy(p->e->report->ctx, NULL);
	return r;
}

/* The same for the same release; some of AWS's texts allow 36 characters. */
static char *started_by(const struct ecs *e, const struct app *app,
			const struct release *release)
{
	char id[24];
	char version[24];
	const char *const words[] = { e->owner, id, version, TYPE, NULL };
	auto_free char *token = NULL;

	snprintf(id, sizeof(id), "%" PRId64, app->id);
	snprintf(version, sizeof(version), "%" PRId64, release->version);
	token = ecs_token(words);
	return xasprintf("slipway-%.28s", token);
}

int ecs_release_phase(struct target *t, const struct app *app,
		      const struct release *release, const char *const *command,
		      const struct target_report *report, struct error *err)
{
	struct phase p = { .e = ecs_of(t), .app = app, .release = release };
	int r;

	p.e->report = report;
	p.log_group = ecs_log_group(p.e->section, app->name);
	p.started_by = started_by(p.e, app, release);
	r = run(&p, command, err);
	p.e->report = NULL;
	phase_release(&p);
	return r;
}
