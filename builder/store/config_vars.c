#include "builder/store/config_vars.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

#define FIRST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define NAME_CHARS  FIRST_CHARS "0123456789"
#define OURS	    "SLIPWAY_"

static const char *const references[] = { "secretsmanager:", "ssm:" };

int config_var_check_name(const char *name, struct error *err)
{
	size_t len = strlen(name);

	if (len > CONFIG_NAME_MAX)
		return err_set(err, ERR_LIMIT,
			       "a name has at most %d characters",
			       CONFIG_NAME_MAX);
	if (len == 0 || !strchr(FIRST_CHARS, name[0]) ||
	    strspn(name, NAME_CHARS) != len)
		return err_set(err, ERR_INVALID,
			       "a name is made of letters, digits and '_', "
			       "and does not start with a digit");
	if (strcmp(name, "PORT") == 0 || strncmp(name, OURS, strlen(OURS)) == 0)
		return err_set(err, ERR_INVALID, "%s is set by Slipway", name);
	return 0;
}

static int check_value(const char *name, struct slice value, struct error *err)
{
	if (value.len > CONFIG_VALUE_MAX)
		return err_set(err, ERR_LIMIT, "%s: a value has at most %d KB",
			       name, CONFIG_VALUE_MAX / 1024);
	if (value.len && memchr(value.ptr, '\0', value.len))
		return err_set(err, ERR_INVALID,
			       "%s: a value has no NUL byte in it", name);
	if (!text_is_utf8(value))
		return err_set(err, ERR_INVALID, "%s: its value is not UTF-8",
			       name);
	return 0;
}

int config_vars_set(json_t *vars, const char *name, struct slice value,
		    struct error *err)
{
	json_t *old;
	int r = config_var_check_name(name, err);

	if (r == 0)
		r = check_value(name, value, err);
	if (r < 0)
		return r;
	old = json_object_get(vars, name);
	if (old && json_string_length(old) == value.len &&
	    (value.len == 0 ||
	     memcmp(json_string_value(old), value.ptr, value.len) == 0))
		return 0;
	json_wipe(old);
	json_object_set_new(
		vars, name,
		json_stringn(value.len ? value.ptr : "", value.len));
	return 1;
}

bool config_vars_unset(json_t *vars, const char *name)
{
	json_wipe(json_object_get(vars, name));
	return json_object_del(vars, name) == 0;
}

int config_vars_check(const json_t *vars, struct error *err)
{
	if (json_object_size(vars) > CONFIG_VARS_MAX)
		return err_set(err, ERR_LIMIT,
			       "an app has at most %d config vars",
			       CONFIG_VARS_MAX);
	/* The size alone: nothing is written. */
	if (json_dumpb(vars, NULL, 0, JSON_COMPACT) > CONFIG_VARS_BYTES_MAX)
		return err_set(err, ERR_LIMIT,
			       "the config vars of an app have at most %d KB "
			       "in all, as JSON",
			       CONFIG_VARS_BYTES_MAX / 1024);
	return 0;
}

bool config_value_is_reference(const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(references); i++)
		if (strncmp(value, references[i], strlen(references[i])) == 0)
			return true;
	return false;
}

const char *config_vars_reference(const json_t *vars)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)vars, name, value)
	{
		const char *text = json_string_value(value);

		if (text && config_value_is_reference(text))
			return name;
	}
	return NULL;
}

void config_vars_wipe(json_t *vars)
{
	json_wipe(vars);
	json_decref(vars);
}
