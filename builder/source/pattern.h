/*
 * builder/source/pattern.h - one pattern of a .dockerignore file.
 *
 * Pure.  Docker (moby/patternmatcher) turns a pattern into the text of a
 * regular expression, or compares strings where no wildcard is in it.  The
 * surprises that people's patterns meet ("**x" is "ends with x", "[*]" is no
 * star, "\d" is a digit, "*.a|*.b" is either) come from there, so the same is
 * done here, text first, rather than something like it.
 */
#ifndef BUILDER_SOURCE_PATTERN_H
#define BUILDER_SOURCE_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct pattern;
struct slice;

/*
 * Compile a cleaned pattern, without "!" or a leading "/".  0, or
 * -ERR_INVALID with a reason that does not repeat the pattern.
 */
int pattern_compile(const char *text, struct pattern **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void pattern_free(struct pattern *p);

/* Does it match this whole path?  *steps grows by the work that it took. */
bool pattern_match(struct pattern *p, struct slice path, uint64_t *steps)
	__attribute__((nonnull, warn_unused_result));

#endif
