/*
 * receiver/acceptor.h - accept connections, fork a session for each, and keep
 * within the limits: connections in all, per source, not yet logged in, and
 * penalties for sources that misbehave (receiver/penalty.h).
 *
 * Runs in the listening process until SIGTERM or SIGINT.  What is refused is
 * closed at once, without a byte; the log says so at most once a second.
 */
#ifndef RECEIVER_ACCEPTOR_H
#define RECEIVER_ACCEPTOR_H

struct config;
struct error;
struct listeners;
struct ssh_bind_struct;

struct acceptor_spec {
	const struct config *cfg;
	struct listeners *listeners;
	struct ssh_bind_struct *bind;
	const char *hooks; /* folder with proc-receive */
};

/*
 * Serve until told to stop.  0 or -ERR_SYS.  Sessions end by themselves when
 * this process does.
 */
int acceptor_run(const struct acceptor_spec *spec, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
