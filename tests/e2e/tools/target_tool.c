/*
 * Drives the local engine as a target (builder/rollout/target.h) from tests:
 *
 *   target_tool [-o KEY=VALUE]… VERB…
 *
 *   create APP                     prints its id
 *   deploy APP IMAGE PROCESSES     release, rollout, live, settle
 *   rollout APP IMAGE PROCESSES    release and rollout only, as a worker that
 *                                  dies after the switch
 *   ps APP                         "type index version state detail"
 *   logs APP TAIL [-f] [PROCESS]
 *   rename APP NEW | destroy APP | owner
 *   reconcile
 *   hold APP                       keep its lock until killed
 *
 * Transcript lines go to stdout.  Exits 0, or 1 with the error on stderr.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/engine/engine.h"
#include "builder/engine/image.h"
#include "builder/rollout/image_name.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"
#include "builder/store/app_lock.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMIT	   "3f2c1ab03f2c1ab03f2c1ab03f2c1ab03f2c1ab0"
#define USAGE_EXIT 2

static const char *cancel_file;

static void say_step(void *ctx, const char *line)
{
	(void)ctx;
	printf("-----> %s\n", line);
	fflush(stdout);
}

static void say_detail(void *ctx, const char *line)
{
	(void)ctx;
	printf("       %s\n", line);
	fflush(stdout);
}

static void say_error(void *ctx, const char *line)
{
	(void)ctx;
	printf(" !     %s\n", line);
	fflush(stdout);
}

static void say_busy(void *ctx, const char *what)
{
	(void)ctx;
	(void)what;
}

static bool is_canceled(void *ctx)
{
	(void)ctx;
	return cancel_file && access(cancel_file, F_OK) == 0;
}

static const struct target_report report = {
	.step = say_step,
	.detail = say_detail,
	.error = say_error,
	.busy = say_busy,
	.progress = say_busy,
	.is_canceled = is_canceled,
};

struct tool {
	struct config cfg;
	struct store *store;
	struct target *target;
	char **args; /* after the verb */
	int count;
};

static int do_create(struct tool *t, struct error *err)
{
	struct app app = { .id = 0 };
	int r = store_app_create(t->store, t->args[0], "", TARGET_LOCAL, &app,
				 err);

	if (r == 0)
		printf("%" PRId64 "\n", app.id);
	app_release(&app);
	return r;
}

static int tag_image(struct tool *t, const struct release *release,
		     struct error *err)
{
	auto_free char *tag = xasprintf("%" PRId64, release->version);
	auto_free char *owner = NULL;
	auto_free char *repo = NULL;
	struct engine *engine = NULL;
	int r = store_owner(t->store, &owner, err);

	if (r == 0)
		r = engine_open(t->cfg.engine, &engine, err);
	if (r < 0)
		return r;
	repo = image_repository(owner, release->app_id);
	r = image_tag(engine, release->image, repo, tag, err);
	engine_close(engine);
	return r;
}

static int add_release(struct tool *t, const struct app *app,
		       struct release *ret, struct error *err)
{
	int r;

	ret->app_id = app->id;
	ret->commit = xstrdup(COMMIT);
	ret->image = xstrdup(t->args[1]);
	ret->description = xstrdup("");
	ret->user = xstrdup("");
	ret->processes = xstrdup(t->args[2]);
	r = store_release_add(t->store, ret, &ret->version, err);
	return r < 0 ? r : tag_image(t, ret, err);
}

static int deploy(struct tool *t, const struct app *app,
		  struct release *release, bool stops_early, struct error *err)
{
	auto_close int lock = -1;
	auto_free char *url = NULL;
	struct error ignored;
	int r = app_lock_take(t->cfg.data, app->id, 10000, &lock, err);

	if (r == 0)
		r = add_release(t, app, release, err);
	if (r == 0)
		r = t->target->ops->rollout(t->target, app, release, &report,
					    &url, err);
	if (r < 0) {
		if (store_release_fail(t->store, app->id, release->version,
				       err->msg, &ignored) < 0)
			fprintf(stderr, "%s\n", ignored.msg);
		return r;
	}
	printf("=====> %s\n", url);
	fflush(stdout);
	if (stops_early)
		return 0;
	r = store_release_live(t->store, app->id, release->version, err);
	if (r == 0)
		r = t->target->ops->settle(t->target, app, release, &report,
					   err);
	return r;
}

static int do_deploy(struct tool *t, const struct app *app, bool stops_early,
		     struct error *err)
{
	struct release release = { .version = 0 };
	int r = deploy(t, app, &release, stops_early, err);

	release_release(&release);
	return r;
}

static int do_ps(struct tool *t, const struct app *app, struct error *err)
{
	auto_free struct target_process *list = NULL;
	int count = t->target->ops->processes(t->target, app, &list, err);

	for (int i = 0; i < count; i++)
		printf("%s %d %" PRId64 " %s %s\n", list[i].type, list[i].index,
		       list[i].version, list[i].state, list[i].detail);
	return count < 0 ? count : 0;
}

static int print_line(void *ctx, struct slice line)
{
	(void)ctx;
	printf("%.*s\n", (int)line.len, line.ptr);
	fflush(stdout);
	return 0;
}

