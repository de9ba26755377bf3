/* apps:list, apps:create, apps:info, apps:exists */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"
#include "builder/commands/target_choice.h"
#include "builder/source/repo.h"
#include "builder/store/app_url.h"

#include <inttypes.h>

static json_t *text_of(char *owned)
{
	json_t *text = listing_text(owned);

	free(owned);
	return text;
}

/* What --json tells about an app everywhere. */
static json_t *app_json(const struct call *c, const struct app *app)
{
	return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
			 "name", listing_text(app->name), "release",
			 (json_int_t)app->live_version, "url",
			 text_of(app_url(c->cfg, app->target, app->name)),
			 "git_url", text_of(app_git_url(c->cfg, app->name)),
			 "deploy_branch", listing_text(app->deploy_branch),
			 "target", listing_text(app->target), "owner",
			 listing_text(app->owner), "created",
			 listing_time(app->created), "id", (json_int_t)app->id);
}

int cmd_apps_list(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "NAME", "name", COLUMN_TEXT },
		{ "RELEASE", "release", COLUMN_VERSION },
		{ "URL", "url", COLUMN_TEXT },
		{ "OWNER", "owner", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	struct app *apps = NULL;
	json_t *rows;
	int count;

	count = store_apps(c->store, c->user, &apps, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++) {
		json_array_append_new(rows, app_json(c, &apps[i]));
		app_release(&apps[i]);
	}
	free(apps);
	call_list(c, rows, columns);
	if (count == 0)
		call_note(c, "no apps yet: 'apps:create NAME' makes one, and "
			     "so does the first push");
	return 0;
}

int cmd_apps_create(struct call *c, struct error *err)
{
	auto_free char *url = NULL;
	auto_free char *git_url = NULL;
	const char *target = call_option(c, "target");
	struct error ignored = ERROR_INIT;
	int r;

	if (!target)
		target = c->cfg->deploy_target;
	r = target_choice_check(c->cfg, target, err);
	if (r < 0)
		return r;
	r = store_app_room(c->store, c->cfg->router_max_apps, err);
	if (r < 0)
		return r;
	r = store_app_create(c->store, call_word(c, 0), c->user ? c->user : "",
			     target, &c->app, err);
	if (r < 0)
		return r;
	r = repo_create(c->cfg, c->app.id, err);
	if (r < 0) {
		/* Nobody can have pushed to it yet. */
		if (store_app_remove(c->store, c->app.id, &ignored) < 0)
			return r;
		return r;
	}
	if (call_json(c, app_json(c, &c->app)))
		return 0;
	url = app_url(c->cfg, c->app.target, c->app.name);
	git_url = app_git_url(c->cfg, c->app.name);
	call_printf(c, "Created %s\n", c->app.name);
	if (call_option(c, "quiet"))
		return 0;
	if (*url)
		call_printf(c, "It will answer at %s\n", url);
	call_printf(c,
		    "To deploy:  git remote add slipway %s\n"
		    "            git push slipway main\n",
		    git_url);
	return 0;
}

static json_t *info_json(const struct call *c)
{
	json_t *info = app_json(c, &c->app);

	json_object_set_new(info, "role", json_string(role_name(c->role)));
	return info;
}

int cmd_apps_info(struct call *c, struct error *err)
{
	static const struct column lines[] = {
		{ "Name", "name", COLUMN_TEXT },
		{ "URL", "url", COLUMN_TEXT },
		{ "Git remote", "git_url", COLUMN_TEXT },
		{ "Deploy branch", "deploy_branch", COLUMN_TEXT },
		{ "Release", "release", COLUMN_VERSION },
		{ "Target", "target", COLUMN_TEXT },
		{ "Owner", "owner", COLUMN_TEXT },
		{ "Created", "created", COLUMN_TEXT },
		{ "Your role", "role", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	json_t *info = info_json(c);

	(void)err;
	if (!call_option(c, "json") && !c->app.deploy_branch)
		json_object_set_new(info, "deploy_branch",
				    json_string("main or master"));
	call_fields(c, info, lines);
	return 0;
}

int cmd_apps_exists(struct call *c, struct error *err)
{
	(void)c;
	(void)err;
	return 0; /* else we would not be here */
}
