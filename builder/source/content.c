#include "builder/source/content.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/proc.h"
#include "builder/source/source_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A large blob stored as a delta is unpacked whole by git, too. */
#define GIT_MEMORY_MAX (UINT64_C(4) << 30)

int content_size(struct source *s, const git_oid *id, const char *path,
		 uint64_t *ret_size, struct error *err)
{
	git_object_t type;
	size_t size;

	if (git_odb_read_header(&size, &type, s->odb, id) < 0)
		return source_git_error(err, path);
	if (type != GIT_OBJECT_BLOB)
		return err_set(err, ERR_INVALID, "'%.300s' is not a file",
			       path);
	*ret_size = size;
	return 0;
}

/* The repository's configuration is not ours: what could matter is set. */
static int start_git(struct content *c, const char *git_dir, const git_oid *id,
		     int output, struct error *err)
{
	char oid[GIT_OID_HEXSZ + 1];
	const char *const argv[] = {
		"git",
		"-c",
		"safe.directory=*",
		"-c",
		"core.bigFileThreshold=1m",
		"-c",
		"core.packedGitWindowSize=16m",
		"-c",
		"core.packedGitLimit=128m",
		"--git-dir",
		git_dir,
		"cat-file",
		"blob",
		oid,
		NULL,
	};
	static const char *const env[] = {
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"LC_ALL=C.UTF-8",
		"HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		/* A missing object is missing; see builder/source/repo.c. */
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none",
		NULL,
	};
	struct proc_spec spec = {
		.path = "git",
		.argv = argv,
		.env = env,
		.death_signal = SIGKILL,
		.max_memory = GIT_MEMORY_MAX,
		.fds = { { output, 1 } },
		.fds_count = 1,
	};

	git_oid_tostr(oid, sizeof(oid), id);
	return proc_spawn(&spec, &c->git, err);
}

static int open_with_git(struct content *c, const char *git_dir,
			 const git_oid *id, struct error *err)
{
	auto_close int output = -1;
	int ends[2];
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	c->pipe = ends[0];
	output = ends[1];
	r = start_git(c, git_dir, id, output, err);
	if (r < 0)
		c->git = 0;
	return r;
}

static int open_whole(struct content *c, git_odb *odb, const git_oid *id,
		      const char *path, struct error *err)
{
	if (git_odb_read(&c->object, odb, id) < 0)
		return source_git_error(err, path);
	if (git_odb_object_type(c->object) != GIT_OBJECT_BLOB ||
	    git_odb_object_size(c->object) != c->left)
		return err_set(err, ERR_INVALID,
			       "'%.300s': not as long as its header says",
			       path);
	c->data = git_odb_object_data(c->object);
	return 0;
}

int content_open(struct content *c, struct source *s, const git_oid *id,
		 const char *path, uint64_t size, struct error *err)
{
	int r;

	c->left = size;
	r = size > CONTENT_WHOLE_MAX ? open_with_git(c, s->git_dir, id, err)
				     : open_whole(c, s->odb, id, path, err);
	if (r < 0)
		content_close(c);
	return r;
}

ssize_t content_read(struct content *c, char *data, size_t size,
		     struct error *err)
{
	ssize_t n;

	if (size > c->left)
		size = (size_t)c->left;
	if (size == 0)
		return 0;
	if (c->pipe < 0) {
		memcpy(data, c->data, size);
		c->data += size;
		c->left -= size;
		return (ssize_t)size;
	}
	do {
		n = read(c->pipe, data, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, errno, "read from git");
	if (n == 0)
		return err_set(err, ERR_INVALID,
			       "git gave less than the whole file");
	c->left -= (uint64_t)n;
	return n;
}

void content_close(struct content *c)
{
	git_odb_object_free(c->object);
	c->object = NULL;
	c->data = NULL;
	c->left = 0;
	if (c->pipe >= 0)
		close(TAKE_FD(c->pipe));
	if (c->git > 0) {
		kill(c->git, SIGKILL);
		while (waitpid(c->git, NULL, 0) < 0 && errno == EINTR)
			;
		c->git = 0;
	}
}
