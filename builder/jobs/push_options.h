/*
 * builder/jobs/push_options.h - `git push -o …` as one-off choices of a
 * deploy.
 *
 * Pure.
 */
#ifndef BUILDER_JOBS_PUSH_OPTIONS_H
#define BUILDER_JOBS_PUSH_OPTIONS_H

#include <stdbool.h>
#include <jansson.h>

struct error;

struct push_options {
	bool no_cache;		/* no-cache */
	bool pull;		/* pull: ask the registry for newer bases */
	const char *stage;	/* target=STAGE; borrowed */
	const char *dockerfile; /* dockerfile=PATH; borrowed */
	const char *message;	/* message=TEXT; borrowed */
	json_t *build_args;	/* build-arg=NAME=VALUE, object or NULL */
};

void push_options_release(struct push_options *o);

/* From the array of strings of a push message, which must outlive *ret.
 * -ERR_INVALID names the option and lists those there are. */
int push_options_parse(const json_t *options, struct push_options *ret,
		       struct error *err)
	__attribute__((nonnull(2, 3), warn_unused_result));

#endif
