/*
 * builder/engine/grpc_calls.h - the methods that a session answers, as
 * functions from request to reply.
 *
 * Internal to session.c.  Pure.
 */
#ifndef BUILDER_ENGINE_GRPC_CALLS_H
#define BUILDER_ENGINE_GRPC_CALLS_H

#include "base/buf.h"

struct session_answers;

/* Status codes of gRPC. */
enum grpc_status {
	GRPC_OK = 0,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_NOT_FOUND = 5,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
};

#define GRPC_REGISTRY_MAX 256

/*
 * Answer the request message `body` (with its 5-byte gRPC prefix) to the
 * method at `path`; with GRPC_OK the reply, prefix included, is appended to
 * `reply`.  `registry` (GRPC_REGISTRY_MAX bytes) gets the host whose
 * credentials were asked for.
 */
enum grpc_status grpc_answer(const struct session_answers *answers,
			     const char *path, struct slice body,
			     struct buf *reply, char *registry)
	__attribute__((nonnull));

/* "docker.io" for the many names of Docker Hub, else the host itself. */
const char *grpc_registry_name(const char *host) __attribute__((nonnull));

#endif
