#include "receiver/penalty.h"

#include <netinet/in.h>
#include <string.h>

struct source source_of(const struct sockaddr_storage *addr)
{
	struct source s = { .family = 0 };

	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)addr;

		s.family = AF_INET;
		memcpy(s.bytes, &v4->sin_addr, 4);
	} else if (addr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)addr;

		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			s.family = AF_INET;
			memcpy(s.bytes, v6->sin6_addr.s6_addr + 12, 4);
		} else {
			s.family = AF_INET6;
			memcpy(s.bytes, v6->sin6_addr.s6_addr, 8);
		}
	}
	return s;
}

bool source_eq(const struct source *a, const struct source *b)
{
	return a->family == b->family &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void penalties_init(struct penalties *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->seed = seed;
}

/* The finaliser of SplitMix64: every input bit moves every output bit. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static size_t set_of(const struct penalties *p, const struct source *s)
{
	uint64_t x;

	memcpy(&x, s->bytes, sizeof(x));
	x = mix(mix(x ^ p->seed) + p->seed + s->family);
	return (size_t)(x % PENALTY_SETS);
}

static const struct penalty_entry *find(const struct penalties *p,
					const struct source *s)
{
	const struct penalty_entry *set = p->sets[set_of(p, s)];

	for (int i = 0; i < PENALTY_WAYS; i++)
		if (source_eq(&set[i].source, s))
			return &set[i];
	return NULL;
}

/* The source's entry, or the one that may go for it. */
static struct penalty_entry *claim(struct penalties *p, const struct source *s)
{
	struct penalty_entry *set = p->sets[set_of(p, s)];
	struct penalty_entry *least = &set[0];

	for (int i = 0; i < PENALTY_WAYS; i++) {
		if (source_eq(&set[i].source, s))
			return &set[i];
		if (set[i].until_ms < least->until_ms)
			least = &set[i];
	}
	least->source = *s;
	least->until_ms = 0;
	least->is_refused = false;
	return least;
}

void penalty_add(struct penalties *p, const struct source *s, int64_t add_ms,
		 int64_t now_ms)
{
	struct penalty_entry *e;

	if (s->family == 0)
		return;
	e = claim(p, s);
	if (e->until_ms < now_ms) {
		e->until_ms = now_ms;
		e->is_refused = false;
	}
	e->until_ms += add_ms;
	if (e->until_ms > now_ms + PENALTY_MAX_MS)
		e->until_ms = now_ms + PENALTY_MAX_MS;
	if (e->until_ms - now_ms >= PENALTY_THRESHOLD_MS)
		e->is_refused = true;
}

int64_t penalty_left(const struct penalties *p, const struct source *s,
		     int64_t now_ms)
{
	const struct penalty_entry *e = s->family ? find(p, s) : NULL;

	if (!e || !e->is_refused || e->until_ms <= now_ms)
		return 0;
	return e->until_ms - now_ms;
}
