#include "builder/rollout/docker/target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/engine/container.h"
#include "builder/engine/engine.h"
#include "builder/engine/image.h"
#include "builder/rollout/docker/docker.h"
#include "builder/rollout/image_name.h"
#include "builder/rollout/router/haproxy.h"
#include "builder/rollout/router/router.h"
#include "builder/store/config_vars.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct docker *docker_of(struct target *t)
{
	return (struct docker *)t; /* base is its first member */
}

/* ---- processes ---- */

static const char *state_name(const struct container_state *s)
{
	if (s->is_restarting)
		return "crashed";
	if (s->is_running)
		return strcmp(s->health, "starting") == 0 ? "starting" : "up";
	return s->exit_code ? "crashed" : "down";
}

static void describe(const struct container_state *s,
		     struct target_process *ret)
{
	auto_buf struct buf detail = BUF_INIT(sizeof(ret->detail) - 1);

	if (!s->is_running || s->is_restarting)
		buf_addf(&detail, "%s%d",
			 s->is_oom_killed ? "out of memory, exit " : "exit ",
			 s->exit_code);
	else
		buf_adds(&detail, s->ip);
	if (s->health[0])
		buf_addf(&detail, " %s", s->health);
	if (s->restarts)
		buf_addf(&detail, ", restarted %d times", s->restarts);
	snprintf(ret->detail, sizeof(ret->detail), "%s", buf_str(&detail));
	snprintf(ret->state, sizeof(ret->state), "%s", state_name(s));
	snprintf(ret->since, sizeof(ret->since), "%s", s->started);
}

static int compare_processes(const void *a, const void *b)
{
	const struct target_process *x = a;
	const struct target_process *y = b;
	int order = strcmp(x->type, y->type);

	if (order == 0)
		order = (x->index > y->index) - (x->index < y->index);
	if (order == 0)
		order = (x->version > y->version) - (x->version < y->version);
	return order;
}

static int look_at(struct docker *d, const char *network,
		   const struct container *c, struct target_process *ret,
		   struct error *err)
{
	struct container_state state = { .ip = "" };
	int r = container_inspect(d->engine, c->id, network, &state, err);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->type, sizeof(ret->type), "%s", c->process);
	ret->index = c->index;
	ret->version = c->version;
	describe(&state, ret);
	container_state_release(&state);
	return 0;
}

static int docker_processes(struct target *t, const struct app *app,
			    struct target_process **ret, struct error *err)
{
	struct docker *d = docker_of(t);
	auto_free char *network = docker_network_name(d, app->id);
	struct container *list = NULL;
	struct target_process *all;
	int count = docker_containers(d, app->id, &list, err);
	int n = 0;
	int r = 0;

	if (count < 0)
		return count;
	all = xcalloc((size_t)count, sizeof(*all));
	for (int i = 0; i < count && r == 0; i++) {
		r = look_at(d, network, &list[i], &all[n], err);
		if (r == 0)
			n++;
		else if (r == -ERR_NOTFOUND)
			r = 0; /* removed meanwhile */
	}
	docker_containers_free(list, count);
	if (r < 0) {
		free(all);
		return r;
	}
	qsort(all, (size_t)n, sizeof(*all), compare_processes);
	*ret = all;
	return n;
}

/* ---- publish ---- */

/* Set for a target of another type, the app was moved here since. */
static int check_vars(struct docker *d, const struct release *release,
		      struct error *err)
{
	json_t *vars = NULL;
	const char *name;
	int r = store_config_get(d->store, release->app_id,
				 release->config_version, &vars, err);

	if (r < 0)
		return r;
	name = config_vars_reference(vars);
	if (name)
		r = err_set(err, ERR_INVALID,
			    "the config var %s is a reference, which only "
			    "targets of type ecs resolve",
			    name);
	config_vars_wipe(vars);
	return r;
}

/*
 * The engine that built it also runs it.  The tag keeps the image for as long
 * as the release is kept, also when it was built for an earlier one.
 */
static int docker_publish(struct target *t, const struct app *app,
			  const struct release *release,
			  const struct target_report *report, char **ret_image,
			  struct error *err)
{
	struct docker *d = docker_of(t);
	auto_free char *repo = image_repository(d->owner, app->id);
	char tag[24];
	int r = check_vars(d, release, err);

	(void)report;
	if (r < 0)
		return r;
	snprintf(tag, sizeof(tag), "%" PRId64, release->version);
	r = image_tag(d->engine, release->image, repo, tag, err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_PEER,
			       "its image is gone from the engine; push again");
	if (r == 0)
		*ret_image = xstrdup("");
	return r;
}

/* ---- rename ---- */

static int docker_rename(struct target *t, const struct app *app,
			 struct error *err)
{
	struct docker *d = docker_of(t);
	struct release live = { .version = 0 };
	struct blueprint b = { .app = app };
	int r = store_release_get(d->store, app->id, 0, &live, err);

	if (r == -ERR_NOTFOUND)
		return 0; /* never deployed: there is no route */
	if (r < 0)
		return r;
	r = blueprint_init(d, app, &live, &b, err);
	if (r == 0)
		r = docker_route(d, &b, false, err);
	blueprint_release(&b);
	release_release(&live);
	return r;
}

/* ---- open and close ---- */

static void docker_close(struct target *t)
{
	struct docker *d;

	if (!t)
		return;
	d = docker_of(t);
	d->router->ops->close(d->router);
	engine_close(d->engine);
	free(d->owner);
	free(d);
}

static const struct target_ops docker_ops = {
	.publish = docker_publish,
	.release_phase = docker_release_phase,
	.rollout = docker_rollout,
	.settle = docker_settle,
	.processes = docker_processes,
	.logs = docker_logs,
	.destroy = docker_destroy,
	.rename = docker_rename,
	.reconcile = docker_reconcile,
	.close = docker_close,
};

int target_docker_open(const struct config *cfg, struct engine *engine,
		       struct store *store, const char *owner,
		       struct target **ret, struct error *err)
{
	struct router *router = NULL;
	struct docker *d;
	int r = router_haproxy_open(cfg, &router, err);

	if (r < 0)
		return r;
	d = xcalloc(1, sizeof(*d));
	d->base.ops = &docker_ops;
	d->cfg = cfg;
	d->engine = engine;
	d->store = store;
	d->router = router;
	d->owner = xstrdup(owner);
	*ret = &d->base;
	return 0;
}
