/*
 * builder/engine/network.h - one bridge network per app, with our own /27s
 * (the engine's default pools give only about 28 networks).
 */
#ifndef BUILDER_ENGINE_NETWORK_H
#define BUILDER_ENGINE_NETWORK_H

#include <stdbool.h>

struct engine;
struct error;

/* IPv4 prefixes of all networks on the engine, NULL-ended; the caller frees
 * each and the array. */
int network_subnets(struct engine *e, char ***ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Is there one of this name?  1, 0 or -code. */
int network_exists(struct engine *e, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Create it with this subnet and owner label.  -ERR_EXISTS, -ERR_INVALID
 * (overlap with another network). */
int network_create(struct engine *e, const char *name, const char *subnet,
		   const char *owner, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* 0 also when it was gone already. */
int network_remove(struct engine *e, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
