/* apps:rename, apps:destroy */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"
#include "builder/source/repo.h"
#include "builder/store/app_lock.h"
#include "builder/store/app_url.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOCK_WAIT_MS 2000
#define CONFIRM_MAX  256

/* Is a build of this app waiting or running?  Then -ERR_EXISTS, telling it. */
static int check_idle(struct call *c, struct error *err)
{
	struct job *jobs = NULL;
	int count;
	int r = 0;

	count = store_jobs_unfinished(c->store, &jobs, err);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		if (r == 0 && jobs[i].app_id == c->app.id)
			r = err_set(err, ERR_EXISTS,
				    "build %" PRId64 " of %s is %s (pushed by "
				    "%s): wait for its end, 'builds:output %s' "
				    "shows it",
				    jobs[i].id, c->app.name,
				    job_state_name(jobs[i].state),
				    jobs[i].user[0] ? jobs[i].user
						    : "the administrator",
				    c->app.name);
		job_release(&jobs[i]);
	}
	free(jobs);
	return r;
}

/* Take the app's lock and read the app anew: somebody may have changed it. */
static int lock_app(struct call *c, int *ret_fd, struct error *err)
{
	auto_close int fd = -1;
	struct app app = { 0 };
	int r;

	r = check_idle(c, err);
	if (r < 0)
		return r;
	r = app_lock_take(c->cfg->data, c->app.id, LOCK_WAIT_MS, &fd, err);
	if (r < 0)
		return err_wrap(err, r, "%s", c->app.name);
	r = store_app_get_id(c->store, c->app.id, &app, err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_NOTFOUND, "%s was just destroyed",
			       c->app.name);
	if (r < 0)
		return r;
	app_release(&c->app);
	c->app = app;
	r = check_idle(c, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The app's target; 0 with *ret NULL when nothing can be there, since no
 * release was ever made. */
static int open_target(struct call *c, struct target **ret, struct error *err)
{
	struct release *releases = NULL;
	int count;

	count = store_releases(c->store, c->app.id, 1, &releases, err);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++)
		release_release(&releases[i]);
	free(releases);
	if (count == 0)
		return 0;
	return target_open(c->cfg, c->store, c->app.target, ret, err);
}

static void close_target(struct target *t)
{
	if (t)
		t->ops->close(t);
}

/* ---- rename ---- */

static int move_name(struct call *c, struct target *t, const char *to,
		     struct error *err)
{
	auto_free char *from = xstrdup(c->app.name);
	struct error ignored = ERROR_INIT;
	struct app renamed = { 0 };
	int r;

	r = store_app_rename(c->store, c->app.id, to, err);
	if (r < 0)
		return r;
	r = store_app_get_id(c->store, c->app.id, &renamed, err);
	if (r == 0 && t)
		r = t->ops->rename(t, &renamed, err);
	app_release(&renamed);
	if (r < 0) {
		err_wrap(err, r, "rename %s", from);
		/* It keeps answering under the old name: keep that. */
		if (store_app_rename(c->store, c->app.id, from, &ignored) < 0)
			return r;
	}
	return r;
}

int cmd_apps_rename(struct call *c, struct error *err)
{
	const char *to = call_word(c, 0);
	auto_free char *git_url = app_git_url(c->cfg, to);
	auto_free char *url = app_url(c->cfg, to);
	auto_close int lock = -1;
	struct target *t = NULL;
	int r;

	r = app_name_check(to, err);
	if (r < 0)
		return r;
	r = lock_app(c, &lock, err);
	if (r < 0)
		return r;
	r = open_target(c, &t, err);
	if (r < 0)
		return r;
	r = move_name(c, t, to, err);
	close_target(t);
	if (r < 0)
		return r;
	if (call_json(c, json_pack("{s:s, s:s, s:s}", "name", to, "url", url,
				   "git_url", git_url)))
		return 0;
	call_printf(c, "Renamed %s to %s: %s\n", c->app.name, to, url);
	call_note(c, "In clones of it, type: git remote set-url REMOTE %s",
		  git_url);
	return 0;
}

/* ---- destroy ---- */

static int ask_name(struct call *c, struct error *err)
{
	auto_buf struct buf line = BUF_INIT(CONFIRM_MAX);
	struct slice typed;
	int r;

	call_error(c,
		   "This stops %s and removes it with its repository, builds "
		   "and releases.",
		   c->app.name);
	call_prompt(c, "To go on, type its name: ");
	r = call_read_line(c, &line, err);
	if (r < 0)
		return r;
	typed = slice_trim(buf_slice(&line));
	if (typed.len == 0)
		return call_usage(c, err,
				  "nothing was destroyed: confirm with "
				  "--confirm %s",
				  c->app.name);
	if (!slice_eq(typed, c->app.name))
		return err_set(err, ERR_CANCELED,
			       "that is not '%s': nothing was destroyed",
			       c->app.name);
	return 0;
}

static int confirm(struct call *c, struct error *err)
{
	const char *name = call_option(c, "confirm");

	if (name && strcmp(name, c->app.name) == 0)
		return 0;
	if (name)
		return err_set(err, ERR_INVALID,
			       "--confirm says '%.48s', the app is '%s': "
			       "nothing was destroyed",
			       name, c->app.name);
	if (call_option(c, "force"))
		return 0;
	return ask_name(c, err);
}

static void remove_log(struct call *c, int64_t job_id)
{
	auto_free char *path =
		xasprintf("%s/builds/%" PRId64 ".log", c->cfg->data, job_id);

	if (unlink(path) < 0 && errno != ENOENT)
		call_error(c, "warning: '%" PRId64 ".log' stays behind: %s",
			   job_id, strerror(errno));
}

/* Everything but what the target runs. */
static int remove_data(struct call *c, struct error *err)
{
	int64_t *ids = NULL;
	int count;
	int r;

	count = store_job_ids(c->store, c->app.id, &ids, err);
	if (count < 0)
		return count;
	r = repo_remove(c->cfg, c->app.id, err);
	if (r == 0)
		r = store_app_remove(c->store, c->app.id, err);
	for (int i = 0; r == 0 && i < count; i++)
		remove_log(c, ids[i]);
	free(ids);
	return r;
}

int cmd_apps_destroy(struct call *c, struct error *err)
{
	auto_close int lock = -1;
	struct target *t = NULL;
	int r;

	r = check_idle(c, err);
	if (r < 0)
		return r;
	r = confirm(c, err);
	if (r < 0)
		return r;
	r = lock_app(c, &lock, err);
	if (r < 0)
		return r;
	r = open_target(c, &t, err);
	if (r < 0)
		return r;
	/* When a step fails the app is still there, and destroying it again
	 * goes on. */
	r = t ? t->ops->destroy(t, &c->app, err) : 0;
	close_target(t);
	if (r < 0)
		return err_wrap(err, r, "destroy %s", c->app.name);
	r = remove_data(c, err);
	if (r < 0)
		return err_wrap(err, r, "destroy %s", c->app.name);
	app_lock_forget(c->cfg->data, c->app.id);
	call_printf(c, "Destroyed %s\n", c->app.name);
	return 0;
}
