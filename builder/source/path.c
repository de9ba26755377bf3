#include "builder/source/path.h"

#include "base/buf.h"

#include <string.h>

/* The path being made: text[..floor] is what ".." cannot take away. */
struct cleaned {
	char *text;
	size_t len;
	size_t floor;
	bool is_rooted;
};

static void add_part(struct cleaned *c, const char *part, size_t len)
{
	if (c->len > (c->is_rooted ? 1u : 0u))
		c->text[c->len++] = '/';
	memcpy(c->text + c->len, part, len);
	c->len += len;
}

static void go_up(struct cleaned *c)
{
	if (c->len > c->floor) {
		do {
			c->len--;
		} while (c->len > c->floor && c->text[c->len] != '/');
	} else if (!c->is_rooted) {
		add_part(c, "..", 2);
		c->floor = c->len;
	}
}

char *path_clean(struct slice path)
{
	struct cleaned c = { .text = xmalloc(path.len + 2) };

	if (path.len && path.ptr[0] == '/') {
		c.text[c.len++] = '/';
		c.is_rooted = true;
		c.floor = 1;
	}
	while (path.len) {
		const char *slash = memchr(path.ptr, '/', path.len);
		size_t len = slash ? (size_t)(slash - path.ptr) : path.len;
		struct slice part = { path.ptr, len };

		if (slice_eq(part, ".."))
			go_up(&c);
		else if (len && !slice_eq(part, "."))
			add_part(&c, part.ptr, len);
		path.ptr += len + (slash ? 1 : 0);
		path.len -= len + (slash ? 1 : 0);
	}
	if (c.len == 0)
		c.text[c.len++] = '.';
	c.text[c.len] = '\0';
	return c.text;
}

bool path_is_inside(const char *cleaned)
{
	return cleaned[0] != '/' && strcmp(cleaned, ".") != 0 &&
	       strcmp(cleaned, "..") != 0 && strncmp(cleaned, "../", 3) != 0;
}
