/*
 * receiver/greeting.h - what a plain `ssh git@host` answers.
 *
 * Runs in the session.  Pure.
 */
#ifndef RECEIVER_GREETING_H
#define RECEIVER_GREETING_H

struct buf;
struct config;

/* Append the greeting of `user`: who they are, help, and how to push. */
void greeting(const struct config *cfg, const char *user, struct buf *out)
	__attribute__((nonnull));

/*
 * Append how to name this server and an app's repository on it in a git
 * remote: "git@host:shop", or "ssh://git@host:2222/shop".
 */
void greeting_remote(const struct config *cfg, const char *app, struct buf *out)
	__attribute__((nonnull));

#endif
