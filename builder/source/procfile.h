/*
 * builder/source/procfile.h - the Procfile: process types and their commands.
 *
 * Pure; a fuzz target.
 */
#ifndef BUILDER_SOURCE_PROCFILE_H
#define BUILDER_SOURCE_PROCFILE_H

#include <stddef.h>

struct error;
struct slice;

#define PROCFILE_ENTRIES_MAX 64

struct procfile_entry {
	char *name; /* [A-Za-z0-9_-]+, at most 63 bytes */
	char *command;
};

struct procfile {
	struct procfile_entry *entries; /* in the file's order */
	size_t count;
};

/* 0, or -ERR_INVALID / -ERR_LIMIT naming the line. */
int procfile_parse(struct slice text, struct procfile *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void procfile_release(struct procfile *p);

#endif
