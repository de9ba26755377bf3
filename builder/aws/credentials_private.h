/*
 * builder/aws/credentials_private.h - the places where credentials are found.
 *
 * Internal to builder/aws/.  Each finder returns 1 with *ret filled in (the
 * caller's to release), 0 when its place is not set up, or -code when it is
 * and fails; errors name the place and never quote its content.
 */
#ifndef BUILDER_AWS_CREDENTIALS_PRIVATE_H
#define BUILDER_AWS_CREDENTIALS_PRIVATE_H

#include <jansson.h>

#include "base/buf.h"
#include "builder/aws/aws_ini.h"
#include "builder/aws/credentials.h"
#include "builder/aws/credentials_refresh.h"

/* What a value that goes into a header or a form may have at most. */
#define CREDENTIALS_VALUE_MAX 16384
/* Documents with credentials in them. */
#define CREDENTIALS_REPLY_MAX 65536

/* The source of those that come stale when the service is overloaded. */
#define CREDENTIALS_INSTANCE "instance metadata"

struct aws_environment;
struct aws_http;
struct error;

struct credential_chain {
	const struct aws_environment *env;
	struct aws_http *http;
	struct credentials current; /* access_key NULL = none yet */
	struct refresh_plan plan;
	int64_t clock_offset; /* seconds that ours is behind STS's */
};

/*
 * Copies of these three; token NULL or empty = none.  0, or -ERR_INVALID
 * "PLACE: …" when a key is missing, too long or cannot be sent in a header.
 */
int credentials_set(struct credentials *c, const char *place,
		    const char *access_key, const char *secret_key,
		    const char *token, struct error *err)
	__attribute__((nonnull(1, 2, 6), warn_unused_result));

/* Where a document has its parts. */
struct credentials_form {
	const char *token;  /* member: "Token" or "SessionToken" */
	int version;	    /* that Version must be; 0 = has none */
	bool has_code;	    /* Code must be "Success", when it is there */
	bool must_expire;   /* Expiration is required */
	const char *source; /* of the credentials */
};

/* Read a JSON object with AccessKeyId, SecretAccessKey, Expiration.  0,
 * -ERR_INVALID "PLACE: …". */
int credentials_read(const json_t *doc, const struct credentials_form *form,
		     const char *place, struct credentials *ret,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The same as text.  Errors do not quote it. */
int credentials_parse(struct slice text, const struct credentials_form *form,
		      const char *place, struct credentials *ret,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- credentials_static.c: variables and files ---- */

int credentials_from_variables(struct credentials *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The keys of a profile in one of the files, all of them from there. */
int credentials_from_file(const struct aws_environment *env,
			  enum aws_ini_file file, const char *profile,
			  struct credentials *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- credentials_process.c: credential_process of a profile ---- */

int credentials_from_process(const struct aws_environment *env,
			     const char *profile, struct credentials *ret,
			     struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- credentials_metadata.c: the agents of ECS, EKS and EC2 ---- */

int credentials_from_container(struct aws_http *http, struct credentials *ret,
			       struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* No agent that answers is 0, too. */
int credentials_from_instance(const struct aws_environment *env,
			      struct aws_http *http, struct credentials *ret,
			      struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and …_FULL_URI (NULL = unset)
 * point: *ret_url is the caller's.  1; 0 neither is set; -ERR_INVALID.
 */
int credentials_container_url(const char *relative, const char *full,
			      char **ret_url, struct error *err)
	__attribute__((nonnull(3, 4), warn_unused_result));

/* ---- credentials_role.c: roles assumed through STS ---- */

/* role_arn of a profile with source_profile or credential_source. */
int credentials_from_role(struct credential_chain *chain, const char *profile,
			  struct credentials *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* A token file and a role of the environment (when it counts), else of the
 * profile. */
int credentials_from_web_identity(struct credential_chain *chain,
				  const char *profile, bool use_variables,
				  struct credentials *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- credentials.c ---- */

/* What a profile itself gives: web identity, keys, credential_process. */
int credentials_from_profile(struct credential_chain *chain,
			     const char *profile, bool use_variables,
			     struct credentials *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
