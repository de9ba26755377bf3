#include "builder/source/source.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/source/content.h"
#include "builder/source/path.h"
#include "builder/source/source_private.h"

#include <string.h>

/* Pack files are mapped in windows, so that a large one costs no memory. */
#define MAP_WINDOW ((size_t)16 << 20)
#define MAP_LIMIT  ((size_t)128 << 20)

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
	/* Every object is read once or twice: nothing is worth keeping. */
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
	git_libgit2_opts(GIT_OPT_DISABLE_PACK_KEEP_FILE_CHECKS, 1);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, MAP_WINDOW);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, MAP_LIMIT);
}

/* As much of it as fits, cut between characters. */
static void set_subject(struct source *s, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len > SUBJECT_MAX) {
		len = SUBJECT_MAX;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	if (len)
		memcpy(s->subject, text, len);
	s->subject[len] = '\0';
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
		set_subject(s, git_commit_summary(commit));
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
	struct content c = CONTENT_INIT;
	auto_buf struct buf data = BUF_INIT(max_bytes);
	uint64_t size;
	ssize_t n = 0;
	int r = content_size(s, id, path, &size, err);

	if (r < 0)
		return r;
	if (size > max_bytes || !buf_reserve(&data, size))
		return err_set(err, ERR_LIMIT,
			       "'%.300s' is larger than %zu bytes", path,
			       max_bytes);
	r = content_open(&c, s, id, path, size, err);
	if (r < 0)
		return r;
	while (data.len < size && (n = content_read(&c, data.data + data.len,
						    size - data.len, err)) > 0)
		data.len += (size_t)n;
	content_close(&c);
	if (n < 0)
		return err_wrap(err, (int)n, "'%.300s'", path);
	data.data[size] = '\0';
	buf_swap(ret, &data);
	return 0;
}

int source_file(struct source *s, const char *path, size_t max_bytes,
		struct buf *ret, struct error *err)
{
	auto_free char *cleaned = path_clean(slice_str(path));
	git_tree_entry *entry = NULL;
	git_filemode_t mode;
	int r;

	if (!path_is_inside(cleaned) ||
	    git_tree_entry_bypath(&entry, s->tree, cleaned) < 0)
		return err_set(err, ERR_NOTFOUND, "there is no '%.300s'", path);
	mode = git_tree_entry_filemode(entry);
	if (mode == GIT_FILEMODE_TREE || mode == GIT_FILEMODE_COMMIT)
		r = err_set(err, ERR_INVALID, "'%.300s' is not a file", path);
	else if (mode == GIT_FILEMODE_LINK)
		r = err_set(err, ERR_INVALID,
			    "'%.300s' is a symbolic link; it has to be a file",
			    path);
	else
		r = read_blob(s, git_tree_entry_id(entry), path, max_bytes, ret,
			      err);
	git_tree_entry_free(entry);
	return r;
}
