/*
 * builder/jobs/transcript.h - what the pusher reads: steps, details, errors,
 * results and build output, written to the job's log file.
 *
 * Runs in a job's worker.  Every line is cleaned (base/text.h) and the whole
 * is bounded: past build.log-max, build output is dropped with one note,
 * while steps, errors and results still go in.  A quiet step says "still
 * running" every 15 s.
 */
#ifndef BUILDER_JOBS_TRANSCRIPT_H
#define BUILDER_JOBS_TRANSCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct error;

struct transcript {
	int fd;	       /* the log, appended to */
	int notify_fd; /* a byte for the builder after each write; -1 */
	int64_t max_bytes;
	int64_t written;
	bool is_full;
	char busy[160];	    /* what is going on; "" = nothing */
	char progress[160]; /* how far it is; "" = not known */
	int64_t busy_ms;    /* since when it goes on */
	int64_t quiet_ms;   /* when the last line went out */
};

/* DATA/builds/ID.log; the caller frees it. */
char *job_log_path(const char *data, int64_t job_id) __attribute__((nonnull));

/* 0 or -ERR_SYS.  notify_fd is borrowed. */
int transcript_open(struct transcript *t, const char *path, int notify_fd,
		    int64_t max_bytes, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void transcript_close(struct transcript *t);

/* "-----> text" */
void transcript_step(struct transcript *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
/* seven spaces */
void transcript_detail(struct transcript *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
/* " !     text" */
void transcript_error(struct transcript *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
/* "=====> text" */
void transcript_result(struct transcript *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));

/* A line of foreign output, as a detail; counts against the bound. */
void transcript_output(struct transcript *t, struct slice line)
	__attribute__((nonnull));

/* What is going on from now on; NULL or "" = nothing to tell.  The same again
 * goes on since it was told first. */
void transcript_busy(struct transcript *t, const char *what)
	__attribute__((nonnull(1)));

/* How far that is, or what holds it up; NULL or "" = not known. */
void transcript_progress(struct transcript *t, const char *text)
	__attribute__((nonnull(1)));

/* Let the builder look at the log and at the job's record. */
void transcript_wake(struct transcript *t) __attribute__((nonnull));

/* Call now and then: says "still running" when it is time to. */
void transcript_tick(struct transcript *t) __attribute__((nonnull));

#endif
