/*
 * haproxy.cfg: one frontend, a pool of equal backends, nothing that depends
 * on the apps.
 */
#include "builder/rollout/router/haproxy.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/rollout/router/haproxy_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONFIG_MAX (1 << 20)

/*
 * empty-response covers servers that close an idle connection just when the
 * next request is sent on it; what is not idempotent must not be sent twice.
 * The sessions of a server in the state "drain" go on, and websockets with
 * them.
 */
static const char defaults[] =
	"defaults\n"
	"\tmode http\n"
	"\ttimeout client 60s\n"
	"\ttimeout server 60s\n"
	"\ttimeout connect 5s\n"
	"\ttimeout http-request 10s\n"
	"\ttimeout queue 10s\n"
	"\ttimeout tunnel 1h\n"
	"\tretries 3\n"
	"\tretry-on conn-failure empty-response\n"
	"\toption redispatch\n"
	"\toption idle-close-on-response\n"
	"\toption forwardfor\n"
	"\thttp-error status 502 content-type text/plain string "
	"\"502: the app closed the connection without an answer.\\n\"\n"
	"\thttp-error status 503 content-type text/plain string "
	"\"503: this app has no healthy process.\\n\"\n"
	"\thttp-error status 504 content-type text/plain string "
	"\"504: the app took too long to answer.\\n\"\n";

/* A map's name must be a file to start from; /dev/null is an empty one that
 * is everywhere.  See haproxy_client.h for what is put in. */
static const char rules[] =
	"\thttp-request set-var(txn.pool) req.hdr(host),host_only,lower,"
	"rtrim(.),map_str(" HAPROXY_MAP ")\n"
	"\thttp-request return status 404 content-type text/plain string "
	"\"404: no app answers on this host.\\n\" "
	"unless { var(txn.pool) -m found }\n"
	"\thttp-request disable-l7-retry unless "
	"{ method GET HEAD OPTIONS }\n"
	"\thttp-request del-header Proxy\n"
	"\thttp-request set-header X-Forwarded-Proto http\n"
	"\thttp-request set-header X-Forwarded-Port %[dst_port]\n"
	"\thttp-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
	"\thttp-request set-header X-Request-Start t=%[date(0,ms)]\n"
	"\tuse_backend %[var(txn.pool)]\n";

/* A word in double quotes as HAProxy reads it (management.txt, 2.2). */
static int add_quoted(struct buf *out, const char *text, const char *what,
		      struct error *err)
{
	buf_addc(out, '"');
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(err, ERR_INVALID,
				       "%s: control characters cannot be used",
				       what);
		if (strchr("\"\\$", *p))
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
	return 0;
}

char *haproxy_socket_path(const struct config *cfg)
{
	return xasprintf("%s/router/haproxy.sock", cfg->data);
}

static int add_global(const struct config *cfg, bool as_root, struct buf *out,
		      struct error *err)
{
	auto_free char *sock = haproxy_socket_path(cfg);
	auto_free char *empty = xasprintf("%s/router/empty", cfg->data);
	int r;

	/* HAProxy binds a name with ".PID.tmp" first. */
	if (strlen(sock) + strlen(".4194304.tmp") >=
	    sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_set(err, ERR_INVALID,
			       "slipway.data: '%s' is too long: the router's "
			       "socket below it would not fit into 107 bytes",
			       cfg->data);
	buf_adds(out, "global\n\tnbthread 2\n\tfd-hard-limit 20000\n"
		      "\tstats timeout 10s\n\tstats socket ");
	r = add_quoted(out, sock, "slipway.data", err);
	if (r < 0)
		return r;
	buf_adds(out, " mode 600 level admin");
	if (as_root) {
		buf_adds(out, " user ");
		r = add_quoted(out, cfg->user, "slipway.user", err);
		if (r < 0)
			return r;
		buf_adds(out, "\n\tuser haproxy\n\tgroup haproxy\n\tchroot ");
		r = add_quoted(out, empty, "slipway.data", err);
	}
	buf_addc(out, '\n');
	return r;
}

/* Can this machine listen on IPv6? */
static bool has_ipv6(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	auto_close int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
}

static int add_bind(const struct config *cfg, struct buf *out,
		    struct error *err)
{
	auto_free char *host = NULL;
	auto_free char *address = NULL;
	bool is_any;
	int port;
	int r = config_parse_listen(cfg->router_listen, &host, &port, err);

	if (r < 0)
		return err_wrap(err, r, "router.listen");
	is_any = !host[0];
	if (is_any) {
		free(host);
		host = xstrdup(has_ipv6() ? "::" : "0.0.0.0");
	}
	/* IPv6 goes without brackets: the last colon counts. */
	address = xasprintf("%s:%d", host, port);
	buf_adds(out, "\tbind ");
	r = add_quoted(out, address, "router.listen", err);
	buf_adds(out, is_any && host[0] == ':' ? " v4v6\n" : "\n");
	return r;
}

int router_haproxy_config(const struct config *cfg, bool as_root,
			  struct buf *out, struct error *err)
{
	int r = add_global(cfg, as_root, out, err);

	if (r < 0)
		return r;
	buf_adds(out, defaults);
	buf_adds(out, "frontend apps\n");
	r = add_bind(cfg, out, err);
	if (r < 0)
		return r;
	buf_adds(out, rules);
	for (int64_t i = 1; i <= cfg->router_max_apps; i++)
		buf_addf(out,
			 "backend p%d\n\tserver-template s 1-%d 127.0.0.1:1 "
			 "disabled\n",
			 (int)i, HAPROXY_SLOTS);
	return buf_check(out, "haproxy.cfg", err);
}

static int write_file(const char *path, struct slice text, struct error *err)
{
	auto_free char *temp = xasprintf("%s.new", path);
	auto_close int fd = -1;
	int r;

	if (unlink(temp) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove '%s'", temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_errno(err, errno, "create '%s'", temp);
	r = io_write_all(fd, text.ptr, text.len, err);
	if (r < 0)
		return err_wrap(err, r, "'%s'", temp);
	if (rename(temp, path) < 0)
		return err_errno(err, errno, "rename '%s'", temp);
	return 0;
}

int router_haproxy_write(const struct config *cfg, bool as_root,
			 struct error *err)
{
	auto_free char *empty = xasprintf("%s/router/empty", cfg->data);
	auto_free char *path = xasprintf("%s/router/haproxy.cfg", cfg->data);
	auto_buf struct buf text = BUF_INIT(CONFIG_MAX);
	int r = router_haproxy_config(cfg, as_root, &text, err);

	if (r == 0)
		r = io_mkdirs(empty, 0711, err);
	if (r == 0)
		r = write_file(path, buf_slice(&text), err);
	return r;
}
