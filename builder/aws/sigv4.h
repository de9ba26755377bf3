/*
 * builder/aws/sigv4.h - AWS Signature Version 4 for one request.
 *
 * Pure but for libcrypto; keys that it derives are wiped.  Source: "Signing
 * AWS API requests" (SigV4 specification).
 */
#ifndef BUILDER_AWS_SIGV4_H
#define BUILDER_AWS_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct credentials;
struct error;

struct sigv4_pair {
	const char *name;
	const char *value;
};

struct sigv4_request {
	const char *method;
	const char *path; /* decoded, "/" and UTF-8 */
	const struct sigv4_pair *query;
	size_t query_count;
	/* Beside host, x-amz-date and x-amz-security-token, which are added:
	 * ASCII, names in any case and order. */
	const struct sigv4_pair *headers;
	size_t headers_count;
	struct slice body;
	const char *host; /* with the port when not the scheme's own */
	const char *region;
	const char *service; /* signing name */
	int64_t time;	     /* unix seconds */
};

struct sigv4_signature {
	char *target;	     /* for the wire: encoded path and sorted query */
	char *authorization; /* header value */
	char date[17];	     /* x-amz-date: "20261122T101500Z" */
};

void sigv4_signature_release(struct sigv4_signature *s);

/* 0 or -ERR_INVALID (a header that cannot be sent). */
int sigv4_sign(const struct sigv4_request *request,
	       const struct credentials *credentials,
	       struct sigv4_signature *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
