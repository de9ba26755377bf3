#include "builder/store/app_url.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"

#include <string.h>

#define HTTP_PORT 80
#define SSH_PORT  22

/* The port of "host:port", or `fallback` for what config_set() refuses. */
static int port_of(const char *listen, int fallback)
{
	struct error ignored = ERROR_INIT;
	auto_free char *host = NULL;
	int port;

	if (config_parse_listen(listen, &host, &port, &ignored) < 0)
		return fallback;
	return port;
}

char *app_host(const struct config *cfg, const char *app)
{
	return xasprintf("%s.%s", app, cfg->router_domain);
}

static char *balanced_url(const struct config_target *t, const char *app)
{
	if (!*t->listener)
		return xstrdup("");
	return xasprintf("%s://%s.%s", t->scheme, app, t->domain);
}

char *app_url(const struct config *cfg, const char *target, const char *app)
{
	const struct config_target *section = config_target(cfg, target);
	int port = port_of(cfg->router_listen, HTTP_PORT);

	if (section && strcmp(section->type, TARGET_TYPE_ECS) == 0)
		return balanced_url(section, app);
	if (port == HTTP_PORT)
		return xasprintf("http://%s.%s", app, cfg->router_domain);
	return xasprintf("http://%s.%s:%d", app, cfg->router_domain, port);
}

char *app_git_url(const struct config *cfg, const char *app)
{
	int port = SSH_PORT;

	if (cfg->ssh_listen_count > 0)
		port = port_of(cfg->ssh_listen[0], SSH_PORT);
	if (port == SSH_PORT)
		return xasprintf("git@%s:%s", cfg->ssh_host, app);
	return xasprintf("ssh://git@%s:%d/%s", cfg->ssh_host, port, app);
}
