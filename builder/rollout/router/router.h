/*
 * builder/rollout/router/router.h - the interface that a router implements:
 * hosts to apps, apps to container addresses.
 *
 * Runs in workers; blocks, but for `drain` at most a few seconds per call.  A
 * router may forget everything at any time (it was restarted): the caller
 * asks `apps` and sets the routes again.  HAProxy is the one implementation
 * (haproxy.h); a second one fills in another struct.
 */
#ifndef BUILDER_ROLLOUT_ROUTER_ROUTER_H
#define BUILDER_ROLLOUT_ROUTER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct router;

#define ROUTER_ENDPOINTS_MAX 8

/* One place to send requests to. */
struct router_endpoint {
	char ip[48];
	int port;
};

struct router_route {
	int64_t app_id;
	char host[256];	     /* "shop.localhost", lower case */
	bool only_if_absent; /* leave an app alone that has a route */
	struct router_endpoint endpoints[ROUTER_ENDPOINTS_MAX];
	size_t endpoints_count;
};

struct router_ops {
	/*
	 * Send new requests for route->host to exactly these endpoints.  The
	 * former ones go on with what they have in hand (see drain).  Nothing
	 * is lost: the new ones are ready before the old ones stop.  Other
	 * hosts of the app are forgotten.  Without endpoints the host answers
	 * 503.  -ERR_LIMIT: no room for another app.
	 */
	int (*set)(struct router *r, const struct router_route *route,
		   struct error *err);
	/* Wait until the endpoints that `set` retired for this app have no
	 * request left, at most timeout_ms.  0, or -ERR_TIMEOUT. */
	int (*drain)(struct router *r, int64_t app_id, int timeout_ms,
		     struct error *err);
	/* Forget the app: its host answers 404. */
	int (*remove)(struct router *r, int64_t app_id, struct error *err);
	/* Ids of the apps that have a route; count, *ret is the caller's. */
	int (*apps)(struct router *r, int64_t **ret, struct error *err);
	/* Does it answer?  0 or -code. */
	int (*check)(struct router *r, struct error *err);
	void (*close)(struct router *r);
};

struct router {
	const struct router_ops *ops;
};

#endif
