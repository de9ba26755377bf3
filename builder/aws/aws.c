#include "builder/aws/aws.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/wipe.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/aws_query.h"
#include "builder/aws/aws_reply.h"
#include "builder/aws/aws_retry.h"
#include "builder/aws/aws_service.h"
#include "builder/aws/credentials.h"
#include "builder/aws/sigv4.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CONNECT_MS     5000
#define TOTAL_MS       30000
#define INPUT_MAX      (4 << 20)
#define CANCEL_POLL_MS 200

struct aws {
	struct aws_environment *environment;
	struct credential_chain *chain;
	struct aws_http *http;
	bool (*is_canceled)(void *ctx);
	void *ctx;
	struct aws_quota quota;
	int64_t clock_offset; /* seconds that ours is behind the services' */
	struct aws_error last;
};

/* One aws_call(). */
struct call {
	struct aws *a;
	enum aws_service service;
	const struct aws_service_info *info;
	const char *operation;
	bool is_repeatable;
	struct aws_endpoint endpoint;
	char type[64];	  /* Content-Type */
	char target[160]; /* X-Amz-Target; "" with the query protocol */
	struct buf body;
	struct aws_http_reply reply;
	int attempt; /* from 1 */
	int faults;
	int throttles;
	enum aws_verdict failed; /* how the attempt before ended */
	bool has_fixed_clock;
	bool has_fresh_keys;
	bool wants_fresh_keys;
	const char *source; /* of the credentials */
};

/* ---- sessions ---- */

int aws_open(const struct aws_options *options, struct aws **ret,
	     struct error *err)
{
	struct aws_environment *environment = NULL;
	struct aws *a;
	int r = aws_environment_read(options, &environment, err);

	if (r < 0)
		return r;
	a = xcalloc(1, sizeof(*a));
	a->environment = environment;
	a->chain = credential_chain_new(environment);
	a->http = aws_http_new();
	a->is_canceled = options->is_canceled;
	a->ctx = options->ctx;
	a->quota.tokens = AWS_QUOTA_MAX;
	*ret = a;
	return 0;
}

void aws_close(struct aws *a)
{
	if (!a)
		return;
	credential_chain_free(a->chain);
	aws_environment_free(a->environment);
	aws_http_free(a->http);
	free(a);
}

const char *aws_region(const struct aws *a)
{
	return aws_environment_region(a->environment);
}

const struct aws_error *aws_last_error(const struct aws *a)
{
	return &a->last;
}

bool aws_failed_with(const struct aws *a, const char *code)
{
	return strcmp(a->last.code, code) == 0;
}

/* ---- one attempt ---- */

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static int encode(struct call *c, const json_t *input, struct error *err)
{
	char *text;

	if (!json_is_object(input))
		return err_set(err, ERR_BUG, "the input is no object");
	if (!c->info->target_prefix) {
		snprintf(c->type, sizeof(c->type),
			 "application/x-www-form-urlencoded; charset=utf-8");
		return aws_query_encode(c->operation, c->info->query_version,
					input, &c->body, err);
	}
	snprintf(c->type, sizeof(c->type), "application/x-amz-json-%s",
		 c->info->json_version);
	snprintf(c->target, sizeof(c->target), "%s.%s", c->info->target_prefix,
		 c->operation);
	text = json_dumps(input, JSON_COMPACT);
	if (!text)
		return err_set(err, ERR_BUG, "the input is no JSON");
	buf_adds(&c->body, text);
	wipe_text(text);
	return buf_check(&c->body, "request", err);
}

static int exchange(struct call *c, const struct sigv4_signature *s,
		    const char *token, struct error *err)
{
	auto_free char *url = xasprintf("%s%s", c->endpoint.url, s->target);
	char *headers[8] = { NULL };
	struct aws_http_request q = {
		.method = "POST",
		.url = url,
		.headers = (const char *const *)headers,
		.body = buf_slice(&c->body),
		.connect_ms = CONNECT_MS,
		.total_ms = TOTAL_MS,
		.is_sent_once = !c->is_repeatable,
		.is_canceled = c->a->is_canceled,
		.ctx = c->a->ctx,
	};
	size_t n = 0;
	int r;

	headers[n++] = xasprintf("Host: %s", c->endpoint.host);
	headers[n++] = xasprintf("Content-Type: %s", c->type);
	headers[n++] = xasprintf("X-Amz-Date: %s", s->date);
	headers[n++] = xasprintf("Authorization: %s", s->authorization);
	if (c->target[0])
		headers[n++] = xasprintf("X-Amz-Target: %s", c->target);
	if (token)
		headers[n++] = xasprintf("X-Amz-Security-Token: %s", token);
	r = aws_http_exchange(c->a->http, &q, &c->reply, err);
	while (n)
		wipe_text(headers[--n]);
	return r;
}

