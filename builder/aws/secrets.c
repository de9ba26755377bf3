#include "builder/aws/secrets.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/wipe.h"
#include "builder/aws/aws.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define SECRETS_PREFIX	 "secretsmanager:"
#define PARAMETER_PREFIX "ssm:"
#define REFERENCE_MAX	 2048
#define VALUE_FROM_MAX	 4096
#define SECRET_ARN_PARTS                                                       \
	7 /* "arn:aws:secretsmanager:REGION:ID:secret:NAME"                    \
	   */
#define NOT_THERE     "ResourceNotFoundException"
#define BEING_DELETED "InvalidRequestException"
#define TOO_MANY      "LimitExceededException"
#define RECOVERY_DAYS 7

void secret_version_release(struct secret_version *v)
{
	if (!v)
		return;
	free(v->arn);
	free(v->id);
	memset(v, 0, sizeof(*v));
}

/* ---- references ---- */

static size_t count_parts(const char *text)
{
	size_t parts = 1;

	for (; *text; text++)
		parts += *text == ':';
	return parts;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static int bad_reference(const char *form, struct error *err)
{
	return err_set(err, ERR_INVALID, "a reference is written %s", form);
}

static int check_secret(const char *arn, struct error *err)
{
	size_t parts = count_parts(arn);

	/* With a key, or with key, stage and version as ECS writes them. */
	if (strncmp(arn, "arn:", 4) != 0 || !is_printable(arn) ||
	    strlen(arn) > REFERENCE_MAX ||
	    (parts != SECRET_ARN_PARTS && parts != SECRET_ARN_PARTS + 1 &&
	     parts != SECRET_ARN_PARTS + 3))
		return bad_reference("secretsmanager:ARN or "
				     "secretsmanager:ARN:KEY, with the ARN of "
				     "a secret",
				     err);
	return 1;
}

int secret_is_reference(const char *value, struct error *err)
{
	const char *name;

	if (strncmp(value, SECRETS_PREFIX, strlen(SECRETS_PREFIX)) == 0)
		return check_secret(value + strlen(SECRETS_PREFIX), err);
	if (strncmp(value, PARAMETER_PREFIX, strlen(PARAMETER_PREFIX)) != 0)
		return 0;
	name = value + strlen(PARAMETER_PREFIX);
	if (!*name || !is_printable(name) || strlen(name) > REFERENCE_MAX)
		return bad_reference("ssm:NAME, with the name or ARN of a "
				     "parameter",
				     err);
	return 1;
}

/* As ECS takes it. */
static void reference_value(const char *value, struct buf *out)
{
	const char *at = strchr(value, ':') + 1;

	buf_adds(out, at);
	/* ECS wants key, stage and version or none of them. */
	if (value[0] == SECRETS_PREFIX[0] && value[1] == SECRETS_PREFIX[1] &&
	    count_parts(at) == SECRET_ARN_PARTS + 1)
		buf_adds(out, "::");
}

static int check_var(const char *name, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);
	int r;

	if (!text || strlen(text) != json_string_length(value))
		return err_set(err, ERR_INVALID, "%s: expected a string", name);
	r = secret_is_reference(text, err);
	return r < 0 ? err_wrap(err, r, "%s", name) : r;
}

/* ---- the container's list ---- */

static int add_secret(json_t *list, const char *name, const json_t *value,
		      const struct secret_version *v, struct error *err)
{
	auto_buf struct buf from = BUF_INIT(VALUE_FROM_MAX);
	int r = check_var(name, value, err);

	if (r < 0)
		return r;
	if (r == 0 && !v->arn)
		return err_set(err, ERR_INVALID,
			       "%s: there is no secret for it", name);
	if (r > 0)
		reference_value(json_string_value(value), &from);
	else
		buf_addf(&from, "%s:%s::%s", v->arn, name, v->id);
	json_array_append_new(list, json_pack("{s:s, s:s}", "name", name,
					      "valueFrom", buf_str(&from)));
	return buf_check(&from, name, err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int secrets_for_container(const json_t *vars, const struct secret_version *v,
			  json_t **ret, struct error *err)
{
	size_t count = json_object_size(vars);
	auto_free const char **names = xcalloc(count, sizeof(*names));
	json_auto_t *list = json_array();
	const char *name;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)vars, name, value) names[n++] = name;
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count; i++) {
		int r = add_secret(list, names[i],
				   json_object_get(vars, names[i]), v, err);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(list);
	return 0;
}

