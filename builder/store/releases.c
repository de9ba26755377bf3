#include "builder/store/store.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/store/db.h"

#include <string.h>

static const char *const state_names[] = {
	[RELEASE_PENDING] = "pending",
	[RELEASE_LIVE] = "live",
	[RELEASE_OLD] = "old",
	[RELEASE_FAILED] = "failed",
};

void release_release(struct release *r)
{
	if (!r)
		return;
	free(r->commit);
	free(r->image);
	free(r->description);
	free(r->user);
	free(r->processes);
	free(r->reason);
	free(r->target);
	free(r->published);
	*r = (struct release){ 0 };
}

const char *release_state_name(enum release_state state)
{
	if ((size_t)state >= ARRAY_SIZE(state_names))
		return "?";
	return state_names[state];
}

static enum release_state state_from_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++)
		if (name && strcmp(name, state_names[i]) == 0)
			return (enum release_state)i;
	return RELEASE_FAILED;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static int no_release(int64_t version, struct error *err)
{
	if (version == 0)
		return err_set(err, ERR_NOTFOUND, "no release is live");
	return err_set(err, ERR_NOTFOUND, "no release v%lld",
		       (long long)version);
}

static int next_version(struct store *st, int64_t app_id, int64_t *ret,
			struct error *err)
{
	int r;

	r = db_get_int(st,
		       "UPDATE apps SET next_version = next_version + 1"
		       " WHERE id = ?1 RETURNING next_version - 1",
		       DB_ARGS(DB_INT(app_id)), ret, err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "the app is gone");
	return r < 0 ? r : 0;
}

int store_release_add(struct store *st, const struct release *r,
		      int64_t *ret_version, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	int64_t version;
	int e;

	e = db_begin(&t, st, err);
	if (e < 0)
		return e;
	e = next_version(st, r->app_id, &version, err);
	if (e < 0)
		return e;
	e = db_run(st,
		   "INSERT INTO releases (app_id, version, job_id, commit_id,"
		   " image, description, user, processes, state, created,"
		   " target, config_version)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending', ?9,"
		   " ?10, ?11)",
		   DB_ARGS(DB_INT(r->app_id), DB_INT(version),
			   DB_INT(r->job_id), DB_TEXT(or_empty(r->commit)),
			   DB_TEXT(or_empty(r->image)),
			   DB_TEXT(or_empty(r->description)),
			   DB_TEXT(or_empty(r->user)),
			   DB_TEXT(or_empty(r->processes)), DB_INT(db_now()),
			   DB_TEXT(or_empty(r->target)),
			   DB_INT(r->config_version)),
		   err);
	if (e < 0)
		return e;
	e = db_run(
		st,
		"UPDATE jobs SET version = ?1 WHERE id = ?2"
		" AND app_id = ?3",
		DB_ARGS(DB_INT(version), DB_INT(r->job_id), DB_INT(r->app_id)),
		err);
	if (e < 0)
		return e;
	e = db_commit(&t, err);
	if (e < 0)
		return e;
	*ret_version = version;
	return 0;
}

int store_release_live(struct store *st, int64_t app_id, int64_t version,
		       struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	int r;

	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	/* First: only one may be live at any time (releases_live). */
	r = db_run(st,
		   "UPDATE releases SET state = 'old' WHERE app_id = ?1"
		   " AND state = 'live' AND version <> ?2",
		   DB_ARGS(DB_INT(app_id), DB_INT(version)), err);
	if (r < 0)
		return r;
	r = db_run(st,
		   "UPDATE releases SET state = 'live', reason = ''"
		   " WHERE app_id = ?1 AND version = ?2",
		   DB_ARGS(DB_INT(app_id), DB_INT(version)), err);
	if (r == 0)
		return no_release(version, err);
	if (r < 0)
		return r;
	return db_commit(&t, err);
}

int store_release_set_image(struct store *st, int64_t app_id, int64_t version,
			    const char *image, const char *processes,
			    struct error *err)
{
	int r = db_run(st,
		       "UPDATE releases SET image = ?3, processes = ?4"
		       " WHERE app_id = ?1 AND version = ?2"
		       " AND state = 'pending'",
		       DB_ARGS(DB_INT(app_id), DB_INT(version), DB_TEXT(image),
			       DB_TEXT(processes)),
		       err);

