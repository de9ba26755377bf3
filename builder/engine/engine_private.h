/*
 * builder/engine/engine_private.h - what an engine object holds.
 *
 * Internal to engine.c and http.c.
 */
#ifndef BUILDER_ENGINE_ENGINE_PRIVATE_H
#define BUILDER_ENGINE_ENGINE_PRIVATE_H

#include <curl/curl.h>

#include "builder/engine/engine.h"

struct engine {
	CURL *easy;	 /* one handle, so that the connection is kept */
	char *url;	 /* as configured, for messages */
	char *base;	 /* "http://localhost" or "http://host:port" */
	char *unix_path; /* NULL = TCP */
	char *prefix;	 /* "/v1.41"; NULL before the version is settled */
	struct engine_info info;
};

/* Split the configured url into e.  0 or -ERR_INVALID. */
int engine_set_url(struct engine *e, const char *url, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
