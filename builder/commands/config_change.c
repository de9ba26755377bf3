/*
 * config:set, config:unset
 *
 * A change is stored at once, as the app's next set of vars; then what is
 * live is released again with it.  When that fails the vars stay stored, so
 * that nothing that somebody typed is lost.
 */
#include "builder/commands/command.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/release_request.h"
#include "builder/store/config_vars.h"

#include <inttypes.h>
#include <string.h>

#define NAMES_SHOWN 8

struct change {
	const char *verb;	/* "Set", "Unset" */
	const char *from_input; /* the var whose value was read; or NULL */
	struct buf input;
	json_t *names;	      /* that really changed */
	json_t *missing;      /* that were to be unset */
	struct app app;	      /* after it */
	int64_t live_version; /* 0 = none */
	int64_t live_config;  /* of that release */
};

static void change_release(struct change *ch)
{
	if (ch->input.data)
		explicit_bzero(ch->input.data, ch->input.len);
	buf_release(&ch->input);
	json_decref(ch->names);
	json_decref(ch->missing);
	app_release(&ch->app);
}

/* ---- the value on standard input ---- */

static int read_value(struct call *c, struct change *ch, struct error *err)
{
	struct buf *in = &ch->input;
	int r;

	if (c->has_tty) {
		call_prompt(c, "Value of %s: ", ch->from_input);
		c->hides_input = true;
		r = call_read_line(c, in, err);
	} else {
		r = call_read_all(c, in, err);
		/* The line end that `echo` and editors put there. */
		if (in->len && in->data[in->len - 1] == '\n')
			in->data[--in->len] = '\0';
	}
	if (r == 0 && in->len == 0)
		return call_usage(c, err,
				  "no value for %s came on standard input "
				  "('%s=' sets an empty one)",
				  ch->from_input, ch->from_input);
	return r;
}

/*
 * What is no NAME=VALUE is a NAME.  Nothing that is wrong is shown: it may be
 * a part of a secret.
 */
static int check_words(struct call *c, struct change *ch, struct error *err)
{
	for (size_t i = 0; i < c->args.count; i++) {
		const char *word = call_word(c, i);
		auto_free char *name =
			slice_dup((struct slice){ word, strcspn(word, "=") });

		if (config_var_check_name(name, err) < 0)
			return call_usage(c, err, "word %zu: %s", i + 1,
					  err->msg);
		if (word[strlen(name)] == '=')
			continue;
		if (ch->from_input)
			return call_usage(c, err,
					  "word %zu: only one value can come "
					  "on standard input",
					  i + 1);
		ch->from_input = word;
	}
	return 0;
}

/* ---- the change ---- */

static bool is_noted(json_t *names, const char *name)
{
	json_t *known;
	size_t i;

	json_array_foreach(names, i, known)
	{
		if (strcmp(json_string_value(known), name) == 0)
			return true;
	}
	return false;
}

static void note_name(json_t *names, const char *name)
{
	if (!is_noted(names, name))
		json_array_append_new(names, json_string(name));
}

static int set_all(struct call *c, struct change *ch, json_t *vars,
		   struct error *err)
{
	for (size_t i = 0; i < c->args.count; i++) {
		const char *word = call_word(c, i);
		auto_free char *name =
			slice_dup((struct slice){ word, strcspn(word, "=") });
		struct slice value =
			word == ch->from_input
				? buf_slice(&ch->input)
				: slice_str(word + strlen(name) + 1);
		int r = config_vars_set(vars, name, value, err);

		if (r < 0)
			return r;
		if (r > 0)
			note_name(ch->names, name);
	}
	return 0;
}

static int unset_all(struct call *c, struct change *ch, json_t *vars,
		     struct error *err)
{
	for (size_t i = 0; i < c->args.count; i++) {
		const char *name = call_word(c, i);

		/* One that cannot be set now may have been once. */
		if (config_vars_unset(vars, name))
			note_name(ch->names, name);
		else if (config_var_check_name(name, err) < 0)
			return call_usage(c, err, "word %zu: %s", i + 1,
					  err->msg);
		else if (!is_noted(ch->names, name))
			note_name(ch->missing, name);
	}
	return 0;
}

static int check_target(struct call *c, const struct change *ch,
			const json_t *vars, struct error *err)
{
	const char *type = config_target_type(c->cfg, ch->app.target);
	const char *name = config_vars_reference(vars);

	if (!name || !type || strcmp(type, TARGET_TYPE_DOCKER) != 0)
		return 0;
	return err_set(err, ERR_INVALID,
		       "%s: references to Secrets Manager and SSM are for "
		       "targets of type ecs; %s runs on '%s' (docker): give "
		       "the value itself",
		       name, ch->app.name, ch->app.target);
}

