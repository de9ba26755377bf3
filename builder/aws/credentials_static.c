#include "builder/aws/credentials_private.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/wipe.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_time.h"

#include <stdlib.h>
#include <string.h>

#define CODE_MAX 64 /* letters of a code that are shown */

void credentials_release(struct credentials *c)
{
	if (!c)
		return;
	wipe_text(c->access_key);
	wipe_text(c->secret_key);
	wipe_text(c->session_token);
	*c = (struct credentials){ 0 };
}

/* Printable ASCII without spaces, as all keys and tokens are. */
static bool is_sendable(const char *text)
{
	size_t len = strlen(text);

	if (len > CREDENTIALS_VALUE_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	return true;
}

int credentials_set(struct credentials *c, const char *place,
		    const char *access_key, const char *secret_key,
		    const char *token, struct error *err)
{
	if (!access_key || !*access_key)
		return err_set(err, ERR_INVALID, "%s: no access key id", place);
	if (!secret_key || !*secret_key)
		return err_set(err, ERR_INVALID, "%s: no secret access key",
			       place);
	if (!is_sendable(access_key) || !is_sendable(secret_key) ||
	    (token && !is_sendable(token)))
		return err_set(err, ERR_INVALID,
			       "%s: a key or token is too long or has "
			       "characters that none has",
			       place);
	c->access_key = xstrdup(access_key);
	c->secret_key = xstrdup(secret_key);
	c->session_token = token && *token ? xstrdup(token) : NULL;
	return 0;
}

/* Does the document itself say that it is of use? */
static int check_form(const json_t *doc, const struct credentials_form *form,
		      const char *place, struct error *err)
{
	json_t *version = json_object_get(doc, "Version");
	const char *code = json_get_str(doc, "Code", "Success");
	size_t letters;

	if (form->version && json_integer_value(version) != form->version)
		return err_set(err, ERR_INVALID, "%s: Version is not %d", place,
			       form->version);
	if (!form->has_code || strcmp(code, "Success") == 0)
		return 0;
	letters = strspn(code, "abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return err_set(err, ERR_DENIED, "%s: code %.*s", place,
		       (int)(letters < CODE_MAX ? letters : CODE_MAX), code);
}

int credentials_read(const json_t *doc, const struct credentials_form *form,
		     const char *place, struct credentials *ret,
		     struct error *err)
{
	const char *expires = json_get_str(doc, "Expiration", NULL);
	struct credentials c = { .source = form->source };
	int r = check_form(doc, form, place, err);

	if (r < 0)
		return r;
	if (!expires && form->must_expire)
		return err_set(err, ERR_INVALID, "%s: no Expiration", place);
	if (expires && !aws_time_parse(expires, &c.expires))
		return err_set(err, ERR_INVALID, "%s: Expiration is not a time",
			       place);
	r = credentials_set(&c, place, json_get_str(doc, "AccessKeyId", NULL),
			    json_get_str(doc, "SecretAccessKey", NULL),
			    json_get_str(doc, form->token, NULL), err);
	if (r == 0)
		*ret = c;
	return r;
}

int credentials_parse(struct slice text, const struct credentials_form *form,
		      const char *place, struct credentials *ret,
		      struct error *err)
{
	json_t *doc = json_loadb(text.ptr, text.len, 0, NULL);
	int r;

	if (json_is_object(doc))
		r = credentials_read(doc, form, place, ret, err);
	else
		r = err_set(err, ERR_INVALID, "%s: not a JSON object", place);
	json_wipe(doc);
	json_decref(doc);
	return r;
}

int credentials_from_variables(struct credentials *ret, struct error *err)
{
	const char *key = getenv("AWS_ACCESS_KEY_ID");
	struct credentials c = { .source = "environment" };
	int r;

	if (!key || !*key)
		return 0;
	r = credentials_set(&c, "AWS_ACCESS_KEY_ID and its like", key,
			    getenv("AWS_SECRET_ACCESS_KEY"),
			    getenv("AWS_SESSION_TOKEN"), err);
	if (r < 0)
		return r;
	*ret = c;
	return 1;
}

int credentials_from_file(const struct aws_environment *env,
			  enum aws_ini_file file, const char *profile,
			  struct credentials *ret, struct error *err)
{
	bool is_config = file == AWS_INI_CONFIG;
	const char *key = aws_environment_setting_in(env, file, profile,
						     "aws_access_key_id");
	struct credentials c = { .source = is_config ? "config file"
						     : "credentials file" };
	auto_free char *place = NULL;
	int r;

	if (!key)
		return 0;
	place = xasprintf("profile '%s' in the %s", profile, c.source);
	r = credentials_set(&c, place, key,
			    aws_environment_setting_in(env, file, profile,
						       "aws_secret_access_key"),
			    aws_environment_setting_in(env, file, profile,
						       "aws_session_token"),
			    err);
	if (r < 0)
		return r;
	*ret = c;
	return 1;
}
