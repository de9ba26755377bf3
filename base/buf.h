/*
 * base/buf.h - bytes: growing buffers with a maximum, and borrowed slices.
 *
 * Runs in every process.  Running out of memory ends the process; running
 * over the maximum does not: the buffer keeps what fitted and remembers, so
 * that a sequence of additions needs one check at its end (buf_check).
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* Borrowed bytes: not terminated, not owned. */
struct slice {
	const char *ptr;
	size_t len;
};

/* Owned bytes; data[len] is always NUL once data is not NULL. */
struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;	   /* len never goes over this */
	bool is_truncated; /* something did not fit */
};

#define BUF_INIT(max_bytes)                                                    \
	{                                                                      \
		NULL, 0, 0, (max_bytes), false                                 \
	}
#define auto_buf __attribute__((cleanup(buf_release)))

/* Free the content; the buffer stays usable with the same maximum. */
void buf_release(struct buf *b);

/* Forget the content and the truncation mark, keep the memory. */
void buf_reset(struct buf *b) __attribute__((nonnull));

void buf_swap(struct buf *a, struct buf *b) __attribute__((nonnull));

/* Append.  What goes over the maximum is cut and marked. */
void buf_add(struct buf *b, const void *data, size_t len)
	__attribute__((nonnull));
void buf_adds(struct buf *b, const char *text) __attribute__((nonnull));
void buf_addc(struct buf *b, char c) __attribute__((nonnull));
void buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0), nonnull(1, 2)));

/* Drop the first `len` bytes (all, when it is more). */
void buf_consume(struct buf *b, size_t len) __attribute__((nonnull));

/* Make room for `len` more bytes; false when that is over the maximum. */
bool buf_reserve(struct buf *b, size_t len)
	__attribute__((nonnull, warn_unused_result));

/* 0, or -ERR_LIMIT "what: longer than N bytes" when something was cut. */
int buf_check(const struct buf *b, const char *what, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The content as a C string ("" when empty), valid until the next change. */
const char *buf_str(const struct buf *b) __attribute__((nonnull));

/* The content as a C string that the caller frees; the buffer is empty. */
char *buf_detach(struct buf *b) __attribute__((nonnull));

struct slice buf_slice(const struct buf *b) __attribute__((nonnull));

/*
 * Append all that `fd` gives until its end.
 *
 * Returns 0, -ERR_SYS, or -ERR_LIMIT when the maximum was reached.
 */
int buf_read_fd(struct buf *b, int fd, struct error *err)
	__attribute__((nonnull, warn_unused_result));

struct slice slice_str(const char *text) __attribute__((nonnull));
bool slice_eq(struct slice s, const char *text) __attribute__((nonnull));
bool slice_starts(struct slice s, const char *prefix) __attribute__((nonnull));

/*
 * Cut the next line off *rest, without its LF; false at the end.  A last
 * line without LF counts as a line.
 */
bool slice_line(struct slice *rest, struct slice *ret_line)
	__attribute__((nonnull));

/* Without ASCII white space at both ends. */
struct slice slice_trim(struct slice s);

/* A copy as a C string; the caller frees it. */
char *slice_dup(struct slice s);

/* malloc and friends that end the process when memory runs out. */
void *xmalloc(size_t size) __attribute__((malloc));
void *xcalloc(size_t count, size_t size) __attribute__((malloc));
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *text) __attribute__((nonnull));
char *xasprintf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), nonnull));

#endif
