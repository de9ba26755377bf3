/*
 * builder/aws/aws_service.h - the table of services: what each speaks.
 *
 * Pure.  Source: the services' API references.
 */
#ifndef BUILDER_AWS_AWS_SERVICE_H
#define BUILDER_AWS_AWS_SERVICE_H

#include "builder/aws/aws.h"

struct aws_service_info {
	const char *name;	   /* of IAM actions, and to sign with */
	const char *target_prefix; /* x-amz-target; NULL: the query protocol */
	const char *json_version;  /* "1.1" */
	const char *query_version; /* Version= */
};

/* Static; ends the process for a number that is no service. */
const struct aws_service_info *aws_service_info(enum aws_service service);

#endif
