#include "builder/source/source.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/source/content.h"
#include "builder/source/dockerignore.h"
#include "builder/source/path.h"
#include "builder/source/selection.h"
#include "builder/source/source_private.h"
#include "builder/source/tar.h"
#include "builder/source/walk.h"

#include <string.h>

#define IGNORE_MAX (1 << 20)

_Static_assert(WALK_PATH_MAX < TAR_NAME_MAX, "every path fits a header");

struct context {
	struct source *source;
	struct dockerignore ignore;
	char *keep[SELECTION_KEEP_MAX]; /* Dockerfile, ignore file */
	struct selection *selection;
	/* Of files and links, in their order, from the first look at them. */
	uint64_t *sizes;
	size_t sizes_count;
	size_t sizes_at;
	/* What is given out, in this order: */
	struct buf head; /* headers, or the end of the archive */
	size_t head_at;
	struct content content;
	unsigned padding; /* zeros after the content */
	bool is_ended;
	char *name; /* of the file being given out, for errors */
	struct context_stats stats;
};

/* ---- opening ---- */

static int read_ignore(struct context *c, struct error *err)
{
	auto_free char *own = xasprintf("%s.dockerignore", c->keep[0]);
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

static int check_dockerfile(struct context *c, const char *given,
			    struct error *err)
{
	git_tree_entry *entry = NULL;
	git_object_t type;

	if (!path_is_inside(c->keep[0]) ||
	    git_tree_entry_bypath(&entry, c->source->tree, c->keep[0]) < 0)
		return err_set(err, ERR_NOTFOUND, "there is no '%.200s'",
			       given);
	type = git_tree_entry_type(entry);
	git_tree_entry_free(entry);
	if (type != GIT_OBJECT_BLOB)
		return err_set(err, ERR_INVALID, "'%.200s' is not a file",
			       given);
	return 0;
}

/* Symlinks, too: their targets have to fit into a header. */
static int check_size(const struct walk_entry *e, uint64_t size,
		      struct error *err)
{
	if (size > TAR_SIZE_MAX)
		return err_set(err, ERR_LIMIT, "'%.300s' is larger than 8 GiB",
			       e->path.ptr);
	if (e->kind == WALK_SYMLINK && size > WALK_PATH_MAX)
		return err_set(err, ERR_LIMIT,
			       "'%.300s': the link's target is longer than %d "
			       "bytes",
			       e->path.ptr, WALK_PATH_MAX);
	return 0;
}

static int check_entry(struct context *c, const struct walk_entry *e,
		       struct error *err)
{
	uint64_t size;
	int r;

	if (e->kind == WALK_FOLDER)
		return 0;
	r = content_size(c->source, &e->id, e->path.ptr, &size, err);
	if (r == 0)
		r = check_size(e, size, err);
	if (r < 0)
		return r;
	/* Doubled at powers of two. */
	if ((c->sizes_count & (c->sizes_count - 1)) == 0)
		c->sizes = xrealloc(c->sizes,
				    (c->sizes_count ? 2 * c->sizes_count : 1) *
					    sizeof(*c->sizes));
	c->sizes[c->sizes_count++] = size;
	return 0;
}

/*
 * Look at everything once before the first byte is sent: a stream that is cut
 * tells the engine, and so the pusher, nothing.  Costs a twentieth of the
 * stream itself.
 */
static int check_all(struct context *c, struct error *err)
{
	struct selection *s = selection_open(c->source, &c->ignore, c->keep);
	struct walk_entry e;
	int r;

	while ((r = selection_next(s, &e, err)) > 0) {
		r = check_entry(c, &e, err);
		if (r < 0)
			break;
	}
	selection_close(s);
	return r;
}

int context_open(struct source *s, const char *dockerfile, struct context **ret,
		 struct error *err)
{
	struct context *c = xcalloc(1, sizeof(*c));
	int r;

	c->source = s;
	c->content = (struct content)CONTENT_INIT;
	c->head = (struct buf)BUF_INIT(TAR_HEADER_MAX);
	c->keep[0] = path_clean(slice_str(dockerfile));
	r = check_dockerfile(c, dockerfile, err);
	if (r == 0)
		r = read_ignore(c, err);
	if (r == 0)
		r = check_all(c, err);
	if (r < 0) {
		context_close(c);
		return r;
	}
	c->ignore.steps = 0;
	c->selection = selection_open(s, &c->ignore, c->keep);
	*ret = c;
	return 0;
}

void context_close(struct context *c)
{
	if (!c)
		return;
	content_close(&c->content);
	selection_close(c->selection);
	dockerignore_release(&c->ignore);
	for (size_t i = 0; i < ARRAY_SIZE(c->keep); i++)
		free(c->keep[i]);
	buf_release(&c->head);
	free(c->sizes);
	free(c->name);
	free(c);
}

const struct context_stats *context_stats(const struct context *c)
{
	return &c->stats;
}

/* ---- entries ---- */

static int add_symlink(struct context *c, const struct walk_entry *e,
		       uint64_t size, struct error *err)
{
	auto_free char *target = NULL;
	struct tar_entry t = { .type = TAR_SYMLINK,
			       .name = e->path.ptr,
			       .mode = 0777 };
	int r = content_open(&c->content, c->source, &e->id, t.name, size, err);

	if (r < 0)
		return r;
	/* check_size: it is held whole */
	target = slice_dup((struct slice){ c->content.data, (size_t)size });
	content_close(&c->content);
	t.link = target;
	return tar_add_header(&c->head, &t, err);
}

static int add_file(struct context *c, const struct walk_entry *e,
		    uint64_t size, struct error *err)
{
	struct tar_entry t = { .type = TAR_FILE,
			       .name = e->path.ptr,
			       .mode = e->kind == WALK_EXECUTABLE ? 0755 : 0644,
			       .size = size };
	int r = tar_add_header(&c->head, &t, err);

	if (r < 0)
		return r;
	c->padding = tar_padding(size);
	free(c->name);
	c->name = slice_dup(e->path);
	return content_open(&c->content, c->source, &e->id, t.name, size, err);
}

static int add_entry(struct context *c, const struct walk_entry *e,
		     struct error *err)
{
	struct tar_entry folder = { .type = TAR_FOLDER,
				    .name = e->path.ptr,
				    .mode = 0755 };
	uint64_t size;

	if (e->kind == WALK_FOLDER)
		return tar_add_header(&c->head, &folder, err);
	if (c->sizes_at == c->sizes_count)
		return err_set(err, ERR_BUG, "'%.300s': was not there before",
			       e->path.ptr);
	size = c->sizes[c->sizes_at++];
	c->stats.files++;
	return e->kind == WALK_SYMLINK ? add_symlink(c, e, size, err)
				       : add_file(c, e, size, err);
}

/* Prepare the next entry, or the end of the archive; then nothing. */
static int advance(struct context *c, struct error *err)
{
	struct walk_entry e;
	int r;

	content_close(&c->content);
	buf_reset(&c->head);
	c->head_at = 0;
	if (c->is_ended)
		return 0;
	r = selection_next(c->selection, &e, err);
	if (r > 0)
		return add_entry(c, &e, err);
	if (r == 0)
		tar_add_end(&c->head);
	c->is_ended = r == 0;
	c->stats.excluded = selection_excluded(c->selection);
	return r;
}

/* ---- reading ---- */

static size_t give_head(struct context *c, char *data, size_t size)
{
	size_t n = c->head.len - c->head_at;

	if (n > size)
		n = size;
	memcpy(data, c->head.data + c->head_at, n);
	c->head_at += n;
	return n;
}

static size_t give_padding(struct context *c, char *data, size_t size)
{
	size_t n = c->padding < size ? c->padding : size;

	memset(data, 0, n);
	c->padding -= (unsigned)n;
	return n;
}

/* Some bytes of what is prepared; 0 when all of it was given. */
static ssize_t give(struct context *c, char *data, size_t size,
		    struct error *err)
{
	ssize_t n;

	if (c->head_at < c->head.len)
		return (ssize_t)give_head(c, data, size);
	if (c->content.left) {
		n = content_read(&c->content, data, size, err);
		return n < 0 ? err_wrap(err, (int)n, "'%.300s'", c->name) : n;
	}
	return (ssize_t)give_padding(c, data, size);
}

ssize_t context_read(struct context *c, char *data, size_t size,
		     struct error *err)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = give(c, data + got, size - got, err);

		if (n == 0) {
			n = advance(c, err);
			if (n == 0 && c->head.len == 0)
				break;
		}
		if (n < 0)
			return n;
		got += (size_t)n;
	}
	c->stats.bytes += got;
	return (ssize_t)got;
}
