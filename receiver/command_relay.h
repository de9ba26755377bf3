/*
 * receiver/command_relay.h - a command line behind a channel: sent to the
 * builder, its output passed on (docs/PROTOCOL.md, "command").
 *
 * Runs in the session.  Output of the builder is read only when the client
 * has taken what came before, input of the client only when the builder has.
 */
#ifndef RECEIVER_COMMAND_RELAY_H
#define RECEIVER_COMMAND_RELAY_H

#include <stdbool.h>

struct error;
struct service;

/*
 * Send `argv` (NULL-ended) in the name of `user`.  With is_tty, LF becomes
 * CR LF on output, and of the input CR becomes LF, ^D its end and ^C the end
 * of the command (status 130), as there is no terminal in between.
 *
 * 0; -ERR_INVALID; or the builder does not answer.
 */
int command_relay_start(const char *socket, const char *user, char *const *argv,
			bool is_tty, struct service **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
