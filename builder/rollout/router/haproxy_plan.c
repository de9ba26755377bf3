#include "builder/rollout/router/haproxy_plan.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* The number behind `prefix` in all of the slice; 0 when there is none. */
static int64_t number_after(struct slice s, const char *prefix)
{
	size_t skip = strlen(prefix);
	int64_t n = 0;

	if (!slice_starts(s, prefix) || s.len == skip)
		return 0;
	for (size_t i = skip; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9' ||
		    __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, s.ptr[i] - '0', &n))
			return 0;
	}
	return n;
}

static int pool_of(const struct haproxy_entry *e)
{
	int64_t n = number_after(e->value, "p");

	return n > 0 && n < 100000 ? (int)n : 0;
}

int haproxy_plan_find(struct slice map, int64_t app_id)
{
	struct haproxy_entry e;

	while (haproxy_next_entry(&map, &e)) {
		int64_t id = number_after(e.key, HAPROXY_APP_KEY);

		if (id && id == app_id)
			return pool_of(&e);
	}
	return 0;
}

int haproxy_plan_free(struct slice map, int max)
{
	auto_free bool *used = xcalloc((size_t)max + 1, sizeof(*used));
	struct haproxy_entry e;

	while (haproxy_next_entry(&map, &e)) {
		int pool = pool_of(&e);

		if (pool <= max)
			used[pool] = true;
	}
	for (int i = 1; i <= max; i++)
		if (!used[i])
			return i;
	return 0;
}

int haproxy_plan_apps(struct slice map, int64_t *ids, int max)
{
	struct haproxy_entry e;
	int count = 0;

	while (count < max && haproxy_next_entry(&map, &e)) {
		int64_t id = number_after(e.key, HAPROXY_APP_KEY);

		if (id)
			ids[count++] = id;
	}
	return count;
}

static bool is_at(const struct haproxy_server *s,
		  const struct router_endpoint *e)
{
	return s->port == e->port && strcmp(s->ip, e->ip) == 0;
}

static bool is_ready(const struct haproxy_server *s)
{
	return !s->is_maint && !s->is_draining;
}

/* Index of the slot that has this address and is in service, or -1. */
static int find_at(const struct haproxy_server *servers,
		   const struct router_endpoint *e, const bool *used)
{
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (!used[i] && !servers[i].is_maint && is_at(&servers[i], e))
			return i;
	return -1;
}

/* Index of a slot for a new address: a free one, else one that drains. */
static int find_room(const struct haproxy_server *servers, const bool *used)
{
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (!used[i] && servers[i].is_maint)
			return i;
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (!used[i] && servers[i].is_draining)
			return i;
	return -1;
}

static void add_state(int pool, const struct haproxy_server *s,
		      const char *state, struct buf *commands)
{
	buf_addf(commands, "set server p%d/s%d state %s;", pool, s->slot,
		 state);
}

int haproxy_plan_servers(int pool,
			 const struct haproxy_server servers[HAPROXY_SLOTS],
			 const struct router_route *route, struct buf *commands,
			 struct error *err)
{
	bool used[HAPROXY_SLOTS] = { false };
	int place[ROUTER_ENDPOINTS_MAX];

	/* Those that are there first, so that no other takes their slot. */
	for (size_t i = 0; i < route->endpoints_count; i++) {
		place[i] = find_at(servers, &route->endpoints[i], used);
		if (place[i] < 0)
			continue;
		used[place[i]] = true;
		if (!is_ready(&servers[place[i]]))
			add_state(pool, &servers[place[i]], "ready", commands);
	}
	for (size_t i = 0; i < route->endpoints_count; i++) {
		const struct router_endpoint *e = &route->endpoints[i];
		int room = place[i];

		if (room >= 0)
			continue;
		room = find_room(servers, used);
		if (room < 0)
			return err_set(err, ERR_LIMIT,
				       "the router has no free slot in p%d",
				       pool);
		used[room] = true;
		if (!servers[room].is_maint)
			add_state(pool, &servers[room], "maint", commands);
		buf_addf(commands, "set server p%d/s%d addr %s port %d;", pool,
			 servers[room].slot, e->ip, e->port);
		add_state(pool, &servers[room], "ready", commands);
	}
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (!used[i] && is_ready(&servers[i]))
			add_state(pool, &servers[i], "drain", commands);
	return 0;
}

bool haproxy_plan_is_done(const struct haproxy_server servers[HAPROXY_SLOTS],
			  const struct router_route *route)
{
	bool used[HAPROXY_SLOTS] = { false };

	for (size_t i = 0; i < route->endpoints_count; i++) {
		int at = find_at(servers, &route->endpoints[i], used);

		if (at < 0 || !is_ready(&servers[at]))
			return false;
		used[at] = true;
	}
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (!used[i] && is_ready(&servers[i]))
			return false;
	return true;
}

void haproxy_plan_clear(int pool,
			const struct haproxy_server servers[HAPROXY_SLOTS],
			struct buf *commands)
{
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (!servers[i].is_maint)
			add_state(pool, &servers[i], "maint", commands);
}

void haproxy_plan_hosts(struct slice map, int pool, const char *host,
			struct buf *commands)
{
	struct haproxy_entry e;
	struct slice rest = map;
	int known = -1; /* where the host leads to now */

	while (host && haproxy_next_entry(&rest, &e))
		if (slice_eq(e.key, host))
			known = pool_of(&e);
	if (host && known < 0)
		buf_addf(commands, "add map " HAPROXY_MAP " %s p%d;", host,
			 pool);
	else if (host && known != pool)
		buf_addf(commands, "set map " HAPROXY_MAP " %s p%d;", host,
			 pool);
	while (haproxy_next_entry(&map, &e))
		if (pool_of(&e) == pool && (!host || !slice_eq(e.key, host)) &&
		    !number_after(e.key, HAPROXY_APP_KEY))
			buf_addf(commands, "del map " HAPROXY_MAP " %.*s;",
				 (int)e.key.len, e.key.ptr);
}
