#include "builder/source/repo.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIT_TIMEOUT_MS	30000
#define GIT_OUTPUT_MAX	65536
#define GIT_ARGS_MAX	24
#define REF_NAME_MAX	1024
#define REMOVE_OPEN_FDS 16

/*
 * The receiver's user can write into a repository, its config included, so
 * nothing that git would run from there may count: no hooks, no monitor.
 */
static const char *const safe_settings[] = {
	"-c", "safe.directory=*",
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.fsmonitor=false",
	"-c", "gc.auto=0",
	"-c", "core.logAllRefUpdates=false",
};

static const char *const git_env[] = {
	"PATH=/usr/local/bin:/usr/bin:/bin",
	"LC_ALL=C.UTF-8",
	"HOME=/nonexistent",
	"GIT_CONFIG_NOSYSTEM=1",
	"GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_TERMINAL_PROMPT=0",
	/*
	 * Nor may a missing object be fetched from where that config says: the
	 * remote's program would be run.  Its protocol.NAME.allow would win
	 * over a setting of ours; these two cannot be set there.
	 */
	"GIT_NO_LAZY_FETCH=1",
	"GIT_ALLOW_PROTOCOL=none",
	NULL,
};

char *repo_path(const struct config *cfg, int64_t app_id)
{
	return xasprintf("%s/repos/%" PRId64 ".git", cfg->data, app_id);
}

/* The first line of what git said, warnings aside, without its "fatal: ". */
static void git_said(const struct buf *errors, char *out, size_t size)
{
	struct slice rest = buf_slice(errors);
	struct slice line = { "", 0 };
	bool found;

	do {
		found = slice_line(&rest, &line);
	} while (found && slice_starts(line, "warning: "));
	if (!found)
		line = slice_str("no reason given");
	if (slice_starts(line, "fatal: ")) {
		line.ptr += 7;
		line.len -= 7;
	}
	snprintf(out, size, "%.*s", (int)line.len, line.ptr);
}

/* Run git on the app's repository; exit code or -code. */
static int git_for(const char *dir, const char *const *args, int timeout_ms,
		   struct slice input, struct buf *out, struct buf *errors,
		   struct error *err)
{
	const char *argv[GIT_ARGS_MAX + ARRAY_SIZE(safe_settings) + 4];
	struct proc_spec spec = { .path = "git", .argv = argv, .env = git_env };
	size_t n = 0;

