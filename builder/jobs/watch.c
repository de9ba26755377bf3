/*
 * The watch: after a restart of the engine, of the router or of a container
 * the addresses have changed; put routes and containers right again.
 */
#include "builder/jobs/worker.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "builder/engine/container.h"
#include "builder/engine/engine.h"
#include "builder/rollout/router/haproxy.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_MS		1500  /* one look at the engine's events */
#define EVERY_MS	60000 /* reconcile at least so often */
#define RETRY_MS	1000
#define REMOTE_MS	20000 /* patience with AWS, of one reconcile */
#define REMOTE_PAUSE_MS 10000 /* and then it is let alone */
#define EVENTS_MAX	65536

struct watch {
	const struct config *cfg;
	struct store *store;
	char *owner;
	int64_t router_id; /* changes when the router was started anew */
	int64_t done_ms;   /* last reconcile; 0 = due */
	bool is_down;	   /* the engine did not answer last time */
	int64_t seen_s;	   /* events before this were looked at */
	/* Interrupted releases on ECS that were taken back: app ids and their
	 * versions. */
	json_t *taken_back;
	int64_t asked_ms; /* when AWS was asked last; 0 = not yet */
	int64_t until_ms; /* patience with AWS ends; 0 = nobody is asked */
};

static void say_step(void *ctx, const char *line)
{
	(void)ctx;
	log_info("%s", line);
}

static void say_error(void *ctx, const char *line)
{
	(void)ctx;
	log_warn("%s", line);
}

static void say_busy(void *ctx, const char *what)
{
	(void)ctx;
	(void)what;
}

static bool say_is_canceled(void *ctx)
{
	const struct watch *w = ctx;

	return worker_is_canceled() ||
	       (w->until_ms && clock_ms() >= w->until_ms);
}

/* ---- reconcile ---- */

