/*
 * receiver/channel.h - one SSH channel: its requests, its service, and the
 * bytes between them in both directions with bounded memory.
 *
 * Runs in the session.  libssh's callbacks only record, or hand bytes to a
 * pipe; everything else happens in chan_step(), from the session's loop.
 *
 * Input.  libssh grants the client more window whenever something is read,
 * even while much is still buffered, so reading piecemeal from a slow service
 * would make its buffer grow without end.  Therefore the callback takes what
 * the service takes at once, and when the service is full everything buffered
 * is taken out in one go and held here; nothing is read again before that is
 * gone.  That bounds a channel to twice libssh's window (1.28 MB).  A client
 * that ignores the window is cut off.
 *
 * Output.  A service is read only when what came before was sent, and
 * nothing is given to libssh beyond the client's window or while its socket
 * has not taken the last write.
 *
 * End: exit-status, EOF, CLOSE, then the client's CLOSE is waited for, or it
 * may lose the last bytes.
 */
#ifndef RECEIVER_CHANNEL_H
#define RECEIVER_CHANNEL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHAN_INPUT_MAX                                                         \
	(4u << 20)	    /* a client beyond this ignores windows            \
			     */
#define CHAN_CLOSE_MS 30000 /* for the client's CLOSE */

struct auth;
struct chan;
struct config;
struct ssh_session_struct;
struct ssh_channel_struct;

/* What all channels of a connection share. */
struct chan_host {
	const struct config *cfg;
	const struct auth *auth;
	const char *peer;
	const char *hooks; /* folder with proc-receive */
	struct ssh_session_struct *ssh;
	int64_t moved_ms;	/* when bytes or requests last moved */
	bool is_client_hostile; /* sent beyond its window */
};

/*
 * Make the channel that libssh asks for.  `host` must outlive it.  NULL when
 * libssh cannot.
 */
struct chan *chan_open(struct chan_host *host) __attribute__((nonnull));

/* What to hand to libssh from its open callback. */
struct ssh_channel_struct *chan_ssh(const struct chan *c)
	__attribute__((nonnull));

/* Fill in what to wait for, at most SERVICE_FDS_MAX; how many. */
size_t chan_watch(struct chan *c, struct pollfd *fds) __attribute__((nonnull));

/* Do what can be done.  Blocks only to start a service. */
void chan_step(struct chan *c, int64_t now_ms) __attribute__((nonnull));

void chan_reaped(struct chan *c, pid_t pid, int wait_status)
	__attribute__((nonnull));

/* Both sides have closed it. */
bool chan_is_over(const struct chan *c) __attribute__((nonnull));

/* The client has not closed it in time. */
bool chan_is_stuck(const struct chan *c, int64_t now_ms)
	__attribute__((nonnull));

/* Let go of its service, tell libssh, free it. */
void chan_free(struct chan *c);

#endif
