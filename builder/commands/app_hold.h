/*
 * builder/commands/app_hold.h - an app for a command alone, while nothing is
 * deployed to it.
 *
 * Runs in a command's worker; blocks for up to two seconds.
 */
#ifndef BUILDER_COMMANDS_APP_HOLD_H
#define BUILDER_COMMANDS_APP_HOLD_H

struct call;
struct error;
struct target;

/* Is a build of c->app waiting or running?  Then -ERR_EXISTS, telling it. */
int app_check_idle(struct call *c, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Take the app's lock and read c->app anew: somebody may have changed it.
 * Closing *ret_fd gives the lock back.  0; -ERR_EXISTS a build; -ERR_TIMEOUT;
 * -ERR_NOTFOUND it was destroyed.
 */
int app_hold(struct call *c, int *ret_fd, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The app's target; 0 with *ret left alone when nothing can be there, since no
 * release was ever made. */
int app_open_target(struct call *c, struct target **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Accepts NULL. */
void app_close_target(struct target *t);

#endif
