/*
 * builder/aws/aws_endpoint.h - the host of a service in a region.
 *
 * Internal to builder/aws/.  Pure.  Source: the endpoint rules of botocore's
 * and the JavaScript SDK's service models (2026).
 */
#ifndef BUILDER_AWS_AWS_ENDPOINT_H
#define BUILDER_AWS_AWS_ENDPOINT_H

#include <stdbool.h>

#include "builder/aws/aws.h"

struct aws_endpoint;
struct error;

struct aws_endpoint_rule {
	enum aws_service service;
	const char *region;
	bool use_fips;
	bool use_dualstack;
	/* Called instead, whatever the two flags say; NULL = none. */
	const char *override;
};

/* 0; -ERR_INVALID the override is malformed, or the region's partition has
 * no dual-stack hosts. */
int aws_endpoint_resolve(const struct aws_endpoint_rule *rule,
			 struct aws_endpoint *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* "us-east-1", "us-gov-west-1": two to four letters, words, a number. */
bool aws_region_is_valid(const char *region) __attribute__((nonnull));

/* As in AWS_ENDPOINT_URL_…: "CLOUDWATCH_LOGS"; static. */
const char *aws_endpoint_id(enum aws_service service);

#endif
