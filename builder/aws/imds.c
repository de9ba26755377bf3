#include "builder/aws/imds.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/wipe.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/aws_url.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ENDPOINT_V4   "http://169.254.169.254"
#define ENDPOINT_V6   "http://[fd00:ec2::254]"
#define TOKEN_PATH    "/latest/api/token"
#define TOKEN_TTL     "x-aws-ec2-metadata-token-ttl-seconds: 21600"
#define TOKEN_MAX     1024
#define TIMEOUT_MAX_S 60
#define TRIES_MAX     10
#define BETWEEN_MS    1000

static int read_number(const struct aws_environment *env, const char *variable,
		       const char *key, int max, int *ret, struct error *err)
{
	const char *text = aws_environment_value(env, variable, key);
	char *end;
	long n;

	*ret = 1;
	if (!text)
		return 0;
	n = strtol(text, &end, 10);
	if (*end || n < 1 || n > max)
		return err_set(err, ERR_INVALID, "%s must be 1-%d", variable,
			       max);
	*ret = (int)n;
	return 0;
}

static int choose_endpoint(const struct aws_environment *env, char **ret,
			   struct error *err)
{
	const char *given =
		aws_environment_value(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
				      "ec2_metadata_service_endpoint");
	const char *mode = aws_environment_value(
		env, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
		"ec2_metadata_service_endpoint_mode");
	bool is_v6 = mode && strcasecmp(mode, "ipv6") == 0;
	struct aws_url url = { 0 };
	int r;

	if (mode && !is_v6 && strcasecmp(mode, "ipv4") != 0)
		return err_set(err, ERR_INVALID,
			       "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must be "
			       "IPv4 or IPv6");
	r = aws_url_parse(given	  ? given
			  : is_v6 ? ENDPOINT_V6
				  : ENDPOINT_V4,
			  &url, err);
	if (r == 0 && *url.path && strcmp(url.path, "/") != 0)
		r = err_set(err, ERR_INVALID, "must not have a path");
	if (r == 0)
		*ret = aws_url_origin(&url);
	aws_url_release(&url);
	return r < 0 ? err_wrap(err, r, "AWS_EC2_METADATA_SERVICE_ENDPOINT")
		     : 0;
}

int imds_init(struct imds *m, const struct aws_environment *env,
	      struct error *err)
{
	const char *off =
		aws_environment_value(env, "AWS_EC2_METADATA_DISABLED", NULL);
	int seconds = 1;
	int r;

	*m = (struct imds){ 0 };
	if (off && strcasecmp(off, "true") == 0)
		return 0;
	r = read_number(env, "AWS_METADATA_SERVICE_TIMEOUT",
			"metadata_service_timeout", TIMEOUT_MAX_S, &seconds,
			err);
	m->timeout_ms = seconds * 1000;
	if (r == 0)
		r = read_number(env, "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
				"metadata_service_num_attempts", TRIES_MAX,
				&m->tries, err);
	return r < 0 ? r : choose_endpoint(env, &m->endpoint, err);
}

void imds_release(struct imds *m)
{
	if (!m)
		return;
	free(m->endpoint);
	wipe_text(m->token);
	*m = (struct imds){ 0 };
}

/* 1 with an answer of status 200; the rest as imds_get(). */
static int ask(const struct imds *m, struct aws_http *http, const char *method,
	       const char *path, const char *header, struct buf *ret,
	       struct error *err)
{
	auto_free char *url = xasprintf("%s%s", m->endpoint, path);
	const char *headers[] = { header, NULL };
	struct aws_http_request q = { .method = method,
				      .url = url,
				      .headers = headers,
				      .body = { "", 0 },
				      .connect_ms = m->timeout_ms,
				      .total_ms = m->timeout_ms,
				      .avoid_proxy = true };
	struct aws_http_reply reply = { .body = BUF_INIT(ret->max) };
	int r = -ERR_TIMEOUT;

	for (int i = 0; i < m->tries; i++) {
		if (i > 0)
			poll(NULL, 0, BETWEEN_MS);
		r = aws_http_exchange(http, &q, &reply, err);
		if (r == 0 && reply.status < 500)
			break;
	}
	if (r == 0 && reply.status == 200)
		buf_swap(ret, &reply.body);
	wipe_buf(&reply.body);
	if (r == -ERR_TIMEOUT || r == -ERR_SYS)
		return 0;
	if (r < 0 || reply.status == 200)
		return r < 0 ? r : 1;
	/* 403: turned off; 405: a thing of version 1. */
	if (reply.status == 403 || reply.status == 404 || reply.status == 405)
		return 0;
	return err_set(err, ERR_SYS, "status %ld for %s", reply.status, path);
}

static int fetch_token(struct imds *m, struct aws_http *http, struct error *err)
{
	auto_wiped struct buf token = BUF_INIT(TOKEN_MAX);
	int r = ask(m, http, "PUT", TOKEN_PATH, TOKEN_TTL, &token, err);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < token.len; i++)
		if (token.data[i] <= ' ' || token.data[i] >= 0x7f)
			return err_set(err, ERR_INVALID,
				       "the token cannot be sent");
	m->token = xstrdup(buf_str(&token));
	return 1;
}

int imds_get(struct imds *m, struct aws_http *http, const char *path,
	     struct buf *ret, struct error *err)
{
	char *header;
	int r = 1;

	if (!m->endpoint)
		return 0;
	if (!m->token)
		r = fetch_token(m, http, err);
	if (r > 0) {
		header = xasprintf("x-aws-ec2-metadata-token: %s", m->token);
		r = ask(m, http, "GET", path, header, ret, err);
		wipe_text(header);
	}
	return r < 0 ? err_wrap(err, r, "instance metadata") : r;
}
