/*
 * Make what runs equal to what is recorded.  After a restart of the engine
 * containers have other addresses, and some are down; after a restart of the
 * router it knows no routes; after a crash of a worker there are leftovers.
 */
#include "builder/rollout/docker/docker.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/engine/container.h"
#include "builder/engine/network.h"
#include "builder/rollout/router/router.h"
#include "builder/store/app_lock.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <string.h>

struct reconcile {
	struct docker *d;
	const struct target_report *report;
	int changes;
};

__attribute__((format(printf, 3, 4))) static void
say(void (*how)(void *ctx, const char *line), void *ctx, const char *fmt, ...)
{
	auto_buf struct buf line = BUF_INIT(ERR_MSG_MAX + 128);
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&line, fmt, ap);
	va_end(ap);
	how(ctx, buf_str(&line));
}

/*
 * Does it run on this engine?  1, 0 or -code.  An app whose target is in the
 * configuration no more stays where it is: that is a mistake to be put right
 * there, and no reason to stop it.
 */
static int is_here(const struct reconcile *rc, const struct app *app,
		   struct error *err)
{
	const char *type = config_target_type(rc->d->cfg, app->target);
	struct container *list = NULL;
	int count;

	if (type)
		return strcmp(type, TARGET_TYPE_DOCKER) == 0;
	count = docker_containers(rc->d, app->id, &list, err);
	docker_containers_free(list, count);
	return count < 0 ? count : count > 0;
}

/* ---- an app with a live release ---- */

static bool is_of(const struct container *c, const struct instance *i,
		  int64_t version)
{
	return c->version == version && c->index == i->index &&
	       strcmp(c->process, i->type->type) == 0;
}

static bool is_wanted(const struct container *c, const struct blueprint *b)
{
	const struct process_plan *type =
		release_plan_type(&b->plan, c->process);

	return type && c->version == b->release->version && c->index >= 1 &&
	       c->index <= type->count;
}

/* Start it where it is, else make it anew. */
static int revive(struct reconcile *rc, const struct blueprint *b,
		  struct instance *i, const struct container *found,
		  struct error *err)
{
	struct docker *d = rc->d;
	int r;

	rc->changes++;
	say(rc->report->detail, rc->report->ctx, "%s: starting %s of v%" PRId64,
	    b->app->name, i->label, b->release->version);
	if (found) {
		r = container_start(d->engine, found->id, err);
		if (r == 0)
			r = container_set_restart(d->engine, found->id, true,
						  err);
		if (r == 0)
			return 0;
	}
	r = docker_ensure_network(d, b, err);
	if (r == 0)
		r = instance_start(d, b, i, true, err);
	return r;
}

static int ensure_instance(struct reconcile *rc, const struct blueprint *b,
			   struct instance *i, const struct container *list,
			   int count, struct error *err)
{
	const struct container *found = NULL;

	for (int n = 0; n < count; n++)
		if (is_of(&list[n], i, b->release->version))
			found = &list[n];
	/* "restarting" is the engine's business. */
	if (found && (strcmp(found->state, "running") == 0 ||
		      strcmp(found->state, "restarting") == 0))
		return 0;
	return revive(rc, b, i, found, err);
}

/* Every instance is tried; the first failure counts. */
static int ensure_all(struct reconcile *rc, const struct blueprint *b,
		      const struct container *list, int count,
		      struct error *err)
{
	int first = 0;

	for (size_t t = 0; t < b->plan.types_count; t++) {
		const struct process_plan *type = &b->plan.types[t];

		for (int index = 1; index <= type->count; index++) {
			struct instance i;
			struct error why;
			int r;

			instance_init(&i, type, index);
			r = ensure_instance(rc, b, &i, list, count, &why);
			free(i.id);
			if (r < 0 && first == 0) {
				first = r;
				*err = why;
			}
		}
	}
	return first;
}

