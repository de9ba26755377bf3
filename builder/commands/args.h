/*
 * builder/commands/args.h - the words of a command line: options and the
 * rest.
 *
 * Pure.  GNU manners: options anywhere, "-n5", "-n 5", "--num=5", "--num 5",
 * "-tn5", and "--" ends them.
 */
#ifndef BUILDER_COMMANDS_ARGS_H
#define BUILDER_COMMANDS_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define ARGS_MAX    64
#define OPTIONS_MAX 16

/* One option; tables end with a NULL name. */
struct option_spec {
	char letter; /* 0 = long only */
	const char *name;
	const char *value; /* what help calls it ("N"); NULL = a flag */
	const char *help;
};

struct args {
	const char *words[ARGS_MAX]; /* borrowed from argv */
	size_t count;
	struct {
		const struct option_spec *spec;
		const char *value; /* "" for a flag */
	} options[OPTIONS_MAX];
	size_t options_count;
};

/*
 * Sort argv[0 … argc) by the options of both tables (`own` may be NULL).
 * 0; -ERR_INVALID for an unknown option (with the nearest) or a missing
 * value; -ERR_LIMIT for too many of either.
 */
int args_parse(const char *const *argv, size_t argc,
	       const struct option_spec *common, const struct option_spec *own,
	       struct args *ret, struct error *err)
	__attribute__((nonnull(3, 5, 6), warn_unused_result));

/* Value of the option with this long name ("" for a flag), NULL when it was
 * not given; the last one counts. */
const char *args_option(const struct args *a, const char *name)
	__attribute__((nonnull));

/* Drop the first word and return it, NULL when there is none. */
const char *args_shift(struct args *a) __attribute__((nonnull));

/* A decimal number without sign.  0, or -ERR_INVALID naming `what`. */
int args_number(const char *text, const char *what, int64_t min, int64_t max,
		int64_t *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
