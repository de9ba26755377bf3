/*
 * builder/source/walk.h - the entries of a commit's tree, one at a time, in
 * git's order, a folder before what is in it.
 *
 * Runs in workers; blocks on disk only.  Keeps the folders above the present
 * entry in memory and nothing else.  A tree can name one folder many times
 * over, so that a small pack can hold an enormous one: depth, number of
 * entries and length of paths are bounded.
 */
#ifndef BUILDER_SOURCE_WALK_H
#define BUILDER_SOURCE_WALK_H

#include <stddef.h>
#include <git2.h>

#include "base/buf.h"

struct error;
struct source;
struct walk;

#define WALK_DEPTH_MAX	 256
#define WALK_ENTRIES_MAX 1000000
#define WALK_PATH_MAX	 4095 /* bytes, as much as Linux takes */

enum walk_kind {
	WALK_FOLDER,
	WALK_FILE,
	WALK_EXECUTABLE,
	WALK_SYMLINK,
	WALK_SUBMODULE,
};

struct walk_entry {
	enum walk_kind kind;
	struct slice path; /* NUL-terminated; valid until the next call */
	size_t depth;	   /* number of folders above it */
	git_oid id;
};

struct walk *walk_open(struct source *s) __attribute__((nonnull));
void walk_close(struct walk *w);

/*
 * The next entry.  1, 0 at the end, -ERR_LIMIT (one of the bounds, naming the
 * path), -ERR_INVALID (a tree is missing or malformed).
 */
int walk_next(struct walk *w, struct walk_entry *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Leave out what is in the folder that walk_next returned last. */
void walk_skip(struct walk *w) __attribute__((nonnull));

#endif
