/* access:list, access:add, access:remove */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"

#include <string.h>

int cmd_access_list(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "USER", "user", COLUMN_TEXT },
		{ "ROLE", "role", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	struct grant *grants = NULL;
	json_t *rows;
	int count;

	count = store_grants(c->store, c->app.id, &grants, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++) {
		json_array_append_new(
			rows, json_pack("{s:o, s:s}", "user",
					listing_text(grants[i].user), "role",
					role_name(grants[i].role)));
		grant_release(&grants[i]);
	}
	free(grants);
	call_list(c, rows, columns);
	if (count == 0)
		call_note(c, "only administrators have access to %s",
			  c->app.name);
	return 0;
}

/* Heroku's habit is a list, "-p view,deploy": the highest role counts. */
static enum role highest_role(const char *words)
{
	enum role highest = ROLE_NONE;

	while (*words) {
		size_t len = strcspn(words, ",");
		auto_free char *word = slice_dup((struct slice){ words, len });
		enum role role = role_from_name(word);

		if (role == ROLE_NONE)
			return ROLE_NONE;
		if (role > highest)
			highest = role;
		words += len + (words[len] == ',');
	}
	return highest;
}

int cmd_access_add(struct call *c, struct error *err)
{
	const char *user = call_word(c, 0);
	const char *word = call_word(c, 1);
	const char *option = call_option(c, "permissions");
	enum role role;
	int r;

	if (word && option)
		return call_usage(c, err, "two roles");
	if (!word)
		word = option;
	if (!word)
		return call_usage(c, err,
				  "which role: view, deploy, operate or "
				  "admin?");
	role = highest_role(word);
	if (role == ROLE_NONE)
		return call_usage(c, err,
				  "'%.40s' is not a role: view, deploy, "
				  "operate or admin",
				  word);
	r = store_grant_set(c->store, c->app.id, user, role, err);
	if (r < 0)
		return r;
	call_printf(c, "%s has the role %s on %s\n", user, role_name(role),
		    c->app.name);
	return 0;
}

static int has_grant(struct call *c, const char *user, struct error *err)
{
	struct grant *grants = NULL;
	bool is_found = false;
	int count;

	count = store_grants(c->store, c->app.id, &grants, err);
	for (int i = 0; i < count; i++) {
		is_found |= strcmp(grants[i].user, user) == 0;
		grant_release(&grants[i]);
	}
	free(grants);
	return count < 0 ? count : is_found;
}

int cmd_access_remove(struct call *c, struct error *err)
{
	const char *user = call_word(c, 0);
	int r;

	r = has_grant(c, user, err);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "'%.40s' has no role on %s",
			       user, c->app.name);
	r = store_grant_set(c->store, c->app.id, user, ROLE_NONE, err);
	if (r < 0)
		return r;
	call_printf(c, "%s has no role on %s any more\n", user, c->app.name);
	return 0;
}
