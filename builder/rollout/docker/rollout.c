/*
 * A new release beside the old one: start, gate, switch; or nothing.
 */
#include "builder/rollout/docker/docker.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "builder/engine/container.h"
#include "builder/rollout/docker/gate.h"
#include "builder/rollout/router/router.h"
#include "builder/store/app_url.h"
#include "builder/store/store.h"

#include <string.h>

#define LOG_LINES      20
#define LOG_LINE_BYTES 500
#define LOG_TIMEOUT_MS 10000

struct rollout {
	struct docker *d;
	const struct target_report *report;
	struct blueprint blueprint;
	struct instance instances[PLAN_INSTANCES_MAX];
	size_t count;
};

static void plan_instances(struct rollout *ro)
{
	const struct release_plan *plan = &ro->blueprint.plan;

	for (size_t t = 0; t < plan->types_count; t++)
		for (int i = 1; i <= plan->types[t].count; i++)
			instance_init(&ro->instances[ro->count++],
				      &plan->types[t], i);
}

/* ---- telling why ---- */

struct log_tail {
	const struct target_report *report;
	int lines;
};

static int show_line(void *ctx, bool is_stderr, struct slice line)
{
	auto_buf struct buf text = BUF_INIT(LOG_LINE_BYTES + 16);
	struct log_tail *tail = ctx;

	(void)is_stderr;
	text_add_line(&text, line, LOG_LINE_BYTES);
	tail->report->detail(tail->report->ctx, buf_str(&text));
	return ++tail->lines >= LOG_LINES;
}

static void show_log(const struct rollout *ro, const struct instance *i)
{
	const struct log_options options = { .tail = LOG_LINES,
					     .timeout_ms = LOG_TIMEOUT_MS };
	const struct target_report *report = ro->report;
	struct log_tail tail = { .report = report };
	auto_free char *head = xasprintf(
		"last output of %s (up to %d lines):", i->label, LOG_LINES);
	auto_free char *none = xasprintf("%s printed nothing", i->label);
	struct error err;

	report->error(report->ctx, head);
	if (container_logs(ro->d->engine, i->id, &options, show_line, &tail,
			   &err) < 0)
		report->error(report->ctx, err.msg);
	else if (tail.lines == 0)
		report->detail(report->ctx, none);
}

/* The evidence; `err` itself becomes the reason of the failed push. */
static void blame(const struct rollout *ro, const struct instance *i, int r,
		  const struct error *err)
{
	if (r == -ERR_CANCELED)
		return;
	ro->report->error(ro->report->ctx, err->msg);
	if (r == -ERR_PEER && i->id)
		show_log(ro, i);
}

/* ---- steps ---- */

static int start_all(struct rollout *ro, struct error *err)
{
	const struct target_report *report = ro->report;

	for (size_t n = 0; n < ro->count; n++) {
		struct instance *i = &ro->instances[n];
		auto_free char *busy = xasprintf("starting %s", i->label);
		int r;

		if (report->is_canceled(report->ctx))
			return err_set(err, ERR_CANCELED, "canceled");
		report->busy(report->ctx, busy);
		/* No restarts before it is fit: an exit is an answer. */
		r = instance_start(ro->d, &ro->blueprint, i, false, err);
		if (r < 0) {
			blame(ro, i, r, err);
			return r;
		}
	}
	report->busy(report->ctx, NULL);
	return 0;
}

static int gate_all(struct rollout *ro, struct error *err)
{
	const struct blueprint *b = &ro->blueprint;
	auto_free char *host = app_host(ro->d->cfg, b->app->name);

	for (size_t n = 0; n < ro->count; n++) {
		struct instance *i = &ro->instances[n];
		bool is_web = strcmp(i->type->type, PLAN_WEB) == 0;
		const struct gate gate = {
			.engine = ro->d->engine,
			.id = i->id,
			.network = b->network,
			.label = i->label,
			.host = host,
			.port = is_web ? b->port : 0,
			/* The image's is about web: others have no port. */
			.has_healthcheck = is_web && b->has_healthcheck,
			.started_ms = i->started_ms,
			.timeout_ms = ro->d->cfg->deploy_health_timeout_ms,
			.memory = ro->d->cfg->run_memory,
		};
		int r = gate_wait(&gate, ro->report, err);

		if (r < 0) {
			blame(ro, i, r, err);
			return r;
		}
	}
	return 0;
}

static int keep_all(struct rollout *ro, struct error *err)
{
	for (size_t n = 0; n < ro->count; n++) {
		int r = container_set_restart(ro->d->engine,
					      ro->instances[n].id, true, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Back to what was live; what went wrong before is what counts. */
static void route_back(struct rollout *ro)
{
	struct docker *d = ro->d;
	const struct app *app = ro->blueprint.app;
	struct release live = { .version = 0 };
	struct blueprint b = { .app = app };
	struct error err;
	int r;

	r = store_release_get(d->store, app->id, 0, &live, &err);
	if (r == -ERR_NOTFOUND)
		r = d->router->ops->remove(d->router, app->id, &err);
	else if (r == 0)
		r = blueprint_init(d, app, &live, &b, &err);
	if (r == 0 && live.version)
		r = docker_route(d, &b, false, &err);
	if (r < 0)
		log_warn("app=%s route back: %s", app->name, err.msg);
	blueprint_release(&b);
	release_release(&live);
}

static int switch_over(struct rollout *ro, struct error *err)
{
	const struct target_report *report = ro->report;
	int r;

	/* The last moment to change one's mind. */
	if (report->is_canceled(report->ctx))
		return err_set(err, ERR_CANCELED, "canceled");
	report->busy(report->ctx, "switching the router");
	r = docker_route(ro->d, &ro->blueprint, false, err);
	report->busy(report->ctx, NULL);
	if (r < 0) {
		route_back(ro);
		return err_wrap(err, r == -ERR_PEER ? -ERR_SYS : r,
				"switch the router");
	}
	return 0;
}

static int run(struct rollout *ro, struct error *err)
{
	int r = docker_ensure_network(ro->d, &ro->blueprint, err);

	if (r == 0)
		r = start_all(ro, err);
	if (r == 0)
		r = gate_all(ro, err);
	if (r == 0)
		r = keep_all(ro, err);
	if (r == 0)
		r = switch_over(ro, err);
	return r;
}

static void undo(struct rollout *ro)
{
	for (size_t n = 0; n < ro->count; n++) {
		struct instance *i = &ro->instances[n];
		struct error err;

		if (i->id && container_remove(ro->d->engine, i->id, &err) < 0)
			log_warn("app=%s %s: %s", ro->blueprint.app->name,
				 i->label, err.msg);
	}
}

int docker_rollout(struct target *t, const struct app *app,
		   const struct release *release,
		   const struct target_report *report, char **ret_url,
		   struct error *err)
{
	struct rollout *ro = xcalloc(1, sizeof(*ro));
	int r;

	ro->d = docker_of(t);
	ro->report = report;
	r = blueprint_init(ro->d, app, release, &ro->blueprint, err);
	if (r == 0) {
		plan_instances(ro);
		r = run(ro, err);
		if (r < 0)
			undo(ro);
	}
	if (r == 0)
		*ret_url = app_url(ro->d->cfg, app->target, app->name);
	for (size_t n = 0; n < ro->count; n++)
		free(ro->instances[n].id);
	blueprint_release(&ro->blueprint);
	free(ro);
	return r;
}
