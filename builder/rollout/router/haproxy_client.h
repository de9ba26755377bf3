/*
 * builder/rollout/router/haproxy_client.h - calls to HAProxy's runtime API
 * (management.txt, section 9.3), and the readers of its replies.
 *
 * Internal to haproxy.c.  haproxy_call() blocks until its deadline;
 * everything else is pure.
 */
#ifndef BUILDER_ROLLOUT_ROUTER_HAPROXY_CLIENT_H
#define BUILDER_ROLLOUT_ROUTER_HAPROXY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "builder/rollout/router/router.h"

struct config;
struct error;

/* Slots per backend: new endpoints stand beside the old ones. */
#define HAPROXY_SLOTS (2 * ROUTER_ENDPOINTS_MAX)

/*
 * The one map: "shop.localhost" -> "p3", and "APP7" -> "p3", which says that
 * backend p3 belongs to app 7.  Hosts are looked up in lower case, so that no
 * request can ever ask for the latter.
 */
#define HAPROXY_MAP	  "/dev/null"
#define HAPROXY_APP_KEY	  "APP"
#define HAPROXY_REPLY_MAX (8u << 20)

/* DATA/router/haproxy.sock; the caller frees it. */
char *haproxy_socket_path(const struct config *cfg) __attribute__((nonnull));

/*
 * Send one line of commands (separated by ';') and append all that comes
 * back to `out`.
 *
 * 0; -ERR_PEER nobody answers there; -ERR_TIMEOUT; -ERR_LIMIT; -ERR_SYS.
 */
int haproxy_call(const char *path, const char *commands, int timeout_ms,
		 struct buf *out, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * As haproxy_call() for commands that change something, of whose reply only
 * the errors matter: -ERR_PEER with the first one.
 */
int haproxy_change(const char *path, const char *commands, int timeout_ms,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Look for an error in the reply to changing commands that were sent with
 * "set severity-output number".  0 or -ERR_PEER.
 */
int haproxy_reply_check(struct slice reply, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* An entry of `show map`; borrowed. */
struct haproxy_entry {
	struct slice key;
	struct slice value;
};

/* The next entry of the reply; false at its end. */
bool haproxy_next_entry(struct slice *rest, struct haproxy_entry *ret)
	__attribute__((nonnull));

/* A line of `show servers state BACKEND`. */
struct haproxy_server {
	int slot; /* 3 of "s3" */
	char ip[48];
	int port;
	bool is_maint;	  /* free, or being taken out */
	bool is_draining; /* gets no new requests */
};

/* -ERR_PROTO when a column that we need is not where we know it. */
int haproxy_parse_servers(struct slice reply, struct haproxy_server *servers,
			  int max, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Sessions (with those in the queue) per slot of `show stat BACKEND 4 -1`, by
 * slot number from 1; 0 or -ERR_PROTO. */
int haproxy_parse_sessions(struct slice reply, int sessions[HAPROXY_SLOTS + 1],
			   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Pid of `show info`, or -ERR_PROTO. */
int haproxy_parse_pid(struct slice reply, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
