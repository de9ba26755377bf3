/* apps:rename, apps:destroy */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/commands/app_hold.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"
#include "builder/rollout/target.h"
#include "builder/source/repo.h"
#include "builder/store/app_lock.h"
#include "builder/store/app_url.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CONFIRM_MAX 256

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
	auto_free char *url = NULL;
	auto_close int lock = -1;
	struct target *t = NULL;
	int r;

	r = app_name_check(to, err);
	if (r < 0)
		return r;
	r = app_hold(c, &lock, err);
	if (r < 0)
		return r;
	r = app_open_target(c, &t, err);
	if (r < 0)
		return r;
	r = move_name(c, t, to, err);
	app_close_target(t);
	if (r < 0)
		return r;
	url = app_url(c->cfg, c->app.target, to);
	if (call_json(c, json_pack("{s:s, s:o, s:s}", "name", to, "url",
				   listing_text(url), "git_url", git_url)))
		return 0;
	call_printf(c, "Renamed %s to %s%s%s\n", c->app.name, to,
		    *url ? ": " : "", url);
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

	r = app_check_idle(c, err);
	if (r < 0)
		return r;
	r = confirm(c, err);
	if (r < 0)
		return r;
	r = app_hold(c, &lock, err);
	if (r < 0)
		return r;
	r = app_open_target(c, &t, err);
	if (r < 0)
		return r;
	/* When a step fails the app is still there, and destroying it again
	 * goes on. */
	r = t ? t->ops->destroy(t, &c->app, err) : 0;
	app_close_target(t);
	if (r < 0)
		return err_wrap(err, r, "destroy %s", c->app.name);
	r = remove_data(c, err);
	if (r < 0)
		return err_wrap(err, r, "destroy %s", c->app.name);
	app_lock_forget(c->cfg->data, c->app.id);
	call_printf(c, "Destroyed %s\n", c->app.name);
	return 0;
}
