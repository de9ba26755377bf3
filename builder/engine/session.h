/*
 * builder/engine/session.h - the session of a BuildKit build: the connection
 * on which the engine asks us for credentials of registries and for build
 * secrets.
 *
 * We are the HTTP/2 server (nghttp2) of a few unary gRPC methods:
 * grpc.health.v1.Health/Check, moby.filesync.v1.Auth/Credentials,
 * moby.buildkit.secrets.v1.Secrets/GetSecret; any other gets status 12.
 * Never blocks: the caller's poll loop waits.  Requests and the number of
 * streams are bounded.
 */
#ifndef BUILDER_ENGINE_SESSION_H
#define BUILDER_ENGINE_SESSION_H

#include <stddef.h>

#include "base/buf.h"

struct build_credential;
struct build_secret;
struct engine;
struct error;
struct session;

#define SESSION_ID_MAX 40

/* What may be asked for; borrowed, must outlive the session. */
struct session_answers {
	const struct build_credential *credentials;
	size_t credentials_count;
	const struct build_secret *secrets;
	size_t secrets_count;
};

/*
 * Serve on `fd` (connected, non-blocking, taken over also on failure);
 * `early` came in on it already.  0 or -code.
 */
int session_new(int fd, const struct session_answers *answers,
		struct slice early, struct session **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Open a session on the engine: POST /session, upgraded.  ret_id is what to
 * tell the build.  Blocks some seconds at most.  0; -ERR_NOTFOUND the engine
 * has no sessions; else as engine_open.
 */
int session_open(struct engine *e, const struct session_answers *answers,
		 struct session **ret, char ret_id[SESSION_ID_MAX],
		 struct error *err)
	__attribute__((nonnull, warn_unused_result));

void session_free(struct session *s);

int session_fd(const struct session *s) __attribute__((nonnull));
/* POLLIN, POLLOUT; 0 once it ended. */
short session_events(const struct session *s) __attribute__((nonnull));
/* Read what came, answer.  0; -ERR_PEER the engine ended it; -ERR_PROTO. */
int session_step(struct session *s, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The registry whose credentials were asked for last; "" = none. */
const char *session_last_registry(const struct session *s)
	__attribute__((nonnull, returns_nonnull));

#endif
