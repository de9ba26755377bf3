/*
 * base/json.h - JSON documents read through field tables (jansson).
 *
 * Runs in every process.  Errors name the path: "push.updates: expected an
 * array".  Values read are borrowed from the document.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

struct error;
struct slice;

enum json_kind {
	JSON_FIELD_STRING, /* const char * (no NUL inside) */
	JSON_FIELD_INT,	   /* json_int_t */
	JSON_FIELD_BOOL,   /* bool */
	JSON_FIELD_OBJECT, /* json_t * */
	JSON_FIELD_ARRAY,  /* json_t * */
};

enum json_need { JSON_OPTIONAL, JSON_REQUIRED };

struct json_field {
	const char *name;
	enum json_kind kind;
	enum json_need need;
	size_t offset; /* where the value goes in the target struct */
};

#define JSON_FIELD(type, member, key, kind, need)                              \
	{                                                                      \
		(key), (kind), (need), offsetof(type, member)                  \
	}

/*
 * Read the members of `doc` that `fields` (ended by a NULL name) lists into
 * the struct at `target`; absent or null optional ones are left alone.
 * Unknown members are ignored.  `where` names the document in errors.
 *
 * 0, or -ERR_INVALID.
 */
int json_read(const json_t *doc, const struct json_field *fields,
	      const char *where, void *target, struct error *err)
	__attribute__((nonnull(2, 3, 4, 5), warn_unused_result));

/*
 * Parse one JSON text (NUL inside strings allowed).  *ret_doc is the
 * caller's.  0 or -ERR_INVALID with line and column.
 */
int json_parse(struct slice text, const char *where, json_t **ret_doc,
	       struct error *err) __attribute__((nonnull, warn_unused_result));

/* A member as a string, or `fallback` when absent or of another type. */
const char *json_get_str(const json_t *doc, const char *key,
			 const char *fallback) __attribute__((nonnull(2)));

/* The member at a path of object keys, or NULL: json_at(d, "State", "Health",
 * NULL). Borrowed. */
json_t *json_at(const json_t *doc, ...) __attribute__((sentinel));

/*
 * A JSON string of these bytes, with invalid UTF-8 replaced by U+FFFD.
 * The caller owns it.
 */
json_t *json_string_safe(const char *data, size_t len) __attribute__((nonnull));

/*
 * Overwrite every string in the document, whose references stay: nobody else
 * may use it any more.  Accepts NULL.  For documents with secrets in them.
 */
void json_wipe(json_t *doc);

#endif
