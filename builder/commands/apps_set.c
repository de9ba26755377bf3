/* apps:set */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/commands/app_hold.h"
#include "builder/commands/call.h"
#include "builder/commands/target_choice.h"
#include "builder/rollout/target.h"
#include "builder/store/config_vars.h"

#include <inttypes.h>
#include <string.h>

/* What runs stays where it is: two targets know nothing of each other, so
 * that traffic, names and data could not move with it. */
static int check_unused(struct call *c, const char *to, struct error *err)
{
	if (c->app.live_version == 0)
		return 0;
	return err_set(err, ERR_EXISTS,
		       "%s v%" PRId64 " is live on '%s', and what runs does "
		       "not move: make another app with 'apps:create NAME "
		       "--target %s' and push to it; 'apps:destroy %s' then "
		       "ends this one",
		       c->app.name, c->app.live_version, c->app.target, to,
		       c->app.name);
}

static int check_vars(struct call *c, const char *to, struct error *err)
{
	const char *type = config_target_type(c->cfg, to);
	json_t *vars = NULL;
	const char *name;
	int r;

	if (!type || strcmp(type, TARGET_TYPE_DOCKER) != 0)
		return 0;
	r = store_config_get(c->store, c->app.id, c->app.config_version, &vars,
			     err);
	if (r < 0)
		return r;
	name = config_vars_reference(vars);
	if (name)
		r = err_set(err, ERR_INVALID,
			    "the config var %s is a reference, which '%s' "
			    "(docker) does not resolve: set its value first",
			    name, to);
	config_vars_wipe(vars);
	return r;
}

/* Networks and images of releases that never went live. */
static int clean_up(struct call *c, struct error *err)
{
	struct target *t = NULL;
	int r;

	if (!config_target_type(c->cfg, c->app.target)) {
		call_note(c,
			  "the target '%s' is no longer in the configuration: "
			  "what is left of %s there stays",
			  c->app.target, c->app.name);
		return 0;
	}
	r = app_open_target(c, &t, err);
	if (r == 0 && t)
		r = t->ops->destroy(t, &c->app, err);
	app_close_target(t);
	return r < 0 ? err_wrap(err, r, "clean up on '%s'", c->app.target) : 0;
}

static int move(struct call *c, const char *to, struct error *err)
{
	auto_close int lock = -1;
	int r = app_hold(c, &lock, err);

	if (r < 0 || strcmp(c->app.target, to) == 0)
		return r;
	r = check_unused(c, to, err);
	if (r == 0)
		r = check_vars(c, to, err);
	if (r == 0)
		r = clean_up(c, err);
	if (r == 0)
		r = store_app_set_target(c->store, c->app.id, to, err);
	return r;
}

int cmd_apps_set(struct call *c, struct error *err)
{
	const char *property = call_word(c, 0);
	const char *to = call_word(c, 1);
	int r;

	if (strcmp(property, "target") != 0)
		return call_usage(c, err,
				  "unknown property '%.40s': there is target",
				  property);
	r = target_choice_check(c->cfg, to, err);
	if (r == 0)
		r = move(c, to, err);
	if (r < 0)
		return r;
	if (call_json(c, json_pack("{s:s, s:s}", "name", c->app.name, "target",
				   to)))
		return 0;
	call_printf(c, "%s runs on %s\n", c->app.name, to);
	return 0;
}
