/*
 * builder/source/content.h - the bytes of one blob, as a stream.
 *
 * Runs in workers; blocks on disk and, for a large blob, on a `git cat-file`
 * of its own: libgit2 can only unpack a blob whole, git writes out one that
 * is stored whole as it reads it.
 */
#ifndef BUILDER_SOURCE_CONTENT_H
#define BUILDER_SOURCE_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <git2.h>

struct error;
struct source;

#define CONTENT_WHOLE_MAX (16u << 20) /* bytes kept in memory at most */

struct content {
	git_odb_object *object;
	const char *data; /* what is left of the object */
	uint64_t left;	  /* bytes still to come */
	int pipe;	  /* from git; -1 */
	pid_t git;	  /* 0 = none */
};

#define CONTENT_INIT                                                           \
	{                                                                      \
		.pipe = -1                                                     \
	}

/* Size of a blob.  0 or -ERR_INVALID (missing, or no blob), naming `path`. */
int content_size(struct source *s, const git_oid *id, const char *path,
		 uint64_t *ret_size, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Begin with a blob of that size; `c` is closed.  0 or -code. */
int content_open(struct content *c, struct source *s, const git_oid *id,
		 const char *path, uint64_t size, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The next up to `size` bytes; 0 when none are left; -code. */
ssize_t content_read(struct content *c, char *data, size_t size,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Let go of it, finished or not; also of one that is closed. */
void content_close(struct content *c) __attribute__((nonnull));

#endif
