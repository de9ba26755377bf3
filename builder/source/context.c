#include "builder/source/source.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/proc.h"
#include "builder/source/dockerignore.h"
#include "builder/source/source_private.h"
#include "builder/source/tar.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEPTH_MAX      256
#define ENTRIES_MAX    1000000
#define PATH_BYTES_MAX 65536
#define HEAD_BYTES_MAX (1 << 20)
#define IGNORE_MAX     (1 << 20)
#define LINK_MAX       65536
#define BIG_BLOB       (16u << 20) /* from here on `git cat-file` streams */

/* A folder that is being walked. */
struct level {
	git_tree *tree;
	bool is_owned;
	size_t next;	 /* entry */
	size_t path_len; /* of the folder's own path, with its "/" */
	bool *matches;	 /* per ignore pattern: it matched here or above */
};

struct context {
	struct source *source;
	struct dockerignore ignore;
	char *keep[2]; /* Dockerfile, ignore file: always in */
	struct level levels[DEPTH_MAX];
	size_t depth; /* levels in use; 0 = all was walked */
	struct buf path;
	size_t entries;
	/* what is being given out, in this order */
	struct buf head; /* headers, padding, end */
	size_t head_at;
	git_blob *blob;
	const char *data; /* of the blob, the rest of it */
	uint64_t left;	  /* bytes of content still to come */
	unsigned padding; /* after them */
	int pipe;	  /* from git cat-file, for a big blob; -1 */
	pid_t git;
	bool is_ended;
	struct context_stats stats;
};

/* ---- the walk ---- */

static void push_level(struct context *c, git_tree *tree, bool is_owned,
		       bool *matches)
{
	c->levels[c->depth++] = (struct level){ .tree = tree,
						.is_owned = is_owned,
						.path_len = c->path.len,
						.matches = matches };
}

static void pop_level(struct context *c)
{
	struct level *l = &c->levels[--c->depth];

	if (l->is_owned)
		git_tree_free(l->tree);
	free(l->matches);
}

static void set_path(struct context *c, size_t keep, const char *name)
{
	c->path.len = keep;
	buf_adds(&c->path, name);
}

static bool must_keep(const struct context *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->keep); i++)
		if (c->keep[i] && strcmp(c->keep[i], c->path.data) == 0)
			return true;
	return false;
}

/* Is one of the kept files below the present path? */
static bool leads_to_kept(const struct context *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->keep); i++)
		if (c->keep[i] &&
		    strncmp(c->keep[i], c->path.data, c->path.len) == 0 &&
		    c->keep[i][c->path.len] == '/')
			return true;
	return false;
}

static int enter_folder(struct context *c, const git_tree_entry *entry,
			struct error *err)
{
	const struct level *above = &c->levels[c->depth - 1];
	auto_free bool *matches = xcalloc(c->ignore.count + 1, sizeof(bool));
	git_tree *tree = NULL;

	if (dockerignore_excludes(&c->ignore, c->path.data, above->matches,
				  matches) &&
	    !c->ignore.has_negation && !leads_to_kept(c)) {
		c->stats.excluded++;
		return 0;
	}
	if (c->depth == DEPTH_MAX)
		return err_set(err, ERR_LIMIT,
			       "folders are nested deeper than %d: '%.200s'",
			       DEPTH_MAX, c->path.data);
	if (git_tree_lookup(&tree, c->source->repo, git_tree_entry_id(entry)) <
	    0)
		return source_git_error(err, "tree");
	buf_addc(&c->path, '/');
	push_level(c, tree, true, TAKE_PTR(matches));
	return 0;
}

/* ---- contents ---- */

static void drop_content(struct context *c)
{
	git_blob_free(c->blob);
	c->blob = NULL;
	c->data = NULL;
	if (c->pipe >= 0)
		close(TAKE_FD(c->pipe));
	if (c->git > 0) {
		kill(c->git, SIGKILL);
		waitpid(c->git, NULL, 0);
		c->git = 0;
	}
}

/* libgit2 would hold the whole blob in memory; git writes it out as it goes. */
static int stream_with_git(struct context *c, const git_oid *id,
			   struct error *err)
{
	char oid[GIT_OID_HEXSZ + 1];
	const char *argv[] = { "git",
			       "-c",
			       "safe.directory=*",
			       "--git-dir",
			       c->source->git_dir,
			       "cat-file",
			       "blob",
			       oid,
			       NULL };
	static const char *const env[] = {
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		NULL,
	};
	struct proc_spec spec = {
		.path = "git", .argv = argv, .env = env, .death_signal = SIGKILL
	};
	int ends[2];
	int r;

