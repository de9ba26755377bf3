/*
 * builder/rollout/release_plan.h - the processes of a release, read from its
 * stored JSON: [{"type":"web","command":null,"count":1}, …].
 *
 * Pure.
 */
#ifndef BUILDER_ROLLOUT_RELEASE_PLAN_H
#define BUILDER_ROLLOUT_RELEASE_PLAN_H

#include <stddef.h>

struct error;

#define PLAN_TYPES_MAX	   16
#define PLAN_INSTANCES_MAX 64 /* of one release, all types together */
#define PLAN_TYPE_BYTES	   32
#define PLAN_WEB	   "web" /* the type that is routed */

struct process_plan {
	char type[PLAN_TYPE_BYTES];
	char **command; /* NULL-ended; NULL = the image's */
	int count;
};

struct release_plan {
	struct process_plan types[PLAN_TYPES_MAX];
	size_t types_count;
};

void release_plan_release(struct release_plan *p);

/* 0; -ERR_INVALID, or -ERR_LIMIT for too many. */
int release_plan_parse(const char *json, struct release_plan *ret,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The type of this name, or NULL. */
const struct process_plan *release_plan_type(const struct release_plan *p,
					     const char *type)
	__attribute__((nonnull));

#endif
