/*
 * builder/store/schema.h - the numbered steps that bring a database of any
 * earlier version to the present one.
 *
 * Internal to builder/store/.  A step that was released is never changed; a
 * change of the schema is a new step.
 */
#ifndef BUILDER_STORE_SCHEMA_H
#define BUILDER_STORE_SCHEMA_H

struct error;
struct store;

/*
 * Run the steps that are missing, each in a transaction of its own that also
 * raises PRAGMA user_version.
 *
 * 0; -ERR_INVALID for a database of a newer version or of another program.
 */
int schema_migrate(struct store *st, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The version that schema_migrate() leads to. */
int schema_version(void);

#endif
