/*
 * base/wire.h - frames on the control socket (docs/PROTOCOL.md).
 *
 * Runs in every process.  A frame is a 4-byte big-endian length of what
 * follows, one byte of kind, and the payload.  Kind WIRE_MESSAGE carries one
 * JSON object with a "type"; the others carry bytes of a stream.  A peer that
 * sends a longer frame than WIRE_MAX is cut off.
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/buf.h"

struct error;

#define WIRE_HEAD 5	     /* bytes before the payload */
#define WIRE_MAX  (1u << 20) /* longest payload */

enum wire_kind {
	WIRE_MESSAGE = 0,
	WIRE_STDOUT = 1, /* output of a command or push, to the person */
	WIRE_STDERR = 2,
	WIRE_STDIN = 3, /* input of a command; an empty one is its end */
};

struct wire_frame {
	enum wire_kind kind;
	struct slice payload; /* borrowed from the input buffer */
};

/*
 * Look at the front of `in`.  Returns the number of bytes the first frame
 * takes (then *ret_frame is set: use it, then drop them), 0 when it is not
 * whole yet, or -ERR_PROTO.  Does no I/O.
 */
int wire_parse(struct slice in, struct wire_frame *ret_frame, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append a frame to `out`. `len` is at most WIRE_MAX. */
void wire_add(struct buf *out, enum wire_kind kind, const void *data,
	      size_t len) __attribute__((nonnull));

/* Append a message frame; takes over `msg`. */
void wire_add_message(struct buf *out, json_t *msg) __attribute__((nonnull));

/* Blocking: send a message and drop it.  0 or -code. */
int wire_send(int fd, json_t *msg, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Blocking: send stream bytes, split into frames as needed.  0 or -code. */
int wire_send_data(int fd, enum wire_kind kind, const void *data, size_t len,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Blocking: read one frame into `in` (initialised with at least WIRE_MAX +
 * WIRE_HEAD; its old content is dropped) and describe it in *ret_frame.
 * Returns 1, 0 at a clean end, or -code.
 */
int wire_recv(int fd, struct buf *in, struct wire_frame *ret_frame,
	      struct error *err) __attribute__((nonnull, warn_unused_result));

/*
 * Parse the payload of a message frame; *ret_msg is the caller's and
 * *ret_type is borrowed from it.  0 or -ERR_PROTO.
 */
int wire_message(const struct wire_frame *frame, json_t **ret_msg,
		 const char **ret_type, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The message {"type":"error","code":…,"message":…}. */
json_t *wire_error(const struct error *e) __attribute__((nonnull));

/*
 * Blocking: send `request` (taken over) and wait for one message frame in
 * reply.  A reply of type "error" becomes a failure with its code and text.
 */
int wire_call(int fd, json_t *request, json_t **ret_reply, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
