#include "base/listener.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void address_text(const struct sockaddr_storage *addr, char *out)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)addr;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
	} else if (addr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)addr;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, ADDRESS_TEXT, "[%s]:%u", host,
			 ntohs(v6->sin6_port));
	} else {
		snprintf(out, ADDRESS_TEXT, "unknown");
	}
}

int listeners_adopt(struct listeners *l, int fd, struct error *err)
{
	int r;

	if (l->count == LISTENERS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d listeners",
			       LISTENERS_MAX);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_errno(err, errno, "listener %d", fd);
	r = io_set_nonblock(fd, true, err);
	if (r == 0)
		l->fds[l->count++] = fd;
	return r;
}

static int open_one(const struct addrinfo *ai, const char *text,
		    struct listeners *l, struct error *err)
{
	auto_close int fd =
		socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, 0);
	int on = 1;
	int r;

	if (fd < 0)
		return err_errno(err, errno, "socket for %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0)
		return err_errno(err, errno, "listen on %s", text);
	r = listeners_adopt(l, fd, err);
	if (r == 0)
		(void)TAKE_FD(fd);
	return r;
}

/* A machine without IPv6 may still be told to listen everywhere. */
static int is_missing_family(const struct error *err)
{
	return err->sys == EAFNOSUPPORT || err->sys == EADDRNOTAVAIL;
}

static int open_address(const char *text, struct listeners *l,
			struct error *err)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	auto_free char *host = NULL;
	char service[16];
	size_t before = l->count;
	int port;
	int r = config_parse_listen(text, &host, &port, err);

	if (r < 0)
		return r;
	snprintf(service, sizeof(service), "%d", port);
	r = getaddrinfo(*host ? host : NULL, service, &hints, &all);
	if (r != 0)
		return err_set(err, ERR_INVALID, "ssh.listen %s: %s", text,
			       gai_strerror(r));
	for (struct addrinfo *ai = all; ai && r == 0; ai = ai->ai_next) {
		r = open_one(ai, text, l, err);
		if (r < 0 && is_missing_family(err) &&
		    (ai->ai_next || l->count > before))
			r = 0;
	}
	freeaddrinfo(all);
	return r;
}

int listeners_open(const struct config *cfg, struct listeners *ret,
		   struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < cfg->ssh_listen_count && r == 0; i++)
		r = open_address(cfg->ssh_listen[i], ret, err);
	return r;
}

void listeners_log(const struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct sockaddr_storage addr = { .ss_family = 0 };
		socklen_t len = sizeof(addr);
		char text[ADDRESS_TEXT];

		getsockname(l->fds[i], (struct sockaddr *)&addr, &len);
		address_text(&addr, text);
		log_info("listening on %s", text);
	}
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		close(l->fds[i]);
	l->count = 0;
}
