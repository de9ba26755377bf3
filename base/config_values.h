/*
 * base/config_values.h - the values of settings as text: durations, sizes,
 * addresses.
 *
 * Pure; runs in every process.
 */
#ifndef BASE_CONFIG_VALUES_H
#define BASE_CONFIG_VALUES_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* A decimal number at *p that fits; moves *p behind it. */
bool config_take_number(const char **p, int64_t *ret) __attribute__((nonnull));

/* "90", "15m", "1h30m", "250ms" to milliseconds; -ERR_INVALID. */
int config_parse_duration(const char *text, int64_t *ret_ms, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* "4096", "64k", "2g" (powers of 1024) to bytes; -ERR_INVALID. */
int config_parse_size(const char *text, int64_t *ret_bytes, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* "0.5", "2" to thousandths of a CPU; -ERR_INVALID. */
int config_parse_cpus(const char *text, int64_t *ret_milli, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Split "host:port", "[v6]:port", ":port".  *ret_host is "" for any; the
 * caller frees it.  -ERR_INVALID.
 */
int config_parse_listen(const char *text, char **ret_host, int *ret_port,
			struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* An IPv4 prefix "a.b.c.d/len" with 8 <= len <= 26? */
bool config_is_prefix(const char *text) __attribute__((nonnull));

#endif
