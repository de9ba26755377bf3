/*
 * receiver/builder_client.h - questions to the builder on the control socket
 * (docs/PROTOCOL.md).
 *
 * Runs in the session.  Each call is one connection, blocks, and gives up
 * after BUILDER_TIMEOUT_MS per read or write.
 */
#ifndef RECEIVER_BUILDER_CLIENT_H
#define RECEIVER_BUILDER_CLIENT_H

#include <stdbool.h>

struct error;

#define BUILDER_TIMEOUT_MS 10000

struct builder_user {
	char *name;
	bool is_admin;
};

void builder_user_release(struct builder_user *u);

/*
 * Whose key is this?  `key` is "type base64".
 *
 * 0; -ERR_NOTFOUND nobody's; -ERR_TIMEOUT, -ERR_SYS, -ERR_PROTO, -ERR_PEER:
 * the builder does not answer, and nobody may be let in.
 */
int builder_whois(const char *socket, const char *fingerprint, const char *key,
		  struct builder_user *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

struct builder_grant {
	char *app;     /* its name, as stored */
	char *git_dir; /* absolute */
	bool is_new;   /* made just now */
};

void builder_grant_release(struct builder_grant *g);

/*
 * May `user` do `action` ("push", "fetch") to `app`?  A push may create it.
 *
 * 0; -ERR_NOTFOUND, -ERR_DENIED, -ERR_INVALID with the builder's own words;
 * else it does not answer.
 */
int builder_authorize(const char *socket, const char *user, const char *app,
		      const char *action, struct builder_grant *ret,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* A connection with the timeout set on it: the fd or -code. */
int builder_connect(const char *socket, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
