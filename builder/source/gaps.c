#include "builder/source/source.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/source/content.h"
#include "builder/source/source_private.h"
#include "builder/source/walk.h"

#include <string.h>

/*
 * Pointers are looked for in so many files: in few of them when nothing says
 * that LFS is in use, because every look costs a read of the pack.
 */
#define LOOKS_PLAIN	 2000
#define LOOKS_WITH_LFS	 100000
#define ATTRIBUTES_LOOKS 1000
#define ATTRIBUTES_MAX	 (64 << 10)

/* Sizes that a pointer can have (git-lfs, docs/spec.md). */
#define POINTER_MIN 120
#define POINTER_MAX 1023

static const char pointer_head[] = "version https://git-lfs.github.com/spec/v1";

struct search {
	struct source *source;
	int looks_left;
	int attributes_left;
	bool uses_lfs;
	int gaps_left;
	void (*found)(void *ctx, enum source_gap gap, const char *path);
	void *ctx;
};

/* The content of a blob that is not longer than max.  1, 0 if it is, -code */
static int read_small(struct search *s, const struct walk_entry *e,
		      uint64_t min, uint64_t max, struct content *ret,
		      struct error *err)
{
	uint64_t size;
	int r = content_size(s->source, &e->id, e->path.ptr, &size, err);

	if (r < 0 || size < min || size > max)
		return r;
	r = content_open(ret, s->source, &e->id, e->path.ptr, size, err);
	return r < 0 ? r : 1;
}

static bool is_attributes(struct slice path)
{
	static const char name[] = ".gitattributes";
	size_t len = sizeof(name) - 1;

	return path.len >= len &&
	       memcmp(path.ptr + path.len - len, name, len) == 0 &&
	       (path.len == len || path.ptr[path.len - len - 1] == '/');
}

/* Does this .gitattributes put files into LFS? */
static int read_attributes(struct search *s, const struct walk_entry *e,
			   struct error *err)
{
	struct content c = CONTENT_INIT;
	int r;

	if (s->uses_lfs || s->attributes_left-- <= 0)
		return 0;
	r = read_small(s, e, 1, ATTRIBUTES_MAX, &c, err);
	if (r > 0 && memmem(c.data, c.left, "filter=lfs", 10)) {
		s->uses_lfs = true;
		s->looks_left = LOOKS_WITH_LFS;
	}
	content_close(&c);
	return r < 0 ? r : 0;
}

/* 1, 0 or -code */
static int is_pointer(struct search *s, const struct walk_entry *e,
		      struct error *err)
{
	struct content c = CONTENT_INIT;
	int r;

	if (s->looks_left-- <= 0)
		return 0;
	r = read_small(s, e, POINTER_MIN, POINTER_MAX, &c, err);
	if (r > 0)
		r = memcmp(c.data, pointer_head, sizeof(pointer_head) - 1) == 0;
	content_close(&c);
	return r;
}

static void tell(struct search *s, enum source_gap gap,
		 const struct walk_entry *e)
{
	s->found(s->ctx, gap, e->path.ptr);
	s->gaps_left--;
}

static int look_at(struct search *s, const struct walk_entry *e,
		   struct error *err)
{
	int r;

	switch (e->kind) {
	case WALK_SUBMODULE:
		tell(s, SOURCE_SUBMODULE, e);
		return 0;
	case WALK_FILE:
	case WALK_EXECUTABLE:
		if (is_attributes(e->path))
			return read_attributes(s, e, err);
		r = is_pointer(s, e, err);
		if (r > 0)
			tell(s, SOURCE_LFS_POINTER, e);
		return r < 0 ? r : 0;
	default:
		return 0;
	}
}

int source_gaps(struct source *s, int limit,
		void (*found)(void *ctx, enum source_gap gap, const char *path),
		void *ctx, struct error *err)
{
	struct search search = { .source = s,
				 .looks_left = LOOKS_PLAIN,
				 .attributes_left = ATTRIBUTES_LOOKS,
				 .gaps_left = limit,
				 .found = found,
				 .ctx = ctx };
	struct walk *w = walk_open(s);
	struct walk_entry e;
	int r = 0;

	while (r == 0 && search.gaps_left > 0) {
		r = walk_next(w, &e, err);
		if (r <= 0)
			break;
		r = look_at(&search, &e, err);
	}
	walk_close(w);
	return r < 0 ? r : 0;
}
