/*
 * builder/aws/secrets.h - an app's config vars as AWS keeps them.
 *
 * Vars are an object of strings.  A value is a reference when it begins with
 *
 *	secretsmanager:ARN	the whole secret
 *	secretsmanager:ARN:KEY	one member of a secret that is a JSON object
 *	ssm:NAME		a parameter, by name or ARN
 *
 * References stay references.  All other values of an app are one JSON
 * secret in Secrets Manager, of which each config version is a version, named
 * by a staging label: AWS throws versions without a label away.
 *
 * Runs in workers; blocks as aws_call().  Texts with secrets in them are
 * wiped.  Errors beside the ones named are those of aws_call(), and never
 * have a value in them.
 *
 * Sources: AWS Secrets Manager API reference; ECS "Passing Secrets Manager
 * secrets through environment variables".
 */
#ifndef BUILDER_AWS_SECRETS_H
#define BUILDER_AWS_SECRETS_H

#include <stddef.h>
#include <jansson.h>

struct aws;
struct error;

#define SECRET_BYTES_MAX 65536
/* AWS takes 20 labels on all versions of a secret, its own among them. */
#define SECRET_KEEP_MAX 16

struct secret_version {
	char *arn; /* of the secret; NULL: there is nothing secret */
	char *id;  /* of the version */
};

void secret_version_release(struct secret_version *v);

/* Is the value a reference?  1, 0, or -ERR_INVALID for a malformed one. */
int secret_is_reference(const char *value, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Put the values of `vars` that are no references into the secret `name`
 * ("slipway/shop"), made or brought back from deletion when it has to be.
 * `label` names these very contents for ever ("slipway-OWNER-APPID-VERSION",
 * at most 256 bytes): when a version has it already, nothing is written.
 * `tags`: [{"Key": …, "Value": …}, …] of a secret that has to be made.
 *
 * *ret is the caller's; both members are NULL when there is nothing to put.
 * -ERR_LIMIT: more than SECRET_BYTES_MAX.  -ERR_INVALID: not an object of
 * strings, or a malformed reference (names the variable).  -ERR_EXISTS: the
 * secret has too many labels: secrets_retain() makes room.
 */
int secrets_publish(struct aws *a, const char *name, const char *label,
		    const json_t *tags, const json_t *vars,
		    struct secret_version *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * The `secrets` array of a container definition, sorted by name:
 * [{"name": "KEY", "valueFrom": "ARN:KEY::ID"}, …].  Pure.
 *
 * *ret is the caller's.  -ERR_INVALID as secrets_publish(), or plain values
 * without a version.
 */
int secrets_for_container(const json_t *vars, const struct secret_version *v,
			  json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Take our labels (those that begin with `prefix`) but the ones in `keep`
 * (NULL-ended; of more than SECRET_KEEP_MAX the first) off the secret's
 * versions, so that AWS forgets these.  0 also when there is no such secret.
 */
int secrets_retain(struct aws *a, const char *name, const char *prefix,
		   const char *const *keep, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* *ret, as in secrets_publish(), is the caller's; also of one that is
 * scheduled for deletion.  -ERR_NOTFOUND */
int secrets_tags(struct aws *a, const char *name, json_t **ret,
		 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Schedule it for deletion in 7 days, the least AWS takes without giving it
 * up at once.  0 also when it was gone. */
int secrets_delete(struct aws *a, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
