/* users:list, users:add, users:remove, users:set-admin, whoami */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"

#include <string.h>

static json_t *user_json(const struct user *u)
{
	return json_pack("{s:o, s:b, s:I, s:o}", "name", listing_text(u->name),
			 "admin", (int)u->is_admin, "keys", (json_int_t)u->keys,
			 "created", listing_time(u->created));
}

int cmd_users_list(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "NAME", "name", COLUMN_TEXT },
		{ "ADMIN", "admin", COLUMN_TEXT },
		{ "KEYS", "keys", COLUMN_TEXT },
		{ "CREATED", "created", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	struct user *users = NULL;
	json_t *rows;
	int count;

	count = store_users(c->store, &users, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++) {
		json_array_append_new(rows, user_json(&users[i]));
		user_release(&users[i]);
	}
	free(users);
	call_list(c, rows, columns);
	if (count == 0)
		call_note(c, "no users yet: 'users:add NAME --admin' makes "
			     "the first");
	return 0;
}

int cmd_users_add(struct call *c, struct error *err)
{
	const char *name = call_word(c, 0);
	bool is_admin = call_option(c, "admin") != NULL;
	int r;

	r = store_user_add(c->store, name, is_admin, err);
	if (r < 0)
		return r;
	if (is_admin)
		call_printf(c, "Added the administrator %s\n", name);
	else
		call_printf(c, "Added the user %s\n", name);
	call_note(c,
		  "To log in they need a key: keys:add %s < "
		  "id_ed25519.pub",
		  name);
	return 0;
}

int cmd_users_remove(struct call *c, struct error *err)
{
	const char *name = call_word(c, 0);
	int r;

	r = store_user_remove(c->store, name, err);
	if (r < 0)
		return r;
	call_printf(c, "Removed the user %s\n", name);
	return 0;
}

int cmd_users_set_admin(struct call *c, struct error *err)
{
	const char *name = call_word(c, 0);
	const char *word = call_word(c, 1);
	bool is_on = !strcmp(word, "on") || !strcmp(word, "true") ||
		     !strcmp(word, "yes");
	int r;

	if (!is_on && strcmp(word, "off") && strcmp(word, "false") &&
	    strcmp(word, "no"))
		return call_usage(c, err, "'%.20s' is neither on nor off",
				  word);
	r = store_user_set_admin(c->store, name, is_on, err);
	if (r < 0)
		return r;
	call_printf(c, "%s is %s administrator\n", name,
		    is_on ? "an" : "not an");
	return 0;
}

int cmd_whoami(struct call *c, struct error *err)
{
	json_t *who =
		json_pack("{s:o, s:b, s:b}", "user", listing_text(c->user),
			  "admin", (int)c->is_admin, "local", c->user == NULL);

	(void)err;
	if (call_json(c, who))
		return 0;
	if (c->user)
		call_printf(c, "%s%s\n", c->user,
			    c->is_admin ? " (administrator)" : "");
	else
		call_printf(c, "the local administrator\n");
	return 0;
}
