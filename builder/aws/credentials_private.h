/*
 * builder/aws/credentials_private.h - the places where credentials are found.
 *
 * Internal to builder/aws/.  Each finder returns 1 with *ret filled in (the
 * caller's to release), 0 when its place is not set up, or -code when it is
 * and fails; errors name the place and never quote its content.
 */
#ifndef BUILDER_AWS_CREDENTIALS_PRIVATE_H
#define BUILDER_AWS_CREDENTIALS_PRIVATE_H

#include "builder/aws/aws_ini.h"
#include "builder/aws/credentials.h"

/* What a value that goes into a header or a form may have at most. */
#define CREDENTIALS_VALUE_MAX 16384

struct aws_environment;
struct error;

void credentials_wipe_text(char *text);

/*
 * Copies of these three; token NULL or empty = none.  0, or -ERR_INVALID
 * "PLACE: …" when a key is missing, too long or cannot be sent in a header.
 */
int credentials_set(struct credentials *c, const char *place,
		    const char *access_key, const char *secret_key,
		    const char *token, struct error *err)
	__attribute__((nonnull(1, 2, 6), warn_unused_result));

/* ---- credentials_static.c: variables and files ---- */

int credentials_from_variables(struct credentials *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The keys of a profile in one of the files, all of them from there. */
int credentials_from_file(const struct aws_environment *env,
			  enum aws_ini_file file, const char *profile,
			  struct credentials *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
