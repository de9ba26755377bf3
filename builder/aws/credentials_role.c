#include "builder/aws/credentials_private.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/wipe.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_file.h"
#include "builder/aws/credentials_sts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROFILES_MAX 8	   /* that point at each other */
#define DURATION_MIN 900   /* s */
#define DURATION_MAX 43200 /* s */

/* The profiles on the way to a role's source. */
struct trail {
	struct credential_chain *chain;
	const char *names[PROFILES_MAX];
	size_t count;
};

static const char *setting(const struct trail *t, const char *profile,
			   const char *key)
{
	return aws_environment_setting(t->chain->env, profile, key);
}

static bool has_keys(const struct trail *t, const char *profile)
{
	return setting(t, profile, "aws_access_key_id") != NULL;
}

static bool is_role(const struct trail *t, const char *profile)
{
	return setting(t, profile, "role_arn") &&
	       !setting(t, profile, "web_identity_token_file");
}

static int role_of(struct trail *t, const char *profile,
		   struct credentials *ret, struct error *err);

/* ---- whose keys ask for the role ---- */

static int from_source(struct trail *t, const char *profile, const char *source,
		       struct credentials *ret, struct error *err)
{
	int r;

	if (strcmp(source, "Environment") == 0)
		r = credentials_from_variables(ret, err);
	else if (strcmp(source, "EcsContainer") == 0)
		r = credentials_from_container(t->chain->http, ret, err);
	else if (strcmp(source, "Ec2InstanceMetadata") == 0)
		r = credentials_from_instance(t->chain->env, t->chain->http,
					      ret, err);
	else
		return err_set(err, ERR_INVALID,
			       "credential_source of profile '%s' must be "
			       "Environment, EcsContainer or "
			       "Ec2InstanceMetadata",
			       profile);
	if (r == 0)
		r = err_set(err, ERR_DENIED,
			    "credential_source %s of profile '%s' has none",
			    source, profile);
	return r < 0 ? r : 0;
}

/* A profile may name itself, for the keys that it has beside the role. */
static int from_profile(struct trail *t, const char *profile,
			const char *source, struct credentials *ret,
			struct error *err)
{
	bool is_own = strcmp(profile, source) == 0;
	int r;

	if (!aws_environment_has_profile(t->chain->env, source))
		return err_set(err, ERR_INVALID,
			       "source_profile '%s' of profile '%s' does not "
			       "exist",
			       source, profile);
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->names[i], source) == 0 &&
		    !(is_own && has_keys(t, source)))
			return err_set(err, ERR_INVALID,
				       "source_profile of profile '%s' goes in "
				       "a circle",
				       profile);
	if (is_role(t, source) && !has_keys(t, source))
		return role_of(t, source, ret, err);
	r = credentials_from_profile(t->chain, source, false, ret, err);
	if (r == 0)
		r = err_set(err, ERR_DENIED,
			    "source_profile '%s' has no credentials", source);
	return r < 0 ? r : 0;
}

static int find_keys(struct trail *t, const char *profile,
		     struct credentials *ret, struct error *err)
{
	const char *source_profile = setting(t, profile, "source_profile");
	const char *source = setting(t, profile, "credential_source");

	if (!source_profile == !source)
		return err_set(err, ERR_INVALID,
			       "profile '%s' needs source_profile or "
			       "credential_source beside role_arn, not both",
			       profile);
	return source ? from_source(t, profile, source, ret, err)
		      : from_profile(t, profile, source_profile, ret, err);
}

/* ---- the request ---- */

static void add(json_t *input, const char *member, const char *value)
{
	if (value)
		json_object_set_new(input, member, json_string(value));
}

static void add_session_name(json_t *input, const char *name)
{
	auto_free char *made = NULL;

	if (!name)
		made = xasprintf("slipway-%lld", (long long)time(NULL));
	add(input, "RoleSessionName", name ? name : made);
}

