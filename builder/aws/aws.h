/*
 * builder/aws/aws.h - one signed, retried call to an AWS service.
 *
 * Runs in workers; blocks: on the network, and while it waits before a retry.
 * An `aws` is a region, credentials that refresh themselves, a retry quota
 * and a clock offset; not shared between processes.
 *
 * Input and output are JSON whatever the service speaks: members by the names
 * of the service's API reference.  For the query services (STS, ELBv2) input
 * becomes form fields ("Subnets.member.1") and the XML reply an object below
 * the …Result element: every leaf a string, every <member> list an array.
 *
 * Sources: the SigV4 specification, the API references, botocore's retry and
 * credential rules.
 */
#ifndef BUILDER_AWS_AWS_H
#define BUILDER_AWS_AWS_H

#include <stdbool.h>
#include <jansson.h>

struct aws;
struct error;

enum aws_service {
	AWS_ECR,
	AWS_ECS,
	AWS_LOGS,
	AWS_SECRETS_MANAGER,
	AWS_SSM,
	AWS_STS,
	AWS_ELB, /* Elastic Load Balancing v2 */
	AWS_SERVICES_COUNT,
};

#define AWS_REPLY_MAX (8 << 20) /* bytes of one reply */

struct aws_options {
	const char *region;	  /* NULL: as the environment says */
	const char *profile;	  /* NULL: AWS_PROFILE, or "default" */
	const char *endpoint_url; /* for every service; NULL: as the
				     environment says */
	/* Asked while it waits; true ends the call.  May be NULL. */
	bool (*is_canceled)(void *ctx);
	void *ctx;
};

/* How a service said no. */
struct aws_error {
	long status;	      /* HTTP; 0 = no reply came */
	char code[96];	      /* "ServiceNotFoundException"; "" = none */
	char message[1024];   /* as sent */
	char request_id[128]; /* "" = none */
};

/*
 * Finds the region; credentials are looked for at the first call.
 *
 * 0; -ERR_NOTFOUND no region anywhere; -ERR_INVALID a malformed setting (err
 * names variable, or file and line).
 */
int aws_open(const struct aws_options *options, struct aws **ret,
	     struct error *err) __attribute__((nonnull, warn_unused_result));
/* Wipes the credentials.  Accepts NULL. */
void aws_close(struct aws *a);

const char *aws_region(const struct aws *a) __attribute__((nonnull));

/*
 * Call `operation` with `input` (an object; borrowed).  *ret_output is an
 * object, the caller's.  Standard retry mode: at most 3 attempts (16 while
 * throttled: up to four minutes), jitter, quota; one forced refresh of expired
 * credentials; one repair of the clock.  RunTask without clientToken and
 * UpdateService with forceNewDeployment are made once when nobody knows
 * whether they were carried out; err says so.
 *
 * 0, or -code with err "ecs UpdateService: CODE: message (request ID)":
 *   ERR_PEER      the service refused: look at aws_last_error()
 *   ERR_DENIED    not allowed, or no usable credentials
 *   ERR_LIMIT     throttled to the end, or the reply is over AWS_REPLY_MAX
 *   ERR_TIMEOUT   no answer in time
 *   ERR_SYS       the endpoint cannot be reached, or fails (5xx) to the end
 *   ERR_PROTO     the reply makes no sense
 *   ERR_CANCELED  as options.is_canceled said
 */
int aws_call(struct aws *a, enum aws_service service, const char *operation,
	     const json_t *input, json_t **ret_output, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Of the call that failed last; valid until the next call. */
const struct aws_error *aws_last_error(const struct aws *a)
	__attribute__((nonnull));
/* Did the last call fail with this code? */
bool aws_failed_with(const struct aws *a, const char *code)
	__attribute__((nonnull));

/* "ecs", as in IAM actions; static. */
const char *aws_service_name(enum aws_service service);

#endif
