/*
 * receiver/session.h - one SSH connection from its first byte to its last.
 *
 * Runs in a process of its own, forked by the listening process WITHOUT exec:
 * measured, that takes 0.5 ms and shares most memory, where starting a
 * program takes 7 ms.  The listener has confined itself before it accepts
 * (base/sandbox.h), so the session is confined from birth.
 *
 * One loop polls the connection, SIGCHLD/SIGTERM and what the channels wait
 * for; libssh is driven by its callbacks.  Nothing blocks but questions to
 * the builder (receiver/builder_client.h).
 *
 * Ends: login grace time, idle time, a dead peer (TCP keepalive and user
 * timeout), too many denied keys, SIGTERM, or with the listener.
 */
#ifndef RECEIVER_SESSION_H
#define RECEIVER_SESSION_H

struct config;
struct ssh_bind_struct;

/* Exit codes; the listener turns them into penalties. */
enum session_exit {
	SESSION_OK = 0,	       /* was logged in */
	SESSION_FAILED = 10,   /* broke the protocol, or we failed */
	SESSION_DENIED = 11,   /* offered keys, none was good */
	SESSION_NO_LOGIN = 12, /* left without trying to log in */
	SESSION_GRACE = 13,    /* login grace time used up */
};

struct session_spec {
	const struct config *cfg;
	struct ssh_bind_struct *bind; /* with host keys and algorithms */
	const char *hooks;	      /* folder with proc-receive */
	const char *peer;	      /* "192.0.2.1:51514" */
	int fd;			      /* the connection; owned */
	int status_fd;		      /* gets one byte when logged in; owned */
};

/* Serve the connection; an enum session_exit to leave the process with. */
int session_run(const struct session_spec *spec) __attribute__((nonnull));

#endif
