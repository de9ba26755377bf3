#include "builder/rollout/router/haproxy.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/rollout/router/haproxy_client.h"
#include "builder/rollout/router/haproxy_plan.h"
#include "builder/rollout/router/router.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>

#define CALL_TIMEOUT_MS 5000
#define ID_TIMEOUT_MS	1000
#define LOCK_TIMEOUT_MS 20000
#define LOCK_POLL_MS	10
#define DRAIN_POLL_MS	100
/* Sessions are counted a moment after a server was chosen: believe in zero
 * when it was seen twice. */
#define DRAIN_QUIET 2
#define HOST_CHARS  "abcdefghijklmnopqrstuvwxyz0123456789.-_:"
#define COMMAND_MAX 12000 /* a line of HAProxy's is 16 KiB */

struct haproxy {
	struct router base;
	char *socket;
	char *lock;
	int pools; /* backends p1 … */
};

/* What HAProxy holds, read under the lock. */
struct view {
	struct buf map;
	int pool; /* of the app; 0 = none */
};

#define VIEW_INIT                                                              \
	{                                                                      \
		.map = BUF_INIT(HAPROXY_REPLY_MAX)                             \
	}
#define auto_view __attribute__((cleanup(view_release)))

static void view_release(struct view *v)
{
	buf_release(&v->map);
}

static struct haproxy *haproxy_of(struct router *r)
{
	return (struct haproxy *)r; /* base is its first member */
}

/* ---- reading ---- */

static int lock_router(const struct haproxy *h, struct error *err)
{
	int64_t deadline = clock_ms() + LOCK_TIMEOUT_MS;
	auto_close int fd =
		open(h->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, errno, "open '%s'", h->lock);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, errno, "lock '%s'", h->lock);
		if (clock_ms() >= deadline)
			return err_set(err, ERR_TIMEOUT,
				       "the router is being changed by "
				       "another process");
		poll(NULL, 0, LOCK_POLL_MS);
	}
	return TAKE_FD(fd);
}

/* Takes the last ';' off: an empty command is an unknown one. */
static int change(const struct haproxy *h, struct buf *commands,
		  struct error *err)
{
	int r;

	if (commands->len == 0)
		return 0;
	commands->data[--commands->len] = '\0';
	r = buf_check(commands, "commands to the router", err);
	if (r == 0)
		r = haproxy_change(h->socket, buf_str(commands),
				   CALL_TIMEOUT_MS, err);
	return r;
}

static int load_view(const struct haproxy *h, int64_t app_id, struct view *v,
		     struct error *err)
{
	int r;

	buf_reset(&v->map);
	r = haproxy_call(h->socket, "show map " HAPROXY_MAP, CALL_TIMEOUT_MS,
			 &v->map, err);
	if (r < 0)
		return r;
	v->pool = haproxy_plan_find(buf_slice(&v->map), app_id);
	return 0;
}

static int load_servers(const struct haproxy *h, int pool,
			struct haproxy_server servers[HAPROXY_SLOTS],
			struct error *err)
{
	auto_free char *command = xasprintf("show servers state p%d", pool);
	auto_buf struct buf reply = BUF_INIT(HAPROXY_REPLY_MAX);
	int r = haproxy_call(h->socket, command, CALL_TIMEOUT_MS, &reply, err);

	if (r == 0)
		r = haproxy_parse_servers(buf_slice(&reply), servers,
					  HAPROXY_SLOTS, err);
	if (r >= 0 && r != HAPROXY_SLOTS)
		return err_set(err, ERR_PROTO,
			       "router: backend p%d has %d slots instead of %d",
			       pool, r, HAPROXY_SLOTS);
	return r < 0 ? r : 0;
}

/* View and servers of an app, to be changed under the lock; no servers when it
 * has no pool. */
static int load_app(const struct haproxy *h, int64_t app_id, struct view *v,
		    struct haproxy_server servers[HAPROXY_SLOTS],
		    struct error *err)
{
	int r = load_view(h, app_id, v, err);

	if (r < 0 || !v->pool)
		return r;
	return load_servers(h, v->pool, servers, err);
}

/* ---- set ---- */