/* ---- the secret ---- */

/* The plain vars as JSON text, the caller's to wipe; NULL = there are none. */
static int plain_text(const json_t *vars, char **ret, struct error *err)
{
	json_auto_t *plain = json_object(); /* shares its values with `vars` */
	const char *name;
	json_t *value;

	*ret = NULL;
	json_object_foreach((json_t *)vars, name, value)
	{
		int r = check_var(name, value, err);

		if (r < 0)
			return r;
		if (r == 0)
			json_object_set(plain, name, value);
	}
	if (json_object_size(plain) == 0)
		return 0;
	*ret = json_dumps(plain, JSON_COMPACT | JSON_SORT_KEYS);
	if (!*ret)
		return err_set(err, ERR_BUG, "config vars cannot be written");
	return 0;
}

/* *ret NULL: there is no such secret. */
static int describe(struct aws *a, const char *name, json_t **ret,
		    struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "SecretId", name);
	int r = aws_call(a, AWS_SECRETS_MANAGER, "DescribeSecret", input, ret,
			 err);

	return r < 0 && aws_failed_with(a, NOT_THERE) ? 0 : r;
}

/*
 * The version with this label into *ret; 0 when there is none.  *ret_exists:
 * the secret is there; *ret_is_going: but scheduled for deletion.
 */
static int find_version(struct aws *a, const char *name, const char *label,
			bool *ret_exists, bool *ret_is_going,
			struct secret_version *ret, struct error *err)
{
	json_auto_t *output = NULL;
	const char *id;
	json_t *stages;
	json_t *stage;
	size_t i;
	int r = describe(a, name, &output, err);

	*ret_exists = output != NULL;
	*ret_is_going = false;
	if (!output)
		return r;
	*ret_is_going = json_is_number(json_object_get(output, "DeletedDate"));
	json_object_foreach(json_object_get(output, "VersionIdsToStages"), id,
			    stages)
	{
		json_array_foreach(stages, i, stage)
		{
			if (strcmp(json_string_value(stage) ?: "", label) != 0)
				continue;
			ret->arn = xstrdup(json_get_str(output, "ARN", ""));
			ret->id = xstrdup(id);
			return 1;
		}
	}
	return 0;
}

static int take_version(const json_t *output, struct secret_version *ret,
			struct error *err)
{
	const char *arn = json_get_str(output, "ARN", "");
	const char *id = json_get_str(output, "VersionId", "");

	if (!*arn || !*id)
		return err_set(err, ERR_PROTO,
			       "secretsmanager: a reply without ARN or "
			       "VersionId");
	ret->arn = xstrdup(arn);
	ret->id = xstrdup(id);
	return 0;
}

/* What makes a try and its repetition the same request. */
static void add_token(json_t *input)
{
	unsigned char bytes[16];
	char token[2 * sizeof(bytes) + 1];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	json_object_set_new(input, "ClientRequestToken", json_string(token));
}

static int add_version(struct aws *a, const char *name, const char *label,
		       const char *text, struct secret_version *ret,
		       struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:[s, s], s:s}", "SecretId", name,
				       "VersionStages", "AWSCURRENT", label,
				       "SecretString", text);
	json_auto_t *output = NULL;
	int r;

	add_token(input);
	r = aws_call(a, AWS_SECRETS_MANAGER, "PutSecretValue", input, &output,
		     err);
	json_wipe(json_object_get(input, "SecretString"));
	if (r < 0 && aws_failed_with(a, TOO_MANY))
		return err_set(err, ERR_EXISTS,
			       "its versions have too many labels");
	return r < 0 ? r : take_version(output, ret, err);
}

/* An empty secret: its first version comes, with its label, like the later
 * ones.  One that exists is as good. */
static int create(struct aws *a, const char *name, const json_t *tags,
		  struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:O}", "Name", name, "Description",
			  "config vars of an app on Slipway", "Tags", tags);
	json_auto_t *output = NULL;
	int r;

	add_token(input);
	r = aws_call(a, AWS_SECRETS_MANAGER, "CreateSecret", input, &output,
		     err);
	return r < 0 && aws_failed_with(a, "ResourceExistsException") ? 0 : r;
}

static int restore(struct aws *a, const char *name, struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "SecretId", name);
	json_auto_t *output = NULL;

	return aws_call(a, AWS_SECRETS_MANAGER, "RestoreSecret", input, &output,
			err);
}

