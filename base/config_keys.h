/*
 * base/config_keys.h - one setting as a row of a table: its name, kind, place
 * in a struct, default and range; the same rows parse, dump and release.
 *
 * Pure.  Internal to base/config*.c.
 */
#ifndef BASE_CONFIG_KEYS_H
#define BASE_CONFIG_KEYS_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;

/* char * members but where noted */
enum config_kind {
	KIND_STRING,
	KIND_OPTIONAL, /* may be empty */
	KIND_PATH,
	KIND_LISTEN,
	KIND_LISTEN_LIST, /* an array: its owner keeps it */
	KIND_DURATION,	  /* int64_t, milliseconds */
	KIND_SIZE,	  /* int64_t, bytes */
	KIND_COUNT,	  /* int64_t */
	KIND_BOOL,	  /* bool */
	KIND_CPUS,	  /* int64_t, thousandths */
	KIND_LOG_LEVEL,
	KIND_CHOICE, /* one of `choices` */
	KIND_PREFIX,
};

struct config_key {
	const char *name;
	enum config_kind kind;
	size_t offset;
	const char *fallback;
	int64_t min;
	int64_t max;
	const char *choices; /* "auto|buildkit|classic" */
};

#define CONFIG_KEY(type, key_name, key_kind, member, text, low, high)          \
	{                                                                      \
		key_name, key_kind, offsetof(type, member), text, low, high,   \
			NULL                                                   \
	}
#define CONFIG_CHOICE(type, key_name, member, text, words)                     \
	{                                                                      \
		key_name, KIND_CHOICE, offsetof(type, member), text, 0, 0,     \
			words                                                  \
	}

#define SECOND (INT64_C(1000))
#define HOUR   (INT64_C(3600000))
#define MIB    (INT64_C(1) << 20)
#define GIB    (INT64_C(1) << 30)

/* "duration", "size", … as help calls it; static. */
const char *config_kind_name(enum config_kind kind);

/* Is this text a value of the key?  `name` is what errors call it.  0 or
 * -ERR_INVALID */
int config_key_check(const struct config_key *k, const char *name,
		     const char *value, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Set the key's member of the struct at `at`.  0 or -ERR_INVALID */
int config_key_set(const struct config_key *k, void *at, const char *name,
		   const char *value, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append "name=value" and a NUL, as config_key_set would read it. */
void config_key_dump(const struct config_key *k, const void *at,
		     const char *name, struct buf *out)
	__attribute__((nonnull));
void config_dump_pair(struct buf *out, const char *key, const char *value)
	__attribute__((nonnull));

/* Free what the member owns. */
void config_key_release(const struct config_key *k, void *at)
	__attribute__((nonnull));

/* Replace an owned string. */
void config_set_string(char **at, const char *value) __attribute__((nonnull));

#endif
