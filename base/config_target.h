/*
 * base/config_target.h - the keys of a [target "NAME"] section: where apps
 * run.
 *
 * Pure.  Man page: slipway.conf(5), compared with the table by a test.
 */
#ifndef BASE_CONFIG_TARGET_H
#define BASE_CONFIG_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;

#define TARGET_TYPE_DOCKER "docker"
#define TARGET_TYPE_ECS	   "ecs"

/* Strings are never NULL; "" = not given.  Lists are comma separated. */
struct config_target {
	char *name;
	char *type;
	/* type ecs: who and where */
	char *region;
	char *profile;
	char *endpoint_url;
	char *cluster;
	char *subnets;
	char *security_groups;
	bool assign_public_ip;
	char *capacity; /* fargate, fargate-spot, ec2, or a provider's name */
	char *name_prefix; /* of services, families and target groups */
	/* the tasks */
	char *architecture; /* "x86_64", "arm64" */
	int64_t cpu;	    /* units, 1024 = one CPU */
	int64_t memory;	    /* MiB */
	char *sizes;	    /* of some: target_sizes.h */
	char *execution_role;
	char *task_role;
	int64_t port; /* of web, unless the image exposes a single one */
	char *efs;    /* "fs-ID:/mount[:fsap-ID],…" */
	/* the load balancer; without a listener, web is not routed */
	char *listener; /* ARN */
	char *vpc;
	char *domain;
	char *scheme; /* of printed addresses */
	char *health_path;
	int64_t health_grace_ms;
	int64_t deregistration_delay_ms;
	/* images, logs, secrets */
	char *repository_prefix;
	char *log_group;       /* prefix */
	int64_t log_retention; /* days */
	char *secret_prefix;
	/* the rollout */
	int64_t rollout_timeout_ms;
	int64_t rollout_attempts; /* like deaths until it is given up */
};

/* All defaults. */
void config_target_init(struct config_target *t, const char *name)
	__attribute__((nonnull));
void config_target_release(struct config_target *t);

/* 0 or -ERR_INVALID: unknown key (with the nearest), or a bad value. */
int config_target_set(struct config_target *t, const char *key,
		      const char *value, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Checks that need more than one key.  0 or -ERR_INVALID. */
int config_target_check(const struct config_target *t, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append "target.NAME.key=value" strings, each with its NUL. */
void config_target_dump(const struct config_target *t, struct buf *out)
	__attribute__((nonnull));

/* Name, kind and default of table row i; false after the last. */
bool config_target_describe(size_t i, const char **ret_key,
			    const char **ret_kind, const char **ret_default)
	__attribute__((nonnull));

#endif
