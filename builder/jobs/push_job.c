/*
 * A stored push, carried out: refs that only move, then the one that deploys,
 * then the verdicts.
 */
#include "builder/jobs/worker.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "builder/jobs/app_turn.h"
#include "builder/jobs/deploy.h"
#include "builder/jobs/deploy_ref.h"
#include "builder/jobs/launch.h"
#include "builder/jobs/policy.h"
#include "builder/jobs/push_options.h"
#include "builder/jobs/transcript.h"
#include "builder/source/repo.h"
#include "builder/store/app_url.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <string.h>

#define BRANCH_HEAD "refs/heads/"

struct push_job {
	const struct config *cfg;
	struct store *store;
	const struct job *job;
	struct app app;
	json_t *push; /* the message; strings of the rest live in it */
	struct push_plan plan;
	struct push_options options;
	struct transcript out;
};

static bool is_ancestor(struct push_job *j, const char *older,
			const char *newer)
{
	struct error ignored;

	return repo_is_ancestor(j->cfg, j->app.id, older, newer, &ignored) == 1;
}

/*
 * The ref may have moved since the client looked, while this push waited.
 * What the client saw, or a fast-forward of what is there now, will do.
 */
static int present_value(struct push_job *j, const struct verdict *v,
			 char *ret_now, struct error *err)
{
	int r = repo_read_ref(j->cfg, j->app.id, v->ref, ret_now, err);

	if (r == -ERR_NOTFOUND)
		memcpy(ret_now, OID_ZERO, sizeof(OID_ZERO));
	else if (r < 0)
		return r;
	if (strcmp(ret_now, v->old_oid) == 0 ||
	    (strcmp(v->old_oid, OID_ZERO) != 0 && r == 0 &&
	     is_ancestor(j, ret_now, v->new_oid)))
		return 0;
	return err_set(err, ERR_EXISTS,
		       "the branch moved to %.7s meanwhile; fetch first",
		       r == 0 ? ret_now : "nothing");
}

/*
 * A push from a shallow clone whose boundary is new here: only git knows the
 * boundary and must write it down together with the refs.  So it moves them,
 * after the deploy, when our answer says "fall-through".
 */
static int find_new_boundary(struct push_job *j, struct error *err)
{
	const char **oids = xcalloc(j->plan.count, sizeof(*oids));
	size_t n = 0;
	int r;

	for (size_t i = 0; i < j->plan.count; i++)
		if (j->plan.verdicts[i].meaning != MEANING_REFUSE)
			oids[n++] = j->plan.verdicts[i].new_oid;
	r = n ? repo_is_complete(j->cfg, j->app.id, oids, n, err) : 1;
	free(oids);
	j->plan.falls_through = r == 0;
	return r < 0 ? r : 0;
}

/* ---- refs that only move ---- */

static struct ref_update as_update(const struct verdict *v)
{
	return (struct ref_update){ v->ref, v->old_oid, v->new_oid };
}

/* All of them in one go; when that fails each alone, to say which. */
static void store_refs(struct push_job *j)
{
	struct ref_update *updates = xcalloc(j->plan.count, sizeof(*updates));
	struct error err;
	size_t n = 0;

	for (size_t i = 0; i < j->plan.count; i++)
		if (j->plan.verdicts[i].meaning == MEANING_STORE)
			updates[n++] = as_update(&j->plan.verdicts[i]);
	if (n == 0 ||
	    repo_update_refs(j->cfg, j->app.id, updates, n, &err) == 0) {
		free(updates);
		return;
	}
	free(updates);
	for (size_t i = 0; i < j->plan.count; i++) {
		struct verdict *v = &j->plan.verdicts[i];
		struct ref_update one = as_update(v);

		if (v->meaning != MEANING_STORE)
			continue;
		if (repo_update_refs(j->cfg, j->app.id, &one, 1, &err) < 0)
			push_plan_refuse_one(&j->plan, v, err.msg);
	}
}

/* ---- the ref that deploys ---- */

/*
 * Move the deploy branch, record refs/deploys/vN, and with an atomic push
 * everything else that was pushed, in one transaction.
 */
static int move_refs(struct push_job *j, const struct deploy *d,
		     const char *now, struct error *err)
{
	auto_free char *deploys = deploy_ref_name(d->release.version);
	struct ref_update *updates =
		xcalloc(j->plan.count + 1, sizeof(*updates));
	size_t n = 0;
	int r;

	updates[n++] =
		(struct ref_update){ deploys, NULL, j->plan.deploy->new_oid };
	for (size_t i = 0; i < j->plan.count && !j->plan.falls_through; i++) {
		struct verdict *v = &j->plan.verdicts[i];

		if (v == j->plan.deploy)
			updates[n++] =
				(struct ref_update){ v->ref, now, v->new_oid };
		else if (j->plan.is_atomic && v->meaning == MEANING_STORE)
			updates[n++] = as_update(v);
	}
	r = repo_update_refs(j->cfg, j->app.id, updates, n, err);
	free(updates);
	return r;
}

/* The first deploy decides which branch deploys. */
static void adopt_branch(struct push_job *j)
{
	const char *branch = j->job->ref + strlen(BRANCH_HEAD);
	struct error err;
	int r = 0;

	if (!j->app.deploy_branch)
		r = store_app_set_branch(j->store, j->app.id, branch, &err);
	if (r == 0)
		r = repo_set_head(j->cfg, j->app.id, branch, &err);
	if (r < 0)
		log_warn("app=%s %s", j->app.name, err.msg);
}