static int check_route(const struct router_route *route, struct error *err)
{
	unsigned char addr[sizeof(struct in6_addr)];
	size_t len = strlen(route->host);

	/* What is checked here ends up in a command line. */
	if (len == 0 || strspn(route->host, HOST_CHARS) != len)
		return err_set(err, ERR_INVALID, "'%s' is not a host name",
			       route->host);
	if (route->endpoints_count > ROUTER_ENDPOINTS_MAX)
		return err_set(err, ERR_LIMIT,
			       "%zu processes are more than the router takes "
			       "(%d)",
			       route->endpoints_count, ROUTER_ENDPOINTS_MAX);
	for (size_t i = 0; i < route->endpoints_count; i++) {
		const struct router_endpoint *e = &route->endpoints[i];

		if (e->port < 1 || e->port > 65535 ||
		    (inet_pton(AF_INET, e->ip, addr) != 1 &&
		     inet_pton(AF_INET6, e->ip, addr) != 1))
			return err_set(err, ERR_INVALID,
				       "'%s' port %d is not an address", e->ip,
				       e->port);
	}
	return 0;
}

static int add_app(const struct haproxy *h, int64_t app_id, struct view *v,
		   struct error *err)
{
	auto_buf struct buf commands = BUF_INIT(COMMAND_MAX);
	struct haproxy_server servers[HAPROXY_SLOTS];
	int r;

	v->pool = haproxy_plan_free(buf_slice(&v->map), h->pools);
	if (v->pool == 0)
		return err_set(err, ERR_LIMIT,
			       "the router has room for %d apps "
			       "(router.max-apps), and all of it is used",
			       h->pools);
	r = load_servers(h, v->pool, servers, err);
	if (r < 0)
		return r;
	/* Whatever a former owner left behind. */
	haproxy_plan_clear(v->pool, servers, &commands);
	buf_addf(&commands,
		 "add map " HAPROXY_MAP " " HAPROXY_APP_KEY "%" PRId64 " p%d;",
		 app_id, v->pool);
	return change(h, &commands, err);
}

static int set_servers(const struct haproxy *h, int pool,
		       const struct router_route *route, struct error *err)
{
	auto_buf struct buf commands = BUF_INIT(COMMAND_MAX);
	struct haproxy_server servers[HAPROXY_SLOTS];
	int r = load_servers(h, pool, servers, err);

	if (r == 0)
		r = haproxy_plan_servers(pool, servers, route, &commands, err);
	if (r == 0)
		r = change(h, &commands, err);
	if (r == 0)
		r = load_servers(h, pool, servers, err);
	if (r == 0 && !haproxy_plan_is_done(servers, route))
		return err_set(err, ERR_PEER,
			       "the router did not take the new addresses");
	return r;
}

static int set_hosts(const struct haproxy *h, struct view *v,
		     const struct router_route *route, struct error *err)
{
	auto_buf struct buf commands = BUF_INIT(COMMAND_MAX);

	haproxy_plan_hosts(buf_slice(&v->map), v->pool, route->host, &commands);
	return change(h, &commands, err);
}

static int haproxy_set(struct router *router, const struct router_route *route,
		       struct error *err)
{
	struct haproxy *h = haproxy_of(router);
	auto_view struct view v = VIEW_INIT;
	auto_close int lock = -1;
	int r = check_route(route, err);

	if (r < 0)
		return r;
	lock = lock_router(h, err);
	if (lock < 0)
		return lock;
	r = load_view(h, route->app_id, &v, err);
	if (r < 0 || (v.pool && route->only_if_absent))
		return r;
	if (!v.pool)
		r = add_app(h, route->app_id, &v, err);
	if (r == 0)
		r = set_servers(h, v.pool, route, err);
	/* The host last: it never leads to a backend without servers. */
	if (r == 0)
		r = set_hosts(h, &v, route, err);
	return r;
}

/* ---- drain ---- */

/* Sessions on servers that drain. */
static int count_draining(const struct haproxy *h, int pool, int *ret,
			  struct error *err)
{
	auto_free char *command = xasprintf("show stat p%d 4 -1", pool);
	auto_buf struct buf reply = BUF_INIT(HAPROXY_REPLY_MAX);
	struct haproxy_server servers[HAPROXY_SLOTS];
	int sessions[HAPROXY_SLOTS + 1];
	int r = load_servers(h, pool, servers, err);

	if (r == 0)
		r = haproxy_call(h->socket, command, CALL_TIMEOUT_MS, &reply,
				 err);
	if (r == 0)
		r = haproxy_parse_sessions(buf_slice(&reply), sessions, err);
	if (r < 0)
		return r;
	*ret = 0;
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (servers[i].is_draining)
			*ret += sessions[servers[i].slot];
	return 0;
}