static int publish(struct aws *a, const char *name, const char *label,
		   const json_t *tags, const char *text,
		   struct secret_version *ret, struct error *err)
{
	bool exists;
	bool is_going;
	int found = find_version(a, name, label, &exists, &is_going, ret, err);
	int r = found < 0 ? found : 0;

	if (r == 0 && !exists)
		r = create(a, name, tags, err);
	/* Its name stays taken for days after it was deleted. */
	if ((r == 0 && is_going) ||
	    (r < 0 && found == 0 && aws_failed_with(a, BEING_DELETED)))
		r = restore(a, name, err);
	if (r == 0 && found == 0)
		r = add_version(a, name, label, text, ret, err);
	return r;
}

int secrets_publish(struct aws *a, const char *name, const char *label,
		    const json_t *tags, const json_t *vars,
		    struct secret_version *ret, struct error *err)
{
	char *text = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (json_typeof(vars) != JSON_OBJECT)
		return err_set(err, ERR_INVALID,
			       "config vars: expected an object");
	r = plain_text(vars, &text, err);
	if (r == 0 && text && strlen(text) > SECRET_BYTES_MAX)
		r = err_set(err, ERR_LIMIT,
			    "the config vars are %zu bytes; Secrets Manager "
			    "takes %d",
			    strlen(text), SECRET_BYTES_MAX);
	if (r == 0 && text)
		r = publish(a, name, label, tags, text, ret, err);
	wipe_text(text);
	if (r < 0)
		secret_version_release(ret);
	return r < 0 ? err_wrap(err, r, "secret '%s'", name) : 0;
}

/* ---- what is no longer needed ---- */

static bool is_kept(const char *const *keep, const char *label)
{
	for (size_t i = 0; i < SECRET_KEEP_MAX && keep[i]; i++)
		if (strcmp(keep[i], label) == 0)
			return true;
	return false;
}

static int remove_label(struct aws *a, const char *name, const char *label,
			const char *version, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:s}", "SecretId", name, "VersionStage",
			  label, "RemoveFromVersionId", version);
	json_auto_t *output = NULL;

	return aws_call(a, AWS_SECRETS_MANAGER, "UpdateSecretVersionStage",
			input, &output, err);
}

int secrets_retain(struct aws *a, const char *name, const char *prefix,
		   const char *const *keep, struct error *err)
{
	json_auto_t *output = NULL;
	const char *id;
	json_t *stages;
	json_t *stage;
	size_t i;
	int r = describe(a, name, &output, err);

	if (r < 0)
		return err_wrap(err, r, "secret '%s'", name);
	/* Scheduled for deletion: then it may not be changed. */
	if (json_object_get(output, "DeletedDate"))
		return 0;
	json_object_foreach(json_object_get(output, "VersionIdsToStages"), id,
			    stages)
	{
		json_array_foreach(stages, i, stage)
		{
			const char *label = json_string_value(stage);

			if (!label ||
			    strncmp(label, prefix, strlen(prefix)) != 0 ||
			    is_kept(keep, label))
				continue;
			r = remove_label(a, name, label, id, err);
			if (r < 0)
				return err_wrap(err, r, "secret '%s'", name);
		}
	}
	return 0;
}

int secrets_tags(struct aws *a, const char *name, json_t **ret,
		 struct error *err)
{
	json_auto_t *output = NULL;
	json_t *tags;
	int r = describe(a, name, &output, err);

	if (r < 0)
		return err_wrap(err, r, "secret '%s'", name);
	if (!output)
		return err_set(err, ERR_NOTFOUND, "no secret '%s'", name);
	tags = json_object_get(output, "Tags");
	*ret = json_is_array(tags) ? json_incref(tags) : json_array();
	return 0;
}

int secrets_delete(struct aws *a, const char *name, struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:i}", "SecretId", name,
				       "RecoveryWindowInDays", RECOVERY_DAYS);
	json_auto_t *output = NULL;
	int r = aws_call(a, AWS_SECRETS_MANAGER, "DeleteSecret", input, &output,
			 err);

	/* Deleting it twice is an InvalidRequestException. */
	if (r < 0 && (aws_failed_with(a, NOT_THERE) ||
		      aws_failed_with(a, BEING_DELETED)))
		return 0;
	return r < 0 ? err_wrap(err, r, "secret '%s'", name) : 0;
}