static int sign_and_send(struct call *c, const struct credentials *keys,
			 struct error *err)
{
	const struct sigv4_pair headers[] = {
		{ "Content-Type", c->type },
		{ "X-Amz-Target", c->target },
	};
	struct sigv4_signature s;
	struct sigv4_request q = {
		.method = "POST",
		.path = "/",
		.headers = headers,
		.headers_count = c->target[0] ? 2 : 1,
		.body = buf_slice(&c->body),
		.host = c->endpoint.host,
		.region = c->endpoint.region,
		.service = c->endpoint.sign_name,
		.time = now_s() + c->a->clock_offset,
	};
	int r = sigv4_sign(&q, keys, &s, err);

	if (r < 0)
		return r;
	r = exchange(c, &s, keys->session_token, err);
	sigv4_signature_release(&s);
	return r;
}

/* ---- what comes of it ---- */

static enum err_code code_of(enum aws_verdict verdict)
{
	switch (verdict) {
	case AWS_REFUSED:
		return ERR_PEER;
	case AWS_DENIED:
	case AWS_CLOCK_WRONG:
	case AWS_KEYS_OLD:
	case AWS_KEYS_BAD:
		return ERR_DENIED;
	case AWS_THROTTLED:
		return ERR_LIMIT;
	case AWS_FAULT:
		return ERR_SYS;
	case AWS_NONSENSE:
		break;
	}
	return ERR_PROTO;
}

/* "allow iam:PassRole: ", or whose keys they are. */
static void add_lead(struct buf *out, const struct call *c,
		     enum aws_verdict verdict)
{
	char action[128];

	switch (verdict) {
	case AWS_DENIED:
		if (!aws_denied_action(c->a->last.message, action,
				       sizeof(action)))
			snprintf(action, sizeof(action), "%s:%s", c->info->name,
				 c->operation);
		buf_addf(out, "allow %s: ", action);
		break;
	case AWS_KEYS_OLD:
	case AWS_KEYS_BAD:
		buf_addf(out, "credentials from %s: ", c->source);
		break;
	default:
		break;
	}
}

static void add_tail(struct buf *out, const struct call *c,
		     enum aws_verdict verdict)
{
	const char *id = c->a->last.request_id;

	if (id[0] && c->attempt > 1)
		buf_addf(out, " (request %s; %d attempts)", id, c->attempt);
	else if (id[0])
		buf_addf(out, " (request %s)", id);
	else if (c->attempt > 1)
		buf_addf(out, " (%d attempts)", c->attempt);
	if (verdict == AWS_FAULT && !c->is_repeatable && c->reply.was_sent)
		buf_adds(out, "; it may have been carried out");
}

/* A failure that no service told. */
static int give_up(const struct call *c, int r, struct error *err)
{
	auto_buf struct buf tail = BUF_INIT(ERR_MSG_MAX);
	struct error why = *err;

	add_tail(&tail, c, AWS_FAULT);
	return err_set(err, (enum err_code) - r, "%.*s%s",
		       (int)(ERR_MSG_MAX / 2), why.msg, buf_str(&tail));
}

/* As much of the message as leaves room for what stands around it. */
static void add_message(struct buf *out, const char *message, size_t room)
{
	size_t len = strlen(message);

	if (len <= room) {
		buf_adds(out, message);
		return;
	}
	len = room > 3 ? room - 3 : 0;
	while (len && ((unsigned char)message[len] & 0xc0) == 0x80)
		len--;
	buf_add(out, message, len);
	buf_adds(out, "…");
}

static int refuse(const struct call *c, enum aws_verdict verdict,
		  struct error *err)
{
	const struct aws_error *e = &c->a->last;
	/* What aws_call() puts in front needs room, too. */
	size_t used = strlen(c->info->name) + strlen(c->operation) + 4;
	auto_buf struct buf text = BUF_INIT(ERR_MSG_MAX);
	auto_buf struct buf tail = BUF_INIT(ERR_MSG_MAX);

	add_lead(&text, c, verdict);
	if (e->code[0])
		buf_adds(&text, e->code);
	else
		buf_addf(&text, "HTTP %ld", e->status);
	if (e->message[0])
		buf_adds(&text, ": ");
	add_tail(&tail, c, verdict);
	used += text.len + tail.len;
	add_message(&text, e->message,
		    used < ERR_MSG_MAX ? ERR_MSG_MAX - used : 0);
	return err_set(err, code_of(verdict), "%s%s", buf_str(&text),
		       buf_str(&tail));
}

