/*
 * hooks/push_request.h - what git tells its proc-receive hook, read step by
 * step (githooks(5), "proc-receive").
 *
 * Runs in the proc-receive hook.  Pure: bytes in, a request out; a fuzz
 * target.
 */
#ifndef HOOKS_PUSH_REQUEST_H
#define HOOKS_PUSH_REQUEST_H

#include <jansson.h>

#include "base/buf.h"

struct error;

#define PUSH_UPDATES_MAX 10000
#define PUSH_OPTIONS_MAX 64
#define PUSH_OPTION_MAX	 4096 /* bytes of one */

enum push_request_state {
	PUSH_WANT_VERSION, /* "version=1\0capabilities" */
	PUSH_WANT_VERSION_END,
	PUSH_WANT_COMMANDS, /* "OLD NEW REF" until a flush */
	PUSH_WANT_OPTIONS,  /* until a flush, when negotiated */
	PUSH_DONE,
};

struct push_request {
	enum push_request_state state;
	bool has_options; /* git offers push options */
	bool is_atomic;
	json_t *updates; /* [{"ref":…,"old":…,"new":…}] */
	json_t *options; /* ["no-cache"] */
};

void push_request_init(struct push_request *p) __attribute__((nonnull));
void push_request_release(struct push_request *p);

/*
 * Take as many whole packets from the front of `in` as the present step
 * needs.  Returns the number of bytes taken (0: more input is needed), or
 * -ERR_PROTO / -ERR_LIMIT.  It stops after PUSH_WANT_VERSION_END, because git
 * then waits for push_request_reply().
 */
int push_request_feed(struct push_request *p, struct slice in,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append our side of the negotiation. */
void push_request_reply(const struct push_request *p, struct buf *out)
	__attribute__((nonnull));

/*
 * Append the answer for git: a line per update, in git's order, from
 * `results` ([{"ref":…,"ok":…,"reason":…,"fall_through":…}]).  An update
 * without a result is refused with `fallback`; "fall_through" leaves the
 * moving of an accepted ref to git.
 */
void push_request_answer(const struct push_request *p, const json_t *results,
			 const char *fallback, struct buf *out)
	__attribute__((nonnull(1, 3, 4)));

#endif
