/*
 * builder/engine/image_push.h - an image from the engine to a registry.
 *
 * Runs in workers; blocks until the registry has it all.  The engine answers
 * 200 before it has begun; what counts is in the stream of lines behind it,
 * which is read here.
 *
 * Source: Docker Engine API v1.41, POST /images/NAME/push.
 */
#ifndef BUILDER_ENGINE_IMAGE_PUSH_H
#define BUILDER_ENGINE_IMAGE_PUSH_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct error;

struct image_push {
	const char *repository; /* "127.0.0.1:5000/slipway/shop" */
	const char *tag;
	const char *username;
	const char *password;
	const char *registry; /* its URL or host */
	int idle_timeout_ms;  /* without a word of the engine */
	/* Now and then: "5 of 7 layers, 48.2 MB".  May be NULL. */
	void (*progress)(void *ctx, const char *text);
	/* Asked several times a second; may be NULL. */
	bool (*is_canceled)(void *ctx);
	void *ctx;
};

/*
 * Push repository:tag, which must be a tag on the engine.  *ret_digest is the
 * caller's: the manifest's, as the registry was told.
 *
 * 0; -ERR_NOTFOUND no such image; -ERR_DENIED the registry does not take the
 * login (any more); -ERR_EXISTS the tag is there with another content and
 * cannot be changed; -ERR_PEER it failed (err says how); -ERR_PROTO no digest
 * came; -ERR_TIMEOUT, -ERR_CANCELED; or as engine_call().
 */
int image_push(struct engine *e, const struct image_push *push,
	       char **ret_digest, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
