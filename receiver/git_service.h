/*
 * receiver/git_service.h - git receive-pack, upload-pack or upload-archive
 * behind a channel.
 *
 * Runs in the session; git runs as a child with pipes for its three streams,
 * a minimal environment, resource limits, and settings from the command line
 * only: nothing that a repository's own config says about hooks or limits
 * counts.
 *
 * Time limit (git.timeout, from the request on).  A fetch is ended when it is
 * over.  A push is ended when it is over and the client still sends, or when
 * neither side has said anything for GIT_SILENCE_MS: while a deploy runs in
 * the hook, git itself speaks every 5 s (receive.keepAlive), and that may
 * take as long as it takes.  CPU time of each git process is limited in any
 * case.
 *
 * When the client goes away the pipes are closed and nothing is killed: git
 * ends by itself, and a deploy belongs to the builder.
 */
#ifndef RECEIVER_GIT_SERVICE_H
#define RECEIVER_GIT_SERVICE_H

#include <stddef.h>

#include "receiver/exec_line.h"

struct config;
struct error;
struct service;

#define GIT_SILENCE_MS 30000
#define GIT_DRAIN_MS   5000 /* output after git's end, from its children */
#define GIT_KILL_MS    5000 /* SIGTERM to SIGKILL */

struct git_request {
	enum exec_kind kind;
	const char *git_dir;
	const char *protocol; /* checked GIT_PROTOCOL, or NULL */
	const char *app;
	const char *user;
	const char *fingerprint;
	const char *hooks; /* folder with proc-receive */
};

/* Start it; *ret is freed through its ops.  0 or -ERR_SYS */
int git_service_start(const struct config *cfg, const struct git_request *req,
		      struct service **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
