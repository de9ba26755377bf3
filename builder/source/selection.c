#include "builder/source/selection.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "builder/source/dockerignore.h"
#include "builder/source/walk.h"

#include <stdbool.h>
#include <string.h>

/* A folder above the present entry, or that entry itself. */
struct folder {
	bool *matches;	/* per rule: it matched here or above */
	bool is_listed; /* was returned */
	size_t path_len;
};

struct selection {
	struct walk *walk;
	struct dockerignore *ignore;
	char *const *keep;
	struct folder folders[WALK_DEPTH_MAX + 1]; /* by their depth */
	struct walk_entry entry; /* in, but folders above it come first */
	bool has_entry;
	struct buf folder_path;
	uint64_t excluded;
};

struct selection *selection_open(struct source *source,
				 struct dockerignore *ignore,
				 char *const keep[SELECTION_KEEP_MAX])
{
	struct selection *s = xcalloc(1, sizeof(*s));

	s->walk = walk_open(source);
	s->ignore = ignore;
	s->keep = keep;
	s->folder_path = (struct buf)BUF_INIT(WALK_PATH_MAX + 1);
	return s;
}

void selection_close(struct selection *s)
{
	if (!s)
		return;
	walk_close(s->walk);
	for (size_t i = 0; i < ARRAY_SIZE(s->folders); i++)
		free(s->folders[i].matches);
	buf_release(&s->folder_path);
	free(s);
}

uint64_t selection_excluded(const struct selection *s)
{
	return s->excluded;
}

static bool is_kept(const struct selection *s, struct slice path)
{
	for (size_t i = 0; i < SELECTION_KEEP_MAX; i++)
		if (s->keep[i] && slice_eq(path, s->keep[i]))
			return true;
	return false;
}

/* Is one of the kept files below this folder? */
static bool leads_to_kept(const struct selection *s, struct slice path)
{
	for (size_t i = 0; i < SELECTION_KEEP_MAX; i++)
		if (s->keep[i] && strlen(s->keep[i]) > path.len &&
		    memcmp(s->keep[i], path.ptr, path.len) == 0 &&
		    s->keep[i][path.len] == '/')
			return true;
	return false;
}

/* What the folder above an entry matched; NULL at the top. */
static const bool *matches_above(const struct selection *s,
				 const struct walk_entry *e)
{
	return e->depth ? s->folders[e->depth - 1].matches : NULL;
}

/* 1 = it is in, 0 = not, -code */
static int consider_folder(struct selection *s, const struct walk_entry *e,
			   struct error *err)
{
	struct folder *f = &s->folders[e->depth];
	int r;

	if (!f->matches)
		f->matches = xcalloc(s->ignore->count + 1, sizeof(bool));
	f->path_len = e->path.len;
	f->is_listed = false;
	r = dockerignore_excludes(s->ignore, e->path, matches_above(s, e),
				  f->matches, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	if (!s->ignore->has_negation && !leads_to_kept(s, e->path)) {
		walk_skip(s->walk);
		s->excluded++;
	}
	return 0;
}

static int consider_file(struct selection *s, const struct walk_entry *e,
			 struct error *err)
{
	int r;

	if (is_kept(s, e->path))
		return 1;
	r = dockerignore_excludes(s->ignore, e->path, matches_above(s, e), NULL,
				  err);
	if (r > 0)
		s->excluded++;
	return r < 0 ? r : !r;
}

static int consider(struct selection *s, const struct walk_entry *e,
		    struct error *err)
{
	switch (e->kind) {
	case WALK_SUBMODULE:
		return 0; /* source_gaps() tells of them */
	case WALK_FOLDER:
		return consider_folder(s, e, err);
	default:
		return consider_file(s, e, err);
	}
}

/* The outermost folder above s->entry that was not returned yet. */
static bool next_folder_above(struct selection *s, struct walk_entry *ret)
{
	for (size_t i = 0; i < s->entry.depth; i++) {
		struct folder *f = &s->folders[i];

		if (f->is_listed)
			continue;
		f->is_listed = true;
		buf_reset(&s->folder_path);
		buf_add(&s->folder_path, s->entry.path.ptr, f->path_len);
		*ret = (struct walk_entry){ .kind = WALK_FOLDER,
					    .path = buf_slice(&s->folder_path),
					    .depth = i };
		return true;
	}
	return false;
}

int selection_next(struct selection *s, struct walk_entry *ret,
		   struct error *err)
{
	while (!s->has_entry) {
		int r = walk_next(s->walk, &s->entry, err);

		if (r <= 0)
			return r;
		r = consider(s, &s->entry, err);
		if (r < 0)
			return r;
		s->has_entry = r > 0;
	}
	if (next_folder_above(s, ret))
		return 1;
	if (s->entry.kind == WALK_FOLDER)
		s->folders[s->entry.depth].is_listed = true;
	*ret = s->entry;
	s->has_entry = false;
	return 1;
}
