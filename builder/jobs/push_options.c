#include "builder/jobs/push_options.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <string.h>

static const char *const known[] = { "no-cache",   "pull",    "target",
				     "dockerfile", "message", "build-arg",
				     NULL };

void push_options_release(struct push_options *o)
{
	if (!o)
		return;
	json_decref(o->build_args);
	memset(o, 0, sizeof(*o));
}

static int unknown(const char *name, struct error *err)
{
	auto_buf struct buf all = BUF_INIT(256);
	const char *near = text_nearest(name, known);

	for (size_t i = 0; known[i]; i++)
		buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
	return err_set(err, ERR_INVALID,
		       "unknown push option '%.64s'%s%s%s (%s)", name,
		       near ? ", did you mean '" : "", near ? near : "",
		       near ? "'?" : "", buf_str(&all));
}

static int add_build_arg(struct push_options *o, const char *value,
			 struct error *err)
{
	const char *eq = strchr(value, '=');
	auto_free char *name = NULL;

	if (!eq || eq == value)
		return err_set(err, ERR_INVALID,
			       "push option build-arg: expected "
			       "build-arg=NAME=VALUE");
	name = slice_dup((struct slice){ value, (size_t)(eq - value) });
	if (!o->build_args)
		o->build_args = json_object();
	json_object_set_new(o->build_args, name, json_string(eq + 1));
	return 0;
}

static int take_flag(struct push_options *o, const char *name,
		     struct error *err)
{
	if (strcmp(name, "no-cache") == 0)
		o->no_cache = true;
	else if (strcmp(name, "pull") == 0)
		o->pull = true;
	else
		return unknown(name, err);
	return 0;
}

static int take_pair(struct push_options *o, const char *name,
		     const char *value, struct error *err)
{
	if (!*value)
		return err_set(err, ERR_INVALID,
			       "push option %s: the value is empty", name);
	if (strcmp(name, "target") == 0)
		o->stage = value;
	else if (strcmp(name, "dockerfile") == 0)
		o->dockerfile = value;
	else if (strcmp(name, "message") == 0)
		o->message = value;
	else if (strcmp(name, "build-arg") == 0)
		return add_build_arg(o, value, err);
	else
		return unknown(name, err);
	return 0;
}

int push_options_parse(const json_t *options, struct push_options *ret,
		       struct error *err)
{
	const json_t *item;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	json_array_foreach(options, i, item)
	{
		const char *text = json_string_value(item);
		const char *eq = text ? strchr(text, '=') : NULL;
		auto_free char *name = NULL;
		int r;

		if (!text)
			continue;
		if (eq)
			name = slice_dup(
				(struct slice){ text, (size_t)(eq - text) });
		r = eq ? take_pair(ret, name, eq + 1, err)
		       : take_flag(ret, text, err);
		if (r < 0) {
			push_options_release(ret);
			return r;
		}
	}
	return 0;
}
