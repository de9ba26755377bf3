/*
 * builder/store/subnet.h - choosing a free /27 from a pool of IPv4 addresses.
 *
 * Internal to builder/store/.  Pure.
 */
#ifndef BUILDER_STORE_SUBNET_H
#define BUILDER_STORE_SUBNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define SUBNET_TEXT_MAX 24 /* "255.255.255.255/32" and its NUL fit */

struct subnet {
	uint32_t first; /* host byte order, inclusive */
	uint32_t last;
};

struct subnet_set {
	struct subnet *items;
	size_t count;
	size_t cap;
};

#define auto_subnets __attribute__((cleanup(subnet_set_release)))

void subnet_set_release(struct subnet_set *s);

/* Add "10.0.0.0/8"; what is not an IPv4 prefix (IPv6) cannot overlap ours
 * and is passed over. */
void subnet_set_add(struct subnet_set *s, const char *text)
	__attribute__((nonnull));

/* Does the prefix overlap one of the set?  False for what is none. */
bool subnet_set_overlaps(const struct subnet_set *s, const char *text)
	__attribute__((nonnull));

/*
 * The first /27 of `pool` that overlaps nothing of `taken`, into ret.
 * -ERR_INVALID: pool is no prefix of at most 27 bits; -ERR_LIMIT: none left.
 */
int subnet_choose(const char *pool, const struct subnet_set *taken,
		  char ret[SUBNET_TEXT_MAX], struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