	git_oid_tostr(oid, sizeof(oid), id);
	if (pipe2(ends, 02000000 /* O_CLOEXEC */) < 0)
		return err_errno(err, errno, "pipe");
	spec.fds[spec.fds_count++] = (struct proc_fd){ ends[1], 1 };
	r = proc_spawn(&spec, &c->git, err);
	close(ends[1]);
	if (r < 0) {
		close(ends[0]);
		c->git = 0;
		return r;
	}
	c->pipe = ends[0];
	return 0;
}

static int open_content(struct context *c, const git_oid *id, uint64_t size,
			struct error *err)
{
	c->left = size;
	c->padding = tar_padding(size);
	if (size >= BIG_BLOB)
		return stream_with_git(c, id, err);
	if (git_blob_lookup(&c->blob, c->source->repo, id) < 0)
		return source_git_error(err, c->path.data);
	if ((uint64_t)git_blob_rawsize(c->blob) != size)
		return err_set(err, ERR_INVALID, "'%.200s': size differs",
			       c->path.data);
	c->data = git_blob_rawcontent(c->blob);
	return 0;
}

static int add_link(struct context *c, const git_oid *id, struct error *err)
{
	git_blob *blob = NULL;
	auto_free char *target = NULL;
	struct tar_entry e = { .type = TAR_SYMLINK, .name = c->path.data };

	if (git_blob_lookup(&blob, c->source->repo, id) < 0)
		return source_git_error(err, c->path.data);
	if (git_blob_rawsize(blob) <= LINK_MAX)
		target = slice_dup(
			(struct slice){ git_blob_rawcontent(blob),
					(size_t)git_blob_rawsize(blob) });
	git_blob_free(blob);
	if (!target)
		return err_set(err, ERR_LIMIT,
			       "'%.200s': the link's target is longer than "
			       "%d bytes",
			       c->path.data, LINK_MAX);
	e.link = target;
	return tar_add_header(&c->head, &e, err);
}

static int add_file(struct context *c, const git_tree_entry *entry,
		    git_filemode_t mode, struct error *err)
{
	const git_oid *id = git_tree_entry_id(entry);
	struct tar_entry e = {
		.type = TAR_FILE,
		.name = c->path.data,
		.mode = mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644,
	};
	git_object_t type;
	size_t size;
	int r;

	if (git_odb_read_header(&size, &type, c->source->odb, id) < 0)
		return source_git_error(err, c->path.data);
	e.size = size;
	r = tar_add_header(&c->head, &e, err);
	return r < 0 ? r : open_content(c, id, size, err);
}

/* One entry of the innermost folder. */
static int add_entry(struct context *c, const git_tree_entry *entry,
		     struct error *err)
{
	git_filemode_t mode = git_tree_entry_filemode(entry);
	const struct level *l = &c->levels[c->depth - 1];

	set_path(c, l->path_len, git_tree_entry_name(entry));
	if (c->path.is_truncated)
		return err_set(err, ERR_LIMIT, "a path is longer than %d bytes",
			       PATH_BYTES_MAX);
	if (++c->entries > ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d files and folders",
			       ENTRIES_MAX);
	if (mode == GIT_FILEMODE_TREE)
		return enter_folder(c, entry, err);
	if (mode == GIT_FILEMODE_COMMIT)
		return 0; /* a submodule; see source_gaps() */
	if (!must_keep(c) &&
	    dockerignore_excludes(&c->ignore, c->path.data, l->matches, NULL)) {
		c->stats.excluded++;
		return 0;
	}
	c->stats.files++;
	return mode == GIT_FILEMODE_LINK
		       ? add_link(c, git_tree_entry_id(entry), err)
		       : add_file(c, entry, mode, err);
}

/* Put the next entry's header into `head`, or the end. */
static int advance(struct context *c, struct error *err)
{
	buf_reset(&c->head);
	c->head_at = 0;
	while (c->depth > 0 && c->head.len == 0) {
		struct level *l = &c->levels[c->depth - 1];
		int r;

		if (l->next == git_tree_entrycount(l->tree)) {
			pop_level(c);
			continue;
		}
		r = add_entry(c, git_tree_entry_byindex(l->tree, l->next++),
			      err);
		if (r < 0)
			return r;
	}
	if (c->head.len == 0 && !c->is_ended) {
		tar_add_end(&c->head);
		c->is_ended = true;
	}
	return 0;
}

