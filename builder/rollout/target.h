/*
 * builder/rollout/target.h - the interface that a place to run apps
 * implements: the local engine (docker/target.h) and ECS (ecs/target.h).
 *
 * Runs in workers; blocks.
 */
#ifndef BUILDER_ROLLOUT_TARGET_H
#define BUILDER_ROLLOUT_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct app;
struct error;
struct release;
struct target;

/* What a running instance looks like in `ps`. */
struct target_process {
	char type[64]; /* "web" */
	int index;     /* 1 of web.1 */
	int64_t version;
	char state[32];	 /* "up", "starting", "crashed", "down" */
	char since[40];	 /* RFC 3339 */
	char detail[96]; /* address, health, exit code */
};

struct target_log_options {
	int tail; /* lines; < 0 = all */
	bool follow;
	const char *process; /* "web" or "web.1"; NULL = all */
	bool with_system;
	int64_t since;	  /* unix seconds; 0 = from the start */
	const char *grep; /* only lines with this text; NULL = all */
};

/* How a rollout talks to the person: one call per transcript line. */
struct target_report {
	void (*step)(void *ctx, const char *line);   /* "-----> " */
	void (*detail)(void *ctx, const char *line); /* 7 spaces */
	void (*error)(void *ctx, const char *line);  /* " !     " */
	/* A line of the app's own output; counts against build.log-max */
	void (*output)(void *ctx, struct slice line);
	/* What is going on now, for "still running: …"; NULL = nothing */
	void (*busy)(void *ctx, const char *what);
	/* How far it is, or what holds it up; NULL = not known */
	void (*progress)(void *ctx, const char *text);
	bool (*is_canceled)(void *ctx);
	void *ctx;
};

/*
 * The operations of one deploy come in this order: publish, release_phase,
 * rollout, settle.  A target is opened anew for each deploy and may remember
 * from one to the next what it made (a task definition).
 */
struct target_ops {
	/*
	 * Bring the release's image to where the target pulls it from
	 * (release->published says where it is already, when an earlier
	 * release of the same image brought it there; else ""), and
	 * its config vars to where the target reads them.  *ret_image is the
	 * image by digest there, the caller's; "" when there is no such place.
	 * 0 or as rollout.
	 */
	int (*publish)(struct target *t, const struct app *app,
		       const struct release *release,
		       const struct target_report *report, char **ret_image,
		       struct error *err);
	/*
	 * Run `command` (NULL-ended) once with the release's image and config
	 * vars, its lines to report->output.  -ERR_PEER: it ended other than
	 * with 0, or never started; err says how.
	 */
	int (*release_phase)(struct target *t, const struct app *app,
			     const struct release *release,
			     const char *const *command,
			     const struct target_report *report,
			     struct error *err);
	/*
	 * Bring `release` of `app` into service in the place of the one that
	 * runs: all of it or nothing.  *ret_url is the caller's.
	 *
	 * -ERR_PEER: the release is to blame (err says how in one line); what
	 * ran before still runs.  -ERR_CANCELED, -ERR_SYS, …: we are.
	 */
	int (*rollout)(struct target *t, const struct app *app,
		       const struct release *release,
		       const struct target_report *report, char **ret_url,
		       struct error *err);
	/* After the release was recorded as live: drain and stop the old
	 * ones, remove what is no longer needed. */
	int (*settle)(struct target *t, const struct app *app,
		      const struct release *release,
		      const struct target_report *report, struct error *err);
	/* Count; *ret is the caller's. */
	int (*processes)(struct target *t, const struct app *app,
			 struct target_process **ret, struct error *err);
	/* Lines "2026-…Z app[web.1]: text" to `sink`, which ends it by
	 * returning non-zero. */
	int (*logs)(struct target *t, const struct app *app,
		    const struct target_log_options *options,
		    int (*sink)(void *ctx, struct slice line), void *ctx,
		    struct error *err);
	/* Stop and remove everything of the app. */
	int (*destroy)(struct target *t, const struct app *app,
		       struct error *err);
	/* The app's host name changed (rename). */
	int (*rename)(struct target *t, const struct app *app,
		      struct error *err);
	/*
	 * Make what runs equal to what is recorded: `live[i]` is the live
	 * release of `apps[i]` (version 0 = none).  On an engine: removes
	 * containers of other releases and of apps that are gone, starts what
	 * is missing, writes every route.  On ECS, which keeps up by itself
	 * what it was told: takes back what an interrupted deploy told it,
	 * and does not wait for that; -ERR_TIMEOUT when the app is being
	 * deployed.
	 */
	int (*reconcile)(struct target *t, const struct app *apps,
			 const struct release *live, size_t count,
			 const struct target_report *report, struct error *err);
	void (*close)(struct target *t);
};

struct target {
	const struct target_ops *ops;
};

#endif
