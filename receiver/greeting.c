#include "receiver/greeting.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"

#define SSH_PORT 22

static int ssh_port(const struct config *cfg)
{
	struct error ignored;
	auto_free char *host = NULL;
	int port = SSH_PORT;

	if (cfg->ssh_listen_count == 0 ||
	    config_parse_listen(cfg->ssh_listen[0], &host, &port, &ignored) <
		    0 ||
	    port == 0)
		return SSH_PORT;
	return port;
}

void greeting_remote(const struct config *cfg, const char *app, struct buf *out)
{
	int port = ssh_port(cfg);

	if (port == SSH_PORT)
		buf_addf(out, "git@%s:%s", cfg->ssh_host, app);
	else
		buf_addf(out, "ssh://git@%s:%d/%s", cfg->ssh_host, port, app);
}

void greeting(const struct config *cfg, const char *user, struct buf *out)
{
	int port = ssh_port(cfg);

	buf_addf(out,
		 "Hello %s, this is Slipway on %s.\n"
		 "There is no shell here. To deploy, push to an app:\n"
		 "\n"
		 "    git remote add slipway ",
		 user, cfg->ssh_host);
	greeting_remote(cfg, "APP", out);
	buf_adds(out, "\n    git push slipway main\n\nFor all commands: ssh ");
	if (port != SSH_PORT)
		buf_addf(out, "-p %d ", port);
	buf_addf(out, "git@%s help\n", cfg->ssh_host);
}
