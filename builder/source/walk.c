#include "builder/source/walk.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/source/source_private.h"

#include <stdbool.h>
#include <string.h>

struct level {
	git_tree *tree;
	size_t next;	 /* entry */
	size_t path_len; /* of the folder's path, with a "/" when not empty */
};

struct walk {
	struct source *source;
	struct level levels[WALK_DEPTH_MAX + 1];
	size_t depth; /* levels in use; 0 = not begun, or at the end */
	bool is_begun;
	bool is_folder; /* the entry returned last is still to be entered */
	git_oid folder;
	struct buf path;
	size_t entries;
};

struct walk *walk_open(struct source *s)
{
	struct walk *w = xcalloc(1, sizeof(*w));

	w->source = s;
	w->path = (struct buf)BUF_INIT(WALK_PATH_MAX + 1);
	return w;
}

void walk_close(struct walk *w)
{
	if (!w)
		return;
	while (w->depth)
		git_tree_free(w->levels[--w->depth].tree);
	buf_release(&w->path);
	free(w);
}

void walk_skip(struct walk *w)
{
	w->is_folder = false;
}

/* Go into the folder whose path stands in w->path. */
static int enter(struct walk *w, const git_oid *id, struct error *err)
{
	struct level *l = &w->levels[w->depth];

	if (w->depth > WALK_DEPTH_MAX)
		return err_set(err, ERR_LIMIT,
			       "folders are nested deeper than %d: '%.200s…'",
			       WALK_DEPTH_MAX, buf_str(&w->path));
	if (git_tree_lookup(&l->tree, w->source->repo, id) < 0)
		return source_git_error(err, buf_str(&w->path));
	if (w->path.len)
		buf_addc(&w->path, '/');
	l->next = 0;
	l->path_len = w->path.len;
	w->depth++;
	return 0;
}

/* fsck refuses these when they are pushed; nothing here relies on that. */
static bool is_safe_name(const char *name)
{
	return name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       !strchr(name, '/');
}

static int set_path(struct walk *w, const char *name, struct error *err)
{
	w->path.len = w->levels[w->depth - 1].path_len;
	buf_adds(&w->path, name);
	if (!is_safe_name(name))
		return err_set(err, ERR_INVALID,
			       "'%.200s': no name for a file or folder",
			       w->path.data);
	if (w->path.len > WALK_PATH_MAX)
		return err_set(err, ERR_LIMIT,
			       "a path is longer than %d bytes: '%.200s…'",
			       WALK_PATH_MAX, w->path.data);
	return 0;
}

static enum walk_kind kind_of(const git_tree_entry *entry)
{
	switch (git_tree_entry_filemode(entry)) {
	case GIT_FILEMODE_TREE:
		return WALK_FOLDER;
	case GIT_FILEMODE_COMMIT:
		return WALK_SUBMODULE;
	case GIT_FILEMODE_LINK:
		return WALK_SYMLINK;
	case GIT_FILEMODE_BLOB_EXECUTABLE:
		return WALK_EXECUTABLE;
	default:
		return WALK_FILE;
	}
}

/* The next entry of the innermost folder that has one left, or NULL. */
static const git_tree_entry *next_entry(struct walk *w)
{
	while (w->depth) {
		struct level *l = &w->levels[w->depth - 1];

		if (l->next < git_tree_entrycount(l->tree))
			return git_tree_entry_byindex(l->tree, l->next++);
		git_tree_free(l->tree);
		w->depth--;
	}
	return NULL;
}

int walk_next(struct walk *w, struct walk_entry *ret, struct error *err)
{
	const git_tree_entry *entry;
	int r = 0;

	if (!w->is_begun)
		r = enter(w, git_tree_id(w->source->tree), err);
	else if (w->is_folder)
		r = enter(w, &w->folder, err);
	w->is_begun = true;
	w->is_folder = false;
	if (r < 0)
		return r;
	entry = next_entry(w);
	if (!entry)
		return 0;
	r = set_path(w, git_tree_entry_name(entry), err);
	if (r < 0)
		return r;
	if (++w->entries > WALK_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d files and folders",
			       WALK_ENTRIES_MAX);
	ret->kind = kind_of(entry);
	ret->path = buf_slice(&w->path);
	ret->depth = w->depth - 1;
	git_oid_cpy(&ret->id, git_tree_entry_id(entry));
	w->is_folder = ret->kind == WALK_FOLDER;
	w->folder = ret->id;
	return 1;
}