/* Take what drains out of service for good. */
static int end_drain(const struct haproxy *h, int64_t app_id, struct error *err)
{
	auto_buf struct buf commands = BUF_INIT(COMMAND_MAX);
	struct haproxy_server servers[HAPROXY_SLOTS];
	auto_view struct view v = VIEW_INIT;
	auto_close int lock = lock_router(h, err);
	int r;

	if (lock < 0)
		return lock;
	r = load_app(h, app_id, &v, servers, err);
	if (r < 0 || !v.pool)
		return r;
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		if (servers[i].is_draining)
			buf_addf(&commands, "set server p%d/s%d state maint;",
				 v.pool, servers[i].slot);
	return change(h, &commands, err);
}

static int haproxy_drain(struct router *router, int64_t app_id, int timeout_ms,
			 struct error *err)
{
	struct haproxy *h = haproxy_of(router);
	int64_t deadline = clock_ms() + timeout_ms;
	auto_view struct view v = VIEW_INIT;
	int quiet = 0;
	int sessions = 0;
	int r = load_view(h, app_id, &v, err);

	if (r < 0 || !v.pool)
		return r;
	for (;;) {
		r = count_draining(h, v.pool, &sessions, err);
		if (r < 0)
			return r;
		quiet = sessions ? 0 : quiet + 1;
		if (quiet >= DRAIN_QUIET || clock_ms() >= deadline)
			break;
		poll(NULL, 0, DRAIN_POLL_MS);
	}
	r = end_drain(h, app_id, err);
	if (r == 0 && sessions)
		return err_set(err, ERR_TIMEOUT,
			       "%d requests had not ended after %d s", sessions,
			       timeout_ms / 1000);
	return r;
}

/* ---- the others ---- */

static int haproxy_remove(struct router *router, int64_t app_id,
			  struct error *err)
{
	struct haproxy *h = haproxy_of(router);
	auto_buf struct buf commands = BUF_INIT(COMMAND_MAX);
	struct haproxy_server servers[HAPROXY_SLOTS];
	auto_view struct view v = VIEW_INIT;
	auto_close int lock = lock_router(h, err);
	int r;

	if (lock < 0)
		return lock;
	r = load_app(h, app_id, &v, servers, err);
	if (r < 0 || !v.pool)
		return r;
	haproxy_plan_hosts(buf_slice(&v.map), v.pool, NULL, &commands);
	haproxy_plan_clear(v.pool, servers, &commands);
	buf_addf(&commands,
		 "del map " HAPROXY_MAP " " HAPROXY_APP_KEY "%" PRId64 ";",
		 app_id);
	return change(h, &commands, err);
}

static int haproxy_apps(struct router *router, int64_t **ret, struct error *err)
{
	struct haproxy *h = haproxy_of(router);
	auto_view struct view v = VIEW_INIT;
	int64_t *ids;
	int r = load_view(h, 0, &v, err);

	if (r < 0)
		return r;
	ids = xcalloc((size_t)h->pools, sizeof(*ids));
	r = haproxy_plan_apps(buf_slice(&v.map), ids, h->pools);
	*ret = ids;
	return r;
}

static int get_pid(const char *path, int timeout_ms, struct error *err)
{
	auto_buf struct buf reply = BUF_INIT(HAPROXY_REPLY_MAX);
	int r = haproxy_call(path, "show info", timeout_ms, &reply, err);

	return r < 0 ? r : haproxy_parse_pid(buf_slice(&reply), err);
}

static int haproxy_check(struct router *router, struct error *err)
{
	int r = get_pid(haproxy_of(router)->socket, CALL_TIMEOUT_MS, err);

	return r < 0 ? r : 0;
}

static void haproxy_close(struct router *router)
{
	struct haproxy *h;

	if (!router)
		return;
	h = haproxy_of(router);
	free(h->socket);
	free(h->lock);
	free(h);
}

int router_haproxy_id(const struct config *cfg, struct error *err)
{
	auto_free char *path = haproxy_socket_path(cfg);

	return get_pid(path, ID_TIMEOUT_MS, err);
}

static const struct router_ops haproxy_ops = {
	.set = haproxy_set,
	.drain = haproxy_drain,
	.remove = haproxy_remove,
	.apps = haproxy_apps,
	.check = haproxy_check,
	.close = haproxy_close,
};

int router_haproxy_open(const struct config *cfg, struct router **ret,
			struct error *err)
{
	auto_free char *dir = xasprintf("%s/router", cfg->data);
	struct haproxy *h;
	int r = io_mkdirs(dir, 0711, err);

	if (r < 0)
		return r;
	h = xcalloc(1, sizeof(*h));
	h->base.ops = &haproxy_ops;
	h->socket = haproxy_socket_path(cfg);
	h->lock = xasprintf("%s/lock", dir);
	h->pools = (int)cfg->router_max_apps;
	*ret = &h->base;
	return 0;
}
