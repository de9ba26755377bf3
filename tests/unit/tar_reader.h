/*
 * tests/unit/tar_reader.h - a reader of tar archives for tests.
 *
 * Reads ustar and pax, as POSIX.1-2001 writes
 * them down, strict about everything a stream of ours must get right.  Shares
 * nothing with what writes them.
 */
#ifndef TESTS_UNIT_TAR_READER_H
#define TESTS_UNIT_TAR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct tar_member {
	char *name;
	char *link;
	char type; /* '0' file, '2' symlink, '5' folder */
	unsigned mode;
	uint64_t size;
	const char *data; /* NULL when the input ends with the header */
};

static inline void tar_member_release(struct tar_member *m)
{
	free(m->name);
	free(m->link);
	memset(m, 0, sizeof(*m));
}

/* Digits only, ended by NUL; -1 when the field is anything else. */
static inline int64_t tar_octal(const char *field, size_t size)
{
	int64_t value = 0;

	for (size_t i = 0; i + 1 < size; i++) {
		if (field[i] == '\0' && i > 0)
			return value;
		if (field[i] < '0' || field[i] > '7')
			return -1;
		value = value * 8 + (field[i] - '0');
	}
	return field[size - 1] == '\0' || field[size - 1] == ' ' ? value : -1;
}

static inline bool tar_block_is_sound(const char *b)
{
	unsigned sum = 0;

	for (size_t i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)b[i];
	return memcmp(b + 257,
		      "ustar\0"
		      "00",
		      8) == 0 &&
	       tar_octal(b + 148, 8) == (int64_t)sum &&
	       tar_octal(b + 108, 8) == 0 && tar_octal(b + 116, 8) == 0 &&
	       tar_octal(b + 136, 12) == 0;
}

/* Replaces *ret by a copy of value. */
static inline void tar_take(char **ret, const char *value, size_t len)
{
	free(*ret);
	*ret = calloc(1, len + 1);
	if (!*ret)
		abort();
	memcpy(*ret, value, len);
}

static inline bool tar_read_records(const char *p, size_t len,
				    struct tar_member *m)
{
	while (len) {
		char *end = NULL;
		unsigned long n = strtoul(p, &end, 10);
		const char *equals;

		if (!end || *end != ' ' || n < 5 || n > len || p[n - 1] != '\n')
			return false;
		equals = memchr(end, '=', n);
		if (!equals || equals > p + n)
			return false;
		end++;
		if (equals - end == 4 && memcmp(end, "path", 4) == 0)
			tar_take(&m->name, equals + 1,
				 (size_t)(p + n - 1 - (equals + 1)));
		else if (equals - end == 8 && memcmp(end, "linkpath", 8) == 0)
			tar_take(&m->link, equals + 1,
				 (size_t)(p + n - 1 - (equals + 1)));
		else
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static inline void tar_take_fields(const char *b, struct tar_member *m)
{
	size_t prefix = strnlen(b + 345, 155);
	size_t name = strnlen(b, 100);

	if (!m->name) {
		m->name = calloc(1, prefix + name + 2);
		if (!m->name)
			abort();
		memcpy(m->name, b + 345, prefix);
		if (prefix)
			m->name[prefix] = '/';
		memcpy(m->name + prefix + (prefix > 0), b, name);
	}
	if (!m->link)
		tar_take(&m->link, b + 157, strnlen(b + 157, 100));
}

/*
 * Cut the next member off *p.  1, 0 at a proper end of the archive, -1 when
 * it is malformed.  With is_header_only the content is not in the input.
 */
static inline int tar_reader_next(const char **p, size_t *len,
				  bool is_header_only, struct tar_member *m)
{
	static const char zeros[1024];

	memset(m, 0, sizeof(*m));
	for (;;) {
		const char *b = *p;
		size_t padded;

		if (*len == 1024 && memcmp(b, zeros, 1024) == 0)
			return 0;
		if (*len < 512 || !tar_block_is_sound(b))
			return -1;
		m->size = (uint64_t)tar_octal(b + 124, 12);
		m->type = b[156];
		m->mode = (unsigned)tar_octal(b + 100, 8);
		*p += 512;
		*len -= 512;
		if (is_header_only && m->type != 'x') {
			tar_take_fields(b, m);
			return 1;
		}
		padded = (m->size + 511) / 512 * 512;
		if (m->size > *len || padded > *len)
			return -1;
		m->data = *p;
		for (size_t i = m->size; i < padded; i++)
			if (m->data[i])
				return -1;
		*p += padded;
		*len -= padded;
		if (m->type != 'x') {
			tar_take_fields(b, m);
			return 1;
		}
		if (m->name || m->link ||
		    !tar_read_records(m->data, m->size, m))
			return -1;
	}
}

#endif
