/*
 * receiver/channel_internal.h - what channel.c (bytes, life) and
 * channel_requests.c (what the client asks for) share.  Nobody else includes
 * it.
 */
#ifndef RECEIVER_CHANNEL_INTERNAL_H
#define RECEIVER_CHANNEL_INTERNAL_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "receiver/channel.h"
#include "receiver/service.h"

enum chan_state {
	CHAN_IDLE,	/* no exec or shell request yet */
	CHAN_REQUESTED, /* one was made; not acted upon */
	CHAN_RUNNING,	/* has a service */
	CHAN_FLUSHING,	/* output and then the status are to be sent */
	CHAN_CLOSING,	/* all sent; waiting for the client's CLOSE */
};

struct chan {
	struct chan_host *host;
	ssh_channel ssh;
	struct ssh_channel_callbacks_struct callbacks;
	enum chan_state state;
	bool has_tty;
	bool is_shell;
	char *line; /* exec request */
	char *git_protocol;
	struct service *service;
	int status;
	/* input */
	size_t waiting; /* bytes in libssh's buffer */
	struct buf held;
	size_t held_taken; /* of these */
	bool has_eof;
	bool eof_passed;
	/* output */
	struct service_output output;
	bool peer_closed;
	int64_t closing_ms;
	int64_t tick_ms;
};

/* Set c->callbacks: libssh calls them while it handles a packet. */
void chan_set_callbacks(struct chan *c) __attribute__((nonnull));

/* Act on the request that was recorded: CHAN_REQUESTED to CHAN_RUNNING, or to
 * CHAN_FLUSHING with the answer in the output. */
void chan_start(struct chan *c) __attribute__((nonnull));

/* The service is over: what is left to do is to send output and status. */
void chan_end(struct chan *c, int status) __attribute__((nonnull));

#endif
