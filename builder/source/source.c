#include "builder/source/source.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/source/source_private.h"

#include <stdio.h>
#include <string.h>

#define GAP_BLOBS_MAX	5000 /* looked at for LFS pointers */
#define LFS_POINTER_MAX 1024
#define ATTRIBUTES_MAX	(1 << 20)

static const char lfs_head[] = "version https://git-lfs.github.com/spec/v1";

int source_git_error(struct error *err, const char *what)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_INVALID, "%s: %s", what,
		       e && e->message ? e->message : "cannot be read");
}

/*
 * No file outside the repository may change what we see, and objects were
 * verified when they came in.
 */
static void set_up_libgit2(void)
{
	git_libgit2_init();
	for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA;
	     level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
}

static int open_commit(struct source *s, const char *oid, struct error *err)
{
	git_object *object = NULL;
	git_commit *commit = NULL;
	git_oid id;
	int r = 0;

	if (git_oid_fromstr(&id, oid) < 0)
		return err_set(err, ERR_INVALID, "'%.64s' is not an id", oid);
	if (git_object_lookup(&object, s->repo, &id, GIT_OBJECT_ANY) < 0)
		return err_set(err, ERR_NOTFOUND, "no object %.10s", oid);
	if (git_object_peel((git_object **)&commit, object, GIT_OBJECT_COMMIT) <
	    0)
		r = err_set(err, ERR_INVALID, "%.10s is not a commit", oid);
	else if (git_commit_tree(&s->tree, commit) < 0)
		r = source_git_error(err, "tree of the commit");
	else
		snprintf(s->subject, sizeof(s->subject), "%s",
			 git_commit_summary(commit) ? git_commit_summary(commit)
						    : "");
	git_commit_free(commit);
	git_object_free(object);
	return r;
}

int source_open(const char *git_dir, const char *oid, struct source **ret,
		struct error *err)
{
	struct source *s = xcalloc(1, sizeof(*s));
	int r = 0;

	set_up_libgit2();
	s->git_dir = xstrdup(git_dir);
	if (git_repository_open_bare(&s->repo, git_dir) < 0 ||
	    git_repository_odb(&s->odb, s->repo) < 0)
		r = source_git_error(err, "repository");
	if (r == 0)
		r = open_commit(s, oid, err);
	if (r < 0) {
		source_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	git_tree_free(s->tree);
	git_odb_free(s->odb);
	git_repository_free(s->repo);
	free(s->git_dir);
	free(s);
	git_libgit2_shutdown();
}

const char *source_subject(const struct source *s)
{
	return s->subject;
}

static int read_blob(struct source *s, const git_oid *id, const char *path,
		     size_t max_bytes, struct buf *ret, struct error *err)
{
	auto_buf struct buf data = BUF_INIT(max_bytes);
	git_blob *blob = NULL;
	git_object_t type;
	size_t size;

	if (git_odb_read_header(&size, &type, s->odb, id) < 0)
		return source_git_error(err, path);
	if (size > max_bytes)
		return err_set(err, ERR_LIMIT,
			       "'%.300s' is larger than %zu bytes", path,
			       max_bytes);
	if (git_blob_lookup(&blob, s->repo, id) < 0)
		return source_git_error(err, path);
	buf_add(&data, git_blob_rawcontent(blob), size);
	git_blob_free(blob);
	buf_swap(ret, &data);
	return 0;
}

int source_file(struct source *s, const char *path, size_t max_bytes,
		struct buf *ret, struct error *err)
{
	git_tree_entry *entry = NULL;
	git_filemode_t mode;
	int r = git_tree_entry_bypath(&entry, s->tree, path);

	if (r < 0)
		return err_set(err, ERR_NOTFOUND, "there is no '%.300s'", path);
	mode = git_tree_entry_filemode(entry);
	if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE)
		r = err_set(err, ERR_INVALID, "'%.300s' is not a file", path);
	else
		r = read_blob(s, git_tree_entry_id(entry), path, max_bytes, ret,
			      err);
	git_tree_entry_free(entry);
	return r;
}

/* ---- what would be missing ---- */

struct gap_walk {
	struct source *source;
	bool wants_lfs; /* .gitattributes speaks of LFS */
	int blobs_left;
	int left; /* gaps still to report */
	void (*found)(void *ctx, enum source_gap gap, const char *path);
	void *ctx;
};

static bool is_lfs_pointer(struct source *s, const git_oid *id)
{
	git_blob *blob = NULL;
	git_object_t type;
	size_t size;
	bool is_pointer;

	if (git_odb_read_header(&size, &type, s->odb, id) < 0 ||
	    size > LFS_POINTER_MAX || size < strlen(lfs_head) ||
	    git_blob_lookup(&blob, s->repo, id) < 0)
		return false;
	is_pointer = memcmp(git_blob_rawcontent(blob), lfs_head,
			    strlen(lfs_head)) == 0;
	git_blob_free(blob);
	return is_pointer;
}

static int on_gap_entry(const char *root, const git_tree_entry *entry,
			void *ctx)
{
	struct gap_walk *w = ctx;
	auto_free char *path = NULL;
	enum source_gap gap = SOURCE_SUBMODULE;

	if (git_tree_entry_filemode(entry) != GIT_FILEMODE_COMMIT) {
		gap = SOURCE_LFS_POINTER;
		if (!w->wants_lfs ||
		    git_tree_entry_type(entry) != GIT_OBJECT_BLOB ||
		    w->blobs_left-- <= 0 ||
		    !is_lfs_pointer(w->source, git_tree_entry_id(entry)))
			return 0;
	}
	path = xasprintf("%s%s", root, git_tree_entry_name(entry));
	w->found(w->ctx, gap, path);
	return --w->left > 0 ? 0 : -1;
}

int source_gaps(struct source *s, int limit,
		void (*found)(void *ctx, enum source_gap gap, const char *path),
		void *ctx, struct error *err)
{
	auto_buf struct buf attributes = BUF_INIT(ATTRIBUTES_MAX);
	struct gap_walk w = { .source = s,
			      .blobs_left = GAP_BLOBS_MAX,
			      .left = limit,
			      .found = found,
			      .ctx = ctx };
	int r = source_file(s, ".gitattributes", ATTRIBUTES_MAX, &attributes,
			    err);

	w.wants_lfs = r == 0 && strstr(buf_str(&attributes), "filter=lfs");
	r = git_tree_walk(s->tree, GIT_TREEWALK_PRE, on_gap_entry, &w);
	if (r < 0 && w.left > 0)
		return source_git_error(err, "tree");
	return 0;
}
