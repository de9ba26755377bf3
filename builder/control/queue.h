/*
 * builder/control/queue.h - jobs that wait or run: one deploy per app at a
 * time, build.concurrency deploys in all, the rest in order of arrival.
 *
 * Runs in slipway-builder.  The store has the lasting record; this is what
 * the present process knows of unfinished jobs.
 */
#ifndef BUILDER_CONTROL_QUEUE_H
#define BUILDER_CONTROL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct job;
struct server;

#define QUEUE_MAX 512

struct queue_entry {
	int64_t job_id;
	int64_t app_id;
	char *app;
	char *user;
	char *ref;     /* "" = no branch moves with it */
	char *commit;  /* "" = it deploys nothing */
	pid_t pid;     /* 0 = waiting */
	int notify_fd; /* readable when the log grew; -1 */
	int64_t since_ms;
	int64_t notice_ms; /* when to tell a waiting pusher again */
};

struct queue {
	struct queue_entry *entries[QUEUE_MAX]; /* in order of arrival */
	size_t count;
};

/* Take in a job of the store.  A waiting deploy of the same ref is
 * superseded.  0 or -ERR_LIMIT */
int queue_add(struct server *s, const struct job *job, struct error *err)
	__attribute__((nonnull, warn_unused_result));

struct queue_entry *queue_find(struct server *s, int64_t job_id)
	__attribute__((nonnull));

/* Start what may start; tell the others for whom they wait. */
void queue_run(struct server *s) __attribute__((nonnull));

/* A child ended; true when it was a job's worker. */
bool queue_reap(struct server *s, pid_t pid, int wait_status)
	__attribute__((nonnull));

/* Ask a job to stop: its worker undoes what it began. */
void queue_cancel(struct server *s, int64_t job_id) __attribute__((nonnull));
void queue_cancel_all(struct server *s) __attribute__((nonnull));

/*
 * At start: take waiting jobs of a former life up again and settle those that
 * ran (their workers die with the builder).
 */
int queue_recover(struct server *s, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
