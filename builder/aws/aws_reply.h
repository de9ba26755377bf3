/*
 * builder/aws/aws_reply.h - what a service's reply says, of either protocol.
 *
 * Pure.  Source: the JSON 1.1 and query protocols of AWS.
 */
#ifndef BUILDER_AWS_AWS_REPLY_H
#define BUILDER_AWS_AWS_REPLY_H

#include <jansson.h>

#include "base/buf.h"

struct aws_error;
struct aws_http_reply;
struct aws_service_info;
struct error;

/*
 * The output of a successful call: the object, or of query services what is
 * below <OPERATIONResult>; {} when there is none.
 *
 * 0, or -ERR_PROTO.
 */
int aws_reply_output(const struct aws_service_info *service,
		     const char *operation, struct slice body,
		     json_t **ret_output, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * How a reply with an error status says no.  What is not in a form of AWS's
 * (a proxy's page) has no code; its message is the page's text, shortened.
 */
void aws_reply_error(const struct aws_service_info *service,
		     const struct aws_http_reply *reply, struct aws_error *ret)
	__attribute__((nonnull));

/*
 * The action that AccessDenied is about ("iam:PassRole"), read from `message`
 * into `out`; false when it names none.
 */
bool aws_denied_action(const char *message, char *out, size_t size)
	__attribute__((nonnull));

#endif
