#include "base/buf.h"

#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_CHUNK 65536

static void out_of_memory(void)
{
	static const char text[] = "out of memory\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(70);
	abort();
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrdup(const char *text)
{
	char *p = strdup(text);

	if (!p)
		out_of_memory();
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (r < 0)
		out_of_memory();
	return p;
}

void buf_release(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
	b->is_truncated = false;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->is_truncated = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_swap(struct buf *a, struct buf *b)
{
	struct buf t = *a;

	*a = *b;
	*b = t;
}

static void grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 64;

	if (need < b->cap)
		return;
	while (cap <= need)
		cap *= 2;
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
	b->data[b->len] = '\0';
}

bool buf_reserve(struct buf *b, size_t len)
{
	if (len > b->max - b->len)
		return false;
	grow(b, b->len + len);
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (len > b->max - b->len) {
		len = b->max - b->len;
		b->is_truncated = true;
	}
	grow(b, b->len + len);
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	char *text = NULL;
	int len = vasprintf(&text, fmt, ap);

	if (len < 0)
		out_of_memory();
	buf_add(b, text, (size_t)len);
	free(text);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void buf_consume(struct buf *b, size_t len)
{
	if (len > b->len)
		len = b->len;
	if (len == 0)
		return;
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
	b->data[b->len] = '\0';
}

int buf_check(const struct buf *b, const char *what, struct error *err)
{
	if (b->is_truncated)
		return err_set(err, ERR_LIMIT, "%s: longer than %zu bytes",
			       what, b->max);
	return 0;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_detach(struct buf *b)
{
	char *p = b->data ? b->data : xstrdup("");

	b->data = NULL;
	b->len = 0;
	b->cap = 0;
	b->is_truncated = false;
	return p;
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ buf_str(b), b->len };
}

int buf_read_fd(struct buf *b, int fd, struct error *err)
{
	for (;;) {
		size_t room = b->max - b->len;
		ssize_t n;

		if (room > READ_CHUNK)
			room = READ_CHUNK;
		/* One byte over the maximum tells "full" from "too long". */
		grow(b, b->len + room + 1);
		n = read(fd, b->data + b->len, room + 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read");
		if (n == 0)
			break;
		if ((size_t)n > room && b->max - b->len == room) {
			b->data[b->len] = '\0';
			b->is_truncated = true;
			return err_set(err, ERR_LIMIT, "longer than %zu bytes",
				       b->max);
		}
		b->len += (size_t)n;
	}
	grow(b, b->len);
	b->data[b->len] = '\0';
	return 0;
}

struct slice slice_str(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

bool slice_eq(struct slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.ptr, text, s.len) == 0;
}

bool slice_starts(struct slice s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && memcmp(s.ptr, prefix, len) == 0;
}

bool slice_line(struct slice *rest, struct slice *ret_line)
{
	const char *lf;

	if (rest->len == 0)
		return false;
	lf = memchr(rest->ptr, '\n', rest->len);
	ret_line->ptr = rest->ptr;
	ret_line->len = lf ? (size_t)(lf - rest->ptr) : rest->len;
	rest->ptr += ret_line->len + (lf ? 1 : 0);
	rest->len -= ret_line->len + (lf ? 1 : 0);
	return true;
}

struct slice slice_trim(struct slice s)
{
	while (s.len && isspace((unsigned char)s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
		s.len--;
	return s;
}

char *slice_dup(struct slice s)
{
	char *p = xmalloc(s.len + 1);

	if (s.len)
		memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	return p;
}
