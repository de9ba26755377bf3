/* builder/aws/aws_retry.h: what a failure means, and how long to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "builder/aws/aws_retry.h"

struct judgement {
	enum aws_service service;
	long status;
	const char *code;
	const char *message;
	enum aws_verdict verdict;
};

static void check(const struct judgement *j)
{
	struct aws_error e = { .status = j->status };
	enum aws_verdict got;

	snprintf(e.code, sizeof(e.code), "%s", j->code);
	snprintf(e.message, sizeof(e.message), "%s", j->message);
	got = aws_judge(j->service, &e);
	if (got != j->verdict)
		fail_msg("%ld %s '%s': %d instead of %d", j->status, j->code,
			 j->message, got, j->verdict);
}

static void replies_are_judged_by_code_then_status(void **state)
{
	static const struct judgement all[] = {
		{ AWS_ECS, 400, "ServiceNotFoundException",
		  "Service not found.", AWS_REFUSED },
		{ AWS_ECS, 400, "ThrottlingException", "Rate exceeded",
		  AWS_THROTTLED },
		{ AWS_ELB, 400, "Throttling", "Rate exceeded", AWS_THROTTLED },
		{ AWS_SSM, 400, "TooManyUpdates", "", AWS_REFUSED },
		{ AWS_LOGS, 503, "ServiceUnavailableException", "", AWS_FAULT },
		{ AWS_ECS, 500, "ServerException", "", AWS_FAULT },
		{ AWS_ECS, 502, "", "Bad Gateway", AWS_FAULT },
		{ AWS_ECS, 503, "", "", AWS_FAULT },
		{ AWS_ECS, 504, "", "", AWS_FAULT },
		{ AWS_ECS, 501, "", "", AWS_NONSENSE },
		{ AWS_STS, 400, "IDPCommunicationError", "", AWS_FAULT },
		{ AWS_STS, 400, "RequestTimeout", "", AWS_FAULT },
		/* A throttle is one whatever the status. */
		{ AWS_ECS, 503, "SlowDown", "", AWS_THROTTLED },
		{ AWS_ECS, 400, "ExpiredTokenException", "", AWS_KEYS_OLD },
		{ AWS_STS, 403, "ExpiredToken", "", AWS_KEYS_OLD },
		{ AWS_ECS, 400, "UnrecognizedClientException", "",
		  AWS_KEYS_OLD },
		{ AWS_ELB, 403, "InvalidClientTokenId", "", AWS_KEYS_OLD },
		{ AWS_ECS, 400, "InvalidSignatureException",
		  "The request signature we calculated does not match",
		  AWS_KEYS_BAD },
		{ AWS_ECS, 400, "InvalidSignatureException",
		  "Signature expired: 20261122T100000Z is now earlier than",
		  AWS_CLOCK_WRONG },
		{ AWS_STS, 403, "SignatureDoesNotMatch",
		  "Signature not yet current: 20261122T103000Z is still later",
		  AWS_CLOCK_WRONG },
		{ AWS_ECS, 400, "RequestTimeTooSkewed", "", AWS_CLOCK_WRONG },
		{ AWS_ECS, 400, "AccessDeniedException", "", AWS_DENIED },
		{ AWS_ELB, 403, "AccessDenied", "", AWS_DENIED },
		{ AWS_ECS, 400, "ClientException",
		  "User: u is not authorized to perform: iam:PassRole on r",
		  AWS_DENIED },
		{ AWS_ECS, 400, "ClientException",
		  "Too many concurrent attempts to create a new revision of "
		  "the specified family.",
		  AWS_THROTTLED },
		{ AWS_ECS, 400, "ClientException", "other", AWS_REFUSED },
		{ AWS_ECS, 403, "", "Forbidden by a proxy", AWS_NONSENSE },
		{ AWS_ECS, 301, "", "", AWS_NONSENSE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		check(&all[i]);
}

static void a_limit_is_a_quota_where_services_mean_one(void **state)
{
	static const enum aws_verdict wanted[AWS_SERVICES_COUNT] = {
		[AWS_ECR] = AWS_REFUSED,
		[AWS_ECS] = AWS_REFUSED,
		[AWS_LOGS] = AWS_REFUSED,
		[AWS_SSM] = AWS_REFUSED,
		[AWS_SECRETS_MANAGER] = AWS_REFUSED,
		[AWS_STS] = AWS_THROTTLED,
		[AWS_ELB] = AWS_THROTTLED,
	};

	(void)state;
	for (int i = 0; i < AWS_SERVICES_COUNT; i++) {
		struct judgement j = { (enum aws_service)i, 400,
				       "LimitExceededException", "",
				       wanted[i] };

		check(&j);
	}
}

static bool repeatable(const char *operation, const char *input)
{
	json_auto_t *doc = json_loads(input, 0, NULL);

	assert_non_null(doc);
	return aws_is_repeatable(AWS_ECS, operation, doc);
}

