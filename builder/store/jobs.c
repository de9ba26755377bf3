#include "builder/store/store.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/store/db.h"

#include <string.h>

static const char *const state_names[] = {
	[JOB_QUEUED] = "queued",	 [JOB_RUNNING] = "running",
	[JOB_SUCCEEDED] = "succeeded",	 [JOB_FAILED] = "failed",
	[JOB_CANCELED] = "canceled",	 [JOB_INTERRUPTED] = "interrupted",
	[JOB_SUPERSEDED] = "superseded",
};

static const char *const kind_names[] = {
	[JOB_PUSH] = "push",
	[JOB_RELEASE] = "release",
};

void job_release(struct job *j)
{
	if (!j)
		return;
	free(j->app);
	free(j->user);
	free(j->fingerprint);
	free(j->ref);
	free(j->commit);
	free(j->request);
	free(j->verdicts);
	free(j->reason);
	free(j->image);
	*j = (struct job){ 0 };
}

const char *job_kind_name(enum job_kind kind)
{
	return kind == JOB_RELEASE ? kind_names[kind] : kind_names[JOB_PUSH];
}

const char *job_state_name(enum job_state state)
{
	if ((size_t)state >= ARRAY_SIZE(state_names))
		return "?";
	return state_names[state];
}

bool job_state_is_final(enum job_state state)
{
	return state != JOB_QUEUED && state != JOB_RUNNING;
}

static enum job_state state_from_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++)
		if (name && strcmp(name, state_names[i]) == 0)
			return (enum job_state)i;
	/* Never wait for the end of a job in a state we do not know. */
	return JOB_INTERRUPTED;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static int no_job(int64_t id, struct error *err)
{
	return err_set(err, ERR_NOTFOUND, "no build %lld", (long long)id);
}

int store_job_add(struct store *st, const struct job *j, int64_t *ret_id,
		  struct error *err)
{
	int r;

	r = db_run(st,
		   "INSERT INTO jobs (app_id, user, fingerprint, ref,"
		   " commit_id, request, state, created, kind)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7, ?8)",
		   DB_ARGS(DB_INT(j->app_id), DB_TEXT(or_empty(j->user)),
			   DB_TEXT(or_empty(j->fingerprint)),
			   DB_TEXT(or_empty(j->ref)),
			   DB_TEXT(or_empty(j->commit)),
			   DB_TEXT(or_empty(j->request)), DB_INT(db_now()),
			   DB_TEXT(job_kind_name(j->kind))),
		   err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_NOTFOUND, "the app is gone");
	if (r < 0)
		return r;
	*ret_id = db_last_id(st);
	return 0;
}

/* 0 when job `id` exists, else -ERR_NOTFOUND. */
static int check_job(struct store *st, int64_t id, struct error *err)
{
	int64_t found;
	int r;

	r = db_get_int(st, "SELECT 1 FROM jobs WHERE id = ?1",
		       DB_ARGS(DB_INT(id)), &found, err);
	if (r == 0)
		return no_job(id, err);
	return r < 0 ? r : 0;
}

