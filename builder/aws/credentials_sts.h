/*
 * builder/aws/credentials_sts.h - the two calls to STS that give credentials.
 *
 * Internal to builder/aws/.  Apart from aws.h, whose calls need credentials
 * first.  Blocks: up to three attempts of ten seconds.
 */
#ifndef BUILDER_AWS_CREDENTIALS_STS_H
#define BUILDER_AWS_CREDENTIALS_STS_H

#include <jansson.h>

struct credential_chain;
struct credentials;
struct error;

/*
 * Call "AssumeRole", signed with `keys`, or "AssumeRoleWithWebIdentity",
 * which is not signed (NULL), with the members of `input`.  Repairs the clock
 * once (chain->clock_offset).  `source` is of the credentials, static.
 *
 * 0; -ERR_DENIED "sts AssumeRole: CODE: message (request ID)"; -ERR_TIMEOUT;
 * -ERR_SYS; -ERR_INVALID the reply is malformed.
 */
int credentials_ask_sts(struct credential_chain *chain, const char *operation,
			const json_t *input, const struct credentials *keys,
			const char *source, struct credentials *ret,
			struct error *err)
	__attribute__((nonnull(1, 2, 3, 5, 6, 7), warn_unused_result));

#endif
