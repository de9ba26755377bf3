#include "builder/store/schema.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/store/db.h"

#include <stdio.h>

/* "SLPW": tells our files from other programs' databases. */
#define APPLICATION_ID 0x534c5057

/* steps[N] leads from version N to N + 1. */
static const char *const steps[] = {
	"CREATE TABLE settings ("
	"  key TEXT PRIMARY KEY,"
	"  value TEXT NOT NULL"
	") WITHOUT ROWID;"

	"CREATE TABLE users ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  name TEXT NOT NULL UNIQUE,"
	"  is_admin INTEGER NOT NULL,"
	"  created INTEGER NOT NULL"
	");"

	"CREATE TABLE keys ("
	"  id INTEGER PRIMARY KEY,"
	"  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,"
	"  name TEXT NOT NULL,"
	"  fingerprint TEXT NOT NULL UNIQUE,"
	"  text TEXT NOT NULL UNIQUE,"
	"  created INTEGER NOT NULL,"
	"  last_used INTEGER NOT NULL DEFAULT 0,"
	"  UNIQUE (user_id, name)"
	");"

	/* AUTOINCREMENT: an id names a repository and networks for ever. */
	"CREATE TABLE apps ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  name TEXT NOT NULL UNIQUE,"
	"  deploy_branch TEXT,"
	"  target TEXT NOT NULL,"
	"  subnet TEXT UNIQUE,"
	"  owner TEXT NOT NULL,"
	"  created INTEGER NOT NULL,"
	"  next_version INTEGER NOT NULL DEFAULT 1"
	");"

	"CREATE TABLE grants ("
	"  app_id INTEGER NOT NULL REFERENCES apps ON DELETE CASCADE,"
	"  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,"
	"  role TEXT NOT NULL,"
	"  PRIMARY KEY (app_id, user_id)"
	") WITHOUT ROWID;"
	"CREATE INDEX grants_user ON grants (user_id);"

	/* Who pushed stays readable when the user is gone: names, not ids. */
	"CREATE TABLE jobs ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  app_id INTEGER NOT NULL REFERENCES apps ON DELETE CASCADE,"
	"  user TEXT NOT NULL,"
	"  fingerprint TEXT NOT NULL,"
	"  ref TEXT NOT NULL,"
	"  commit_id TEXT NOT NULL,"
	"  request TEXT NOT NULL,"
	"  state TEXT NOT NULL,"
	"  verdicts TEXT NOT NULL DEFAULT '',"
	"  reason TEXT NOT NULL DEFAULT '',"
	"  image TEXT NOT NULL DEFAULT '',"
	"  version INTEGER NOT NULL DEFAULT 0,"
	"  created INTEGER NOT NULL,"
	"  started INTEGER NOT NULL DEFAULT 0,"
	"  finished INTEGER NOT NULL DEFAULT 0,"
	"  build_ms INTEGER NOT NULL DEFAULT 0"
	");"
	"CREATE INDEX jobs_app ON jobs (app_id, id);"
	"CREATE INDEX jobs_unfinished ON jobs (id)"
	"  WHERE state IN ('queued', 'running');"

	"CREATE TABLE releases ("
	"  app_id INTEGER NOT NULL REFERENCES apps ON DELETE CASCADE,"
	"  version INTEGER NOT NULL,"
	"  job_id INTEGER NOT NULL,"
	"  commit_id TEXT NOT NULL,"
	"  image TEXT NOT NULL,"
	"  description TEXT NOT NULL,"
	"  user TEXT NOT NULL,"
	"  processes TEXT NOT NULL,"
	"  state TEXT NOT NULL,"
	"  reason TEXT NOT NULL DEFAULT '',"
	"  created INTEGER NOT NULL,"
	"  PRIMARY KEY (app_id, version)"
	") WITHOUT ROWID;"
	"CREATE UNIQUE INDEX releases_live ON releases (app_id)"
	"  WHERE state = 'live';"

	"CREATE TABLE journal ("
	"  id INTEGER PRIMARY KEY,"
	"  job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,"
	"  step TEXT NOT NULL,"
	"  event TEXT NOT NULL,"
	"  detail TEXT NOT NULL,"
	"  time_ms INTEGER NOT NULL"
	");"
	"CREATE INDEX journal_job ON journal (job_id, id);",

	"CREATE TABLE configs ("
	"  app_id INTEGER NOT NULL REFERENCES apps ON DELETE CASCADE,"
	"  version INTEGER NOT NULL,"
	"  vars TEXT NOT NULL,"
	"  user TEXT NOT NULL,"
	"  created INTEGER NOT NULL,"
	"  PRIMARY KEY (app_id, version)"
	") WITHOUT ROWID;"
	"ALTER TABLE apps"
	"  ADD COLUMN config_version INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE releases"
	"  ADD COLUMN config_version INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE releases"
	"  ADD COLUMN target TEXT NOT NULL DEFAULT 'local';"
	"ALTER TABLE releases ADD COLUMN published TEXT NOT NULL DEFAULT '';"
	"UPDATE releases SET target ="
	"  (SELECT target FROM apps WHERE id = releases.app_id);",

	"ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'push';",
};

int schema_version(void)
{
	return (int)ARRAY_SIZE(steps);
}

static int check_ours(struct store *st, int64_t version, struct error *err)
{
	int64_t id = 0;
	int64_t tables = 0;
	int r;

	r = db_get_int(st, "PRAGMA application_id", DB_NO_ARGS, &id, err);
	if (r < 0)
		return r;
	r = db_get_int(st, "SELECT count(*) FROM sqlite_schema", DB_NO_ARGS,
		       &tables, err);
	if (r < 0)
		return r;
	if (version == 0 ? tables != 0 : id != APPLICATION_ID)
		return err_set(err, ERR_INVALID,
			       "this is the database of another program");
	if (version > schema_version())
		return err_set(err, ERR_INVALID,
			       "the database has version %d, this Slipway "
			       "knows up to %d: it was used by a newer one",
			       (int)version, schema_version());
	return 0;
}

/* 1 when a step was run, 0 when none is missing. */
static int step_once(struct store *st, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	char pragmas[96];
	int64_t version = 0;
	int r;

	/* Another process may migrate too: look while holding the lock. */
	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	r = db_get_int(st, "PRAGMA user_version", DB_NO_ARGS, &version, err);
	if (r < 0)
		return r;
	r = check_ours(st, version, err);
	if (r < 0)
		return r;
	if (version == schema_version())
		return 0;
	r = db_script(st, steps[version], err);
	if (r < 0)
		return err_wrap(err, r, "migration %d", (int)version + 1);
	snprintf(pragmas, sizeof(pragmas),
		 "PRAGMA user_version = %d; PRAGMA application_id = %d",
		 (int)version + 1, APPLICATION_ID);
	r = db_script(st, pragmas, err);
	if (r < 0)
		return r;
	r = db_commit(&t, err);
	return r < 0 ? r : 1;
}

int schema_migrate(struct store *st, struct error *err)
{
	int64_t version = 0;
	int r;

	/* Nothing to do is the usual case: no write lock for it. */
	r = db_get_int(st, "PRAGMA user_version", DB_NO_ARGS, &version, err);
	if (r < 0)
		return r;
	if (version == schema_version())
		return check_ours(st, version, err);
	do {
		r = step_once(st, err);
	} while (r > 0);
	return r;
}
