/*
 * receiver/service.h - what runs behind a channel: a git process or a command
 * at the builder, as the channel sees it.
 *
 * Runs in the session.  Nothing in a service blocks, but for its start.
 */
#ifndef RECEIVER_SERVICE_H
#define RECEIVER_SERVICE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

#define SERVICE_FDS_MAX	   3
#define SERVICE_CHUNK	   65536      /* bytes moved at a time */
#define SERVICE_OUTPUT_MAX (4u << 20) /* of the two buffers below */

/* Output on its way to the client; services fill it only when it is empty. */
struct service_output {
	struct buf out;
	struct buf errors;
};

struct service;

struct service_ops {
	/* Take input of the client: how many bytes were taken, 0 = not now. */
	size_t (*input)(struct service *s, struct slice data);
	/* There will be no more input. */
	void (*input_end)(struct service *s);
	/* The terminal's ^C, or a signal request. */
	void (*interrupt)(struct service *s);
	/*
	 * Fill in what to wait for, at most SERVICE_FDS_MAX; how many.
	 *   wants_input   input waits that was not taken
	 *   has_room      the output may be filled
	 */
	size_t (*watch)(struct service *s, bool wants_input, bool has_room,
			struct pollfd *fds);
	/* Move what can be moved; the output is filled only with has_room. */
	void (*move)(struct service *s, bool has_room,
		     struct service_output *output);
	/* Time passes, about once a second. */
	void (*tick)(struct service *s, int64_t now_ms,
		     struct service_output *output);
	/* A child of the session ended. */
	void (*reaped)(struct service *s, pid_t pid, int wait_status);
	/* Over, and all its output was taken? */
	bool (*is_done)(struct service *s, int *ret_status);
	/* Let go of it: close what connects us, free the memory. */
	void (*free)(struct service *s);
};

struct service {
	const struct service_ops *ops;
};

/* Append text for a person; with is_tty every LF gets a CR before it. */
void service_add_text(struct buf *b, struct slice text, bool is_tty)
	__attribute__((nonnull));

#endif
