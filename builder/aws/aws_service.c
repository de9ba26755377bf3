#include "builder/aws/aws_service.h"

#include <stdlib.h>

static const struct aws_service_info services[AWS_SERVICES_COUNT] = {
	[AWS_ECR] = { .name = "ecr",
		      .target_prefix = "AmazonEC2ContainerRegistry_V20150921",
		      .json_version = "1.1" },
	[AWS_ECS] = { .name = "ecs",
		      .target_prefix = "AmazonEC2ContainerServiceV20141113",
		      .json_version = "1.1" },
	[AWS_LOGS] = { .name = "logs",
		       .target_prefix = "Logs_20140328",
		       .json_version = "1.1" },
	[AWS_SECRETS_MANAGER] = { .name = "secretsmanager",
				  .target_prefix = "secretsmanager",
				  .json_version = "1.1" },
	[AWS_SSM] = { .name = "ssm",
		      .target_prefix = "AmazonSSM",
		      .json_version = "1.1" },
	[AWS_STS] = { .name = "sts", .query_version = "2011-06-15" },
	[AWS_ELB] = { .name = "elasticloadbalancing",
		      .query_version = "2015-12-01" },
};

const struct aws_service_info *aws_service_info(enum aws_service service)
{
	if ((unsigned int)service >= AWS_SERVICES_COUNT)
		abort();
	return &services[service];
}

const char *aws_service_name(enum aws_service service)
{
	return aws_service_info(service)->name;
}
