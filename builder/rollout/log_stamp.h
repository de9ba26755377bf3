/*
 * builder/rollout/log_stamp.h - the time in front of an engine's log line,
 * and lines of several containers in the order of time.
 *
 * Pure.
 */
#ifndef BUILDER_ROLLOUT_LOG_STAMP_H
#define BUILDER_ROLLOUT_LOG_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct log_stamp {
	int64_t s;  /* unix time */
	int32_t ns; /* 0 to 999999999 */
};

/* < 0, 0, > 0 */
int log_stamp_compare(struct log_stamp a, struct log_stamp b);

/*
 * Cut an RFC 3339 time ("2026-11-22T10:15:00.123456789Z", or with an offset)
 * and the space behind it off *line; false, and nothing cut, when there is
 * none.
 */
bool log_stamp_take(struct slice *line, struct log_stamp *ret)
	__attribute__((nonnull));

/*
 * Which lines were seen: the engine is asked for those since the last stamp,
 * and gives the ones with that very stamp again.
 */
struct log_cursor {
	struct log_stamp last;
	int at_last; /* lines seen with that stamp; 0 = none at all */
	int to_skip; /* of those, in the present reading */
};

/* Before each reading. */
void log_cursor_begin(struct log_cursor *c) __attribute__((nonnull));

/* Is a line with this stamp a new one?  Remembers it then. */
bool log_cursor_is_new(struct log_cursor *c, struct log_stamp stamp)
	__attribute__((nonnull));

/* Lines, oldest dropped beyond the bounds. */
struct log_pile {
	struct log_entry {
		struct log_stamp stamp;
		size_t number; /* in order of arrival */
		char *text;
	} * entries;
	size_t first; /* index of the oldest */
	size_t end;   /* index behind the newest */
	size_t cap;
	size_t bytes;
	size_t max_lines;
	size_t max_bytes;
	size_t next_number;
};

void log_pile_release(struct log_pile *p);

/* Takes `text` over. */
void log_pile_add(struct log_pile *p, struct log_stamp stamp, char *text)
	__attribute__((nonnull));

/* By stamp, then by arrival. */
void log_pile_sort(struct log_pile *p) __attribute__((nonnull));

#endif
