/*
 * builder/store/config_vars.h - what a config var may be, and sets of them:
 * JSON objects of strings.
 *
 * Pure.  No value ever goes into an error text, and no name that is not one:
 * it may be a value that somebody put in the wrong place.
 */
#ifndef BUILDER_STORE_CONFIG_VARS_H
#define BUILDER_STORE_CONFIG_VARS_H

#include <stdbool.h>
#include <jansson.h>

#include "base/buf.h"

struct error;

#define CONFIG_VARS_MAX	      256
#define CONFIG_VARS_BYTES_MAX 65536 /* as JSON: what Secrets Manager takes */
#define CONFIG_NAME_MAX	      128
#define CONFIG_VALUE_MAX      32768

/*
 * [A-Za-z_][A-Za-z0-9_]*, and none that Slipway sets itself (PORT,
 * SLIPWAY_…).  0, -ERR_INVALID, -ERR_LIMIT.
 */
int config_var_check_name(const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Set one, checking name and value (UTF-8 without NUL).  1, or 0 when it had
 * that value already; -ERR_INVALID, -ERR_LIMIT.
 */
int config_vars_set(json_t *vars, const char *name, struct slice value,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* False when there was none. */
bool config_vars_unset(json_t *vars, const char *name) __attribute__((nonnull));

/* Not too many, not too large?  0 or -ERR_LIMIT */
int config_vars_check(const json_t *vars, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * A value that only says where the value is kept: "secretsmanager:ARN",
 * "ssm:NAME".  Targets of type ecs resolve those.
 */
bool config_value_is_reference(const char *value) __attribute__((nonnull));

/* Name of a var whose value is a reference, borrowed; NULL = none is. */
const char *config_vars_reference(const json_t *vars) __attribute__((nonnull));

/* Overwrite all values and give the object back; accepts NULL. */
void config_vars_wipe(json_t *vars);

#endif
