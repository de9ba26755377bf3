#include "builder/rollout/ecs/vars.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "builder/aws/secrets.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/kept.h"
#include "builder/rollout/ecs/name.h"
#include "builder/store/config_vars.h"
#include "builder/store/store.h"

#include <inttypes.h>

/* "slipway-OWNER-APPID-VERSION", the caller's */
static char *label_of(const struct ecs *e, const struct app *app,
		      int64_t config_version)
{
	auto_free char *prefix = ecs_secret_prefix(e->owner, app->id);

	return xasprintf("%s%" PRId64, prefix, config_version);
}

/* ---- publish ---- */

static int check_owner(struct ecs *e, const char *name, struct error *err)
{
	json_auto_t *tags = NULL;
	int r = secrets_tags(e->aws, name, &tags, err);

	if (r == -ERR_NOTFOUND)
		return 0;
	if (r == 0)
		r = ecs_owns(e, tags, "secret", name, "secret-prefix", err);
	return r < 0 ? r : 0;
}

/* A secret has few labels, and releases that fail take some of them. */
static int publish(struct ecs *e, const struct app *app, const char *name,
		   const char *label, const json_t *vars,
		   struct secret_version *ret, struct error *err)
{
	json_auto_t *tags = ecs_tags_spelt(e->owner, app->id, NULL);
	int r = secrets_publish(e->aws, name, label, tags, vars, ret, err);

	if (r != -ERR_EXISTS)
		return r;
	r = ecs_retain_vars(e, app, app->live_version, err);
	return r < 0 ? r
		     : secrets_publish(e->aws, name, label, tags, vars, ret,
				       err);
}

static int publish_vars(struct ecs *e, const struct app *app,
			const struct release *release, const json_t *vars,
			struct error *err)
{
	auto_free char *name = ecs_secret_name(e->section, app->name);
	auto_free char *label = label_of(e, app, release->config_version);
	struct secret_version version = { NULL, NULL };
	json_t *secrets = NULL;
	int r = json_object_size(vars) ? check_owner(e, name, err) : 0;

	if (r == 0)
		r = publish(e, app, name, label, vars, &version, err);
	if (r == 0)
		r = secrets_for_container(vars, &version, &secrets, err);
	secret_version_release(&version);
	if (r < 0)
		return err_wrap(err, r, "config vars");
	json_decref(e->secrets);
	e->secrets = secrets;
	e->prepared = release->version;
	return 0;
}

int ecs_prepare(struct ecs *e, const struct app *app,
		const struct release *release, struct error *err)
{
	json_t *vars = NULL;
	int r;

	if (e->prepared == release->version)
		return 0;
	r = store_config_get(e->store, app->id, release->config_version, &vars,
			     err);
	/* Not for the caller to take for a missing release. */
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_BUG,
			       "the config vars of v%" PRId64 " are gone",
			       release->version);
	if (r == 0)
		r = publish_vars(e, app, release, vars, err);
	config_vars_wipe(vars);
	return r;
}

/* ---- retain, remove ---- */

static int retain(struct ecs *e, const struct app *app,
		  const char *const *labels, struct error *err)
{
	auto_free char *prefix = ecs_secret_prefix(e->owner, app->id);
	auto_free char *name = ecs_secret_name(e->section, app->name);

	return secrets_retain(e->aws, name, prefix, labels, err);
}

int ecs_retain_vars(struct ecs *e, const struct app *app, int64_t live,
		    struct error *err)
{
	struct release *kept = NULL;
	int count = ecs_kept(e, app, live, &kept, err);
	char **labels;
	int r;

	if (count < 0)
		return count;
	labels = xcalloc((size_t)count + 1, sizeof(*labels));
	for (int i = 0; i < count; i++)
		labels[i] = label_of(e, app, kept[i].config_version);
	r = retain(e, app, (const char *const *)labels, err);
	for (int i = 0; i < count; i++)
		free(labels[i]);
	free(labels);
	ecs_kept_free(kept, count);
	return r;
}

int ecs_remove_vars(struct ecs *e, const struct app *app, struct error *err)
{
	static const char *const none[] = { NULL };
	auto_free char *name = ecs_secret_name(e->section, app->name);
	json_auto_t *tags = NULL;
	int r = secrets_tags(e->aws, name, &tags, err);

	if (r == -ERR_NOTFOUND)
		return 0;
	if (r < 0 || ecs_owned(tags, e->owner, 0) != ECS_OURS)
		return r;
	/* It stays for days, and an app of that name brings it back: without
	 * our labels then, which count. */
	r = retain(e, app, none, err);
	return r < 0 ? r : secrets_delete(e->aws, name, err);
}
