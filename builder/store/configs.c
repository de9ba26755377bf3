#include "builder/store/store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/wipe.h"
#include "builder/store/db.h"

#include <string.h>

static int next_version(struct store *st, int64_t app_id, int64_t *ret,
			struct error *err)
{
	int r = db_get_int(st,
			   "UPDATE apps SET config_version = 1 + ("
			   " SELECT coalesce(max(version), 0) FROM configs"
			   " WHERE app_id = ?1)"
			   " WHERE id = ?1 RETURNING config_version",
			   DB_ARGS(DB_INT(app_id)), ret, err);

	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "the app is gone");
	return r < 0 ? r : 0;
}

int store_config_put(struct store *st, int64_t app_id, const json_t *vars,
		     const char *user, int64_t *ret_version, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	int64_t version = 0;
	char *text;
	int r = db_begin(&t, st, err);

	if (r == 0)
		r = next_version(st, app_id, &version, err);
	if (r < 0)
		return r;
	text = json_dumps(vars, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return err_set(err, ERR_BUG, "config vars cannot be stored");
	r = db_run(st,
		   "INSERT INTO configs (app_id, version, vars, user, created)"
		   " VALUES (?1, ?2, ?3, ?4, ?5)",
		   DB_ARGS(DB_INT(app_id), DB_INT(version), DB_TEXT(text),
			   DB_TEXT(user), DB_INT(db_now())),
		   err);
	wipe_text(text);
	if (r >= 0)
		r = db_commit(&t, err);
	if (r < 0)
		return r;
	*ret_version = version;
	return 0;
}

static void vars_row(struct db_query *q, void *item)
{
	*(char **)item = db_text(q, 0);
}

int store_config_get(struct store *st, int64_t app_id, int64_t version,
		     json_t **ret, struct error *err)
{
	char *text = NULL;
	int r;

	if (version == 0) {
		*ret = json_object();
		return 0;
	}
	r = db_one(st,
		   "SELECT vars FROM configs WHERE app_id = ?1"
		   " AND version = ?2",
		   DB_ARGS(DB_INT(app_id), DB_INT(version)), vars_row, &text,
		   err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "no config version %lld",
			       (long long)version);
	if (r > 0)
		r = json_parse(slice_str(text), "config vars", ret, err);
	wipe_text(text);
	return r;
}

int store_config_expire(struct store *st, int64_t app_id, int64_t keep,
			struct error *err)
{
	int r = db_run(st,
		       "DELETE FROM configs WHERE app_id = ?1"
		       " AND version <> (SELECT config_version FROM apps"
		       "  WHERE id = ?1)"
		       " AND version NOT IN (SELECT config_version"
		       "  FROM releases WHERE app_id = ?1"
		       "  AND state IN ('pending', 'live'))"
		       " AND version NOT IN (SELECT config_version"
		       "  FROM releases WHERE app_id = ?1 AND state = 'old'"
		       "  ORDER BY version DESC LIMIT ?2)",
		       DB_ARGS(DB_INT(app_id), DB_INT(keep)), err);

	return r < 0 ? r : 0;
}
