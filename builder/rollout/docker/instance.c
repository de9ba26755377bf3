/*
 * One container of a release: its description, its start and its end.
 */
#include "builder/rollout/docker/docker.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/engine/container.h"
#include "builder/engine/image.h"
#include "builder/store/config_vars.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PORT 5000
#define OUR_VARS     5

/* ---- blueprint ---- */

static int check_commands(const struct release_plan *plan,
			  const struct image_info *image, struct error *err)
{
	for (size_t i = 0; i < plan->types_count; i++)
		if (plan->types[i].count && !plan->types[i].command &&
		    !image->has_command)
			return err_set(err, ERR_PEER,
				       "nothing says how to start %s: the "
				       "image has no CMD, the Procfile no "
				       "'%s' line",
				       plan->types[i].type,
				       plan->types[i].type);
	return 0;
}

static int read_vars(struct docker *d, const struct app *app,
		     const struct release *release, json_t **ret,
		     struct error *err)
{
	int r = store_config_get(d->store, app->id, release->config_version,
				 ret, err);

	/* Not for the caller to take for a missing release. */
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_BUG,
			       "the config vars of v%" PRId64 " are gone",
			       release->version);
	return r;
}

int blueprint_init(struct docker *d, const struct app *app,
		   const struct release *release, struct blueprint *ret,
		   struct error *err)
{
	struct blueprint b = { .app = app, .release = release };
	struct image_info image = { .id = NULL };
	int r = release_plan_parse(release->processes, &b.plan, err);

	if (r < 0)
		return r;
	r = image_inspect(d->engine, release->image, &image, err);
	if (r == -ERR_NOTFOUND)
		r = err_set(err, ERR_PEER,
			    "the image of v%" PRId64 " is gone from the engine",
			    release->version);
	if (r == 0)
		r = check_commands(&b.plan, &image, err);
	if (r == 0)
		r = read_vars(d, app, release, &b.vars, err);
	if (r == 0) {
		b.network = docker_network_name(d, app->id);
		b.port = image.exposed_port ? image.exposed_port : DEFAULT_PORT;
		b.has_healthcheck = image.has_healthcheck;
		*ret = b;
	} else {
		blueprint_release(&b);
	}
	image_info_release(&image);
	return r;
}

void blueprint_release(struct blueprint *b)
{
	if (!b)
		return;
	release_plan_release(&b->plan);
	config_vars_wipe(b->vars);
	b->vars = NULL;
	free(b->network);
	b->network = NULL;
}

void instance_init(struct instance *i, const struct process_plan *type,
		   int index)
{
	memset(i, 0, sizeof(*i));
	i->type = type;
	i->index = index;
	snprintf(i->label, sizeof(i->label), "%s.%d", type->type, index);
}

/* ---- start and end ---- */

static json_t *make_labels(const struct docker *d, const struct blueprint *b,
			   const struct instance *i)
{
	json_t *labels = json_object();
	char number[32];

	json_object_set_new(labels, LABEL_OWNER, json_string(d->owner));
	snprintf(number, sizeof(number), "%" PRId64, b->app->id);
	json_object_set_new(labels, LABEL_APP, json_string(number));
	json_object_set_new(labels, LABEL_PROCESS, json_string(i->type->type));
	snprintf(number, sizeof(number), "%" PRId64, b->release->version);
	json_object_set_new(labels, LABEL_VERSION, json_string(number));
	snprintf(number, sizeof(number), "%d", i->index);
	json_object_set_new(labels, LABEL_INDEX, json_string(number));
	return labels;
}

