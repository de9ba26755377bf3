/*
 * builder/source/source.h - a commit's files, read from the object database
 * (libgit2; no checkout).
 *
 * Runs in workers; blocks on disk only.  Reads, never writes.
 */
#ifndef BUILDER_SOURCE_SOURCE_H
#define BUILDER_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct error;
struct source;

/*
 * Open the commit (or annotated tag of one) `oid` (40 hex) in the bare
 * repository `git_dir`.  -ERR_NOTFOUND, -ERR_INVALID (not a commit).
 */
int source_open(const char *git_dir, const char *oid, struct source **ret,
		struct error *err) __attribute__((nonnull, warn_unused_result));
void source_close(struct source *s);

/*
 * The commit's subject (the first paragraph of its message, as one line), at
 * most 200 bytes; owned by s.
 */
const char *source_subject(const struct source *s)
	__attribute__((nonnull, returns_nonnull));

/*
 * Content of the regular file at `path` of the tree.  -ERR_NOTFOUND,
 * -ERR_INVALID (not a file), -ERR_LIMIT (over max_bytes).
 */
int source_file(struct source *s, const char *path, size_t max_bytes,
		struct buf *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Things in the tree that would be missing from an image: gitlinks
 * (submodules) and Git LFS pointers among the first files.  Calls `found` for
 * each, at most `limit`.  0 or -code.
 */
enum source_gap { SOURCE_SUBMODULE, SOURCE_LFS_POINTER };
int source_gaps(struct source *s, int limit,
		void (*found)(void *ctx, enum source_gap gap, const char *path),
		void *ctx, struct error *err)
	__attribute__((nonnull(1, 3, 5), warn_unused_result));

/* ---- the build context as a tar stream (builder/source/context.c) ---- */

struct context;

struct context_stats {
	uint64_t files;	   /* regular files and links in the stream */
	uint64_t excluded; /* left out by .dockerignore; a folder that is left
			      out whole counts as one */
	uint64_t bytes;	   /* of tar given out so far */
};

/*
 * A deterministic tar of the commit's tree: sorted, mtime 0, uid and gid 0,
 * modes 0644/0755, symlinks kept, pax headers for long and non-ASCII names,
 * .dockerignore (or DOCKERFILE.dockerignore) applied as BuildKit does.  The
 * Dockerfile and the ignore file are always in; submodules are not.
 *
 * Looks at every file's size before it returns, and streams afterwards:
 * memory stays below some 20 MB plus mapped packs, whatever the files' sizes
 * (a blob over 16 MB is read through a `git cat-file` of its own).
 *
 * `dockerfile` is a path in the tree; it must exist (-ERR_NOTFOUND).
 * -ERR_INVALID: the ignore file's pattern that is wrong, with its line; an
 * object that is missing; -ERR_LIMIT: a file over 8 GiB, named, more than
 * 1,000,000 entries, folders deeper than 256, paths over 4095 bytes, or
 * patterns that take too long to apply.
 */
int context_open(struct source *s, const char *dockerfile, struct context **ret,
		 struct error *err)
	__attribute__((nonnull, warn_unused_result));
void context_close(struct context *c);
/* The next up to `size` bytes; 0 at the end; -code. */
ssize_t context_read(struct context *c, char *data, size_t size,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));
const struct context_stats *context_stats(const struct context *c)
	__attribute__((nonnull, returns_nonnull));

#endif
