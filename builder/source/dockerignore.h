/*
 * builder/source/dockerignore.h - .dockerignore as BuildKit applies it.
 *
 * Pure; a fuzz target.  The rules (patterns translated as Docker does, the
 * last match wins, a directory's matches carry over to what is below it) were
 * measured case by case: tests/unit/data/dockerignore-cases.tsv.
 *
 * Matching costs at most length of path x length of pattern: no pattern can
 * make it explode.
 */
#ifndef BUILDER_SOURCE_DOCKERIGNORE_H
#define BUILDER_SOURCE_DOCKERIGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct error;

#define DOCKERIGNORE_PATTERNS_MAX 10000
#define DOCKERIGNORE_LINE_MAX	  65536

struct dockerignore_pattern;

struct dockerignore {
	struct dockerignore_pattern *patterns;
	size_t count;
	bool has_negation; /* an excluded folder may hold included files */
};

/* Parse a whole file.  0, or -ERR_INVALID / -ERR_LIMIT naming the line. */
int dockerignore_parse(struct slice text, struct dockerignore *ret,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));
void dockerignore_release(struct dockerignore *d);

/*
 * Is `path` (relative, no leading slash) left out?
 *
 * parent  for each pattern: did it match at a folder above?  NULL at the top
 * own     filled in likewise for this path, to be the parent of what is below
 *         it; NULL when that is not wanted.  May not be `parent`.
 */
bool dockerignore_excludes(const struct dockerignore *d, const char *path,
			   const bool *parent, bool *own)
	__attribute__((nonnull(1, 2)));

#endif