static void refuse_deploy(struct push_job *j, struct deploy *d, int r,
			  const struct error *why)
{
	auto_buf struct buf line = BUF_INIT(REASON_MAX);

	launch_fail(d, r, why, &line);
	push_plan_refuse_one(&j->plan, j->plan.deploy, buf_str(&line));
}

static int deploy_and_move(struct push_job *j, struct deploy *d,
			   const char *now, struct error *err)
{
	int64_t began = clock_ms();
	int r = deploy_run(d, err);

	if (r == 0)
		r = launch_commit(d, err);
	if (r < 0)
		return r;
	adopt_branch(j);
	launch_tell_live(d, began);
	r = move_refs(j, d, now, err);
	if (r < 0) {
		/* It runs: say so rather than call it failed. */
		transcript_error(&j->out,
				 "v%" PRId64 " is live, but the ref could not "
				 "be moved: %s",
				 d->release.version, err->msg);
		push_plan_refuse_one(&j->plan, j->plan.deploy, err->msg);
	}
	return 0;
}

/* Things may have changed while we waited for the lock. */
static int load_app(struct push_job *j, struct error *err)
{
	app_release(&j->app);
	return store_app_get_id(j->store, j->job->app_id, &j->app, err);
}

/* ---- ends ---- */

static int finish(struct push_job *j, bool is_canceled, struct error *err)
{
	json_auto_t *results = push_plan_results(&j->plan);
	auto_free char *verdicts = json_dumps(results, JSON_COMPACT);
	const char *reason = "";
	enum job_state state = JOB_SUCCEEDED;
	int r;

	for (size_t i = 0; i < j->plan.count; i++) {
		const struct verdict *v = &j->plan.verdicts[i];

		if (v->meaning != MEANING_REFUSE)
			continue;
		/* With a deploy in the push, it alone makes it a failure. */
		if (j->job->ref[0] && strcmp(j->job->ref, v->ref) != 0)
			continue;
		reason = v->reason;
		state = is_canceled ? JOB_CANCELED : JOB_FAILED;
	}
	r = store_job_finish(j->store, j->job->id, state,
			     verdicts ? verdicts : "[]", reason, err);
	transcript_wake(&j->out);
	return r < 0 ? r : 0;
}

/* Deploy and report; what comes after the report does not keep anyone
 * waiting. */
static int run_deploy(struct push_job *j, struct error *err)
{
	struct deploy d = { .cfg = j->cfg,
			    .store = j->store,
			    .out = &j->out,
			    .job = j->job,
			    .app = &j->app,
			    .options = &j->options };
	char now[OID_HEX + 1] = OID_ZERO;
	struct error why = ERROR_INIT;
	auto_close int lock = -1;
	bool is_live = false;
	int r = app_turn_take(j->cfg, j->app.id, &j->out, &lock, &why);

	if (r == 0)
		r = load_app(j, &why);
	if (r == 0)
		r = present_value(j, j->plan.deploy, now, &why);
	if (r == 0) {
		r = deploy_and_move(j, &d, now, &why);
		is_live = r == 0;
	}
	if (r < 0)
		refuse_deploy(j, &d, r, &why);
	r = finish(j, r == -ERR_CANCELED, err);
	if (is_live)
		launch_settle(&d);
	deploy_release(&d);
	return r;
}

static int run(struct push_job *j, struct error *err)
{
	struct error why = ERROR_INIT;
	int r = store_job_start(j->store, j->job->id, err);

	if (r < 0)
		return r;
	if (push_options_parse(json_object_get(j->push, "options"), &j->options,
			       &why) < 0)
		push_plan_refuse(&j->plan, why.msg);
	r = find_new_boundary(j, err);
	if (r < 0)
		return r;
	if (!j->plan.falls_through && (!j->plan.is_atomic || !j->plan.deploy))
		store_refs(j);
	if (!j->plan.deploy)
		return finish(j, false, err);
	return run_deploy(j, err);
}

/* The pusher has the answer; what goes wrong here is no failure of theirs. */
static void tidy(struct push_job *j)
{
	struct error err;

	if (repo_repack(j->cfg, j->app.id, &err) < 0)
		log_warn("app=%s %s", j->app.name, err.msg);
}

static int load(struct push_job *j, struct error *err)
{
	auto_free char *url = NULL;
	int r = load_app(j, err);

	if (r == 0)
		r = json_parse(slice_str(j->job->request), "push", &j->push,
			       err);
	if (r < 0)
		return r;
	url = app_git_url(j->cfg, j->app.name);
	return push_plan_make(j->push, j->app.deploy_branch, url, &j->plan,
			      err);
}

int push_job_run(const struct config *cfg, struct store *store,
		 const struct job *job, int notify_fd, struct error *err)
{
	struct push_job j = {
		.cfg = cfg, .store = store, .job = job, .out.fd = -1
	};
	auto_free char *path = job_log_path(cfg->data, job->id);
	int r = load(&j, err);

	if (r == 0)
		r = transcript_open(&j.out, path, notify_fd, cfg->build_log_max,
				    err);
	if (r == 0)
		r = run(&j, err);
	transcript_close(&j.out);
	if (r == 0)
		tidy(&j);
	push_options_release(&j.options);
	push_plan_release(&j.plan);
	json_decref(j.push);
	app_release(&j.app);
	return r;
}
