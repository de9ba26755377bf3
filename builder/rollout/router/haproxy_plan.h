/*
 * builder/rollout/router/haproxy_plan.h - from what HAProxy holds and what it
 * shall hold to the commands in between.
 *
 * Internal to haproxy.c.  Pure.  Commands are appended, each with a
 * ';' behind it.
 */
#ifndef BUILDER_ROLLOUT_ROUTER_HAPROXY_PLAN_H
#define BUILDER_ROLLOUT_ROUTER_HAPROXY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "builder/rollout/router/haproxy_client.h"

struct error;

/* Number of the app's backend by the reply to `show map`; 0 = none. */
int haproxy_plan_find(struct slice map, int64_t app_id);

/* The first backend of p1 … pMAX that the map does not mention; 0 = none. */
int haproxy_plan_free(struct slice map, int max);

/* Ids of the apps in the map, at most `max`; count. */
int haproxy_plan_apps(struct slice map, int64_t *ids, int max)
	__attribute__((nonnull));

/*
 * Make exactly the route's endpoints ready: those that are stay, new ones
 * come into free slots, then the others drain.  With all slots taken, ones
 * that drain are given up.  0, or -ERR_LIMIT when even that is not enough.
 */
int haproxy_plan_servers(int pool,
			 const struct haproxy_server servers[HAPROXY_SLOTS],
			 const struct router_route *route, struct buf *commands,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Are exactly the route's endpoints ready? */
bool haproxy_plan_is_done(const struct haproxy_server servers[HAPROXY_SLOTS],
			  const struct router_route *route)
	__attribute__((nonnull));

/* Take all servers out of service. */
void haproxy_plan_clear(int pool,
			const struct haproxy_server servers[HAPROXY_SLOTS],
			struct buf *commands) __attribute__((nonnull));

/* Lead `host` to the backend, then no other host any more; NULL = no host at
 * all. */
void haproxy_plan_hosts(struct slice map, int pool, const char *host,
			struct buf *commands) __attribute__((nonnull(4)));

#endif