static int live_releases(struct watch *w, struct app *apps, int count,
			 struct release *live, struct error *err)
{
	for (int i = 0; i < count; i++) {
		int r;

		if (!apps[i].live_version)
			continue;
		r = store_release_get(w->store, apps[i].id,
				      apps[i].live_version, &live[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Move those that live on ECS behind the others: ECS keeps them running
 * itself, and what an app left on this engine when it moved there is to go.
 * How many others there are.
 */
static int drop_remote(struct watch *w, struct app *apps, struct release *live,
		       int count)
{
	int kept = 0;

	for (int i = 0; i < count; i++) {
		struct release release = live[i];
		struct app app = apps[i];

		if (target_is_ecs(w->cfg, release.version ? release.target
							  : app.target))
			continue;
		apps[i] = apps[kept];
		live[i] = live[kept];
		apps[kept] = app;
		live[kept++] = release;
	}
	return kept;
}

static struct target_report report_to(struct watch *w)
{
	return (struct target_report){ .step = say_step,
				       .detail = say_step,
				       .error = say_error,
				       .busy = say_busy,
				       .progress = say_busy,
				       .is_canceled = say_is_canceled,
				       .ctx = w };
}

/* The version that was interrupted and is not taken back yet; 0 = none. */
static int64_t interrupted(struct watch *w, const struct app *app)
{
	char id[24];
	struct error ignored;
	int64_t version = 0;

	snprintf(id, sizeof(id), "%" PRId64, app->id);
	if (store_release_interrupted(w->store, app->id, &version, &ignored) <=
		    0 ||
	    json_integer_value(json_object_get(w->taken_back, id)) == version)
		return 0;
	return version;
}

static int take_back(struct watch *w, const struct app *app,
		     const struct release *live, struct error *err)
{
	const struct target_report report = report_to(w);
	struct target *target = NULL;
	int r = target_open(w->cfg, w->store, app->target, &target, err);

	if (r < 0)
		return r;
	r = target->ops->reconcile(target, app, live, 1, &report, err);
	target->ops->close(target);
	return r;
}

/* What lives on ECS.  The engine's apps need not wait long for AWS to answer:
 * the next try is in a minute. */
static void reconcile_remote(struct watch *w, const struct app *apps,
			     const struct release *live, int count)
{
	if (w->asked_ms && clock_ms() - w->asked_ms < REMOTE_PAUSE_MS)
		return;
	w->until_ms = clock_ms() + REMOTE_MS;
	for (int i = 0; i < count && !say_is_canceled(w); i++) {
		int64_t version = interrupted(w, &apps[i]);
		struct error err;
		char id[24];
		int r;

		if (!version || !target_is_ecs(w->cfg, apps[i].target))
			continue;
		snprintf(id, sizeof(id), "%" PRId64, apps[i].id);
		r = take_back(w, &apps[i], &live[i], &err);
		w->asked_ms = clock_ms();
		if (r == 0)
			json_object_set_new(w->taken_back, id,
					    json_integer(version));
		else if (r == -ERR_CANCELED)
			log_warn("reconcile: app=%s AWS does not answer",
				 apps[i].name);
		else if (r != -ERR_TIMEOUT)
			log_warn("reconcile: %s", err.msg);
	}
	w->until_ms = 0;
}

static int reconcile_apps(struct watch *w, struct app *apps, int count,
			  struct error *err)
{
	struct release *live = xcalloc((size_t)count + 1, sizeof(*live));
	const struct target_report report = report_to(w);
	struct target *target = NULL;
	int r = live_releases(w, apps, count, live, err);

	if (r == 0)
		r = target_open(w->cfg, w->store, "local", &target, err);
	if (r == 0) {
		int here = drop_remote(w, apps, live, count);

		r = target->ops->reconcile(target, apps, live, (size_t)here,
					   &report, err);
		target->ops->close(target);
		reconcile_remote(w, apps + here, live + here, count - here);
	}
	for (int i = 0; i < count; i++)
		release_release(&live[i]);
	free(live);
	return r;
}

static int reconcile(struct watch *w, struct error *err)
{
	struct app *apps = NULL;
	int count = store_apps(w->store, NULL, &apps, err);
	int r;

	if (count < 0)
		return count;
	r = reconcile_apps(w, apps, count, err);
	for (int i = 0; i < count; i++)
		app_release(&apps[i]);
	free(apps);
	return r;
}

/* ---- looking ---- */

static int on_event(void *ctx, struct slice data)
{
	bool *came = ctx;

	(void)data;
	*came = true;
	return 1; /* one is enough to know */
}

/*
 * Wait up to LOOK_MS for a container of ours to start or die.  1, 0, or
 * -code when the engine went away.
 */
static int look_at_engine(struct watch *w, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(EVENTS_MAX);
	auto_free char *filters = NULL;
	struct engine *engine = NULL;
	bool came = false;
	int r = engine_open(w->cfg->engine, &engine, err);

	if (r < 0)
		return r;
	filters = xasprintf("{\"type\":[\"container\"],\"event\":[\"start\","
			    "\"die\"],\"label\":[\"%s=%s\",\"%s\"]}",
			    LABEL_OWNER, w->owner, LABEL_APP);
	buf_addf(&path, "/events?since=%" PRId64 "&filters=", w->seen_s);
	engine_query(&path, filters);
	w->seen_s = (int64_t)time(NULL);
	r = engine_stream(engine, "GET", buf_str(&path), on_event, &came,
			  LOOK_MS, err);
	engine_close(engine);
	if (came)
		return 1;
	return r == -ERR_TIMEOUT ? 0 : r;
}

/* The router's id, or 0 while it does not answer. */
static int64_t look_at_router(struct watch *w)
{
	struct error ignored;
	int64_t id = router_haproxy_id(w->cfg, &ignored);

	return id > 0 ? id : 0;
}

static void look(struct watch *w)
{
	struct error err;
	int64_t router = look_at_router(w);
	int r = look_at_engine(w, &err);

	if (r < 0) {
		if (!w->is_down)
			log_warn("engine: %s", err.msg);
		w->is_down = true;
		w->done_ms = 0;
		poll(NULL, 0, RETRY_MS);
		return;
	}
	if (w->is_down)
		log_info("engine: answers again");
	w->is_down = false;
	if (r > 0 || (router && router != w->router_id))
		w->done_ms = 0;
	w->router_id = router ? router : w->router_id;
}

int watch_run(const struct config *cfg, struct store *store, struct error *err)
{
	struct watch w = { .cfg = cfg,
			   .store = store,
			   .seen_s = (int64_t)time(NULL),
			   .taken_back = json_object() };
	int r = store_owner(store, &w.owner, err);

	while (r == 0 && !worker_is_canceled()) {
		struct error why;

		if (!w.done_ms || clock_ms() - w.done_ms > EVERY_MS) {
			w.router_id = look_at_router(&w);
			if (reconcile(&w, &why) == 0)
				w.done_ms = clock_ms();
			else
				log_warn("reconcile: %s", why.msg);
		}
		look(&w);
	}
	free(w.owner);
	json_decref(w.taken_back);
	return r;
}
