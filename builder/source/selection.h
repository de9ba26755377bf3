/*
 * builder/source/selection.h - the entries of a tree that go into a build
 * context: those that .dockerignore leaves in.
 *
 * Runs in workers; blocks on disk only.
 */
#ifndef BUILDER_SOURCE_SELECTION_H
#define BUILDER_SOURCE_SELECTION_H

#include <stdint.h>

struct dockerignore;
struct error;
struct selection;
struct source;
struct walk_entry;

/* Files that are in whatever the patterns say: Dockerfile, ignore file. */
#define SELECTION_KEEP_MAX 2

/* `ignore` and the paths of `keep` (NULL = none) are borrowed. */
struct selection *selection_open(struct source *s, struct dockerignore *ignore,
				 char *const keep[SELECTION_KEEP_MAX])
	__attribute__((nonnull));
void selection_close(struct selection *s);

/*
 * The next entry, a folder before what is in it; a folder that is left out
 * itself comes before the first thing below it that is not.  Submodules are
 * left out.  As walk_next; the id of a folder is not set.
 */
int selection_next(struct selection *s, struct walk_entry *ret,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Files left out so far; a folder that was not even entered counts as one. */
uint64_t selection_excluded(const struct selection *s) __attribute__((nonnull));

#endif
