/*
 * ctl/serve.h - `slipway serve`: prepare the folders, start builder, router
 * and receiver, and keep them running.
 */
#ifndef CTL_SERVE_H
#define CTL_SERVE_H

struct config;
struct error;

/*
 * Serve until SIGTERM or SIGINT.  0, or -code when it could not start.  As
 * root the parts become the users of the configuration.
 */
int serve(const struct config *cfg, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * `slipway check`: look for what would keep it from working, one line each
 * on stdout.  Returns the number of problems, or -code.
 */
int serve_check(const struct config *cfg, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
