/*
 * Drives the router (builder/rollout/router/router.h) from tests:
 *
 *   router_tool DATA LISTEN MAX-APPS config [--as-root]
 *   router_tool DATA LISTEN MAX-APPS write [--as-root]
 *   router_tool DATA LISTEN MAX-APPS set APP-ID HOST [IP:PORT…]
 *   router_tool DATA LISTEN MAX-APPS absent APP-ID HOST [IP:PORT…]
 *   router_tool DATA LISTEN MAX-APPS drain APP-ID TIMEOUT-MS
 *   router_tool DATA LISTEN MAX-APPS remove APP-ID
 *   router_tool DATA LISTEN MAX-APPS apps | check | id
 *
 * Exits 0, or 1 with the error on stderr.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/rollout/router/haproxy.h"
#include "builder/rollout/router/router.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX (1 << 20)
#define USAGE_EXIT 2

static int usage(void)
{
	fprintf(stderr, "usage: router_tool DATA LISTEN MAX-APPS VERB …\n");
	exit(USAGE_EXIT);
}

static int do_config(const struct config *cfg, bool as_root, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(CONFIG_MAX);
	int r = router_haproxy_config(cfg, as_root, &text, err);

	if (r == 0)
		fputs(buf_str(&text), stdout);
	return r;
}

static int do_set(struct router *router, bool only_if_absent, char **args,
		  struct error *err)
{
	struct router_route route = { .only_if_absent = only_if_absent };

	if (!args[0] || !args[1])
		return usage();
	route.app_id = strtoll(args[0], NULL, 10);
	snprintf(route.host, sizeof(route.host), "%s", args[1]);
	for (char **a = args + 2; *a; a++) {
		struct router_endpoint *e =
			&route.endpoints[route.endpoints_count];
		char *colon = strrchr(*a, ':');

		if (!colon || route.endpoints_count == ROUTER_ENDPOINTS_MAX)
			return usage();
		snprintf(e->ip, sizeof(e->ip), "%.*s", (int)(colon - *a), *a);
		e->port = (int)strtol(colon + 1, NULL, 10);
		route.endpoints_count++;
	}
	return router->ops->set(router, &route, err);
}

static int do_apps(struct router *router, struct error *err)
{
	auto_free int64_t *ids = NULL;
	int count = router->ops->apps(router, &ids, err);

	for (int i = 0; i < count; i++)
		printf("%" PRId64 "\n", ids[i]);
	return count < 0 ? count : 0;
}

static int with_router(struct router *router, const char *verb, char **args,
		       struct error *err)
{
	if (strcmp(verb, "set") == 0 || strcmp(verb, "absent") == 0)
		return do_set(router, verb[0] == 'a', args, err);
	if (strcmp(verb, "drain") == 0 && args[0] && args[1])
		return router->ops->drain(router, strtoll(args[0], NULL, 10),
					  (int)strtol(args[1], NULL, 10), err);
	if (strcmp(verb, "remove") == 0 && args[0])
		return router->ops->remove(router, strtoll(args[0], NULL, 10),
					   err);
	if (strcmp(verb, "apps") == 0)
		return do_apps(router, err);
	if (strcmp(verb, "check") == 0)
		return router->ops->check(router, err);
	return usage();
}

static int run(const struct config *cfg, char **args, struct error *err)
{
	const char *verb = args[0];
	bool as_root = args[1] && strcmp(args[1], "--as-root") == 0;
	struct router *router = NULL;
	int r;

	if (strcmp(verb, "config") == 0)
		return do_config(cfg, as_root, err);
	if (strcmp(verb, "write") == 0)
		return router_haproxy_write(cfg, as_root, err);
	if (strcmp(verb, "id") == 0) {
		r = router_haproxy_id(cfg, err);
		if (r > 0)
			printf("%d\n", r);
		return r;
	}
	r = router_haproxy_open(cfg, &router, err);
	if (r == 0) {
		r = with_router(router, verb, args + 1, err);
		router->ops->close(router);
	}
	return r;
}

int main(int argc, char **argv)
{
	static const char *const keys[] = { "slipway.data", "router.listen",
					    "router.max-apps" };
	struct config cfg;
	struct error err = ERROR_INIT;
	int r = 0;

	if (argc < 5)
		return usage();
	config_init(&cfg);
	for (int i = 0; i < 3 && r == 0; i++)
		r = config_set(&cfg, keys[i], argv[i + 1], &err);
	if (r == 0)
		r = run(&cfg, argv + 4, &err);
	if (r < 0)
		fprintf(stderr, "router_tool: %s\n", err.msg);
	config_release(&cfg);
	return r < 0;
}
