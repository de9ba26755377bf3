/*
 * builder/commands/listing.h - what commands print, made once as JSON and
 * shown either as it is (--json) or as an aligned table.
 *
 * Pure.  Everything shown goes through text_add_line(): no control
 * characters, whatever the store holds.
 */
#ifndef BUILDER_COMMANDS_LISTING_H
#define BUILDER_COMMANDS_LISTING_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

struct buf;

enum column_kind {
	COLUMN_TEXT,	 /* null and "" are "-", true is "yes" */
	COLUMN_COMMIT,	 /* the first 7 */
	COLUMN_VERSION,	 /* 12 is "v12", 0 is "-" */
	COLUMN_DURATION, /* milliseconds, 0 is "-" */
};

/* A column of a table or a line of a description; ended by a NULL title. */
struct column {
	const char *title;
	const char *key; /* member of the JSON object */
	enum column_kind kind;
};

/* Append the array `rows` as a table; no header line when !with_header. */
void listing_table(const json_t *rows, const struct column *columns,
		   bool with_header, struct buf *out) __attribute__((nonnull));

/* Append the object as "Title:  value" lines, values aligned. */
void listing_fields(const json_t *object, const struct column *columns,
		    struct buf *out) __attribute__((nonnull));

/* "2026-11-22T10:15:00Z", or null for 0; the caller's. */
json_t *listing_time(int64_t unix_s);

/* A string (invalid UTF-8 replaced), or null for NULL and ""; the caller's. */
json_t *listing_text(const char *text);

#endif
