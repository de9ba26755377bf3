/*
 * builder/aws/credentials.h - whose requests these are: the credential chain.
 *
 * Runs in workers; blocks (metadata services, STS, credential_process).
 * Order as botocore's: an explicit profile turns the environment off; then
 * environment, role of the profile, web identity, shared files,
 * credential_process, container, IMDSv2.  Secrets are wiped when replaced.
 */
#ifndef BUILDER_AWS_CREDENTIALS_H
#define BUILDER_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

struct aws_environment;
struct credential_chain;
struct error;

struct credentials {
	char *access_key;
	char *secret_key;
	char *session_token; /* NULL = none */
	int64_t expires;     /* unix seconds; 0 = never */
	const char *source;  /* "environment", "container", …; static */
};

/* Wipes. */
void credentials_release(struct credentials *c);

/* `env` (profile, files, endpoints; aws_environment.h) is borrowed and must
 * outlive the chain. */
struct credential_chain *credential_chain_new(const struct aws_environment *env)
	__attribute__((nonnull));
void credential_chain_free(struct credential_chain *c);

/*
 * The credentials to sign with now; borrowed until the next call.  Fetched at
 * the first call, again 15 min before they expire (a failure is borne until
 * 10 min before), and always with `force` (the service called them expired).
 *
 * 0; -ERR_DENIED none found (err lists where was looked); -ERR_INVALID a
 * malformed file or reply (names it, never its content); -ERR_TIMEOUT;
 * -ERR_SYS.
 */
int credential_chain_get(struct credential_chain *c, bool force,
			 const struct credentials **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
