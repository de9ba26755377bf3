/*
 * builder/aws/aws_url.h - the parts of an endpoint's or a metadata service's
 * URL, and which of them may be plain http.
 *
 * Internal to builder/aws/.  Pure.  Source: RFC 3986, of which it takes
 * "http(s)://host[:port][/path[?query]]" alone: no user, no fragment.
 */
#ifndef BUILDER_AWS_AWS_URL_H
#define BUILDER_AWS_AWS_URL_H

#include <stdbool.h>

struct error;

#define AWS_URL_MAX 2048 /* bytes */

struct aws_url {
	bool is_https;
	char *host; /* lower case; "[fd00:ec2::254]" with its brackets */
	int port;   /* 0 = the scheme's own */
	char *path; /* with the query; "" = none */
};

void aws_url_release(struct aws_url *u);

/*
 * 0 or -ERR_INVALID saying what is wrong, without the URL (which may hold a
 * password where none belongs).  A port that is the scheme's own is 0.
 */
int aws_url_parse(const char *text, struct aws_url *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* "https://host:port", and "host:port" as in Host:; the caller frees both. */
char *aws_url_origin(const struct aws_url *u) __attribute__((nonnull));
char *aws_url_authority(const struct aws_url *u) __attribute__((nonnull));

/*
 * May container credentials be asked for there?  With https anywhere; with
 * http on the loopback interface and at the addresses of the ECS and EKS
 * agents alone, since the token in the request would be readable.
 */
bool aws_url_may_give_credentials(const struct aws_url *u)
	__attribute__((nonnull));

#endif
