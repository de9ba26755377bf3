/*
 * builder/source/source_private.h - for the files of this folder only.
 */
#ifndef BUILDER_SOURCE_SOURCE_PRIVATE_H
#define BUILDER_SOURCE_SOURCE_PRIVATE_H

#include <git2.h>

#define SUBJECT_MAX 200

struct source {
	git_repository *repo;
	git_odb *odb;
	git_tree *tree; /* of the commit */
	char *git_dir;
	char subject[SUBJECT_MAX + 1];
};

struct error;

/* The failure that libgit2 reported last, as -ERR_SYS-like ERR_INVALID. */
int source_git_error(struct error *err, const char *what)
	__attribute__((nonnull));

#endif
