/* builds:list, builds:info, builds:output */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define LIST_DEFAULT 20
#define FOLLOW_MS    200
#define CHUNK	     65536

static json_t *job_json(const struct job *j)
{
	int64_t took = 0;

	if (j->finished && j->started)
		took = (j->finished - j->started) * 1000;
	return json_pack(
		"{s:I, s:s, s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, "
		"s:I, "
		"s:I, s:o, s:o}",
		"id", (json_int_t)j->id, "kind", job_kind_name(j->kind), "app",
		listing_text(j->app), "state", job_state_name(j->state), "ref",
		listing_text(j->ref), "commit", listing_text(j->commit),
		"release", (json_int_t)j->version, "user",
		listing_text(j->user), "fingerprint",
		listing_text(j->fingerprint), "created",
		listing_time(j->created), "started", listing_time(j->started),
		"finished", listing_time(j->finished), "duration_ms",
		(json_int_t)took, "build_ms", (json_int_t)j->build_ms, "image",
		listing_text(j->image), "reason", listing_text(j->reason));
}

int cmd_builds_list(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "BUILD", "id", COLUMN_TEXT },
		{ "STATE", "state", COLUMN_TEXT },
		{ "COMMIT", "commit", COLUMN_COMMIT },
		{ "RELEASE", "release", COLUMN_VERSION },
		{ "USER", "user", COLUMN_TEXT },
		{ "CREATED", "created", COLUMN_TEXT },
		{ "TIME", "duration_ms", COLUMN_DURATION },
		{ "REASON", "reason", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	const char *num = call_option(c, "num");
	int64_t limit = LIST_DEFAULT;
	struct job *jobs = NULL;
	json_t *rows;
	int count;

	if (num && args_number(num, "-n", 1, STORE_JOBS_KEEP, &limit, err) < 0)
		return call_usage(c, err, "%s", err->msg);
	count = store_jobs(c->store, c->app.id, (int)limit, &jobs, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++) {
		json_array_append_new(rows, job_json(&jobs[i]));
		job_release(&jobs[i]);
	}
	free(jobs);
	call_list(c, rows, columns);
	if (count == 0)
		call_note(c, "%s was never pushed to", c->app.name);
	return 0;
}

/* The build that runs, else the newest one. */
static int current_job(struct call *c, struct job *ret, struct error *err)
{
	struct job *jobs = NULL;
	bool is_found = false;
	int count;

	count = store_jobs_unfinished(c->store, &jobs, err);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		if (!is_found && jobs[i].app_id == c->app.id &&
		    jobs[i].state == JOB_RUNNING) {
			*ret = jobs[i];
			is_found = true;
			continue;
		}
		job_release(&jobs[i]);
	}
	free(jobs);
	if (is_found)
		return 0;
	jobs = NULL;
	count = store_jobs(c->store, c->app.id, 1, &jobs, err);
	if (count < 0)
		return count;
	if (count == 0)
		return err_set(err, ERR_NOTFOUND, "%s was never pushed to",
			       c->app.name);
	*ret = jobs[0];
	free(jobs);
	return 0;
}

/* The build that the first word names. */
static int find_job(struct call *c, struct job *ret, struct error *err)
{
	const char *word = call_word(c, 0);
	int64_t id = 0;
	int r;

	if (!word || strcmp(word, "current") == 0)
		return current_job(c, ret, err);
	r = args_number(word, "ID", 1, INT64_MAX, &id, err);
	if (r < 0)
		return call_usage(c, err, "%s", err->msg);
	r = store_job_get(c->store, id, ret, err);
	if (r == 0 && ret->app_id == c->app.id)
		return 0;
	if (r == 0)
		job_release(ret);
	if (r < 0 && r != -ERR_NOTFOUND)
		return r;
	return err_set(err, ERR_NOTFOUND, "%s has no build %" PRId64,
		       c->app.name, id);
}

static int journal_json(struct call *c, int64_t job_id, json_t **ret,
			struct error *err)
{
	struct journal_entry *entries = NULL;
	json_t *rows;
	int count;

