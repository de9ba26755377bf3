/* config, config:get */
#include "builder/commands/command.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/commands/call.h"
#include "builder/store/config_vars.h"

#include <inttypes.h>
#include <string.h>

/* ---- showing ---- */

/* Further lines of a value stand below its first one. */
static void print_value(struct call *c, const char *head, int indent,
			const char *value)
{
	struct slice rest = slice_str(value);
	struct slice line;

	if (rest.len == 0)
		call_printf(c, "%s\n", head);
	while (slice_line(&rest, &line)) {
		auto_buf struct buf text = BUF_INIT(CONFIG_VALUE_MAX + 16);

		text_add_line(&text, line, CONFIG_VALUE_MAX);
		call_printf(c, "%-*s%s\n", indent, head, buf_str(&text));
		head = "";
	}
}

static void print_shell(struct call *c, const char *name, const char *value)
{
	call_printf(c, "%s='", name);
	for (const char *p = value; *p; p++) {
		if (*p == '\'')
			call_printf(c, "'\\''");
		else
			call_printf(c, "%c", *p);
	}
	call_printf(c, "'\n");
}

static void print_vars(struct call *c, const json_t *vars)
{
	bool is_shell = call_option(c, "shell") != NULL;
	const char *name;
	json_t *value;
	int width = 0;

	json_object_foreach((json_t *)vars, name, value)
	{
		int len = (int)strlen(name);

		width = len > width ? len : width;
	}
	json_object_foreach((json_t *)vars, name, value)
	{
		const char *text = json_string_value(value);
		auto_free char *head = xasprintf("%s:", name);

		if (is_shell)
			print_shell(c, name, text);
		else
			print_value(c, head, width + 3, text);
	}
}

/* Vars that what is live does not have. */
static int note_pending(struct call *c, struct error *err)
{
	struct release live = { 0 };
	int r = store_release_get(c->store, c->app.id, 0, &live, err);

	if (r == -ERR_NOTFOUND)
		return 0;
	if (r == 0 && live.config_version != c->app.config_version)
		call_note(c,
			  "changed since v%" PRId64
			  " went live: the next release has them",
			  live.version);
	release_release(&live);
	return r;
}

int cmd_config(struct call *c, struct error *err)
{
	json_t *vars = NULL;
	bool is_empty;
	int r = store_config_get(c->store, c->app.id, c->app.config_version,
				 &vars, err);

	if (r < 0)
		return r;
	is_empty = json_object_size(vars) == 0;
	if (!call_json(c, json_incref(vars)))
		print_vars(c, vars);
	config_vars_wipe(vars);
	if (is_empty)
		call_note(c,
			  "%s has no config vars: 'config:set %s NAME=VALUE' "
			  "sets one",
			  c->app.name, c->app.name);
	return note_pending(c, err);
}

int cmd_config_get(struct call *c, struct error *err)
{
	const char *name = call_word(c, 0);
	const char *value;
	json_t *vars = NULL;
	int r = config_var_check_name(name, err);

	if (r < 0)
		return call_usage(c, err, "%s", err->msg);
	r = store_config_get(c->store, c->app.id, c->app.config_version, &vars,
			     err);
	if (r < 0)
		return r;
	value = json_string_value(json_object_get(vars, name));
	if (!value)
		r = err_set(err, ERR_NOTFOUND, "%s has no %s", c->app.name,
			    name);
	else if (c->has_tty)
		print_value(c, "", 0, value);
	else
		call_printf(c, "%s\n", value);
	config_vars_wipe(vars);
	return r;
}
