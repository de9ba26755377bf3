/*
 * builder/commands/release_request.h - ask the builder for a release of what
 * is live with the vars of now, and show how it goes.
 *
 * Runs in a command's worker; blocks until the release has ended.
 */
#ifndef BUILDER_COMMANDS_RELEASE_REQUEST_H
#define BUILDER_COMMANDS_RELEASE_REQUEST_H

#include <stdint.h>

struct call;
struct error;

/*
 * *ret_version is the release that went live, or 0 when one with these vars
 * was live already.  Its transcript goes to standard error.
 *
 * 0; -ERR_NOTFOUND nothing is live; -ERR_PEER it failed (err is its reason),
 * or the client or the builder went away, which does not stop it.
 */
int release_request(struct call *c, const char *description,
		    int64_t *ret_version, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
