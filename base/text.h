/*
 * base/text.h - making foreign text safe to show: UTF-8, control characters,
 * durations and sizes for people, the nearest word.
 *
 * Runs in every process; pure functions.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Cut the first character off *s, which is not empty, and return it; a byte
 * that is no UTF-8 (RFC 3629) counts as one U+FFFD.
 */
uint32_t text_next_rune(struct slice *s) __attribute__((nonnull));

bool text_is_utf8(struct slice s);

/* Append `s` with every invalid UTF-8 sequence replaced by U+FFFD. */
void text_add_utf8(struct buf *b, struct slice s) __attribute__((nonnull));

/*
 * Append one line of foreign output as a pusher may see it: invalid UTF-8
 * replaced, escape sequences and control characters dropped (a tab becomes a
 * space), of CR-separated rewrites only the last non-empty one, cut after
 * max_bytes with " …".
 */
void text_add_line(struct buf *b, struct slice line, size_t max_bytes)
	__attribute__((nonnull));

/* "850ms", "6.3s", "1m40s", "2h05m" */
void text_add_duration(struct buf *b, int64_t ms) __attribute__((nonnull));

/* "512 B", "48.2 MB" (powers of 1000, as registries count) */
void text_add_size(struct buf *b, uint64_t bytes) __attribute__((nonnull));

/*
 * The word of `words` (NULL-ended) nearest to `word` by edit distance with
 * transpositions, or NULL when none is near enough to be meant.
 */
const char *text_nearest(const char *word, const char *const *words)
	__attribute__((nonnull));

/* Time since the epoch as "2026-11-22T10:15:00Z" into out (at least 21). */
void text_utc(int64_t unix_s, char *out, size_t size) __attribute__((nonnull));

#endif
