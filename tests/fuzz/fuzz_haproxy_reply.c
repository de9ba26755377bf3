/* builder/rollout/router/haproxy_client.h and haproxy_plan.h: what HAProxy
 * says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "builder/rollout/router/haproxy_client.h"
#include "builder/rollout/router/haproxy_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IDS_MAX 8

/* No plan may use a slot that there is not. */
static void check_servers(struct slice reply)
{
	static const struct router_route route = {
		.endpoints = { { "10.0.0.1", 5000 }, { "10.0.0.2", 5000 } },
		.endpoints_count = 2
	};
	struct haproxy_server servers[HAPROXY_SLOTS];
	auto_buf struct buf out = BUF_INIT(65536);
	struct error err;
	int count = haproxy_parse_servers(reply, servers, HAPROXY_SLOTS, &err);

	if (count > HAPROXY_SLOTS)
		abort();
	for (int i = 0; i < count; i++)
		if (servers[i].slot < 1 || servers[i].slot > HAPROXY_SLOTS)
			abort();
	if (count != HAPROXY_SLOTS)
		return;
	if (haproxy_plan_servers(1, servers, &route, &out, &err) == 0)
		haproxy_plan_clear(1, servers, &out);
	(void)haproxy_plan_is_done(servers, &route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice reply = { (const char *)data, size };
	auto_buf struct buf out = BUF_INIT(1 << 20);
	int sessions[HAPROXY_SLOTS + 1];
	int64_t ids[IDS_MAX];
	struct error err;
	int r;

	r = haproxy_reply_check(reply, &err);
	if (r == 0)
		r = haproxy_parse_sessions(reply, sessions, &err);
	if (haproxy_parse_pid(reply, &err) == 0)
		abort();
	check_servers(reply);
	if (haproxy_plan_find(reply, 7) < 0 ||
	    haproxy_plan_free(reply, 3) > 3 ||
	    haproxy_plan_apps(reply, ids, IDS_MAX) > IDS_MAX)
		abort();
	haproxy_plan_hosts(reply, 3, "shop.localhost", &out);
	return r > 0;
}