int store_job_start(struct store *st, int64_t id, struct error *err)
{
	int r;

	r = db_run(st,
		   "UPDATE jobs SET state = 'running', started = ?2"
		   " WHERE id = ?1 AND state IN ('queued', 'running')",
		   DB_ARGS(DB_INT(id), DB_INT(db_now())), err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = check_job(st, id, err);
	if (r < 0)
		return r;
	return err_set(err, ERR_CANCELED, "build %lld has ended",
		       (long long)id);
}

int store_job_finish(struct store *st, int64_t id, enum job_state state,
		     const char *verdicts, const char *reason,
		     struct error *err)
{
	int r;

	if (!job_state_is_final(state))
		return err_set(err, ERR_BUG, "'%s' is no end of a build",
			       job_state_name(state));
	r = db_run(st,
		   "UPDATE jobs SET state = ?2, verdicts = ?3, reason = ?4,"
		   " finished = ?5"
		   " WHERE id = ?1 AND state IN ('queued', 'running')",
		   DB_ARGS(DB_INT(id), DB_TEXT(job_state_name(state)),
			   DB_TEXT(verdicts), DB_TEXT(reason),
			   DB_INT(db_now())),
		   err);
	return r != 0 ? r : check_job(st, id, err);
}

int store_job_set_image(struct store *st, int64_t id, const char *image,
			int64_t build_ms, struct error *err)
{
	int r;

	r = db_run(st,
		   "UPDATE jobs SET image = ?2, build_ms = ?3 WHERE id = ?1",
		   DB_ARGS(DB_INT(id), DB_TEXT(image), DB_INT(build_ms)), err);
	if (r == 0)
		return no_job(id, err);
	return r < 0 ? r : 0;
}

#define JOB_SELECT_REQUEST(request)                                            \
	"SELECT j.id, j.app_id, a.name, j.user, j.fingerprint, j.ref,"         \
	" j.commit_id, " request ", j.state, j.verdicts, j.reason, j.image,"   \
	" j.version, j.created, j.started, j.finished, j.build_ms, j.kind"     \
	" FROM jobs j JOIN apps a ON a.id = j.app_id "
#define JOB_SELECT JOB_SELECT_REQUEST("j.request")
/* A request may be a megabyte, a list may be long. */
#define JOB_SELECT_SHORT JOB_SELECT_REQUEST("''")

static void job_row(struct db_query *q, void *item)
{
	auto_free char *state = db_text(q, 8);
	auto_free char *kind = db_text(q, 17);
	struct job *j = item;

	j->id = db_int(q, 0);
	j->app_id = db_int(q, 1);
	j->app = db_text(q, 2);
	j->user = db_text(q, 3);
	j->fingerprint = db_text(q, 4);
	j->ref = db_text(q, 5);
	j->commit = db_text(q, 6);
	j->request = db_text(q, 7);
	j->state = state_from_name(state);
	j->verdicts = db_text(q, 9);
	j->reason = db_text(q, 10);
	j->image = db_text(q, 11);
	j->version = db_int(q, 12);
	j->created = db_int(q, 13);
	j->started = db_int(q, 14);
	j->finished = db_int(q, 15);
	j->build_ms = db_int(q, 16);
	if (kind && strcmp(kind, kind_names[JOB_RELEASE]) == 0)
		j->kind = JOB_RELEASE;
}

int store_job_get(struct store *st, int64_t id, struct job *ret,
		  struct error *err)
{
	int r;

	r = db_one(st, JOB_SELECT "WHERE j.id = ?1", DB_ARGS(DB_INT(id)),
		   job_row, ret, err);
	if (r == 0)
		return no_job(id, err);
	return r < 0 ? r : 0;
}

int store_jobs(struct store *st, int64_t app_id, int limit, struct job **ret,
	       struct error *err)
{
	return db_collect(st,
			  JOB_SELECT_SHORT "WHERE j.app_id = ?1"
					   " AND j.commit_id <> ''"
					   " ORDER BY j.id DESC LIMIT ?2",
			  DB_ARGS(DB_INT(app_id), DB_INT(limit)), sizeof(**ret),
			  job_row, ret, err);
}

int store_jobs_unfinished(struct store *st, struct job **ret, struct error *err)
{
	return db_collect(st,
			  JOB_SELECT "WHERE j.state IN ('queued', 'running')"
				     " ORDER BY j.id",
			  DB_NO_ARGS, sizeof(**ret), job_row, ret, err);
}

static void id_row(struct db_query *q, void *item)
{
	*(int64_t *)item = db_int(q, 0);
}

int store_job_ids(struct store *st, int64_t app_id, int64_t **ret,
		  struct error *err)
{
	return db_collect(st,
			  "SELECT id FROM jobs WHERE ?1 = 0 OR app_id = ?1"
			  " ORDER BY id",
			  DB_ARGS(DB_INT(app_id)), sizeof(**ret), id_row, ret,
			  err);
}

int store_jobs_expire(struct store *st, int keep, int64_t **ret,
		      struct error *err)
{
	return db_collect(st,
			  "DELETE FROM jobs WHERE id IN ("
			  " SELECT id FROM (SELECT id, row_number() OVER"
			  "  (PARTITION BY app_id ORDER BY id DESC) AS place"
			  "  FROM jobs WHERE state NOT IN"
			  "  ('queued', 'running'))"
			  " WHERE place > ?1) RETURNING id",
			  DB_ARGS(DB_INT(keep)), sizeof(**ret), id_row, ret,
			  err);
}