	argv[n++] = "git";
	for (size_t i = 0; i < ARRAY_SIZE(safe_settings); i++)
		argv[n++] = safe_settings[i];
	argv[n++] = "--git-dir";
	argv[n++] = dir;
	for (size_t i = 0; i < GIT_ARGS_MAX && args[i]; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	return proc_run(&spec, input, out, errors, timeout_ms, err);
}

static int git(const char *dir, const char *const *args, struct slice input,
	       struct buf *out, struct buf *errors, struct error *err)
{
	return git_for(dir, args, GIT_TIMEOUT_MS, input, out, errors, err);
}

/* As git_for(), for a call that only has to work. */
static int git_check_for(const char *dir, const char *const *args,
			 int timeout_ms, enum err_code code, struct error *err)
{
	auto_buf struct buf out = BUF_INIT(GIT_OUTPUT_MAX);
	auto_buf struct buf errors = BUF_INIT(GIT_OUTPUT_MAX);
	char said[256];
	int r = git_for(dir, args, timeout_ms, (struct slice){ "", 0 }, &out,
			&errors, err);

	if (r <= 0)
		return r;
	git_said(&errors, said, sizeof(said));
	return err_set(err, code, "git %s: %s", args[0], said);
}

static int git_check(const char *dir, const char *const *args,
		     enum err_code code, struct error *err)
{
	return git_check_for(dir, args, GIT_TIMEOUT_MS, code, err);
}

int repo_create(const struct config *cfg, int64_t app_id, struct error *err)
{
	static const char *const init[] = {
		"init",	       "--bare",	 "--quiet",
		"--template=", "--shared=group", "--initial-branch=main",
		NULL
	};
	auto_free char *path = repo_path(cfg, app_id);
	auto_free char *repos = xasprintf("%s/repos", cfg->data);
	struct stat st;
	mode_t mask;
	int r;

	if (stat(path, &st) == 0)
		return 0;
	r = io_mkdirs(repos, 02770, err);
	if (r < 0)
		return r;
	mask = umask(007);
	r = git_check(path, init, ERR_PEER, err);
	umask(mask);
	return r < 0 ? err_wrap(err, r, "make the repository") : 0;
}

static int remove_entry(const char *path, const struct stat *st, int flag,
			struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? errno : 0;
}

int repo_remove(const struct config *cfg, int64_t app_id, struct error *err)
{
	auto_free char *path = repo_path(cfg, app_id);
	int r = nftw(path, remove_entry, REMOVE_OPEN_FDS,
		     FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	if (r < 0 && errno == ENOENT)
		return 0;
	if (r != 0)
		return err_errno(err, r < 0 ? errno : r, "remove '%s'", path);
	return 0;
}

static void add_update(struct buf *in, const struct ref_update *u)
{
	/* NUL-separated, so that no name can smuggle in a second command. */
	if (strcmp(u->new_oid, OID_ZERO) == 0) {
		buf_addf(in, "delete %s", u->ref);
		buf_addc(in, '\0');
		if (u->old_oid && strcmp(u->old_oid, OID_ZERO) != 0)
			buf_adds(in, u->old_oid);
		buf_addc(in, '\0');
		return;
	}
	buf_addf(in, "update %s", u->ref);
	buf_addc(in, '\0');
	buf_adds(in, u->new_oid);
	buf_addc(in, '\0');
	if (u->old_oid)
		buf_adds(in, u->old_oid);
	buf_addc(in, '\0');
}

int repo_update_refs(const struct config *cfg, int64_t app_id,
		     const struct ref_update *updates, size_t count,
		     struct error *err)
{
	static const char *const args[] = { "update-ref", "--stdin", "-z",
					    NULL };
	auto_free char *path = repo_path(cfg, app_id);
	auto_buf struct buf in = BUF_INIT(64 << 20);
	auto_buf struct buf out = BUF_INIT(GIT_OUTPUT_MAX);
	auto_buf struct buf errors = BUF_INIT(GIT_OUTPUT_MAX);
	char said[256];
	mode_t mask;
	int r;

	for (size_t i = 0; i < count; i++) {
		if (!ref_name_is_valid(updates[i].ref))
			return err_set(err, ERR_INVALID, "funny refname");
		add_update(&in, &updates[i]);
	}
	r = buf_check(&in, "ref updates", err);
	if (r < 0)
		return r;
	mask = umask(007);
	r = git(path, args, buf_slice(&in), &out, &errors, err);
	umask(mask);
	if (r <= 0)
		return r;
	git_said(&errors, said, sizeof(said));
	if (strstr(said, "nonexistent object") ||
	    strstr(said, "non-commit object"))
		return err_set(err, ERR_INVALID, "%s", said);
	return err_set(err, ERR_EXISTS, "%s", said);
}

/* One line of output of a plumbing command that names an object. */
static int git_oid(const char *path, const char *const *args, char *oid,
		   enum err_code code, const char *what, struct error *err)
{
	auto_buf struct buf out = BUF_INIT(GIT_OUTPUT_MAX);
	auto_buf struct buf errors = BUF_INIT(GIT_OUTPUT_MAX);
	int r = git(path, args, (struct slice){ "", 0 }, &out, &errors, err);

	if (r < 0)
		return r;
	if (r > 0 || out.len < OID_HEX)
		return err_set(err, code, "%s", what);
	memcpy(oid, out.data, OID_HEX);
	oid[OID_HEX] = '\0';
	return oid_is_valid(oid) ? 0 : err_set(err, code, "%s", what);
}

int repo_read_ref(const struct config *cfg, int64_t app_id, const char *ref,
		  char *oid, struct error *err)
{
	const char *args[] = { "rev-parse",	   "--verify", "--quiet",
			       "--end-of-options", ref,	       NULL };
	auto_free char *path = repo_path(cfg, app_id);

	return git_oid(path, args, oid, ERR_NOTFOUND, "no such ref", err);
}

int repo_peel_commit(const struct config *cfg, int64_t app_id, const char *oid,
		     char *ret_commit, struct error *err)
{
	auto_free char *spec = xasprintf("%s^{commit}", oid);
	const char *args[] = { "rev-parse",	   "--verify", "--quiet",
			       "--end-of-options", spec,       NULL };
	auto_free char *path = repo_path(cfg, app_id);

	return git_oid(path, args, ret_commit, ERR_INVALID, "not a commit",
		       err);
}

int repo_is_ancestor(const struct config *cfg, int64_t app_id,
		     const char *older, const char *newer, struct error *err)
{
	const char *args[] = { "merge-base", "--is-ancestor", older, newer,
			       NULL };
	auto_free char *path = repo_path(cfg, app_id);
	auto_buf struct buf out = BUF_INIT(GIT_OUTPUT_MAX);
	int r = git(path, args, (struct slice){ "", 0 }, &out, NULL, err);

	return r < 0 ? r : r == 0;
}

int repo_is_complete(const struct config *cfg, int64_t app_id,
		     const char *const *oids, size_t count, struct error *err)
{
	static const char *const args[] = { "rev-list", "--quiet", "--stdin",
					    "--not",	"--all",   NULL };
	auto_free char *path = repo_path(cfg, app_id);
	auto_buf struct buf in = BUF_INIT(64 << 20);
	auto_buf struct buf out = BUF_INIT(GIT_OUTPUT_MAX);
	int r;

	for (size_t i = 0; i < count; i++)
		if (strcmp(oids[i], OID_ZERO) != 0)
			buf_addf(&in, "%s\n", oids[i]);
	r = buf_check(&in, "refs", err);
	if (r == 0)
		r = git(path, args, buf_slice(&in), &out, NULL, err);
	return r < 0 ? r : r == 0;
}

int repo_set_head(const struct config *cfg, int64_t app_id, const char *branch,
		  struct error *err)
{
	auto_free char *ref = xasprintf("refs/heads/%s", branch);
	const char *args[] = { "symbolic-ref", "HEAD", ref, NULL };
	auto_free char *path = repo_path(cfg, app_id);

	if (!ref_name_is_valid(ref))
		return err_set(err, ERR_INVALID, "'%s' is not a branch name",
			       branch);
	return git_check(path, args, ERR_PEER, err);
}

bool oid_is_valid(const char *text)
{
	return strlen(text) == OID_HEX &&
	       strspn(text, "0123456789abcdef") == OID_HEX;
}

/* One component between slashes. */
/* ---- packs ---- */

static int count_packs(const char *git_dir)
{
	auto_free char *path = xasprintf("%s/objects/pack", git_dir);
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		count += len > 5 &&
			 strcmp(entry->d_name + len - 5, ".pack") == 0;
	}
	if (dir)
		closedir(dir);
	return count;
}

int repo_repack(const struct config *cfg, int64_t app_id, struct error *err)
{
	static const char *const repack[] = { "repack", "--geometric=2", "-d",
					      "-q", NULL };
	auto_free char *path = repo_path(cfg, app_id);
	mode_t mask;
	int r;

	if (count_packs(path) <= REPO_PACKS_MAX)
		return 0;
	mask = umask(007);
	r = git_check_for(path, repack, REPO_REPACK_MS, ERR_PEER, err);
	umask(mask);
	return r < 0 ? r : 1;
}

static bool ref_component_is_valid(struct slice part)
{
	if (part.len == 0 || part.ptr[0] == '.')
		return false;
	return part.len < 5 || memcmp(part.ptr + part.len - 5, ".lock", 5);
}

bool ref_name_is_valid(const char *name)
{
	const char *part = name;
	size_t len = strlen(name);

	if (strncmp(name, "refs/", 5) != 0 || len > REF_NAME_MAX ||
	    name[len - 1] == '.' || strstr(name, "..") || strstr(name, "@{"))
		return false;
	for (const char *p = name;; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '/' || c == '\0') {
			if (!ref_component_is_valid(
				    (struct slice){ part, (size_t)(p - part) }))
				return false;
			part = p + 1;
		}
		if (c == '\0')
			return true;
		if (c < 0x20 || c == 0x7f || strchr(" ~^:?*[\\", c))
			return false;
	}
}