static bool is_canceled(const struct aws *a)
{
	return a->is_canceled && a->is_canceled(a->ctx);
}

static int wait_ms(const struct aws *a, int ms, struct error *err)
{
	while (ms > 0 && !is_canceled(a)) {
		int step = ms < CANCEL_POLL_MS ? ms : CANCEL_POLL_MS;

		poll(NULL, 0, step);
		ms -= step;
	}
	return is_canceled(a) ? err_set(err, ERR_CANCELED, "canceled") : 0;
}

static uint32_t chance(void)
{
	uint32_t n = UINT32_MAX / 2;

	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
		n = UINT32_MAX / 2;
	return n;
}

/* 1 when it is worth another attempt, which may start now; 0 when not. */
static int prepare_retry(struct call *c, enum aws_verdict verdict,
			 struct error *err)
{
	int count = verdict == AWS_FAULT ? ++c->faults : ++c->throttles;
	int r;

	if (verdict == AWS_FAULT && !c->is_repeatable && c->reply.was_sent)
		return 0;
	if (!aws_quota_take(&c->a->quota, verdict, count))
		return 0;
	r = wait_ms(c->a,
		    aws_backoff_ms(verdict, count, chance(),
				   c->reply.retry_after_ms),
		    err);
	if (r < 0)
		return r;
	c->attempt++;
	c->failed = verdict;
	return 1;
}

/* The same for a reply that says no. */
static int repair(struct call *c, enum aws_verdict verdict, struct error *err)
{
	switch (verdict) {
	case AWS_CLOCK_WRONG:
		if (c->has_fixed_clock)
			return 0;
		c->has_fixed_clock = true;
		return aws_clock_offset(c->reply.date, now_s(),
					c->a->clock_offset,
					&c->a->clock_offset);
	case AWS_KEYS_OLD:
		c->wants_fresh_keys = !c->has_fresh_keys;
		c->has_fresh_keys = true;
		return c->wants_fresh_keys;
	case AWS_THROTTLED:
	case AWS_FAULT:
		return prepare_retry(c, verdict, err);
	default:
		return 0;
	}
}

/* 1 when another attempt is to be made; 0 with the output; or -code. */
static int attempt(struct call *c, json_t **ret_output, struct error *err)
{
	const struct credentials *keys = NULL;
	enum aws_verdict verdict;
	int again;
	int r = credential_chain_get(c->a->chain, c->wants_fresh_keys, &keys,
				     err);

	if (r < 0)
		return r;
	c->wants_fresh_keys = false;
	c->source = keys->source;
	r = sign_and_send(c, keys, err);
	if (r == -ERR_SYS || r == -ERR_TIMEOUT) {
		memset(&c->a->last, 0, sizeof(c->a->last));
		again = prepare_retry(c, AWS_FAULT, err);
		return again ? again : give_up(c, r, err);
	}
	if (r < 0)
		return r;
	if (c->reply.status >= 200 && c->reply.status <= 299) {
		aws_quota_give(&c->a->quota, c->failed, c->attempt);
		return aws_reply_output(c->info, c->operation,
					buf_slice(&c->reply.body), ret_output,
					err);
	}
	aws_reply_error(c->info, &c->reply, &c->a->last);
	verdict = aws_judge(c->service, &c->a->last);
	again = repair(c, verdict, err);
	return again ? again : refuse(c, verdict, err);
}

static void call_release(struct call *c)
{
	aws_endpoint_release(&c->endpoint);
	/* Requests and replies may hold secrets. */
	wipe_buf(&c->body);
	wipe_buf(&c->reply.body);
}

int aws_call(struct aws *a, enum aws_service service, const char *operation,
	     const json_t *input, json_t **ret_output, struct error *err)
{
	struct call c = {
		.a = a,
		.service = service,
		.info = aws_service_info(service),
		.operation = operation,
		.is_repeatable = aws_is_repeatable(service, operation, input),
		.body = BUF_INIT(INPUT_MAX),
		.reply = { .body = BUF_INIT(AWS_REPLY_MAX) },
		.attempt = 1,
	};
	int r;

	memset(&a->last, 0, sizeof(a->last));
	r = aws_environment_endpoint(a->environment, service, &c.endpoint, err);
	if (r == 0)
		r = encode(&c, input, err);
	if (r == 0) {
		do {
			r = attempt(&c, ret_output, err);
		} while (r > 0);
	}
	if (r == 0)
		memset(&a->last, 0, sizeof(a->last));
	call_release(&c);
	return r < 0 ? err_wrap(err, r, "%s %s", c.info->name, operation) : 0;
}
