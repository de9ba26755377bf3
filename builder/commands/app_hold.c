#include "builder/commands/app_hold.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"
#include "builder/store/app_lock.h"

#include <inttypes.h>

#define LOCK_WAIT_MS 2000

int app_check_idle(struct call *c, struct error *err)
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

int app_hold(struct call *c, int *ret_fd, struct error *err)
{
	auto_close int fd = -1;
	struct app app = { 0 };
	int r;

	r = app_check_idle(c, err);
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
	r = app_check_idle(c, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int app_open_target(struct call *c, struct target **ret, struct error *err)
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

void app_close_target(struct target *t)
{
	if (t)
		t->ops->close(t);
}