static int add_duration(const struct trail *t, const char *profile,
			json_t *input, struct error *err)
{
	const char *text = setting(t, profile, "duration_seconds");
	char *end;
	long n;

	if (!text)
		return 0;
	n = strtol(text, &end, 10);
	if (*end || n < DURATION_MIN || n > DURATION_MAX)
		return err_set(err, ERR_INVALID,
			       "duration_seconds of profile '%s' must be %d-%d",
			       profile, DURATION_MIN, DURATION_MAX);
	add(input, "DurationSeconds", text);
	return 0;
}

static int role_of(struct trail *t, const char *profile,
		   struct credentials *ret, struct error *err)
{
	struct credentials keys = { 0 };
	json_auto_t *input = json_object();
	int r;

	if (t->count == PROFILES_MAX)
		return err_set(err, ERR_LIMIT,
			       "over %d profiles point at each other",
			       PROFILES_MAX);
	t->names[t->count++] = profile;
	if (setting(t, profile, "mfa_serial"))
		return err_set(err, ERR_INVALID,
			       "profile '%s' asks for an MFA code, which a "
			       "server cannot give",
			       profile);
	add(input, "RoleArn", setting(t, profile, "role_arn"));
	add(input, "ExternalId", setting(t, profile, "external_id"));
	add_session_name(input, setting(t, profile, "role_session_name"));
	r = add_duration(t, profile, input, err);
	if (r == 0)
		r = find_keys(t, profile, &keys, err);
	if (r == 0)
		r = credentials_ask_sts(t->chain, "AssumeRole", input, &keys,
					"role", ret, err);
	credentials_release(&keys);
	return r;
}

int credentials_from_role(struct credential_chain *chain, const char *profile,
			  struct credentials *ret, struct error *err)
{
	struct trail t = { .chain = chain };
	int r;

	if (!is_role(&t, profile))
		return 0;
	r = role_of(&t, profile, ret, err);
	return r < 0 ? r : 1;
}

/* ---- web identity ---- */

/* From the variable when variables count, else of the profile. */
static const char *either(const struct credential_chain *chain,
			  const char *profile, bool use_variables,
			  const char *variable, const char *key)
{
	const char *value = use_variables ? getenv(variable) : NULL;

	return value && *value
		       ? value
		       : aws_environment_setting(chain->env, profile, key);
}

static int ask_with_token(struct credential_chain *chain, const char *path,
			  json_t *input, struct credentials *ret,
			  struct error *err)
{
	auto_wiped struct buf token = BUF_INIT(CREDENTIALS_VALUE_MAX);
	struct slice text;
	int r = aws_file_read(path, &token, err);

	if (r == 0)
		r = err_set(err, ERR_INVALID, "no such file");
	text = slice_trim(buf_slice(&token));
	if (r > 0 && text.len == 0)
		r = err_set(err, ERR_INVALID, "the file is empty");
	if (r < 0) {
		err->code = ERR_INVALID;
		return err_wrap(err, -ERR_INVALID, "web identity token '%s'",
				path);
	}
	json_object_set_new(input, "WebIdentityToken",
			    json_string_safe(text.ptr, text.len));
	return credentials_ask_sts(chain, "AssumeRoleWithWebIdentity", input,
				   NULL, "web identity", ret, err);
}

int credentials_from_web_identity(struct credential_chain *chain,
				  const char *profile, bool use_variables,
				  struct credentials *ret, struct error *err)
{
	const char *path = either(chain, profile, use_variables,
				  "AWS_WEB_IDENTITY_TOKEN_FILE",
				  "web_identity_token_file");
	const char *role = either(chain, profile, use_variables, "AWS_ROLE_ARN",
				  "role_arn");
	json_t *input;
	int r;

	if (!path)
		return 0;
	if (!role)
		return err_set(err, ERR_INVALID,
			       "a web identity token file without a role: set "
			       "AWS_ROLE_ARN, or role_arn in profile '%s'",
			       profile);
	input = json_object();
	add(input, "RoleArn", role);
	add_session_name(input,
			 either(chain, profile, use_variables,
				"AWS_ROLE_SESSION_NAME", "role_session_name"));
	r = ask_with_token(chain, path, input, ret, err);
	json_wipe(input);
	json_decref(input);
	return r < 0 ? r : 1;
}
