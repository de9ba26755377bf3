/*
 * builder/engine/engine.h - a connection to a Docker Engine (or Podman's
 * Docker API): version negotiation, calls, streams.
 *
 * Runs in workers, one engine object per process; blocks.  Errors name the
 * engine's own message; its text is cut at 300 characters and its URLs lose
 * their queries.  docs: Docker Engine API v1.44.
 */
#ifndef BUILDER_ENGINE_ENGINE_H
#define BUILDER_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/buf.h"

struct error;
struct engine;

struct engine_info {
	char api[16];	 /* version used: min(server, 1.44), "1.41" */
	char server[64]; /* "Docker/20.10.24 (linux)" */
	bool is_podman;
	bool has_buildkit; /* POST /build?version=2 works with a session */
};

/*
 * Ping the engine at `url` (unix:///path or tcp://host:port, 5 s) and settle
 * the API version.
 *
 * 0; -ERR_NOTFOUND no socket there; -ERR_PEER nobody listens; -ERR_DENIED no
 * permission for the socket; -ERR_TIMEOUT the engine hangs.
 */
int engine_open(const char *url, struct engine **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void engine_close(struct engine *e);
const struct engine_info *engine_info(const struct engine *e)
	__attribute__((nonnull, returns_nonnull));
/* Reached through a unix socket: its files are probably on this machine. */
bool engine_is_local(const struct engine *e) __attribute__((nonnull));

/*
 * One call: `path` starts after the version ("/containers/json?all=1", query
 * already encoded); body may be NULL.  Up to 16 MiB of reply are parsed.
 *
 * On success (2xx, 304) 0 with *ret_reply (NULL for an empty one; pass NULL
 * to drop it), the caller's.  Else -ERR_NOTFOUND (404), -ERR_EXISTS (409),
 * -ERR_INVALID (400), -ERR_DENIED (401, 403), -ERR_LIMIT (its disk is full, or
 * the reply too long), -ERR_PEER (5xx, or the engine went away), -ERR_TIMEOUT,
 * -ERR_PROTO (no JSON).
 */
int engine_call(struct engine *e, const char *method, const char *path,
		const json_t *body, int timeout_ms, json_t **ret_reply,
		struct error *err)
	__attribute__((nonnull(1, 2, 3, 7), warn_unused_result));

/*
 * A call whose reply is a stream of bytes; `chunk` gets them as they come and
 * ends the call by returning non-zero (the call then returns -ERR_CANCELED).
 * timeout_ms bounds the whole call, 0 = none.
 */
typedef int (*engine_chunk_fn)(void *ctx, struct slice data);
int engine_stream(struct engine *e, const char *method, const char *path,
		  engine_chunk_fn chunk, void *ctx, int timeout_ms,
		  struct error *err)
	__attribute__((nonnull(1, 2, 3, 4, 7), warn_unused_result));

/* Append a query value, percent-encoded. */
void engine_query(struct buf *path, const char *text) __attribute__((nonnull));

#endif
