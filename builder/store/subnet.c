#include "builder/store/subnet.h"

#include "base/buf.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APP_BITS 27
#define APP_SIZE (UINT32_C(1) << (32 - APP_BITS))

void subnet_set_release(struct subnet_set *s)
{
	if (!s)
		return;
	free(s->items);
	*s = (struct subnet_set){ 0 };
}

static bool parse(const char *text, struct subnet *ret, int *ret_bits)
{
	const char *slash = strchr(text, '/');
	char address[INET_ADDRSTRLEN];
	struct in_addr in;
	uint32_t mask;
	int bits = 0;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_pton(AF_INET, address, &in) != 1)
		return false;
	if (!slash[1] || strlen(slash + 1) > 2)
		return false;
	for (const char *p = slash + 1; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		bits = bits * 10 + (*p - '0');
	}
	if (bits > 32)
		return false;
	mask = bits ? ~UINT32_C(0) << (32 - bits) : 0;
	ret->first = ntohl(in.s_addr) & mask;
	ret->last = ret->first | ~mask;
	*ret_bits = bits;
	return true;
}

void subnet_set_add(struct subnet_set *s, const char *text)
{
	struct subnet subnet;
	int bits;

	if (!parse(text, &subnet, &bits))
		return;
	if (s->count == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 32;
		s->items = xrealloc(s->items, s->cap * sizeof(*s->items));
	}
	s->items[s->count++] = subnet;
}

/* The last address of what overlaps first … last, or NULL. */
static const struct subnet *overlap(const struct subnet_set *taken,
				    uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < taken->count; i++)
		if (taken->items[i].first <= last &&
		    taken->items[i].last >= first)
			return &taken->items[i];
	return NULL;
}

bool subnet_set_overlaps(const struct subnet_set *s, const char *text)
{
	struct subnet subnet;
	int bits;

	return parse(text, &subnet, &bits) &&
	       overlap(s, subnet.first, subnet.last);
}

int subnet_choose(const char *pool, const struct subnet_set *taken,
		  char ret[SUBNET_TEXT_MAX], struct error *err)
{
	struct subnet all;
	uint64_t at;
	int bits;

	if (!parse(pool, &all, &bits) || bits > APP_BITS)
		return err_set(err, ERR_INVALID,
			       "network.pool: '%s' is not an IPv4 prefix of "
			       "at most %d bits",
			       pool, APP_BITS);
	for (at = all.first; at + APP_SIZE - 1 <= all.last;) {
		uint32_t first = (uint32_t)at;
		const struct subnet *hit =
			overlap(taken, first, first + APP_SIZE - 1);

		if (!hit) {
			snprintf(ret, SUBNET_TEXT_MAX, "%u.%u.%u.%u/%d",
				 first >> 24, first >> 16 & 255,
				 first >> 8 & 255, first & 255, APP_BITS);
			return 0;
		}
		/* The next /27 after what is in the way. */
		at = (uint64_t)(hit->last | (APP_SIZE - 1)) + 1;
	}
	return err_set(err, ERR_LIMIT,
		       "no /%d is free in network.pool (%s): give Slipway a "
		       "larger one",
		       APP_BITS, pool);
}
