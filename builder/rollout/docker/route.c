/*
 * From the containers that run to the route that leads to them.
 */
#include "builder/rollout/docker/docker.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/engine/container.h"
#include "builder/rollout/router/router.h"
#include "builder/store/app_url.h"
#include "builder/store/store.h"

#include <stdio.h>
#include <string.h>

static bool is_routed(const struct container *c, const struct blueprint *b)
{
	return c->version == b->release->version &&
	       strcmp(c->process, PLAN_WEB) == 0;
}

/* An address is good only while its container runs: the engine may have
 * given it to another one. */
static int add_endpoint(struct docker *d, const struct container *c,
			const struct blueprint *b, struct router_route *route,
			struct error *err)
{
	struct router_endpoint *e = &route->endpoints[route->endpoints_count];
	struct container_state state = { .ip = "" };
	int r = container_inspect(d->engine, c->id, b->network, &state, err);

	if (r == -ERR_NOTFOUND)
		return 0;
	if (r < 0)
		return r;
	if (state.is_running && !state.is_restarting && state.ip[0]) {
		snprintf(e->ip, sizeof(e->ip), "%s", state.ip);
		e->port = b->port;
		route->endpoints_count++;
	}
	container_state_release(&state);
	return 0;
}

static int add_endpoints(struct docker *d, const struct blueprint *b,
			 struct router_route *route, struct error *err)
{
	struct container *list = NULL;
	int count = docker_containers(d, b->app->id, &list, err);
	int r = count < 0 ? count : 0;

	for (int i = 0; i < count && r == 0; i++) {
		if (!is_routed(&list[i], b))
			continue;
		if (route->endpoints_count == ROUTER_ENDPOINTS_MAX)
			break;
		r = add_endpoint(d, &list[i], b, route, err);
	}
	docker_containers_free(list, count);
	return r;
}

int docker_route(struct docker *d, const struct blueprint *b,
		 bool only_if_absent, struct error *err)
{
	struct router_route route = { .app_id = b->app->id,
				      .only_if_absent = only_if_absent };
	auto_free char *host = app_host(d->cfg, b->app->name);
	const struct process_plan *web = release_plan_type(&b->plan, PLAN_WEB);
	int r;

	if ((size_t)snprintf(route.host, sizeof(route.host), "%s", host) >=
	    sizeof(route.host))
		return err_set(err, ERR_INVALID, "the host '%s' is too long",
			       host);
	for (char *p = route.host; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (!web || web->count == 0)
		return d->router->ops->remove(d->router, b->app->id, err);
	r = add_endpoints(d, b, &route, err);
	if (r < 0)
		return r;
	return d->router->ops->set(d->router, &route, err);
}
