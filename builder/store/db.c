#include "builder/store/db.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <string.h>
#include <time.h>

/* More rows than this are a bug of the query, not an answer. */
#define ROWS_MAX 1000000

int db_fail(struct store *st, const char *doing, struct error *err)
{
	int code = st->db ? sqlite3_extended_errcode(st->db) : SQLITE_NOMEM;
	int sys = st->db ? sqlite3_system_errno(st->db) : ENOMEM;
	const char *text = st->db ? sqlite3_errmsg(st->db) : "no memory";

	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_TIMEOUT,
			       "%s: the database was locked for %d s", doing,
			       DB_BUSY_MS / 1000);
	case SQLITE_FULL:
		return err_errno(err, ENOSPC, "%s", doing);
	case SQLITE_READONLY:
		return err_errno(err, EROFS, "%s", doing);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return err_errno(err, sys ? sys : EIO, "%s: %s", doing, text);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, ERR_INVALID, "%s: damaged database: %s",
			       doing, text);
	case SQLITE_CONSTRAINT:
		break;
	default:
		return err_set(err, ERR_BUG, "%s: %s", doing, text);
	}
	switch (code) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
		return err_set(err, ERR_EXISTS, "%s: %s", doing, text);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return err_set(err, ERR_NOTFOUND, "%s: %s", doing, text);
	default:
		return err_set(err, ERR_BUG, "%s: %s", doing, text);
	}
}

int db_query(struct store *st, struct db_query *q, const char *sql,
	     const struct db_arg *args, struct error *err)
{
	int r = sqlite3_prepare_v2(st->db, sql, -1, &q->stmt, NULL);

	q->st = st;
	if (r != SQLITE_OK)
		return db_fail(st, "database", err);
	for (int i = 1; args->kind != DB_ARG_END; args++, i++) {
		if (args->kind == DB_ARG_INT)
			r = sqlite3_bind_int64(q->stmt, i, args->number);
		else if (!args->text)
			r = sqlite3_bind_null(q->stmt, i);
		else
			r = sqlite3_bind_text(q->stmt, i, args->text, -1,
					      SQLITE_STATIC);
		if (r != SQLITE_OK)
			return db_fail(st, "database", err);
	}
	return 0;
}

int db_step(struct db_query *q, struct error *err)
{
	switch (sqlite3_step(q->stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return db_fail(q->st, "database", err);
	}
}

void db_query_end(struct db_query *q)
{
	if (!q)
		return;
	sqlite3_finalize(q->stmt);
	q->stmt = NULL;
}

int64_t db_int(struct db_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

char *db_text(struct db_query *q, int column)
{
	const unsigned char *text = sqlite3_column_text(q->stmt, column);

	return text ? xstrdup((const char *)text) : NULL;
}

int db_run(struct store *st, const char *sql, const struct db_arg *args,
	   struct error *err)
{
	auto_query struct db_query q = DB_QUERY_INIT;
	int r;

	r = db_query(st, &q, sql, args, err);
	while (r >= 0) {
		r = db_step(&q, err);
		if (r == 0)
			return sqlite3_changes(st->db);
	}
	return r;
}

int db_get_int(struct store *st, const char *sql, const struct db_arg *args,
	       int64_t *ret, struct error *err)
{
	auto_query struct db_query q = DB_QUERY_INIT;
	int r;

	r = db_query(st, &q, sql, args, err);
	if (r < 0)
		return r;
	r = db_step(&q, err);
	if (r > 0)
		*ret = db_int(&q, 0);
	return r;
}

int64_t db_last_id(struct store *st)
{
	return sqlite3_last_insert_rowid(st->db);
}

int db_script(struct store *st, const char *sql, struct error *err)
{
	if (sqlite3_exec(st->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(st, "database", err);
	return 0;
}

int db_begin(struct db_txn *t, struct store *st, struct error *err)
{
	bool is_savepoint = !sqlite3_get_autocommit(st->db);
	int r;

	r = db_script(st, is_savepoint ? "SAVEPOINT inner" : "BEGIN IMMEDIATE",
		      err);
	if (r < 0)
		return r;
	t->st = st;
	t->is_savepoint = is_savepoint;
	return 0;
}

int db_commit(struct db_txn *t, struct error *err)
{
	int r;

	r = db_script(t->st, t->is_savepoint ? "RELEASE inner" : "COMMIT", err);
	if (r < 0)
		return r; /* db_undo() follows */
	t->st = NULL;
	return 0;
}

void db_undo(struct db_txn *t)
{
	if (!t->st)
		return;
	/* A failure here means that SQLite has rolled back by itself. */
	if (t->is_savepoint)
		sqlite3_exec(t->st->db, "ROLLBACK TO inner; RELEASE inner",
			     NULL, NULL, NULL);
	else
		sqlite3_exec(t->st->db, "ROLLBACK", NULL, NULL, NULL);
	t->st = NULL;
}

int db_collect(struct store *st, const char *sql, const struct db_arg *args,
	       size_t item_size, db_row_fn row, void *ret_items,
	       struct error *err)
{
	auto_query struct db_query q = DB_QUERY_INIT;
	char *items = NULL;
	size_t count = 0;
	size_t cap = 0;
	int r;

	r = db_query(st, &q, sql, args, err);
	if (r < 0)
		return r;
	/*
	 * The items' strings are only known to their own release function, so
	 * an error in the middle of the rows (a damaged or locked file, after
	 * which the caller gives up) leaves them behind.
	 */
	while ((r = db_step(&q, err)) > 0 && count < ROWS_MAX) {
		if (count == cap) {
			cap = cap ? cap * 2 : 16;
			items = xrealloc(items, cap * item_size);
		}
		memset(items + count * item_size, 0, item_size);
		row(&q, items + count * item_size);
		count++;
	}
	if (r < 0) {
		free(items);
		return r;
	}
	*(char **)ret_items = items;
	return (int)count;
}

int db_one(struct store *st, const char *sql, const struct db_arg *args,
	   db_row_fn row, void *ret_item, struct error *err)
{
	auto_query struct db_query q = DB_QUERY_INIT;
	int r;

	r = db_query(st, &q, sql, args, err);
	if (r < 0)
		return r;
	r = db_step(&q, err);
	if (r > 0)
		row(&q, ret_item);
	return r;
}

int64_t db_now(void)
{
	return (int64_t)time(NULL);
}