	if (r == 0)
		return no_release(version, err);
	return r < 0 ? r : 0;
}

int store_release_set_published(struct store *st, int64_t app_id,
				int64_t version, const char *image,
				struct error *err)
{
	int r = db_run(st,
		       "UPDATE releases SET published = ?3"
		       " WHERE app_id = ?1 AND version = ?2"
		       " AND state = 'pending'",
		       DB_ARGS(DB_INT(app_id), DB_INT(version), DB_TEXT(image)),
		       err);

	if (r == 0)
		return no_release(version, err);
	return r < 0 ? r : 0;
}

int store_release_fail(struct store *st, int64_t app_id, int64_t version,
		       const char *reason, struct error *err)
{
	struct release found = { 0 };
	int r;

	r = db_run(st,
		   "UPDATE releases SET state = 'failed', reason = ?3"
		   " WHERE app_id = ?1 AND version = ?2"
		   " AND state IN ('pending', 'failed')",
		   DB_ARGS(DB_INT(app_id), DB_INT(version), DB_TEXT(reason)),
		   err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (version == 0)
		return no_release(version, err);
	r = store_release_get(st, app_id, version, &found, err);
	if (r < 0)
		return r;
	r = err_set(err, ERR_EXISTS, "release v%lld is %s", (long long)version,
		    release_state_name(found.state));
	release_release(&found);
	return r;
}

#define RELEASE_SELECT                                                         \
	"SELECT app_id, version, job_id, commit_id, image, description,"       \
	" user, processes, state, reason, created, target, published,"         \
	" config_version FROM releases "

static void release_row(struct db_query *q, void *item)
{
	auto_free char *state = db_text(q, 8);
	struct release *r = item;

	r->app_id = db_int(q, 0);
	r->version = db_int(q, 1);
	r->job_id = db_int(q, 2);
	r->commit = db_text(q, 3);
	r->image = db_text(q, 4);
	r->description = db_text(q, 5);
	r->user = db_text(q, 6);
	r->processes = db_text(q, 7);
	r->state = state_from_name(state);
	r->reason = db_text(q, 9);
	r->created = db_int(q, 10);
	r->target = db_text(q, 11);
	r->published = db_text(q, 12);
	r->config_version = db_int(q, 13);
}

int store_release_get(struct store *st, int64_t app_id, int64_t version,
		      struct release *ret, struct error *err)
{
	int r;

	r = db_one(st,
		   RELEASE_SELECT "WHERE app_id = ?1 AND CASE ?2 WHEN 0"
				  " THEN state = 'live' ELSE version = ?2 END",
		   DB_ARGS(DB_INT(app_id), DB_INT(version)), release_row, ret,
		   err);
	if (r == 0)
		return no_release(version, err);
	return r < 0 ? r : 0;
}

int store_releases(struct store *st, int64_t app_id, int limit,
		   struct release **ret, struct error *err)
{
	return db_collect(st,
			  RELEASE_SELECT "WHERE app_id = ?1"
					 " ORDER BY version DESC LIMIT ?2",
			  DB_ARGS(DB_INT(app_id), DB_INT(limit)), sizeof(**ret),
			  release_row, ret, err);
}

int store_release_interrupted(struct store *st, int64_t app_id,
			      int64_t *ret_version, struct error *err)
{
	return db_get_int(st,
			  "SELECT r.version FROM releases r"
			  " JOIN jobs j ON j.id = r.job_id"
			  " WHERE r.app_id = ?1 AND r.state = 'failed'"
			  " AND (j.state = 'interrupted'"
			  "  OR EXISTS (SELECT 1 FROM journal"
			  "   WHERE job_id = r.job_id AND step = 'rollout'"
			  "   AND event = 'done'))"
			  " AND r.version > COALESCE((SELECT version"
			  "  FROM releases WHERE app_id = ?1"
			  "  AND state = 'live'), 0)"
			  " ORDER BY r.version DESC LIMIT 1",
			  DB_ARGS(DB_INT(app_id)), ret_version, err);
}
