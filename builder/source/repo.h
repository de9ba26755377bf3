/*
 * builder/source/repo.h - the app's bare repository: made, removed and its
 * refs moved, always by git itself.
 *
 * Runs in the builder and in workers.  Blocks on a git child (30 s at most,
 * but repo_repack).
 * Repositories belong to the builder's user and are group-writable for the
 * receiver's, whose `git receive-pack` puts the objects in.
 */
#ifndef BUILDER_SOURCE_REPO_H
#define BUILDER_SOURCE_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct error;

#define OID_HEX	 40
#define OID_ZERO "0000000000000000000000000000000000000000"

/* DATA/repos/ID.git; the caller frees it. */
char *repo_path(const struct config *cfg, int64_t app_id)
	__attribute__((nonnull));

/* Make it, empty; 0 also when it exists.  -ERR_SYS, -ERR_PEER (git failed) */
int repo_create(const struct config *cfg, int64_t app_id, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* 0 also when it was gone. */
int repo_remove(const struct config *cfg, int64_t app_id, struct error *err)
	__attribute__((nonnull, warn_unused_result));

struct ref_update {
	const char *ref;
	const char *old_oid; /* must be its present value; OID_ZERO = absent;
				NULL = whatever it is */
	const char *new_oid; /* OID_ZERO = delete */
};

/*
 * Move all refs or none (`git update-ref --stdin`).
 *
 * 0; -ERR_EXISTS a ref is not at its old value, or a D/F conflict;
 * -ERR_INVALID a bad name or a missing object.  err has git's line.
 */
int repo_update_refs(const struct config *cfg, int64_t app_id,
		     const struct ref_update *updates, size_t count,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Value of a ref as 40 hex into oid (41 bytes), or -ERR_NOTFOUND. */
int repo_read_ref(const struct config *cfg, int64_t app_id, const char *ref,
		  char *oid, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The commit that `oid` is or, as a tag, points at; -ERR_INVALID. */
int repo_peel_commit(const struct config *cfg, int64_t app_id, const char *oid,
		     char *ret_commit, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Is commit `older` an ancestor of (or equal to) `newer`?  1, 0 or -code. */
int repo_is_ancestor(const struct config *cfg, int64_t app_id,
		     const char *older, const char *newer, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Is all history behind these commits (or tags of them) here?  1, or 0 when a
 * parent is missing that no shallow boundary explains, or -code.
 */
int repo_is_complete(const struct config *cfg, int64_t app_id,
		     const char *const *oids, size_t count, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Which branch HEAD names, so that a clone checks it out. */
int repo_set_head(const struct config *cfg, int64_t app_id, const char *branch,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Every push leaves a pack.  When there are more than REPO_PACKS_MAX, have git
 * merge the small ones (`git repack --geometric=2`); objects that nothing
 * refers to stay.  Safe beside pushes and fetches; blocks up to
 * REPO_REPACK_MS.  1 when it was done, 0 when there was no need, -code.
 */
#define REPO_PACKS_MAX 30
#define REPO_REPACK_MS 600000
int repo_repack(const struct config *cfg, int64_t app_id, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* 40 lower-case hex digits? */
bool oid_is_valid(const char *text) __attribute__((nonnull));

/* A full ref name that git accepts (git-check-ref-format(1))?  Pure. */
bool ref_name_is_valid(const char *name) __attribute__((nonnull));

#endif