/* The app's vars and ours, whose names no var has; NULL-ended. */
static char **make_env(const struct blueprint *b, const struct instance *i)
{
	char **env =
		xcalloc(json_object_size(b->vars) + OUR_VARS + 1, sizeof(*env));
	const char *name;
	json_t *value;
	size_t n = 0;

	json_object_foreach(b->vars, name, value)
	{
		env[n++] = xasprintf("%s=%s", name, json_string_value(value));
	}
	env[n++] = xasprintf("PORT=%d", b->port);
	env[n++] = xasprintf("SLIPWAY_APP=%s", b->app->name);
	env[n++] = xasprintf("SLIPWAY_RELEASE=v%" PRId64, b->release->version);
	env[n++] = xasprintf("SLIPWAY_COMMIT=%s", b->release->commit);
	env[n++] = xasprintf("SLIPWAY_PROCESS=%s", i->label);
	return env;
}

static void free_env(char **env)
{
	for (char **p = env; *p; p++) {
		explicit_bzero(*p, strlen(*p));
		free(*p);
	}
	free(env);
}

static int create(struct docker *d, const struct container_spec *spec,
		  char **ret_id, struct error *err)
{
	int r = container_create(d->engine, spec, ret_id, err);

	/* A leftover of an earlier try of the same release. */
	if (r == -ERR_EXISTS) {
		r = container_remove(d->engine, spec->name, err);
		if (r == 0)
			r = container_create(d->engine, spec, ret_id, err);
	}
	if (r == -ERR_INVALID) {
		err->code = ERR_PEER;
		r = -ERR_PEER;
	}
	return r;
}

static int create_instance(struct docker *d, const struct blueprint *b,
			   struct instance *i, bool restart_always,
			   struct error *err)
{
	const struct config *cfg = d->cfg;
	json_auto_t *labels = make_labels(d, b, i);
	auto_free char *hostname = xasprintf("%s-%d", i->type->type, i->index);
	auto_free char *name =
		xasprintf("%s-%s-%" PRId64 "-%d", b->network, i->type->type,
			  b->release->version, i->index);
	char **env = make_env(b, i);
	struct container_spec spec = {
		.name = name,
		.image = b->release->image,
		.command = (const char *const *)i->type->command,
		.env = (const char *const *)env,
		.labels = labels,
		.network = b->network,
		.hostname = hostname,
		.network_alias = i->type->type,
		.memory = cfg->run_memory,
		.milli_cpus = cfg->run_milli_cpus,
		.pids = cfg->run_pids,
		.log_size = cfg->run_log_size,
		.log_files = cfg->run_log_files,
		.stop_timeout_s = cfg->deploy_stop_timeout_ms / 1000,
		.restart_always = restart_always,
	};
	int r = create(d, &spec, &i->id, err);

	free_env(env);
	return r;
}

int instance_start(struct docker *d, const struct blueprint *b,
		   struct instance *i, bool restart_always, struct error *err)
{
	int r = create_instance(d, b, i, restart_always, err);

	if (r < 0)
		return err_wrap(err, r, "%s", i->label);
	i->started_ms = clock_ms();
	r = container_start(d->engine, i->id, err);
	/* A command that is not there, a limit too low for it, …: the engine
	 * says so with 400, 404 or 500, and still answers. */
	if (r == -ERR_INVALID || r == -ERR_NOTFOUND) {
		err->code = ERR_PEER;
		r = -ERR_PEER;
	}
	return r < 0 ? err_wrap(err, r, "%s", i->label) : 0;
}

int docker_retire(struct docker *d, const char *id, struct error *err)
{
	int timeout_s = (int)((d->cfg->deploy_stop_timeout_ms + 999) / 1000);
	int r = container_stop(d->engine, id, timeout_s, err);

	/* Not stopped in good order: the removal kills it. */
	if (r == -ERR_NOTFOUND)
		return 0;
	return container_remove(d->engine, id, err);
}

int docker_containers(struct docker *d, int64_t app_id, struct container **ret,
		      struct error *err)
{
	return container_list(d->engine, d->owner, app_id, ret, err);
}

void docker_containers_free(struct container *list, int count)
{
	for (int i = 0; i < count; i++)
		container_release(&list[i]);
	free(list);
}
