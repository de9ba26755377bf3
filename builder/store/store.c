#include "builder/store/store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/store/db.h"
#include "builder/store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define OWNER_BYTES 8

/* SQLite would create it readable for all, and gives its mode to the WAL. */
static int create_private(const char *path, struct error *err)
{
	auto_close int fd = -1;
	struct stat st;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return err_errno(err, errno, "open '%s'", path);
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "stat '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "'%s': not a regular file",
			       path);
	if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		return err_errno(err, errno, "chmod '%s'", path);
	return 0;
}

/* Changing to WAL does not wait for other processes by itself. */
static int set_wal(struct store *st, struct error *err)
{
	int64_t deadline = clock_ms() + DB_BUSY_MS;
	int r;

	for (;;) {
		struct timespec pause = { 0, 20 * 1000000 };

		r = db_script(st, "PRAGMA journal_mode = WAL", err);
		if (r != -ERR_TIMEOUT || clock_ms() > deadline)
			return r;
		nanosleep(&pause, NULL);
	}
}

static int make_owner(struct store *st, struct error *err)
{
	unsigned char raw[OWNER_BYTES];
	char hex[2 * OWNER_BYTES + 1];
	int64_t found = 0;
	int r;

	r = db_get_int(st, "SELECT 1 FROM settings WHERE key = 'owner'",
		       DB_NO_ARGS, &found, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return err_errno(err, errno, "getrandom");
	for (size_t i = 0; i < sizeof(raw); i++) {
		hex[2 * i] = "0123456789abcdef"[raw[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
	}
	hex[2 * OWNER_BYTES] = '\0';
	/* OR IGNORE: whoever was first made it. */
	r = db_run(st, "INSERT OR IGNORE INTO settings VALUES ('owner', ?1)",
		   DB_ARGS(DB_TEXT(hex)), err);
	return r < 0 ? r : 0;
}

static int set_up(struct store *st, struct error *err)
{
	int r;

	sqlite3_extended_result_codes(st->db, 1);
	sqlite3_busy_timeout(st->db, DB_BUSY_MS);
	sqlite3_db_config(st->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(st->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* A verdict that was told must survive a power cut: FULL. */
	r = db_script(st,
		      "PRAGMA foreign_keys = ON;"
		      "PRAGMA secure_delete = ON;"
		      "PRAGMA synchronous = FULL",
		      err);
	if (r < 0)
		return r;
	r = set_wal(st, err);
	if (r < 0)
		return r;
	r = schema_migrate(st, err);
	if (r < 0)
		return r;
	return make_owner(st, err);
}

int store_open(const char *path, struct store **ret, struct error *err)
{
	struct store *st;
	int r;

	r = create_private(path, err);
	if (r < 0)
		return r;
	st = xcalloc(1, sizeof(*st));
	if (sqlite3_open_v2(path, &st->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		r = db_fail(st, "open", err);
	else
		r = set_up(st, err);
	if (r < 0) {
		store_close(st);
		return err_wrap(err, r, "database '%s'", path);
	}
	*ret = st;
	return 0;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	sqlite3_close(st->db);
	free(st);
}

static void owner_row(struct db_query *q, void *item)
{
	*(char **)item = db_text(q, 0);
}

int store_owner(struct store *st, char **ret, struct error *err)
{
	int r;

	r = db_one(st, "SELECT value FROM settings WHERE key = 'owner'",
		   DB_NO_ARGS, owner_row, ret, err);
	if (r == 0)
		return err_set(err, ERR_INVALID,
			       "database: the installation's id is missing");
	return r < 0 ? r : 0;
}

int store_begin(struct store *st, struct error *err)
{
	return db_script(st, "BEGIN IMMEDIATE", err);
}

int store_commit(struct store *st, struct error *err)
{
	return db_script(st, "COMMIT", err);
}

void store_rollback(struct store *st)
{
	/* Fails when SQLite rolled back by itself: then it is done. */
	sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
}