	count = store_journal_list(c->store, job_id, &entries, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++) {
		struct journal_entry *e = &entries[i];

		json_array_append_new(
			rows, json_pack("{s:o, s:o, s:o, s:o}", "time",
					listing_time(e->time_ms / 1000), "step",
					listing_text(e->step), "event",
					listing_text(e->event), "detail",
					listing_text(e->detail)));
		journal_entry_release(e);
	}
	free(entries);
	*ret = rows;
	return 0;
}

int cmd_builds_info(struct call *c, struct error *err)
{
	static const struct column lines[] = {
		{ "Build", "id", COLUMN_TEXT },
		{ "App", "app", COLUMN_TEXT },
		{ "State", "state", COLUMN_TEXT },
		{ "Reason", "reason", COLUMN_TEXT },
		{ "Ref", "ref", COLUMN_TEXT },
		{ "Commit", "commit", COLUMN_TEXT },
		{ "Release", "release", COLUMN_VERSION },
		{ "Image", "image", COLUMN_TEXT },
		{ "Pushed by", "user", COLUMN_TEXT },
		{ "With key", "fingerprint", COLUMN_TEXT },
		{ "Created", "created", COLUMN_TEXT },
		{ "Started", "started", COLUMN_TEXT },
		{ "Finished", "finished", COLUMN_TEXT },
		{ "Took", "duration_ms", COLUMN_DURATION },
		{ "Build step", "build_ms", COLUMN_DURATION },
		{ NULL, NULL, COLUMN_TEXT },
	};
	static const struct column steps[] = {
		{ "TIME", "time", COLUMN_TEXT },
		{ "STEP", "step", COLUMN_TEXT },
		{ "EVENT", "event", COLUMN_TEXT },
		{ "DETAIL", "detail", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	struct job job = { 0 };
	json_t *journal = NULL;
	json_t *info;
	int r;

	r = find_job(c, &job, err);
	if (r < 0)
		return r;
	info = job_json(&job);
	r = journal_json(c, job.id, &journal, err);
	job_release(&job);
	if (r < 0) {
		json_decref(info);
		return r;
	}
	json_object_set(info, "journal", journal);
	call_fields(c, info, lines);
	if (!call_option(c, "json") && json_array_size(journal) > 0) {
		call_printf(c, "\n");
		call_list(c, json_incref(journal), steps);
	}
	json_decref(journal);
	return 0;
}

/* Print what the log holds from where `fd` is to its present end. */
static int copy_log(struct call *c, int fd, struct error *err)
{
	auto_free char *chunk = xmalloc(CHUNK);
	ssize_t n;

	while ((n = read(fd, chunk, CHUNK)) != 0) {
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read the build's log");
		buf_add(&c->out, chunk, (size_t)n);
		r = call_flush(c, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* 0, also when there is no log (yet): *fd stays -1. */
static int open_log(struct call *c, int64_t id, int *fd, struct error *err)
{
	auto_free char *path =
		xasprintf("%s/builds/%" PRId64 ".log", c->cfg->data, id);

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 && errno != ENOENT)
		return err_errno(err, errno, "open '%s'", path);
	return 0;
}

static int is_finished(struct call *c, int64_t id, struct error *err)
{
	struct job job = { 0 };
	int r;

	r = store_job_get(c->store, id, &job, err);
	if (r < 0)
		return r;
	r = job_state_is_final(job.state);
	job_release(&job);
	return r;
}

static int follow_log(struct call *c, int64_t id, struct error *err)
{
	auto_close int fd = -1;
	int is_final;
	int r;

	do {
		/* The state first: what was written before it became final
		 * is then read in the same round. */
		is_final = is_finished(c, id, err);
		if (is_final < 0)
			return is_final;
		r = fd < 0 ? open_log(c, id, &fd, err) : 0;
		if (r == 0 && fd >= 0)
			r = copy_log(c, fd, err);
		if (r < 0)
			return r;
	} while (!is_final && !call_wait_gone(c, FOLLOW_MS));
	if (fd < 0 && is_final)
		call_note(c, "build %" PRId64 " printed nothing that was kept",
			  id);
	return 0;
}

int cmd_builds_output(struct call *c, struct error *err)
{
	struct job job = { 0 };
	int64_t id;
	int r;

	r = find_job(c, &job, err);
	if (r < 0)
		return r;
	id = job.id;
	job_release(&job);
	return follow_log(c, id, err);
}