static int remove_leftovers(struct reconcile *rc, const struct app *app,
			    const struct blueprint *b,
			    const struct container *list, int count,
			    struct error *err)
{
	for (int i = 0; i < count; i++) {
		int r;

		if (b && is_wanted(&list[i], b))
			continue;
		rc->changes++;
		say(rc->report->detail, rc->report->ctx,
		    "%s: removing %s.%d of v%" PRId64, app->name,
		    list[i].process, list[i].index, list[i].version);
		r = docker_retire(rc->d, list[i].id, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_right(struct reconcile *rc, const struct blueprint *b,
		     struct error *err)
{
	struct container *list = NULL;
	struct error why;
	int count = docker_containers(rc->d, b->app->id, &list, err);
	int started;
	int r;

	if (count < 0)
		return count;
	started = ensure_all(rc, b, list, count, err);
	/* Also when something did not start: the others shall serve. */
	r = docker_route(rc->d, b, false, &why);
	if (r == 0)
		r = remove_leftovers(rc, b->app, b, list, count, &why);
	docker_containers_free(list, count);
	if (started < 0)
		return started;
	if (r < 0)
		*err = why;
	return r;
}

static int with_live(struct reconcile *rc, const struct app *app,
		     int (*act)(struct reconcile *rc, const struct blueprint *b,
				struct error *err),
		     struct error *err)
{
	struct release live = { .version = 0 };
	struct blueprint b = { .app = app };
	int r = store_release_get(rc->d->store, app->id, 0, &live, err);

	if (r == 0)
		r = blueprint_init(rc->d, app, &live, &b, err);
	if (r == 0)
		r = act(rc, &b, err);
	blueprint_release(&b);
	release_release(&live);
	return r;
}

/* ---- an app without one ---- */

static int put_right_empty(struct reconcile *rc, const struct app *app,
			   struct error *err)
{
	struct container *list = NULL;
	int count = docker_containers(rc->d, app->id, &list, err);
	int r;

	if (count < 0)
		return count;
	r = rc->d->router->ops->remove(rc->d->router, app->id, err);
	if (r == 0)
		r = remove_leftovers(rc, app, NULL, list, count, err);
	docker_containers_free(list, count);
	return r;
}

/* ---- an app that is being deployed ---- */

/* The deploy sets its route by itself; but where the router has none at all,
 * what is live shall serve until then. */
static int route_if_absent(struct reconcile *rc, const struct blueprint *b,
			   struct error *err)
{
	return docker_route(rc->d, b, true, err);
}

static int route_busy(struct reconcile *rc, const struct app *app,
		      struct error *err)
{
	int r = is_here(rc, app, err);

	if (r <= 0)
		return r;
	r = with_live(rc, app, route_if_absent, err);

	return r == -ERR_NOTFOUND ? 0 : r;
}

/* What the caller read may be old: look again, under the lock. */
static int reconcile_app(struct reconcile *rc, const struct app *listed,
			 struct error *err)
{
	auto_close int lock = -1;
	struct app app = { .id = 0 };
	int r = app_lock_take(rc->d->cfg->data, listed->id, 0, &lock, err);

	if (r == -ERR_TIMEOUT)
		return route_busy(rc, listed, err);
	if (r == 0)
		r = store_app_get_id(rc->d->store, listed->id, &app, err);
	if (r == -ERR_NOTFOUND)
		return 0; /* destroyed meanwhile: see reconcile_strangers */
	if (r < 0)
		return r;
	r = app.live_version ? is_here(rc, &app, err) : 0;
	if (r > 0)
		r = with_live(rc, &app, put_right, err);
	else if (r == 0)
		r = put_right_empty(rc, &app, err);
	app_release(&app);
	return r;
}

/* ---- apps that are gone ---- */

static int remove_stranger(struct reconcile *rc, int64_t id, struct error *err)
{
	auto_close int lock = -1;
	auto_free char *name = xasprintf("app %" PRId64, id);
	auto_free char *network = docker_network_name(rc->d, id);
	struct app app = { .id = id, .name = name };
	struct app known = { .id = 0 };
	int r = app_lock_take(rc->d->cfg->data, id, 0, &lock, err);

	if (r == -ERR_TIMEOUT)
		return 0; /* being made, or being destroyed */
	if (r < 0)
		return r;
	r = store_app_get_id(rc->d->store, id, &known, err);
	app_release(&known);
	if (r != -ERR_NOTFOUND)
		return r;
	r = put_right_empty(rc, &app, err);
	if (r == 0)
		r = network_remove(rc->d->engine, network, err);
	if (r == 0)
		app_lock_forget(rc->d->cfg->data, id);
	return r;
}

static bool is_listed(const struct app *apps, size_t count, int64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (apps[i].id == id)
			return true;
	return false;
}

/* Ids in containers and in the router that the list does not have. */
static int reconcile_strangers(struct reconcile *rc, const struct app *apps,
			       size_t apps_count, struct error *err)
{
	struct router *router = rc->d->router;
	auto_free int64_t *routed = NULL;
	struct container *list = NULL;
	int count = docker_containers(rc->d, 0, &list, err);
	int routed_count;
	int r = count < 0 ? count : 0;

	for (int i = 0; i < count && r == 0; i++)
		if (!is_listed(apps, apps_count, list[i].app_id))
			r = remove_stranger(rc, list[i].app_id, err);
	docker_containers_free(list, count);
	if (r < 0)
		return r;
	routed_count = router->ops->apps(router, &routed, err);
	if (routed_count < 0)
		return routed_count;
	for (int i = 0; i < routed_count && r == 0; i++)
		if (!is_listed(apps, apps_count, routed[i]))
			r = remove_stranger(rc, routed[i], err);
	return r;
}

int docker_reconcile(struct target *t, const struct app *apps,
		     const struct release *live, size_t count,
		     const struct target_report *report, struct error *err)
{
	struct reconcile rc = { .d = docker_of(t), .report = report };
	struct error why;
	int first = 0;

	(void)live; /* may be old: it is read again under the app's lock */
	for (size_t i = 0; i < count; i++) {
		int r;

		if (report->is_canceled(report->ctx))
			return err_set(err, ERR_CANCELED, "canceled");
		r = reconcile_app(&rc, &apps[i], &why);
		if (r < 0)
			say(report->error, report->ctx, "%s: %s", apps[i].name,
			    why.msg);
		/* Without a router the others fail just as well, but their
		 * containers are looked after all the same. */
		if (r < 0 && first == 0) {
			first = err_wrap(&why, r, "%s", apps[i].name);
			*err = why;
		}
	}
	if (first < 0)
		return first;
	return reconcile_strangers(&rc, apps, count, err);
}
