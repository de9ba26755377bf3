/*
 * builder/aws/imds.h - the EC2 instance metadata service, version 2.
 *
 * Internal to builder/aws/.  Blocks for one second a try (or as
 * AWS_METADATA_SERVICE_TIMEOUT says), twice a question: token, then answer.
 * Never falls back to version 1, which answers anybody who can make the
 * server fetch a URL.
 */
#ifndef BUILDER_AWS_IMDS_H
#define BUILDER_AWS_IMDS_H

struct aws_environment;
struct aws_http;
struct buf;
struct error;

struct imds {
	char *endpoint; /* "http://169.254.169.254"; NULL = turned off */
	int timeout_ms;
	int tries;
	char *token; /* secret; NULL = not fetched yet */
};

/*
 * As AWS_EC2_METADATA_DISABLED, …_SERVICE_ENDPOINT(_MODE),
 * AWS_METADATA_SERVICE_TIMEOUT and …_NUM_ATTEMPTS, or the profile's settings,
 * say.  0 or -ERR_INVALID naming the variable.
 */
int imds_init(struct imds *m, const struct aws_environment *env,
	      struct error *err) __attribute__((nonnull, warn_unused_result));
void imds_release(struct imds *m);

/*
 * Fetch `path` ("/latest/…").  1 with its content in *ret; 0 turned off,
 * nobody answers, or there is no such thing; -code for any other answer.
 */
int imds_get(struct imds *m, struct aws_http *http, const char *path,
	     struct buf *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
