/*
 * builder/rollout/router_haproxy.h - HAProxy as the router, driven through
 * its runtime API on a unix socket; never reloaded.
 *
 * The configuration (written once per start by `slipway-builder
 * --router-config`) has a pool of backends p1 … pN with server slots; which
 * app has which backend, and which slot which address, is state that we set
 * at run time and can set again (reconcile).
 */
#ifndef BUILDER_ROLLOUT_ROUTER_HAPROXY_H
#define BUILDER_ROLLOUT_ROUTER_HAPROXY_H

struct buf;
struct config;
struct error;
struct router;

/* Append haproxy.cfg for this configuration. 0 or -ERR_INVALID. */
int router_haproxy_config(const struct config *cfg, struct buf *out,
			  struct error *err)
    __attribute__((nonnull, warn_unused_result));

/* Write it (and the 404 page) below DATA/router/.  0 or -code. */
int router_haproxy_write(const struct config *cfg, struct error *err)
    __attribute__((nonnull, warn_unused_result));

/* Borrows cfg. */
int router_haproxy_open(const struct config *cfg, struct router **ret,
			struct error *err)
    __attribute__((nonnull, warn_unused_result));

#endif
