#include "builder/control/queue.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/text.h"
#include "builder/control/server.h"
#include "builder/jobs/finish.h"
#include "builder/jobs/transcript.h"
#include "builder/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define NOTICE_MS     15000
#define STORING_MAX   32 /* pushes without a deploy at once */
#define NOTIFY_FD     4
#define SHORT_OID     7
#define NOTICE_LENGTH 512
#define INTERRUPTED   "interrupted by a restart of the server"

static bool deploys(const struct queue_entry *e)
{
	return e->commit[0] != '\0';
}

/* Add lines to a job's log before its worker does. */
static void log_note(struct server *s, int64_t job_id, const char *text)
{
	auto_free char *path = job_log_path(s->cfg->data, job_id);
	auto_close int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct error err;

	if (fd < 0 || io_write_all(fd, text, strlen(text), &err) < 0)
		log_error("job=%" PRId64 " cannot write its log", job_id);
}

static void entry_free(struct queue_entry *e)
{
	if (e->notify_fd >= 0)
		close(e->notify_fd);
	free(e->app);
	free(e->user);
	free(e->ref);
	free(e->commit);
	free(e);
}

static void remove_entry(struct queue *q, size_t i)
{
	entry_free(q->entries[i]);
	q->count--;
	memmove(&q->entries[i], &q->entries[i + 1],
		(q->count - i) * sizeof(q->entries[0]));
}

struct queue_entry *queue_find(struct server *s, int64_t job_id)
{
	for (size_t i = 0; i < s->queue.count; i++)
		if (s->queue.entries[i]->job_id == job_id)
			return s->queue.entries[i];
	return NULL;
}

/* The newest push of a ref wins over one that has not begun. */
static void supersede(struct server *s, const struct job *newer)
{
	struct queue *q = &s->queue;

	for (size_t i = 0; i < q->count; i++) {
		struct queue_entry *e = q->entries[i];
		char reason[256];
		struct error err;

		if (e->pid || !deploys(e) || e->app_id != newer->app_id ||
		    strcmp(e->ref, newer->ref) != 0)
			continue;
		snprintf(reason, sizeof(reason), "superseded by %.*s (%s)",
			 SHORT_OID, newer->commit, newer->user);
		if (job_refuse(s->cfg, s->store, e->job_id, JOB_SUPERSEDED,
			       reason, &err) < 0)
			log_error("job=%" PRId64 " %s", e->job_id, err.msg);
		remove_entry(q, i);
		return;
	}
}

int queue_add(struct server *s, const struct job *job, struct error *err)
{
	struct queue *q = &s->queue;
	struct queue_entry *e;

	if (job->ref[0])
		supersede(s, job);
	if (q->count == QUEUE_MAX)
		return err_set(err, ERR_LIMIT,
			       "%d pushes are waiting; try again later",
			       QUEUE_MAX);
	e = xcalloc(1, sizeof(*e));
	e->job_id = job->id;
	e->app_id = job->app_id;
	e->app = xstrdup(job->app);
	e->user = xstrdup(job->user);
	e->ref = xstrdup(job->ref);
	e->commit = xstrdup(job->commit);
	e->notify_fd = -1;
	e->since_ms = clock_ms();
	q->entries[q->count++] = e;
	log_note(s, job->id, "");
	return 0;
}

/* ---- starting ---- */

/* The running deploy that keeps `e` waiting, or NULL when none of its app. */
static struct queue_entry *holder_of(struct queue *q,
				     const struct queue_entry *e)
{
	for (size_t i = 0; i < q->count; i++)
		if (q->entries[i]->pid && deploys(q->entries[i]) &&
		    q->entries[i]->app_id == e->app_id)
			return q->entries[i];
	return NULL;
}

static size_t running(const struct queue *q, bool deploying)
{
	size_t n = 0;

	for (size_t i = 0; i < q->count; i++)
		if (q->entries[i]->pid && deploys(q->entries[i]) == deploying)
			n++;
	return n;
}

static void tell_waiting(struct server *s, struct queue_entry *e,
			 const struct queue_entry *holder)
{
	auto_buf struct buf b = BUF_INIT(NOTICE_LENGTH);

	if (clock_ms() < e->notice_ms)
		return;
	buf_addf(&b,
		 e->notice_ms ? "       still waiting: " : "-----> Waiting: ");
	e->notice_ms = clock_ms() + NOTICE_MS;
	if (holder) {
		buf_addf(&b, "%s's deploy of %.*s to %s is running (",
			 holder->user[0] ? holder->user : "the administrator",
			 SHORT_OID, holder->commit, holder->app);
		text_add_duration(&b, clock_ms() - holder->since_ms);
		buf_addf(&b, ", build %" PRId64 ")\n", holder->job_id);
	} else {
		buf_addf(&b,
			 "%zu deploys of other apps are running "
			 "(build.concurrency)\n",
			 running(&s->queue, true));
	}
	log_note(s, e->job_id, buf_str(&b));
}

