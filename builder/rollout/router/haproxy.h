/*
 * builder/rollout/router/haproxy.h - HAProxy as the router, driven through
 * its runtime API on a unix socket; never reloaded.
 *
 * The configuration (written once per start by `slipway-builder
 * --router-config`) has a pool of backends p1 … pN with server slots; which
 * app has which backend, and which slot which address, is state that we set
 * at run time and can set again.  It is kept by HAProxy alone and read back
 * from it for each change, so workers need no memory of it; a lock on
 * DATA/router/lock keeps changes apart.
 */
#ifndef BUILDER_ROLLOUT_ROUTER_HAPROXY_H
#define BUILDER_ROLLOUT_ROUTER_HAPROXY_H

#include <stdbool.h>

struct buf;
struct config;
struct error;
struct router;

/*
 * Append haproxy.cfg for this configuration (haproxy_config.c).  as_root:
 * HAProxy will be started as root, and is to become the user "haproxy" and
 * to give its admin socket to the builder's user.
 *
 * 0, or -ERR_INVALID (slipway.data cannot be written into it, or is too long
 * for a socket below it).
 */
int router_haproxy_config(const struct config *cfg, bool as_root,
			  struct buf *out, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Write it to DATA/router/haproxy.cfg, in one step.  0 or -code. */
int router_haproxy_write(const struct config *cfg, bool as_root,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Borrows cfg.  Does not need HAProxy to run yet. */
int router_haproxy_open(const struct config *cfg, struct router **ret,
			struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * The id of the running HAProxy process, which another one after a restart
 * does not have; blocks for a second at most.  -ERR_PEER when none answers.
 */
int router_haproxy_id(const struct config *cfg, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
