/*
 * builder/source/dockerignore.h - .dockerignore as BuildKit applies it.
 *
 * Pure; a fuzz target.  The rules (patterns translated as Docker does, the
 * last match wins, a folder's matches carry over to what is below it) were
 * measured case by case: tests/unit/data/dockerignore-cases.tsv.
 *
 * Matching costs at most length of path x length of pattern, and all matching
 * with one file at most DOCKERIGNORE_STEPS_MAX: nothing can make it explode.
 */
#ifndef BUILDER_SOURCE_DOCKERIGNORE_H
#define BUILDER_SOURCE_DOCKERIGNORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct pattern;
struct slice;

#define DOCKERIGNORE_PATTERNS_MAX 10000
#define DOCKERIGNORE_LINE_MAX	  65535 /* as Docker's own */
/* Places in patterns visited, over all paths: about ten seconds. */
#define DOCKERIGNORE_STEPS_MAX UINT64_C(4000000000)

struct dockerignore_rule {
	struct pattern *pattern;
	bool is_negated;
};

struct dockerignore {
	struct dockerignore_rule *rules;
	size_t count;
	bool has_negation; /* an excluded folder may hold included files */
	uint64_t steps;	   /* spent so far */
};

/* Parse a whole file.  0, or -ERR_INVALID / -ERR_LIMIT naming the line. */
int dockerignore_parse(struct slice text, struct dockerignore *ret,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));
void dockerignore_release(struct dockerignore *d);

/*
 * Is `path` (relative, no leading slash) left out?  1, 0, or -ERR_LIMIT when
 * the steps are used up.
 *
 * parent  for each rule: did it match at a folder above?  NULL at the top
 * own     filled in likewise for this path, to be the parent of what is below
 *         it; NULL when that is not wanted.  May not be `parent`.
 */
int dockerignore_excludes(struct dockerignore *d, struct slice path,
			  const bool *parent, bool *own, struct error *err)
	__attribute__((nonnull(1, 5), warn_unused_result));

#endif