static int apply(struct call *c, struct change *ch,
		 int (*edit)(struct call *c, struct change *ch, json_t *vars,
			     struct error *err),
		 json_t *vars, struct error *err)
{
	int64_t version = 0;
	int r = edit(c, ch, vars, err);

	if (r == 0)
		r = config_vars_check(vars, err);
	if (r == 0)
		r = check_target(c, ch, vars, err);
	if (r < 0 || json_array_size(ch->names) == 0)
		return r;
	r = store_config_put(c->store, ch->app.id, vars, c->user ? c->user : "",
			     &version, err);
	if (r == 0)
		ch->app.config_version = version;
	return r;
}

static int look_at_live(struct call *c, struct change *ch, struct error *err)
{
	struct release live = { 0 };
	int r = store_release_get(c->store, ch->app.id, 0, &live, err);

	ch->live_version = live.version;
	ch->live_config = live.config_version;
	release_release(&live);
	return r == -ERR_NOTFOUND ? 0 : r;
}

/* Read, change and write in one transaction: two who set different vars at
 * once both get theirs. */
static int store_change(struct call *c, struct change *ch,
			int (*edit)(struct call *c, struct change *ch,
				    json_t *vars, struct error *err),
			struct error *err)
{
	json_t *vars = NULL;
	int r = store_begin(c->store, err);

	if (r < 0)
		return r;
	r = store_app_get_id(c->store, c->app.id, &ch->app, err);
	if (r == 0)
		r = store_config_get(c->store, ch->app.id,
				     ch->app.config_version, &vars, err);
	if (r == 0)
		r = apply(c, ch, edit, vars, err);
	config_vars_wipe(vars);
	if (r == 0)
		r = look_at_live(c, ch, err);
	if (r == 0)
		r = store_commit(c->store, err);
	if (r < 0)
		store_rollback(c->store);
	return r;
}

/* ---- the release ---- */

/* "Set FOO, BAR and 3 more" */
static void describe(const struct change *ch, struct buf *out)
{
	size_t count = json_array_size(ch->names);

	if (count == 0)
		buf_adds(out, "Config vars set before");
	else
		buf_adds(out, ch->verb);
	for (size_t i = 0; i < count && i < NAMES_SHOWN; i++)
		buf_addf(out, "%s%s", i ? ", " : " ",
			 json_string_value(json_array_get(ch->names, i)));
	if (count > NAMES_SHOWN)
		buf_addf(out, " and %zu more", count - NAMES_SHOWN);
}

static int tell(struct call *c, const struct change *ch, const char *what,
		int64_t version)
{
	if (call_json(c, json_pack("{s:s, s:O, s:I, s:b}", "name", ch->app.name,
				   "changed", ch->names, "release",
				   (json_int_t)version, "live", version != 0)))
		return 0;
	if (version)
		call_printf(c, "%s: v%" PRId64 " is live\n", what, version);
	else if (json_array_size(ch->names) == 0)
		call_printf(c, "Nothing changed\n");
	else
		call_printf(c, "%s: stored for the %s\n", what,
			    ch->live_version ? "next release" : "first deploy");
	return 0;
}

static int release(struct call *c, struct change *ch, struct error *err)
{
	auto_buf struct buf what = BUF_INIT(2048);
	bool is_new =
		ch->live_version && ch->live_config != ch->app.config_version;
	int64_t version = 0;
	int r;

	describe(ch, &what);
	if (!is_new || call_option(c, "no-restart"))
		return tell(c, ch, buf_str(&what), 0);
	r = release_request(c, buf_str(&what), &version, err);
	if (r < 0)
		return err_wrap(err, r, "the config vars are stored, but");
	/* Another release, made meanwhile, may have brought them. */
	if (version == 0)
		r = look_at_live(c, ch, err);
	if (r < 0)
		return r;
	return tell(c, ch, buf_str(&what),
		    version ? version : ch->live_version);
}

static int change_vars(struct call *c, struct change *ch,
		       int (*edit)(struct call *c, struct change *ch,
				   json_t *vars, struct error *err),
		       struct error *err)
{
	json_t *name;
	size_t i;
	int r;

	ch->names = json_array();
	ch->missing = json_array();
	r = store_change(c, ch, edit, err);
	if (r < 0)
		return r;
	json_array_foreach(ch->missing, i, name)
	{
		call_note(c, "%s has no %s", ch->app.name,
			  json_string_value(name));
	}
	return release(c, ch, err);
}

int cmd_config_set(struct call *c, struct error *err)
{
	struct change ch = { .verb = "Set",
			     .input = BUF_INIT(CONFIG_VALUE_MAX + 1) };
	int r = check_words(c, &ch, err);

	if (r == 0 && ch.from_input)
		r = read_value(c, &ch, err);
	if (r == 0)
		r = change_vars(c, &ch, set_all, err);
	change_release(&ch);
	return r;
}

int cmd_config_unset(struct call *c, struct error *err)
{
	struct change ch = { .verb = "Unset", .input = BUF_INIT(0) };
	int r = change_vars(c, &ch, unset_all, err);

	change_release(&ch);
	return r;
}
