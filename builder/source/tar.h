/*
 * builder/source/tar.h - headers of a deterministic tar stream (POSIX.1-2001:
 * ustar, with pax records where a name does not fit or is not ASCII).
 *
 * Pure; a fuzz target.  mtime, uid and gid are 0, so that equal trees give
 * equal bytes.
 */
#ifndef BUILDER_SOURCE_TAR_H
#define BUILDER_SOURCE_TAR_H

#include <stdint.h>

struct buf;
struct error;

#define TAR_BLOCK    512
#define TAR_SIZE_MAX ((UINT64_C(1) << 33) - 1) /* 11 octal digits */
/* What one header may take, with the longest names: see tar_add_header. */
#define TAR_HEADER_MAX (4 * TAR_BLOCK + 4 * TAR_NAME_MAX)
#define TAR_NAME_MAX   65536

enum tar_type { TAR_FILE, TAR_FOLDER, TAR_SYMLINK };

struct tar_entry {
	enum tar_type type;
	const char *name; /* relative, any bytes but NUL, no "/" at the end */
	const char *link; /* target of a symlink, else NULL */
	unsigned mode;	  /* 0644 or 0755 */
	uint64_t size;	  /* of a file's content, which follows the header */
};

/*
 * Append the header blocks.  A name that is not UTF-8 and needs a record goes
 * into it as it is, which all readers in use accept.
 *
 * 0, or -ERR_LIMIT, naming the file: content over 8 GiB, a name or target
 * over TAR_NAME_MAX.
 */
int tar_add_header(struct buf *out, const struct tar_entry *e,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Zero bytes that follow a content of this size. */
static inline unsigned tar_padding(uint64_t size)
{
	return (unsigned)(-size & (TAR_BLOCK - 1));
}

/* Append the end of the archive. */
void tar_add_end(struct buf *out) __attribute__((nonnull));

#endif
