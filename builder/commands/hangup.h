/*
 * builder/commands/hangup.h - end this process when its client goes away.
 *
 * For a command that waits inside a call of somebody else's (the engine's
 * log stream) and changes nothing, so that it can end anywhere.  Uses one
 * thread, the only one we start: it sleeps in poll(2) until the client hangs
 * up, and then ends the process.
 */
#ifndef BUILDER_COMMANDS_HANGUP_H
#define BUILDER_COMMANDS_HANGUP_H

struct error;
struct hangup;

/* Watch the connected socket `fd`, which must stay open until
 * hangup_unwatch().  0 or -ERR_SYS. */
int hangup_watch(int fd, struct hangup **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Stop watching; accepts NULL. */
void hangup_unwatch(struct hangup *h);

#endif