/* ---- opening ---- */

static int read_ignore(struct context *c, const char *dockerfile,
		       struct error *err)
{
	auto_free char *own = xasprintf("%s.dockerignore", dockerfile);
	auto_buf struct buf text = BUF_INIT(IGNORE_MAX);
	const char *name = own;
	int r = source_file(c->source, own, IGNORE_MAX, &text, err);

	if (r == -ERR_NOTFOUND) {
		name = ".dockerignore";
		r = source_file(c->source, name, IGNORE_MAX, &text, err);
	}
	if (r == -ERR_NOTFOUND)
		return 0;
	if (r < 0)
		return r;
	c->keep[1] = xstrdup(name);
	r = dockerignore_parse(buf_slice(&text), &c->ignore, err);
	return r < 0 ? err_wrap(err, r, "%s", name) : 0;
}

int context_open(struct source *s, const char *dockerfile, struct context **ret,
		 struct error *err)
{
	struct context *c = xcalloc(1, sizeof(*c));
	git_tree_entry *entry = NULL;
	int r;

	c->source = s;
	c->pipe = -1;
	c->path = (struct buf)BUF_INIT(PATH_BYTES_MAX);
	c->head = (struct buf)BUF_INIT(HEAD_BYTES_MAX);
	c->keep[0] = xstrdup(dockerfile);
	if (git_tree_entry_bypath(&entry, s->tree, dockerfile) < 0)
		r = err_set(err, ERR_NOTFOUND, "there is no '%.200s'",
			    dockerfile);
	else
		r = read_ignore(c, dockerfile, err);
	git_tree_entry_free(entry);
	if (r < 0) {
		context_close(c);
		return r;
	}
	buf_adds(&c->path, "");
	push_level(c, s->tree, false, NULL);
	*ret = c;
	return 0;
}

void context_close(struct context *c)
{
	if (!c)
		return;
	drop_content(c);
	while (c->depth)
		pop_level(c);
	dockerignore_release(&c->ignore);
	for (size_t i = 0; i < ARRAY_SIZE(c->keep); i++)
		free(c->keep[i]);
	buf_release(&c->path);
	buf_release(&c->head);
	free(c);
}

const struct context_stats *context_stats(const struct context *c)
{
	return &c->stats;
}

/* ---- reading ---- */

static ssize_t give_head(struct context *c, char *data, size_t size)
{
	size_t n = c->head.len - c->head_at;

	if (n > size)
		n = size;
	memcpy(data, c->head.data + c->head_at, n);
	c->head_at += n;
	return (ssize_t)n;
}

static ssize_t give_content(struct context *c, char *data, size_t size,
			    struct error *err)
{
	size_t want = c->left < size ? (size_t)c->left : size;
	ssize_t n = (ssize_t)want;

	if (c->pipe < 0) {
		memcpy(data, c->data, want);
		c->data += want;
	} else {
		do {
			n = read(c->pipe, data, want);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_errno(err, errno, "read from git");
		if (n == 0)
			return err_set(err, ERR_INVALID,
				       "'%.200s': git gave less than the whole "
				       "file",
				       c->path.data);
	}
	c->left -= (uint64_t)n;
	if (c->left == 0)
		drop_content(c);
	return n;
}

static ssize_t give_padding(struct context *c, char *data, size_t size)
{
	size_t n = c->padding < size ? c->padding : size;

	memset(data, 0, n);
	c->padding -= (unsigned)n;
	return (ssize_t)n;
}

ssize_t context_read(struct context *c, char *data, size_t size,
		     struct error *err)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n;
		int r;

		if (c->head_at < c->head.len) {
			n = give_head(c, data + got, size - got);
		} else if (c->left) {
			n = give_content(c, data + got, size - got, err);
		} else if (c->padding) {
			n = give_padding(c, data + got, size - got);
		} else {
			drop_content(c); /* an empty file's */
			r = advance(c, err);
			if (r < 0)
				return r;
			if (c->head.len == 0)
				break;
			continue;
		}
		if (n < 0)
			return n;
		got += (size_t)n;
	}
	c->stats.bytes += got;
	return (ssize_t)got;
}