static void start(struct server *s, struct queue_entry *e)
{
	char id[24];
	int ends[2];
	struct proc_fd fd;
	struct error err;
	int r;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		log_error("job=%" PRId64 " pipe: %s", e->job_id,
			  strerror(errno));
		return;
	}
	snprintf(id, sizeof(id), "%" PRId64, e->job_id);
	fd = (struct proc_fd){ ends[1], NOTIFY_FD };
	r = server_spawn(s, "job", id, &fd, 1, &e->pid, &err);
	close(ends[1]);
	if (r < 0) {
		e->pid = 0;
		close(ends[0]);
		log_error("job=%" PRId64 " %s", e->job_id, err.msg);
		return;
	}
	e->notify_fd = ends[0];
	e->since_ms = clock_ms();
	log_info("job=%" PRId64 " app=%s user=%s commit=%.*s started",
		 e->job_id, e->app, e->user, SHORT_OID, e->commit);
}

void queue_run(struct server *s)
{
	struct queue *q = &s->queue;

	if (s->is_stopping)
		return;
	for (size_t i = 0; i < q->count; i++) {
		struct queue_entry *e = q->entries[i];
		struct queue_entry *holder;

		if (e->pid)
			continue;
		if (!deploys(e)) {
			if (running(q, false) < STORING_MAX)
				start(s, e);
			continue;
		}
		holder = holder_of(q, e);
		if (holder ||
		    (int64_t)running(q, true) >= s->cfg->build_concurrency)
			tell_waiting(s, e, holder);
		else
			start(s, e);
	}
}

/* ---- ending ---- */

/* Old jobs go, and with them their logs. */
static void expire(struct server *s)
{
	int64_t *ids = NULL;
	struct error err;
	int count = store_jobs_expire(s->store, STORE_JOBS_KEEP, &ids, &err);

	if (count < 0)
		log_error("expire jobs: %s", err.msg);
	for (int i = 0; i < count; i++) {
		auto_free char *path = job_log_path(s->cfg->data, ids[i]);

		if (unlink(path) < 0 && errno != ENOENT)
			log_error("remove '%s': %s", path, strerror(errno));
	}
	free(ids);
}

bool queue_reap(struct server *s, pid_t pid, int wait_status)
{
	struct queue *q = &s->queue;

	for (size_t i = 0; i < q->count; i++) {
		struct queue_entry *e = q->entries[i];
		struct error err;
		char reason[128];
		int code = proc_exit_code(wait_status);

		if (e->pid != pid)
			continue;
		log_info("job=%" PRId64 " app=%s exit=%d ended", e->job_id,
			 e->app, code);
		snprintf(reason, sizeof(reason),
			 "the deploy's process ended unexpectedly (%d)", code);
		if (job_settle(s->cfg, s->store, e->job_id, reason, &err) < 0)
			log_error("job=%" PRId64 " %s", e->job_id, err.msg);
		remove_entry(q, i);
		expire(s);
		return true;
	}
	return false;
}

void queue_cancel(struct server *s, int64_t job_id)
{
	struct queue *q = &s->queue;
	struct error err;

	for (size_t i = 0; i < q->count; i++) {
		struct queue_entry *e = q->entries[i];

		if (e->job_id != job_id)
			continue;
		if (e->pid) {
			kill(e->pid, SIGTERM);
			return;
		}
		if (job_refuse(s->cfg, s->store, job_id, JOB_CANCELED,
			       "canceled while it waited", &err) < 0)
			log_error("job=%" PRId64 " %s", job_id, err.msg);
		remove_entry(q, i);
		return;
	}
}

void queue_cancel_all(struct server *s)
{
	for (size_t i = 0; i < s->queue.count; i++)
		if (s->queue.entries[i]->pid)
			kill(s->queue.entries[i]->pid, SIGTERM);
}

int queue_recover(struct server *s, struct error *err)
{
	struct job *jobs = NULL;
	int count = store_jobs_unfinished(s->store, &jobs, err);
	int r = 0;

	if (count < 0)
		return count;
	for (int i = 0; i < count && r == 0; i++) {
		if (jobs[i].state == JOB_QUEUED)
			r = queue_add(s, &jobs[i], err);
		else
			r = job_settle(s->cfg, s->store, jobs[i].id,
				       jobs[i].kind == JOB_RELEASE ? INTERRUPTED
								   : INTERRUPTED
					       "; push again",
				       err);
	}
	for (int i = 0; i < count; i++)
		job_release(&jobs[i]);
	free(jobs);
	return r;
}
