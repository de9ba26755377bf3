#include "builder/aws/aws_retry.h"

#include "base/cleanup.h"

#include <stddef.h>
#include <string.h>

#define COST_FAULT     14
#define COST_THROTTLED 5
#define BASE_FAULT     50   /* ms */
#define BASE_THROTTLED 1000 /* ms */

struct code {
	const char *name;
	enum aws_verdict verdict;
};

static const struct code codes[] = {
	{ "Throttling", AWS_THROTTLED },
	{ "ThrottlingException", AWS_THROTTLED },
	{ "ThrottledException", AWS_THROTTLED },
	{ "RequestThrottled", AWS_THROTTLED },
	{ "RequestThrottledException", AWS_THROTTLED },
	{ "TooManyRequestsException", AWS_THROTTLED },
	{ "RequestLimitExceeded", AWS_THROTTLED },
	{ "BandwidthLimitExceeded", AWS_THROTTLED },
	{ "ProvisionedThroughputExceededException", AWS_THROTTLED },
	{ "TransactionInProgressException", AWS_THROTTLED },
	{ "SlowDown", AWS_THROTTLED },
	{ "EC2ThrottledException", AWS_THROTTLED },

	{ "RequestTimeout", AWS_FAULT },
	{ "RequestTimeoutException", AWS_FAULT },
	{ "PriorRequestNotComplete", AWS_FAULT },
	{ "IDPCommunicationError", AWS_FAULT },

	{ "RequestExpired", AWS_CLOCK_WRONG },
	{ "RequestTimeTooSkewed", AWS_CLOCK_WRONG },

	{ "ExpiredToken", AWS_KEYS_OLD },
	{ "ExpiredTokenException", AWS_KEYS_OLD },
	{ "UnrecognizedClientException", AWS_KEYS_OLD },
	{ "InvalidClientTokenId", AWS_KEYS_OLD },

	{ "InvalidSignatureException", AWS_KEYS_BAD },
	{ "SignatureDoesNotMatch", AWS_KEYS_BAD },
	{ "IncompleteSignature", AWS_KEYS_BAD },
	{ "IncompleteSignatureException", AWS_KEYS_BAD },
	{ "MissingAuthenticationToken", AWS_KEYS_BAD },
	{ "MissingAuthenticationTokenException", AWS_KEYS_BAD },
	{ "OptInRequired", AWS_KEYS_BAD },

	{ "AccessDenied", AWS_DENIED },
	{ "AccessDeniedException", AWS_DENIED },
	{ "UnauthorizedOperation", AWS_DENIED },
};

static bool is_quota(enum aws_service service, const char *code)
{
	return strcmp(code, "LimitExceededException") == 0 &&
	       (service == AWS_ECS || service == AWS_ECR ||
		service == AWS_LOGS || service == AWS_SECRETS_MANAGER ||
		service == AWS_SSM);
}

static bool is_about_time(const char *message)
{
	return strstr(message, "Signature expired") ||
	       strstr(message, "Signature not yet current");
}

static bool is_server_fault(long status)
{
	return status == 500 || status == 502 || status == 503 || status == 504;
}

enum aws_verdict aws_judge(enum aws_service service, const struct aws_error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (strcmp(e->code, codes[i].name) != 0)
			continue;
		if (codes[i].verdict == AWS_KEYS_BAD &&
		    is_about_time(e->message))
			return AWS_CLOCK_WRONG;
		return codes[i].verdict;
	}
	if (strcmp(e->code, "LimitExceededException") == 0)
		return is_quota(service, e->code) ? AWS_REFUSED : AWS_THROTTLED;
	if (is_server_fault(e->status))
		return AWS_FAULT;
	/* ECS wraps some in a ClientException. */
	if (strstr(e->message, "is not authorized to perform"))
		return AWS_DENIED;
	if (strstr(e->message, "Too many concurrent attempts"))
		return AWS_THROTTLED;
	return e->code[0] ? AWS_REFUSED : AWS_NONSENSE;
}

bool aws_is_repeatable(enum aws_service service, const char *operation,
		       const json_t *input)
{
	if (service != AWS_ECS)
		return true;
	if (strcmp(operation, "RunTask") == 0)
		return json_is_string(json_object_get(input, "clientToken"));
	if (strcmp(operation, "UpdateService") == 0)
		return !json_is_true(
			json_object_get(input, "forceNewDeployment"));
	return true;
}

static int cost_of(enum aws_verdict verdict)
{
	return verdict == AWS_THROTTLED ? COST_THROTTLED : COST_FAULT;
}

bool aws_quota_take(struct aws_quota *q, enum aws_verdict verdict, int count)
{
	int count_max = verdict == AWS_THROTTLED ? AWS_ATTEMPTS_THROTTLED_MAX
						 : AWS_ATTEMPTS_MAX;

	if (count >= count_max || q->tokens < cost_of(verdict))
		return false;
	q->tokens -= cost_of(verdict);
	return true;
}

void aws_quota_give(struct aws_quota *q, enum aws_verdict last, int attempt)
{
	q->tokens += attempt > 1 ? cost_of(last) : 1;
	if (q->tokens > AWS_QUOTA_MAX)
		q->tokens = AWS_QUOTA_MAX;
}

int aws_backoff_ms(enum aws_verdict verdict, int count, uint32_t chance,
		   int64_t retry_after_ms)
{
	int64_t full = verdict == AWS_THROTTLED ? BASE_THROTTLED : BASE_FAULT;
	int64_t wait;

	for (int i = 1; i < count && full < AWS_BACKOFF_MAX; i++)
		full *= 2;
	if (full > AWS_BACKOFF_MAX)
		full = AWS_BACKOFF_MAX;
	wait = full * chance / UINT32_MAX;
	if (retry_after_ms > wait + AWS_RETRY_AFTER_OVER)
		wait += AWS_RETRY_AFTER_OVER;
	else if (retry_after_ms > wait)
		wait = retry_after_ms;
	return (int)wait;
}

bool aws_clock_offset(int64_t date, int64_t now, int64_t current,
		      int64_t *ret_offset)
{
	int64_t offset = date - now;
	int64_t change = offset - current;

	if (date <= 0 || (change <= AWS_SKEW_MIN && change >= -AWS_SKEW_MIN))
		return false;
	*ret_offset = offset;
	return true;
}
