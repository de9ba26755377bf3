/*
 * builder/aws/aws_environment.h - what the environment and the shared files
 * say about AWS: profile, region, endpoints, FIPS, dualstack.
 *
 * Reads ~/.aws/config and ~/.aws/credentials (AWS_CONFIG_FILE,
 * AWS_SHARED_CREDENTIALS_FILE) once, at most 1 MB each.  Blocks on disk, and
 * where nobody names a region on instance metadata (imds.h).
 */
#ifndef BUILDER_AWS_AWS_ENVIRONMENT_H
#define BUILDER_AWS_AWS_ENVIRONMENT_H

#include <stdbool.h>

#include "builder/aws/aws.h"
#include "builder/aws/aws_ini.h"

struct aws_environment;
struct error;

#define AWS_FILE_MAX (1 << 20) /* bytes */

/* Where a service is called. */
struct aws_endpoint {
	char *url;	 /* "https://ecs.us-east-1.amazonaws.com", no path */
	char *host;	 /* as in Host: with the port when it is not the
			    scheme's own */
	char *region;	 /* to sign for */
	char *sign_name; /* to sign for: "ecs", "elasticloadbalancing" */
};

void aws_endpoint_release(struct aws_endpoint *e);

/* `options` as in aws_open(); nothing of it is kept by reference.  Errors as
 * aws_open(). */
int aws_environment_read(const struct aws_options *options,
			 struct aws_environment **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void aws_environment_free(struct aws_environment *e);

const char *aws_environment_region(const struct aws_environment *e)
	__attribute__((nonnull));

/* The profile by name ("default"); *ret_is_explicit: options named it, which
 * turns the environment's keys off (AWS_PROFILE does not). */
const char *aws_environment_profile(const struct aws_environment *e,
				    bool *ret_is_explicit)
	__attribute__((nonnull));

/* Is there such a profile in one of the files? */
bool aws_environment_has_profile(const struct aws_environment *e,
				 const char *profile) __attribute__((nonnull));

/*
 * A setting of a profile: the credentials file's, else the config file's;
 * NULL = not there.  Not for keys, which must come from one file:
 * aws_environment_setting_in().
 */
const char *aws_environment_setting(const struct aws_environment *e,
				    const char *profile, const char *key)
	__attribute__((nonnull));
const char *aws_environment_setting_in(const struct aws_environment *e,
				       enum aws_ini_file file,
				       const char *profile, const char *key)
	__attribute__((nonnull));

/* The variable, else that setting of the profile in use (with a NULL key no
 * setting); NULL = neither.  An empty variable counts as none. */
const char *aws_environment_value(const struct aws_environment *e,
				  const char *variable, const char *key)
	__attribute__((nonnull(1, 2)));

/* 0 or -ERR_INVALID (a malformed override) */
int aws_environment_endpoint(const struct aws_environment *e,
			     enum aws_service service, struct aws_endpoint *ret,
			     struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