static int do_logs(struct tool *t, const struct app *app, struct error *err)
{
	struct target_log_options options = { .tail = (int)strtol(t->args[1],
								  NULL, 10) };

	for (int i = 2; i < t->count; i++) {
		if (strcmp(t->args[i], "-f") == 0)
			options.follow = true;
		else
			options.process = t->args[i];
	}
	return t->target->ops->logs(t->target, app, &options, print_line, NULL,
				    err);
}

static int do_rename(struct tool *t, struct app *app, struct error *err)
{
	int r = store_app_rename(t->store, app->id, t->args[1], err);

	if (r < 0)
		return r;
	free(app->name);
	app->name = xstrdup(t->args[1]);
	return t->target->ops->rename(t->target, app, err);
}

static int do_destroy(struct tool *t, const struct app *app, struct error *err)
{
	int r = t->target->ops->destroy(t->target, app, err);

	return r < 0 ? r : store_app_remove(t->store, app->id, err);
}

static int do_hold(struct tool *t, const struct app *app, struct error *err)
{
	auto_close int lock = -1;
	int r = app_lock_take(t->cfg.data, app->id, 10000, &lock, err);

	if (r < 0)
		return r;
	printf("held\n");
	fflush(stdout);
	for (;;)
		pause();
}

static int do_reconcile(struct tool *t, struct error *err)
{
	struct app *apps = NULL;
	int count = store_apps(t->store, NULL, &apps, err);
	struct release *live;
	int r = count < 0 ? count : 0;

	if (count < 0)
		return count;
	live = xcalloc((size_t)count, sizeof(*live));
	for (int i = 0; i < count && r == 0; i++)
		if (apps[i].live_version)
			r = store_release_get(t->store, apps[i].id, 0, &live[i],
					      err);
	if (r == 0)
		r = t->target->ops->reconcile(t->target, apps, live,
					      (size_t)count, &report, err);
	for (int i = 0; i < count; i++) {
		app_release(&apps[i]);
		release_release(&live[i]);
	}
	free(apps);
	free(live);
	return r;
}

static int do_owner(struct tool *t, struct error *err)
{
	auto_free char *owner = NULL;
	int r = store_owner(t->store, &owner, err);

	if (r == 0)
		printf("%s\n", owner);
	return r;
}

static int on_app(struct tool *t, const char *verb, struct error *err)
{
	struct app app = { .id = 0 };
	int r = store_app_get(t->store, t->args[0], &app, err);

	if (r < 0)
		return r;
	if (strcmp(verb, "deploy") == 0 && t->count == 3)
		r = do_deploy(t, &app, false, err);
	else if (strcmp(verb, "rollout") == 0 && t->count == 3)
		r = do_deploy(t, &app, true, err);
	else if (strcmp(verb, "ps") == 0)
		r = do_ps(t, &app, err);
	else if (strcmp(verb, "logs") == 0 && t->count >= 2)
		r = do_logs(t, &app, err);
	else if (strcmp(verb, "rename") == 0 && t->count == 2)
		r = do_rename(t, &app, err);
	else if (strcmp(verb, "destroy") == 0)
		r = do_destroy(t, &app, err);
	else if (strcmp(verb, "hold") == 0)
		r = do_hold(t, &app, err);
	else
		r = err_set(err, ERR_INVALID, "what is '%s'?", verb);
	app_release(&app);
	return r;
}

static int run(struct tool *t, const char *verb, struct error *err)
{
	auto_free char *path = xasprintf("%s/slipway.db", t->cfg.data);
	int r = store_open(path, &t->store, err);

	if (r < 0)
		return r;
	if (strcmp(verb, "owner") == 0)
		return do_owner(t, err);
	if (strcmp(verb, "create") == 0 && t->count == 1)
		return do_create(t, err);
	r = target_open(&t->cfg, t->store, TARGET_LOCAL, &t->target, err);
	if (r < 0)
		return r;
	if (strcmp(verb, "reconcile") == 0)
		return do_reconcile(t, err);
	if (t->count < 1)
		return err_set(err, ERR_INVALID, "which app?");
	return on_app(t, verb, err);
}

int main(int argc, char **argv)
{
	struct tool t = { .store = NULL };
	struct error err = ERROR_INIT;
	int r = 0;
	int i = 1;

	cancel_file = getenv("CANCEL_FILE");
	config_init(&t.cfg);
	for (; r == 0 && i + 1 < argc && strcmp(argv[i], "-o") == 0; i += 2)
		r = config_set_option(&t.cfg, argv[i + 1], &err);
	if (r == 0 && i >= argc) {
		fprintf(stderr, "usage: target_tool [-o K=V]… VERB…\n");
		return USAGE_EXIT;
	}
	if (r == 0) {
		t.args = argv + i + 1;
		t.count = argc - i - 1;
		r = run(&t, argv[i], &err);
	}
	if (r < 0)
		fprintf(stderr, "failed (%s): %s\n",
			err_code_name((enum err_code) - r), err.msg);
	if (t.target)
		t.target->ops->close(t.target);
	store_close(t.store);
	config_release(&t.cfg);
	return r < 0;
}