static void what_would_be_done_twice_is_not_repeated(void **state)
{
	json_auto_t *empty = json_object();

	(void)state;
	assert_false(repeatable("RunTask", "{}"));
	assert_true(repeatable("RunTask", "{\"clientToken\":\"7\"}"));
	assert_true(repeatable("UpdateService", "{\"service\":\"s\"}"));
	assert_true(
		repeatable("UpdateService", "{\"forceNewDeployment\":false}"));
	assert_false(
		repeatable("UpdateService", "{\"forceNewDeployment\":true}"));
	assert_true(repeatable("DescribeServices", "{}"));
	assert_true(aws_is_repeatable(AWS_ECR, "RunTask", empty));
}

static void the_backoff_doubles_and_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(aws_backoff_ms(AWS_FAULT, 1, UINT32_MAX, -1), 50);
	assert_int_equal(aws_backoff_ms(AWS_FAULT, 2, UINT32_MAX, -1), 100);
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 1, UINT32_MAX, -1),
			 1000);
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 3, UINT32_MAX, -1),
			 4000);
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 6, UINT32_MAX, -1),
			 AWS_BACKOFF_MAX);
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 1000, UINT32_MAX, -1),
			 AWS_BACKOFF_MAX);
}

static void chance_spreads_the_backoff_from_nothing_to_all(void **state)
{
	(void)state;
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 1, 0, -1), 0);
	assert_in_range(aws_backoff_ms(AWS_THROTTLED, 1, UINT32_MAX / 2, -1),
			499, 500);
}

static void a_service_may_ask_for_more_but_not_for_ever(void **state)
{
	(void)state;
	/* Less than the backoff changes nothing. */
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 1, UINT32_MAX, 300),
			 1000);
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 1, UINT32_MAX, 1500),
			 1500);
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 1, 0, 0), 0);
	assert_int_equal(aws_backoff_ms(AWS_THROTTLED, 1, UINT32_MAX, 86400000),
			 1000 + AWS_RETRY_AFTER_OVER);
}

static void attempts_are_counted_by_verdict(void **state)
{
	struct aws_quota q = { AWS_QUOTA_MAX };

	(void)state;
	assert_true(aws_quota_take(&q, AWS_FAULT, 2));
	assert_false(aws_quota_take(&q, AWS_FAULT, 3));
	assert_true(aws_quota_take(&q, AWS_THROTTLED,
				   AWS_ATTEMPTS_THROTTLED_MAX - 1));
	assert_false(
		aws_quota_take(&q, AWS_THROTTLED, AWS_ATTEMPTS_THROTTLED_MAX));
	assert_int_equal(q.tokens, AWS_QUOTA_MAX - 14 - 5);
}

static void a_quota_ends_the_retries_of_a_storm(void **state)
{
	struct aws_quota q = { AWS_QUOTA_MAX };
	int faults = 0;
	int throttles = 0;

	(void)state;
	while (aws_quota_take(&q, AWS_FAULT, 1))
		faults++;
	assert_int_equal(faults, AWS_QUOTA_MAX / 14);
	q.tokens = AWS_QUOTA_MAX;
	while (aws_quota_take(&q, AWS_THROTTLED, 1))
		throttles++;
	assert_int_equal(throttles, AWS_QUOTA_MAX / 5);
}

static void successes_fill_the_quota_up_to_its_brim(void **state)
{
	struct aws_quota q = { 100 };

	(void)state;
	aws_quota_give(&q, AWS_REFUSED, 1);
	assert_int_equal(q.tokens, 101);
	aws_quota_give(&q, AWS_THROTTLED, 2);
	assert_int_equal(q.tokens, 106);
	aws_quota_give(&q, AWS_FAULT, 3);
	assert_int_equal(q.tokens, 120);
	q.tokens = AWS_QUOTA_MAX;
	aws_quota_give(&q, AWS_FAULT, 2);
	assert_int_equal(q.tokens, AWS_QUOTA_MAX);
}

static void a_clock_is_corrected_only_when_it_is_far_off(void **state)
{
	int64_t offset = 7;

	(void)state;
	assert_true(aws_clock_offset(10000, 9000, 0, &offset));
	assert_int_equal(offset, 1000);
	assert_true(aws_clock_offset(9000, 10000, 0, &offset));
	assert_int_equal(offset, -1000);
	assert_false(aws_clock_offset(10200, 10000, 0, &offset));
	/* Corrected before, and right by now. */
	assert_false(aws_clock_offset(11000, 10000, 900, &offset));
	/* Corrected before, and wrong by now: set right meanwhile. */
	assert_true(aws_clock_offset(10000, 10000, 900, &offset));
	assert_int_equal(offset, 0);
	/* A reply without a date. */
	assert_false(aws_clock_offset(0, 10000, 0, &offset));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_judged_by_code_then_status),
		cmocka_unit_test(a_limit_is_a_quota_where_services_mean_one),
		cmocka_unit_test(what_would_be_done_twice_is_not_repeated),
		cmocka_unit_test(the_backoff_doubles_and_is_bounded),
		cmocka_unit_test(
			chance_spreads_the_backoff_from_nothing_to_all),
		cmocka_unit_test(a_service_may_ask_for_more_but_not_for_ever),
		cmocka_unit_test(attempts_are_counted_by_verdict),
		cmocka_unit_test(a_quota_ends_the_retries_of_a_storm),
		cmocka_unit_test(successes_fill_the_quota_up_to_its_brim),
		cmocka_unit_test(a_clock_is_corrected_only_when_it_is_far_off),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
