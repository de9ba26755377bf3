/*
 * builder/aws/aws_http.h - one HTTP exchange for the AWS client: libcurl as
 * transport, nothing of AWS but limits.
 *
 * Internal to builder/aws/.  Blocks up to the timeouts given.  No redirects,
 * http and https only, no proxy for metadata addresses, bounded replies.
 */
#ifndef BUILDER_AWS_AWS_HTTP_H
#define BUILDER_AWS_AWS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct aws_http;
struct error;

struct aws_http_request {
	const char *method;
	const char *url; /* whole */
	/* "Name: value", NULL-ended; NULL = none */
	const char *const *headers;
	struct slice body;
	int connect_ms;
	int total_ms;
	bool avoid_proxy; /* metadata services */
	/* On a new connection: on an old one that turns out dead, curl sends
	 * the request again on its own. */
	bool is_sent_once;
	/* Asked several times a second; may be NULL. */
	bool (*is_canceled)(void *ctx);
	void *ctx;
};

struct aws_http_reply {
	long status;
	struct buf body; /* initialised by the caller, who also releases it;
			    its maximum bounds the reply */
	char error_type[128]; /* x-amzn-ErrorType; "" = none */
	char request_id[128]; /* x-amzn-RequestId */
	int64_t date;	      /* Date, unix seconds; 0 = none */
	/* x-amz-retry-after, or with 503 a proxy's Retry-After; -1 = none */
	int64_t retry_after_ms;
	/* Also on failure: something of the request went out. */
	bool was_sent;
};

/* A handle whose connections are kept for the next exchange.  AWS_CA_BUNDLE
 * replaces the system's certificates. */
struct aws_http *aws_http_new(void);
void aws_http_free(struct aws_http *h);

/*
 * 0 with any status.  -ERR_TIMEOUT, -ERR_SYS (cannot connect, reset),
 * -ERR_LIMIT (body over its maximum), -ERR_CANCELED, -ERR_PROTO (not HTTP),
 * -ERR_INVALID (URL).
 */
int aws_http_exchange(struct aws_http *h,
		      const struct aws_http_request *request,
		      struct aws_http_reply *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
