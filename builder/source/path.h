/*
 * builder/source/path.h - paths inside a tree, as text.
 *
 * Pure.
 */
#ifndef BUILDER_SOURCE_PATH_H
#define BUILDER_SOURCE_PATH_H

#include <stdbool.h>

struct slice;

/*
 * Lexical cleaning as Go's path.Clean does it, which Docker relies on: no
 * "//", no "." and no ".." but at the front, no "/" at the end; "." for
 * nothing.  The caller frees it.
 */
char *path_clean(struct slice path);

/* Is a cleaned path one that a tree can hold: relative, not above the top? */
bool path_is_inside(const char *cleaned) __attribute__((nonnull));

#endif
