/*
 * builder/engine/http.h - the engine's HTTP side, for the files of
 * builder/engine/ that need more than engine_call(): a handle set up for the
 * engine, errors translated, and a raw connection for upgrades.
 *
 * Internal to builder/engine/.  The only file that knows where the engine is.
 */
#ifndef BUILDER_ENGINE_HTTP_H
#define BUILDER_ENGINE_HTTP_H

#include <stdbool.h>
#include <curl/curl.h>

#include "base/buf.h"

struct engine;
struct error;

#define ENGINE_ERROR_BODY (64 * 1024) /* bytes read of an error reply */
#define ENGINE_CONNECT_MS 5000

/*
 * Make `easy` ready for a request to the engine; everything it was set to
 * before is forgotten.  `path` starts after the version.  0 or -ERR_BUG.
 */
int http_prepare(struct engine *e, CURL *easy, const char *path,
		 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Of the reply that came, or is coming, on this handle; 0 = none yet. */
long http_status(CURL *easy) __attribute__((nonnull));

/* A transfer that ended with `code` instead of a reply, as an error. */
int http_curl_error(const struct engine *e, CURL *easy, CURLcode code,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* A reply whose status says no, as an error; `body` as the engine sent it. */
int http_status_error(long status, struct slice body, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Connect to the engine and ask for the upgrade that `request` (a whole HTTP
 * request head) describes; *ret_rest gets what came after the reply's head.
 * Blocks up to ENGINE_CONNECT_MS.
 *
 * The non-blocking fd; -ERR_NOTFOUND when the engine does not know it (404),
 * else as engine_open.
 */
int http_upgrade(struct engine *e, struct slice request, struct buf *ret_rest,
		 struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
