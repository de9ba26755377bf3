/*
 * builder/commands/commands.h - the commands people type, over SSH and
 * locally.
 *
 * Runs in a worker of its own per command.  Blocks: on the store, on the
 * target, on input, and on a slow client (SEND_TIMEOUT_MS per write).
 */
#ifndef BUILDER_COMMANDS_COMMANDS_H
#define BUILDER_COMMANDS_COMMANDS_H

#include <jansson.h>

struct config;
struct error;
struct store;

/* Exit statuses of commands, beside those a command passes through. */
enum command_status {
	COMMAND_OK = 0,
	COMMAND_FAILED = 1,
	COMMAND_USAGE = 2,
	COMMAND_UNKNOWN = 127,
};

/*
 * Run the `command` message `request` (docs/PROTOCOL.md) for the client at
 * the blocking socket client_fd: its output, and at last `exit` with the
 * status, a command_status.  SIGPIPE is ignored from here on.
 *
 * 0 when the client was told, whatever the status; -code when it was not
 * (it went away, or the request breaks the protocol).
 */
int commands_main(const struct config *cfg, struct store *store, int client_fd,
		  const json_t *request, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
