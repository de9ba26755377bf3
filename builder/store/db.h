/*
 * builder/store/db.h - SQLite for the files of this folder: statements in a
 * few lines, transactions that undo themselves, errors of ours.
 *
 * Internal to builder/store/.  Blocks on disk, and at most DB_BUSY_MS on a
 * lock that another process holds.
 */
#ifndef BUILDER_STORE_DB_H
#define BUILDER_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct sqlite3;
struct sqlite3_stmt;
struct store;

#define DB_BUSY_MS 10000

struct store {
	struct sqlite3 *db;
};

/* A value for ?1, ?2, … of a statement. */
struct db_arg {
	enum { DB_ARG_END, DB_ARG_INT, DB_ARG_TEXT } kind;
	int64_t number;
	const char *text; /* NULL = SQL NULL; borrowed until the query ends */
};

#define DB_INT(n)                                                              \
	{                                                                      \
		DB_ARG_INT, (n), NULL                                          \
	}
#define DB_TEXT(s)                                                             \
	{                                                                      \
		DB_ARG_TEXT, 0, (s)                                            \
	}
#define DB_ARGS(...)                                                           \
	((const struct db_arg[]){ __VA_ARGS__, { DB_ARG_END, 0, NULL } })
#define DB_NO_ARGS ((const struct db_arg[]){ { DB_ARG_END, 0, NULL } })

struct db_query {
	struct store *st;
	struct sqlite3_stmt *stmt;
};

#define DB_QUERY_INIT                                                          \
	{                                                                      \
		NULL, NULL                                                     \
	}
#define auto_query __attribute__((cleanup(db_query_end)))

/* Prepare `sql` (one statement) and bind `args`.  0 or -code. */
int db_query(struct store *st, struct db_query *q, const char *sql,
	     const struct db_arg *args, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* 1 with a row to read, 0 at the end, -code. */
int db_step(struct db_query *q, struct error *err)
	__attribute__((nonnull, warn_unused_result));

void db_query_end(struct db_query *q);

/* Columns of the present row, from 0.  Text is a copy, NULL for SQL NULL. */
int64_t db_int(struct db_query *q, int column) __attribute__((nonnull));
char *db_text(struct db_query *q, int column) __attribute__((nonnull));

/*
 * Run a statement to its end.  Returns how many rows an INSERT, UPDATE or
 * DELETE changed, or -code: -ERR_EXISTS for a broken UNIQUE, -ERR_NOTFOUND
 * for a broken foreign key.
 */
int db_run(struct store *st, const char *sql, const struct db_arg *args,
	   struct error *err) __attribute__((nonnull, warn_unused_result));

/* First column of the first row; 1, 0 when there is no row, -code. */
int db_get_int(struct store *st, const char *sql, const struct db_arg *args,
	       int64_t *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Row number of the last INSERT. */
int64_t db_last_id(struct store *st) __attribute__((nonnull));

/* Run several statements without arguments or results. */
int db_script(struct store *st, const char *sql, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* *err for what SQLite just said, "doing: why"; returns -code. */
int db_fail(struct store *st, const char *doing, struct error *err)
	__attribute__((nonnull));

/*
 * A transaction that is undone when it leaves scope without db_commit();
 * inside of store_begin() it is a savepoint.  It takes the write lock at
 * once, so that waiting for it is bounded by the busy timeout and reading
 * first cannot end in a deadlock.
 */
struct db_txn {
	struct store *st; /* NULL = not open */
	bool is_savepoint;
};

#define DB_TXN_INIT                                                            \
	{                                                                      \
		NULL, false                                                    \
	}
#define auto_txn __attribute__((cleanup(db_undo)))

int db_begin(struct db_txn *t, struct store *st, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int db_commit(struct db_txn *t, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void db_undo(struct db_txn *t) __attribute__((nonnull));

/*
 * Collect all rows of a query: `row` fills one zeroed item of item_size bytes
 * from the present row.  *ret_items is the caller's (NULL when there are
 * none).  Returns the count, or -code.
 */
typedef void (*db_row_fn)(struct db_query *q, void *item);
int db_collect(struct store *st, const char *sql, const struct db_arg *args,
	       size_t item_size, db_row_fn row, void *ret_items,
	       struct error *err) __attribute__((nonnull, warn_unused_result));

/* Fill one item from the first row: 1, 0 when there is none, -code. */
int db_one(struct store *st, const char *sql, const struct db_arg *args,
	   db_row_fn row, void *ret_item, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Unix seconds. */
int64_t db_now(void);

#endif
