/*
 * builder/engine/image.h - images on the engine.
 */
#ifndef BUILDER_ENGINE_IMAGE_H
#define BUILDER_ENGINE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct engine;
struct error;

struct image_info {
	char *id;	    /* sha256:… */
	char *architecture; /* "amd64", "arm64"; "" = not said */
	int64_t size;	    /* bytes */
	bool has_healthcheck;
	int exposed_count; /* TCP ports */
	int exposed_port;  /* the single one; 0 unless exposed_count is 1 */
	bool has_command;  /* CMD or ENTRYPOINT */
};

void image_info_release(struct image_info *i);
/* -ERR_NOTFOUND */
int image_inspect(struct engine *e, const char *ref, struct image_info *ret,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));
int image_tag(struct engine *e, const char *ref, const char *repo,
	      const char *tag, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Drop a tag (the image goes when nothing uses it).  0 also when it was gone
 * or is in use. */
int image_untag(struct engine *e, const char *ref, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Tags "repo:tag" of `repo`, NULL-ended, each and the array to be freed. */
int image_tags(struct engine *e, const char *repo, char ***ret,
	       struct error *err) __attribute__((nonnull, warn_unused_result));
/* Free bytes where the engine keeps its images, when it is on this machine;
 * -ERR_NOTFOUND when that cannot be told. */
int engine_disk_free(struct engine *e, int64_t *ret_bytes, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append "/images/REF" and `rest`; the slashes of REF stay, as the engine
 * wants them. */
void image_path(struct buf *path, const char *ref, const char *rest)
	__attribute__((nonnull));

#endif
