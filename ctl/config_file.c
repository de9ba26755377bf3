#include "ctl/config_file.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FILE_MAX (1 << 20)

struct reading {
	struct config *config;
	struct slice text;
	const char *path;
	struct error *err;
	int result;
};

/* Does this line give the last part of `name` a value? */
static bool line_sets(struct slice line, const char *name)
{
	const char *key = strrchr(name, '.');
	size_t len;

	key = key ? key + 1 : name;
	len = strlen(key);
	line = slice_trim(line);
	/* "[section] key = value" is legal too. */
	if (line.len && line.ptr[0] == '[') {
		const char *end = memchr(line.ptr, ']', line.len);

		if (!end)
			return false;
		line.len -= (size_t)(end + 1 - line.ptr);
		line.ptr = end + 1;
		line = slice_trim(line);
	}
	if (line.len < len || strncasecmp(line.ptr, key, len) != 0)
		return false;
	return line.len == len || line.ptr[len] == '=' ||
	       isspace((unsigned char)line.ptr[len]);
}

/* Is this the head of the section that `name` is in? */
static bool line_opens(struct slice line, const char *name)
{
	size_t len = strcspn(name, ".");

	line = slice_trim(line);
	return line.len > len + 1 && line.ptr[0] == '[' &&
	       strncasecmp(line.ptr + 1, name, len) == 0 &&
	       !isalnum((unsigned char)line.ptr[1 + len]) &&
	       line.ptr[1 + len] != '-';
}

/*
 * Where the file gives `name` this value: libgit2 does not tell.  The first
 * line in the right section with the right key and, if any has it, the value.
 */
static int find_line(struct slice text, const char *name, const char *value)
{
	bool in_section = false;
	int number = 0;
	int found = 0;
	struct slice line;

	while (slice_line(&text, &line)) {
		struct slice trimmed = slice_trim(line);

		number++;
		if (trimmed.len && trimmed.ptr[0] == '[')
			in_section = line_opens(line, name);
		if (!in_section || !line_sets(line, name))
			continue;
		if (!found)
			found = number;
		if (value && *value &&
		    memmem(line.ptr, line.len, value, strlen(value)))
			return number;
	}
	return found;
}

static int take_entry(const git_config_entry *entry, void *ctx)
{
	struct reading *r = ctx;
	/* A key without "=" is a boolean that is true. */
	const char *value = entry->value ? entry->value : "true";
	int rc = config_set(r->config, entry->name, value, r->err);

	if (rc < 0) {
		rc = err_wrap(r->err, rc, "%s:%d", r->path,
			      find_line(r->text, entry->name, entry->value));
		r->result = rc;
		return GIT_EUSER;
	}
	return 0;
}

static int git_failed(const char *path, struct error *err)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_INVALID, "%s: %s", path,
		       e && e->message ? e->message : "cannot be read");
}

static int read_with_git(struct reading *r)
{
	git_config *cfg = NULL;
	int rc = 0;

	if (git_config_new(&cfg) < 0)
		return git_failed(r->path, r->err);
	if (git_config_add_file_ondisk(cfg, r->path, GIT_CONFIG_LEVEL_APP, NULL,
				       1) < 0)
		rc = git_failed(r->path, r->err);
	else if (git_config_foreach(cfg, take_entry, r) < 0)
		rc = r->result ? r->result : git_failed(r->path, r->err);
	git_config_free(cfg);
	return rc;
}

int config_file_read(struct config *c, const char *path, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(FILE_MAX);
	struct reading r = { .config = c, .path = path, .err = err };
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "no file '%s'", path);
	if (fd < 0)
		return err_errno(err, errno, "open '%s'", path);
	rc = buf_read_fd(&text, fd, err);
	if (rc < 0)
		return err_wrap(err, rc, "read '%s'", path);
	r.text = buf_slice(&text);
	git_libgit2_init();
	rc = read_with_git(&r);
	git_libgit2_shutdown();
	/* What comes next (the command line) replaces lists. */
	c->ssh_listen_is_default = true;
	return rc;
}
