#include "builder/jobs/finish.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/jobs/deploy_ref.h"
#include "builder/jobs/policy.h"
#include "builder/source/repo.h"
#include "builder/store/app_lock.h"
#include "builder/store/app_url.h"

#include <inttypes.h>
#include <string.h>

#define BRANCH_HEAD "refs/heads/"

/*
 * The stored push as it was judged: the branch that deployed then may not be
 * the app's deploy branch now.  Strings of *ret live in *ret_push.
 */
static int load_plan(const struct config *cfg, const struct job *job,
		     json_t **ret_push, struct push_plan *ret,
		     struct error *err)
{
	auto_free char *url = app_git_url(cfg, job->app);
	const char *branch = NULL;
	int r = json_parse(slice_str(job->request), "push", ret_push, err);

	if (strncmp(job->ref, BRANCH_HEAD, strlen(BRANCH_HEAD)) == 0)
		branch = job->ref + strlen(BRANCH_HEAD);
	return r < 0 ? r : push_plan_make(*ret_push, branch, url, ret, err);
}

/* Is the ref where this update wants it? */
static bool is_done(const struct config *cfg, const struct job *job,
		    const struct verdict *v)
{
	char now[OID_HEX + 1] = OID_ZERO;
	struct error ignored;
	int r = repo_read_ref(cfg, job->app_id, v->ref, now, &ignored);

	return (r == 0 || r == -ERR_NOTFOUND) && strcmp(now, v->new_oid) == 0;
}

/* Refs that only move were moved before the deploy, or never. */
static void judge_stored(const struct config *cfg, const struct job *job,
			 struct push_plan *plan, const char *reason)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct verdict *v = &plan->verdicts[i];

		if (v->meaning == MEANING_STORE && !is_done(cfg, job, v))
			push_plan_refuse_one(plan, v, reason);
	}
}

static int end(struct store *store, const struct job *job, enum job_state state,
	       const struct push_plan *plan, const char *reason,
	       struct error *err)
{
	json_auto_t *results = plan ? push_plan_results(plan) : json_array();
	auto_free char *verdicts = json_dumps(results, JSON_COMPACT);
	int r = store_job_finish(store, job->id, state,
				 verdicts ? verdicts : "[]", reason, err);

	return r < 0 ? r : 0;
}

static int refuse_job(const struct config *cfg, struct store *store,
		      const struct job *job, enum job_state state,
		      const char *reason, struct error *err)
{
	json_auto_t *push = NULL;
	struct push_plan plan;
	struct error ignored;
	int r;

	if (load_plan(cfg, job, &push, &plan, &ignored) < 0)
		return end(store, job, state, NULL, reason, err);
	if (plan.deploy)
		push_plan_refuse_one(&plan, plan.deploy, reason);
	judge_stored(cfg, job, &plan, reason);
	r = end(store, job, state, &plan, reason, err);
	push_plan_release(&plan);
	return r;
}

int job_refuse(const struct config *cfg, struct store *store, int64_t job_id,
	       enum job_state state, const char *reason, struct error *err)
{
	struct job job = { 0 };
	int r = store_job_get(store, job_id, &job, err);

	if (r == 0)
		r = refuse_job(cfg, store, &job, state, reason, err);
	job_release(&job);
	return r;
}

/* The worker's transaction (push_job.c), without what was done already. */
static int move_refs(const struct config *cfg, const struct job *job,
		     const struct push_plan *plan, struct error *err)
{
	auto_free char *deploys = deploy_ref_name(job->version);
	struct ref_update *updates = xcalloc(plan->count + 1, sizeof(*updates));
	size_t n = 0;
	int r;

	updates[n++] = (struct ref_update){ deploys, NULL, job->commit };
	for (size_t i = 0; i < plan->count; i++) {
		const struct verdict *v = &plan->verdicts[i];
		bool moves = v->meaning == MEANING_STORE && plan->is_atomic;

		if ((v != plan->deploy && !moves) || is_done(cfg, job, v))
			continue;
		updates[n++] =
			(struct ref_update){ v->ref, moves ? v->old_oid : NULL,
					     v->new_oid };
	}
	r = repo_update_refs(cfg, job->app_id, updates, n, err);
	free(updates);
	return r;
}

