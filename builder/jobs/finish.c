#include "builder/jobs/finish.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/jobs/policy.h"
#include "builder/source/repo.h"
#include "builder/store/app_lock.h"

#include <string.h>

/* Verdicts that refuse every update of the stored push; the caller's. */
static char *refusal(const struct job *job, const char *reason)
{
	json_auto_t *push = NULL;
	json_auto_t *results = NULL;
	struct push_plan plan;
	struct error ignored;

	if (json_parse(slice_str(job->request), "push", &push, &ignored) < 0 ||
	    push_plan_make(push, NULL, "", &plan, &ignored) < 0)
		return xstrdup("[]");
	push_plan_refuse(&plan, reason);
	results = push_plan_results(&plan);
	push_plan_release(&plan);
	return json_dumps(results, JSON_COMPACT);
}

static int refuse_job(struct store *store, const struct job *job,
		      enum job_state state, const char *reason,
		      struct error *err)
{
	auto_free char *verdicts = refusal(job, reason);
	int r = store_job_finish(store, job->id, state,
				 verdicts ? verdicts : "[]", reason, err);

	return r < 0 ? r : 0;
}

int job_refuse(const struct config *cfg, struct store *store, int64_t job_id,
	       enum job_state state, const char *reason, struct error *err)
{
	struct job job = { 0 };
	int r = store_job_get(store, job_id, &job, err);

	(void)cfg;
	if (r == 0)
		r = refuse_job(store, &job, state, reason, err);
	job_release(&job);
	return r;
}

/* The deploy went live but its ref may not have moved: do that now. */
static int complete(const struct config *cfg, struct store *store,
		    const struct job *job, struct error *err)
{
	auto_free char *verdicts =
		xasprintf("[{\"ref\":\"%s\",\"ok\":true}]", job->ref);
	char now[OID_HEX + 1] = OID_ZERO;
	struct ref_update update = { .ref = job->ref, .old_oid = now };
	json_auto_t *push = NULL;
	int r = repo_read_ref(cfg, job->app_id, job->ref, now, err);

	if (r < 0 && r != -ERR_NOTFOUND)
		return r;
	r = json_parse(slice_str(job->request), "push", &push, err);
	if (r < 0)
		return r;
	update.new_oid = job->commit;
	/* Without its boundary a shallow history must not become a ref. */
	r = repo_is_complete(cfg, job->app_id, &update.new_oid, 1, err);
	if (r < 0)
		return r;
	r = r == 0 || strcmp(now, job->commit) == 0
		    ? 0
		    : repo_update_refs(cfg, job->app_id, &update, 1, err);
	if (r < 0)
		return r;
	r = store_job_finish(store, job->id, JOB_SUCCEEDED, verdicts, "", err);
	return r < 0 ? r : 0;
}

static int settle_locked(const struct config *cfg, struct store *store,
			 const struct job *job, const char *reason,
			 struct error *err)
{
	struct release release = { 0 };
	bool is_live;
	int r;

	if (job->version == 0)
		return refuse_job(store, job, JOB_INTERRUPTED, reason, err);
	r = store_release_get(store, job->app_id, job->version, &release, err);
	if (r < 0)
		return r;
	is_live = release.state == RELEASE_LIVE;
	if (release.state == RELEASE_PENDING)
		r = store_release_fail(store, job->app_id, job->version, reason,
				       err);
	release_release(&release);
	if (r < 0)
		return r;
	if (is_live)
		return complete(cfg, store, job, err);
	return refuse_job(store, job, JOB_INTERRUPTED, reason, err);
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
