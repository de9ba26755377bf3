/*
 * builder/engine/build_request.h - a build_spec as the query and headers of
 * POST /build.
 *
 * Internal to build.c.  Pure.
 */
#ifndef BUILDER_ENGINE_BUILD_REQUEST_H
#define BUILDER_ENGINE_BUILD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct build_credential;
struct build_spec;
struct error;

/*
 * Append "/build?…".  session_id is "" for none.
 *
 * 0; -ERR_LIMIT when build args and labels do not fit into a request line
 * (`path` has its maximum).
 */
int build_request_path(const struct build_spec *spec, bool is_buildkit,
		       const char *session_id, struct buf *path,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Append "X-Registry-Config: …" with these credentials: the classic builder
 * and Podman read it, BuildKit asks its session.
 */
void build_request_credentials(const struct build_credential *list,
			       size_t count, struct buf *header)
	__attribute__((nonnull(3)));

#endif