static int complete_plan(const struct config *cfg, struct store *store,
			 const struct job *job, struct push_plan *plan,
			 const char *reason, struct error *err)
{
	const char *commit = job->commit;
	struct error why;
	int r = repo_is_complete(cfg, job->app_id, &commit, 1, err);

	if (r < 0)
		return r;
	/* Without its boundary a shallow history must not become a ref; git
	 * moves it if the hook still waits for the answer. */
	plan->falls_through = r == 0;
	if (plan->falls_through)
		return end(store, job, JOB_SUCCEEDED, plan, "", err);
	r = move_refs(cfg, job, plan, &why);
	if (r == -ERR_EXISTS || r == -ERR_INVALID) {
		push_plan_refuse_one(plan, plan->deploy, why.msg);
		return end(store, job, JOB_FAILED, plan, why.msg, err);
	}
	if (r < 0) {
		*err = why;
		return r;
	}
	judge_stored(cfg, job, plan, reason);
	return end(store, job, JOB_SUCCEEDED, plan, "", err);
}

/* The deploy went live but its refs may not have moved: do that now. */
static int complete(const struct config *cfg, struct store *store,
		    const struct job *job, const char *reason,
		    struct error *err)
{
	json_auto_t *push = NULL;
	struct push_plan plan;
	int r = load_plan(cfg, job, &push, &plan, err);

	if (r < 0)
		return r;
	if (plan.deploy)
		r = complete_plan(cfg, store, job, &plan, reason, err);
	else
		r = err_set(err, ERR_PROTO, "the stored push deploys nothing");
	push_plan_release(&plan);
	return r;
}

/* A release without a push: its own ref is all that can be left to write. */
static int complete_release(const struct config *cfg, struct store *store,
			    const struct job *job, const char *commit,
			    struct error *err)
{
	int r = deploy_ref_record(cfg, job->app_id, job->version, commit, err);

	if (r < 0 && r != -ERR_EXISTS && r != -ERR_INVALID)
		return r;
	return end(store, job, JOB_SUCCEEDED, NULL, "", err);
}

static int settle_locked(const struct config *cfg, struct store *store,
			 const struct job *job, const char *reason,
			 struct error *err)
{
	struct release release = { 0 };
	bool is_live;
	int r;

	if (job->version == 0)
		return refuse_job(cfg, store, job, JOB_INTERRUPTED, reason,
				  err);
	r = store_release_get(store, job->app_id, job->version, &release, err);
	if (r < 0)
		return r;
	is_live = release.state == RELEASE_LIVE;
	if (release.state == RELEASE_PENDING)
		r = store_release_fail(store, job->app_id, job->version, reason,
				       err);
	if (r == 0 && !is_live)
		r = refuse_job(cfg, store, job, JOB_INTERRUPTED, reason, err);
	else if (r == 0 && job->kind == JOB_RELEASE)
		r = complete_release(cfg, store, job, release.commit, err);
	else if (r == 0)
		r = complete(cfg, store, job, reason, err);
	release_release(&release);
	return r;
}

int job_settle(const struct config *cfg, struct store *store, int64_t job_id,
	       const char *reason, struct error *err)
{
	auto_close int lock = -1;
	struct job job = { 0 };
	int r = store_job_get(store, job_id, &job, err);

	if (r < 0)
		return r;
	if (job_state_is_final(job.state)) {
		job_release(&job);
		return 0;
	}
	r = app_lock_take(cfg->data, job.app_id, 0, &lock, err);
	if (r == -ERR_TIMEOUT)
		r = 0; /* its worker is alive and will end it */
	else if (r == 0)
		r = settle_locked(cfg, store, &job, reason, err);
	job_release(&job);
	return r;
}
