/*
 * builder/aws/cloudwatch_logs.h - log groups, and what is in them.
 *
 * Runs in workers; blocks as aws_call() and where said.  Errors beside the
 * ones named are those of aws_call(); -ERR_LIMIT is throttling: FilterLogEvents
 * may be called about five times a second per account and region.
 *
 * Source: Amazon CloudWatch Logs API reference 2014-03-28.
 */
#ifndef BUILDER_AWS_CLOUDWATCH_LOGS_H
#define BUILDER_AWS_CLOUDWATCH_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/buf.h"

struct aws;
struct error;

/* Bytes of one event that are kept; CloudWatch takes up to 1 MB. */
#define CLOUDWATCH_MESSAGE_MAX 16384

struct cloudwatch_event {
	int64_t time_ms;      /* since the epoch, as the writer said */
	struct slice message; /* without line ends behind it */
	struct slice stream;  /* "web/web/1f0c…"; empty from one stream */
	const char *id;	      /* "" from one stream */
};

/* Borrowed for the call; non-zero ends the reading. */
typedef int (*cloudwatch_sink)(void *ctx, const struct cloudwatch_event *event);

/*
 * Make sure that the group is there (a container does not start without it)
 * and that its events are kept for at least `days` days (one of the numbers
 * that CloudWatch has: others are rounded up).  It is made with these tags,
 * an object of strings; one that exists keeps its own.
 */
int cloudwatch_ensure_group(struct aws *a, const char *group, int64_t days,
			    const json_t *tags, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* *ret, an object of strings, is the caller's.  -ERR_NOTFOUND */
int cloudwatch_group_tags(struct aws *a, const char *group, json_t **ret,
			  struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* With all events; 0 also when it was gone. */
int cloudwatch_delete_group(struct aws *a, const char *group, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The retention that CloudWatch has for at least so many days.  Pure. */
int64_t cloudwatch_retention_days(int64_t days);

/* ---- one stream: a task's container ---- */

/*
 * The last `lines` (at most CLOUDWATCH_HISTORY_MAX) events of the stream,
 * oldest first.  Count; 0 when there is no such stream (yet).
 */
#define CLOUDWATCH_HISTORY_MAX 1000
int cloudwatch_history(struct aws *a, const char *group, const char *stream,
		       size_t lines, cloudwatch_sink sink, void *ctx,
		       struct error *err)
	__attribute__((nonnull(1, 2, 3, 5, 7), warn_unused_result));

/* A stream that is being followed. */
struct cloudwatch_stream {
	struct aws *aws;
	const char *group;
	const char *name;
	char *token; /* where to go on; NULL = at the start */
};

/* Borrows all three. */
void cloudwatch_stream_init(struct cloudwatch_stream *s, struct aws *a,
			    const char *group, const char *name)
	__attribute__((nonnull));
void cloudwatch_stream_release(struct cloudwatch_stream *s);

/* Give out what came since the last time, from the start at first; returns
 * at once.  Count; 0 when there is no such stream (yet). */
int cloudwatch_stream_poll(struct cloudwatch_stream *s, cloudwatch_sink sink,
			   void *ctx, struct error *err)
	__attribute__((nonnull(1, 2, 4), warn_unused_result));

/*
 * The writer has ended, but events come late: poll every second until nothing
 * came for quiet_ms, and for total_ms while nothing ever came; `is_canceled`
 * (may be NULL) ends it.  Count; -ERR_CANCELED.
 */
int cloudwatch_stream_drain(struct cloudwatch_stream *s, int quiet_ms,
			    int total_ms, cloudwatch_sink sink, void *ctx,
			    bool (*is_canceled)(void *ctx), struct error *err)
	__attribute__((nonnull(1, 4, 7), warn_unused_result));

/* ---- all streams of a group ---- */

struct cloudwatch_query {
	const char *group;
	const char *stream_prefix; /* "web/"; NULL = all */
	const char *text;	   /* only events with it; NULL = all */
	int64_t from_ms;	   /* inclusive; 0 = from the start */
	int64_t until_ms;	   /* exclusive; 0 = up to now */
};

/*
 * Every event of the query, in CloudWatch's order (not quite that of time),
 * once each within this call.  At most max_pages replies are read, 0 = all.
 *
 * 1 when the end was reached, 0 when the sink or max_pages ended it;
 * -ERR_NOTFOUND: no such group.
 */
int cloudwatch_search(struct aws *a, const struct cloudwatch_query *query,
		      int max_pages, cloudwatch_sink sink, void *ctx,
		      struct error *err)
	__attribute__((nonnull(1, 2, 4, 6), warn_unused_result));

/* `text` as a filter pattern that matches just that; false when there is none
 * (too long, or with control characters or "%").  Pure. */
bool cloudwatch_pattern(const char *text, struct buf *out)
	__attribute__((nonnull));

/* Ids of events that were given out, so that asking for the last minute again
 * (events come in late) gives only what is new. */
struct cloudwatch_seen {
	struct cloudwatch_seen_id {
		uint64_t hash; /* 0 = free */
		int64_t time_ms;
	} * slots;
	size_t cap; /* a power of two, or 0 */
	size_t count;
};

void cloudwatch_seen_release(struct cloudwatch_seen *s);
/* True the first time. */
bool cloudwatch_seen_add(struct cloudwatch_seen *s,
			 const struct cloudwatch_event *event)
	__attribute__((nonnull));
/* Forget what happened before. */
void cloudwatch_seen_forget(struct cloudwatch_seen *s, int64_t before_ms)
	__attribute__((nonnull));

#endif
