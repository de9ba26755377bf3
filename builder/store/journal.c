#include "builder/store/store.h"

#include "base/error.h"
#include "base/io.h"
#include "builder/store/db.h"

#include <stdlib.h>

int store_journal(struct store *st, int64_t job_id, const char *step,
		  const char *event, const char *detail, struct error *err)
{
	int r;

	r = db_run(st,
		   "INSERT INTO journal (job_id, step, event, detail, time_ms)"
		   " VALUES (?1, ?2, ?3, ?4, ?5)",
		   DB_ARGS(DB_INT(job_id), DB_TEXT(step), DB_TEXT(event),
			   DB_TEXT(detail), DB_INT(clock_wall_ms())),
		   err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_NOTFOUND, "no build %lld",
			       (long long)job_id);
	return r < 0 ? r : 0;
}

void journal_entry_release(struct journal_entry *e)
{
	if (!e)
		return;
	free(e->step);
	free(e->event);
	free(e->detail);
	*e = (struct journal_entry){ 0 };
}

static void entry_row(struct db_query *q, void *item)
{
	struct journal_entry *e = item;

	e->step = db_text(q, 0);
	e->event = db_text(q, 1);
	e->detail = db_text(q, 2);
	e->time_ms = db_int(q, 3);
}

int store_journal_list(struct store *st, int64_t job_id,
		       struct journal_entry **ret, struct error *err)
{
	return db_collect(st,
			  "SELECT step, event, detail, time_ms FROM journal"
			  " WHERE job_id = ?1 ORDER BY id",
			  DB_ARGS(DB_INT(job_id)), sizeof(**ret), entry_row,
			  ret, err);
}
