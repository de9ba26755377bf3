/*
 * builder/source/matcher.h - the part of Go's regular expressions (RE2
 * syntax) that Docker's patterns turn into, matched in linear time.
 *
 * Pure.  A match visits every place of the expression at most once per
 * character, so that no expression can make it explode.
 */
#ifndef BUILDER_SOURCE_MATCHER_H
#define BUILDER_SOURCE_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct matcher;
struct slice;

/*
 * Compile an expression of characters, "." (not a line feed), "^", "|", "[…]"
 * with everything that Go knows in it but \p, these followed by "*" or not,
 * "\" escapes, and the group "(.*\/)?".  It stands between "^" and "$",
 * which bind closer than "|".  Counts ("{2}") are refused.
 *
 * 0, or -ERR_INVALID with the reason (without the expression).
 */
int matcher_compile(const uint32_t *text, size_t len, struct matcher **ret,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));
void matcher_free(struct matcher *m);

/*
 * Does `subject` match?  Not const: it has memory to work in.
 * *steps grows by the number of places visited.
 */
bool matcher_match(struct matcher *m, struct slice subject, uint64_t *steps)
	__attribute__((nonnull, warn_unused_result));

#endif
