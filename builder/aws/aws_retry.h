/*
 * builder/aws/aws_retry.h - what a failed call means and whether it is made
 * again: the rules alone.
 *
 * Pure: the caller brings clock and chance, and does the waiting.  Source:
 * the standard retry mode of the AWS SDKs as they have it since November
 * 2026 (a base of 50 ms after a fault and of 1 s when throttled; a bucket of
 * 500 tokens from which a retry takes 14 and 5).
 */
#ifndef BUILDER_AWS_AWS_RETRY_H
#define BUILDER_AWS_AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "builder/aws/aws.h"

/* A throttled request was not carried out, and a deploy is worth patience:
 * when every other call is throttled, one in 65536 fails for good. */
#define AWS_ATTEMPTS_MAX	   3
#define AWS_ATTEMPTS_THROTTLED_MAX 16

#define AWS_QUOTA_MAX	     500
#define AWS_BACKOFF_MAX	     20000 /* ms */
#define AWS_SKEW_MIN	     240   /* s; signatures are good for 300 */
#define AWS_RETRY_AFTER_OVER 5000  /* ms that x-amz-retry-after may add */

enum aws_verdict {
	AWS_REFUSED,	 /* the service's answer: no */
	AWS_DENIED,	 /* the caller may not */
	AWS_THROTTLED,	 /* later */
	AWS_FAULT,	 /* theirs, or the network's: may go away */
	AWS_CLOCK_WRONG, /* the signature is too old or too young */
	AWS_KEYS_OLD,	 /* the credentials expired, or are not known */
	AWS_KEYS_BAD,	 /* the signature does not hold */
	AWS_NONSENSE,	 /* no answer of AWS's */
};

/* What an error reply means.  `service` matters: LimitExceededException is
 * a quota for ECS, ECR, Logs, Secrets Manager and SSM and throttling
 * elsewhere. */
enum aws_verdict aws_judge(enum aws_service service, const struct aws_error *e)
	__attribute__((nonnull));

/*
 * May the request be made again when nobody knows whether it was carried
 * out?  Not RunTask without clientToken (ghost tasks), nor UpdateService
 * with forceNewDeployment (a second deployment).
 */
bool aws_is_repeatable(enum aws_service service, const char *operation,
		       const json_t *input) __attribute__((nonnull));

/* Shared by the calls of a session: when much fails, retries end. */
struct aws_quota {
	int tokens;
};

/*
 * Take the tokens for one more try after a call failed for the `count`th time
 * with `verdict` (AWS_THROTTLED, AWS_FAULT); false: do not.
 */
bool aws_quota_take(struct aws_quota *q, enum aws_verdict verdict, int count)
	__attribute__((nonnull));
/* After a success at that attempt (from 1), which gives back what its last
 * retry took, or 1. */
void aws_quota_give(struct aws_quota *q, enum aws_verdict last, int attempt)
	__attribute__((nonnull));

/*
 * Milliseconds to wait after the `count`th such failure: the chance (0 to
 * UINT32_MAX) of the backoff, and what the service asked for
 * (`retry_after_ms`; -1 = nothing) within AWS_RETRY_AFTER_OVER of that.
 */
int aws_backoff_ms(enum aws_verdict verdict, int count, uint32_t chance,
		   int64_t retry_after_ms);

/*
 * The seconds to add to our clock, from the service's Date and our time when
 * the reply came (without correction); false when `current` is near enough.
 */
bool aws_clock_offset(int64_t date, int64_t now, int64_t current,
		      int64_t *ret_offset) __attribute__((nonnull));

#endif
