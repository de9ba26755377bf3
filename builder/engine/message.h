/*
 * builder/engine/message.h - what an engine says went wrong, made fit for
 * people: on one line, without control characters, secrets in URLs and paths
 * of the engine's temporary folders, and with what to do about it.
 *
 * Internal to builder/engine/.  Pure.
 */
#ifndef BUILDER_ENGINE_MESSAGE_H
#define BUILDER_ENGINE_MESSAGE_H

#include <stdbool.h>

#include "base/buf.h"

#define ENGINE_MESSAGE_MAX 300 /* bytes of a foreign message */

/*
 * Append `text` on one line, without control characters and queries of URLs,
 * cut at ENGINE_MESSAGE_MAX.
 */
void message_clean(struct slice text, struct buf *out) __attribute__((nonnull));

/* The same for an error reply: {"message": …}, or plain text. */
void message_from_reply(struct slice body, struct buf *out)
	__attribute__((nonnull));

/* The exit code that a build's message names; 0 = none. */
int message_exit_code(struct slice text);

enum build_cause {
	BUILD_CAUSE_OTHER,
	BUILD_CAUSE_DISK, /* no space left */
	BUILD_CAUSE_NO_DOCKERFILE,
	BUILD_CAUSE_DOCKERFILE, /* not valid */
	BUILD_CAUSE_SESSION,	/* the session with us was lost */
	BUILD_CAUSE_LOGIN,	/* a registry wants (other) credentials */
};

/* What else is known about a failed build. */
struct build_hints {
	const char *dockerfile; /* its path */
	const char *registry;	/* that was asked last; "" = not known */
	bool has_login;		/* we have credentials for it */
};

/* Append the message of a failed build. */
enum build_cause message_of_build(struct slice text,
				  const struct build_hints *hints,
				  struct buf *out)
	__attribute__((nonnull(2, 3)));

#endif
