/*
 * ctl/client.h - send one command to the builder's control socket and be its
 * terminal.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

struct error;

/*
 * Run `argv` there as the local administrator: output to stdout and stderr,
 * stdin to the command.  Returns its exit status, or -code.
 */
int client_run(const char *socket, int argc, char *const *argv,
	       struct error *err) __attribute__((nonnull, warn_unused_result));

#endif
