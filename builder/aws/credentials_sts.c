#include "builder/aws/credentials_sts.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/wipe.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/aws_query.h"
#include "builder/aws/aws_reply.h"
#include "builder/aws/aws_retry.h"
#include "builder/aws/aws_service.h"
#include "builder/aws/credentials_private.h"
#include "builder/aws/sigv4.h"

#include <openssl/rand.h>
#include <poll.h>
#include <time.h>

#define CONNECT_MS 5000
#define TOTAL_MS   10000
#define FORM_TYPE  "application/x-www-form-urlencoded; charset=utf-8"

struct ask {
	struct credential_chain *chain;
	const struct aws_service_info *info;
	const char *operation;
	const struct credentials *keys; /* NULL = not signed */
	struct aws_endpoint endpoint;
	struct buf body;
	struct aws_http_reply reply;
	bool has_fixed_clock;
};

static int send(struct ask *a, const struct sigv4_signature *s,
		struct error *err)
{
	auto_free char *url = xasprintf("%s/", a->endpoint.url);
	char *headers[6] = { NULL };
	struct aws_http_request q = { .method = "POST",
				      .url = url,
				      .headers = (const char *const *)headers,
				      .body = buf_slice(&a->body),
				      .connect_ms = CONNECT_MS,
				      .total_ms = TOTAL_MS };
	size_t n = 0;
	int r;

	headers[n++] = xasprintf("Host: %s", a->endpoint.host);
	headers[n++] = xstrdup("Content-Type: " FORM_TYPE);
	if (s) {
		headers[n++] = xasprintf("X-Amz-Date: %s", s->date);
		headers[n++] = xasprintf("Authorization: %s", s->authorization);
	}
	if (s && a->keys->session_token)
		headers[n++] = xasprintf("X-Amz-Security-Token: %s",
					 a->keys->session_token);
	r = aws_http_exchange(a->chain->http, &q, &a->reply, err);
	while (n)
		wipe_text(headers[--n]);
	return r;
}

static int sign_and_send(struct ask *a, struct error *err)
{
	const struct sigv4_pair headers[] = { { "Content-Type", FORM_TYPE } };
	struct sigv4_request q = {
		.method = "POST",
		.path = "/",
		.headers = headers,
		.headers_count = 1,
		.body = buf_slice(&a->body),
		.host = a->endpoint.host,
		.region = a->endpoint.region,
		.service = a->endpoint.sign_name,
		.time = (int64_t)time(NULL) + a->chain->clock_offset,
	};
	struct sigv4_signature s;
	int r = sigv4_sign(&q, a->keys, &s, err);

	if (r < 0)
		return r;
	r = send(a, &s, err);
	sigv4_signature_release(&s);
	return r;
}

static int read_output(const struct ask *a, const char *source,
		       struct credentials *ret, struct error *err)
{
	const struct credentials_form form = { .token = "SessionToken",
					       .must_expire = true,
					       .source = source };
	json_t *output = NULL;
	const json_t *found;
	int r = aws_reply_output(a->info, a->operation,
				 buf_slice(&a->reply.body), &output, err);

	if (r < 0)
		/* Not their words, which may quote the reply. */
		return err_set(err, ERR_INVALID, "the reply makes no sense");
	found = json_object_get(output, "Credentials");
	r = json_is_object(found)
		    ? credentials_read(found, &form, "the reply", ret, err)
		    : err_set(err, ERR_INVALID, "the reply has no Credentials");
	json_wipe(output);
	json_decref(output);
	return r;
}

static int refuse(const struct ask *a, const struct aws_error *e,
		  enum aws_verdict verdict, struct error *err)
{
	enum err_code code = verdict == AWS_FAULT      ? ERR_SYS
			     : verdict == AWS_NONSENSE ? ERR_INVALID
						       : ERR_DENIED;

	(void)a;
	if (!e->code[0])
		return err_set(err, code, "HTTP %ld", e->status);
	return err_set(err, code, "%s: %.*s%s%s%s", e->code, 300, e->message,
		       e->request_id[0] ? " (request " : "", e->request_id,
		       e->request_id[0] ? ")" : "");
}

static uint32_t chance(void)
{
	uint32_t n = 0;

	if (RAND_bytes((unsigned char *)&n, sizeof(n)) != 1)
		n = UINT32_MAX / 2;
	return n;
}

/* Is the same worth another try? */
static bool may_retry(struct ask *a, enum aws_verdict verdict, int attempt)
{
	int64_t now = (int64_t)time(NULL);

	if (verdict == AWS_CLOCK_WRONG && !a->has_fixed_clock) {
		a->has_fixed_clock = true;
		return aws_clock_offset(a->reply.date, now,
					a->chain->clock_offset,
					&a->chain->clock_offset);
	}
	if ((verdict != AWS_FAULT && verdict != AWS_THROTTLED) ||
	    attempt >= AWS_ATTEMPTS_MAX)
		return false;
	poll(NULL, 0,
	     aws_backoff_ms(verdict, attempt, chance(),
			    a->reply.retry_after_ms));
	return true;
}

/* 1 when another attempt is to be made; 0 with a good reply; or -code. */
static int attempt(struct ask *a, int number, struct error *err)
{
	struct aws_error e;
	enum aws_verdict verdict = AWS_FAULT;
	int r = a->keys ? sign_and_send(a, err) : send(a, NULL, err);

	if (r == 0 && a->reply.status >= 200 && a->reply.status <= 299)
		return 0;
	if (r == 0) {
		aws_reply_error(a->info, &a->reply, &e);
		verdict = aws_judge(AWS_STS, &e);
		r = refuse(a, &e, verdict, err);
	} else if (r != -ERR_SYS && r != -ERR_TIMEOUT) {
		return r;
	}
	return may_retry(a, verdict, number) ? 1 : r;
}

int credentials_ask_sts(struct credential_chain *chain, const char *operation,
			const json_t *input, const struct credentials *keys,
			const char *source, struct credentials *ret,
			struct error *err)
{
	struct ask a = {
		.chain = chain,
		.info = aws_service_info(AWS_STS),
		.operation = operation,
		.keys = keys,
		.body = BUF_INIT(4 * CREDENTIALS_VALUE_MAX),
		.reply = { .body = BUF_INIT(CREDENTIALS_REPLY_MAX) },
	};
	int number = 0;
	int r = aws_environment_endpoint(chain->env, AWS_STS, &a.endpoint, err);

	if (r == 0)
		r = aws_query_encode(operation, a.info->query_version, input,
				     &a.body, err);
	if (r == 0) {
		do {
			r = attempt(&a, ++number, err);
		} while (r > 0);
	}
	if (r == 0)
		r = read_output(&a, source, ret, err);
	aws_endpoint_release(&a.endpoint);
	wipe_buf(&a.body);
	wipe_buf(&a.reply.body);
	return r < 0 ? err_wrap(err, r, "sts %s", operation) : 0;
}
