#include "builder/rollout/docker/probe.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLICE_MS    200
#define HEAD_MAX    64 /* the status line's beginning is enough */
#define REQUEST_MAX 1024
#define TCP_LISTEN  0x0a /* net/tcp_states.h */

struct attempt {
	int fd;
	int64_t deadline;
	bool (*is_canceled)(void *ctx);
	void *ctx;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int probe_status(struct slice head)
{
	/* "HTTP/1.1 200" */
	static const char shape[] = "HTTP/1.d ddd";
	int status = 0;

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (i == head.len)
			return 0;
		if (shape[i] == 'd' ? !is_digit(head.ptr[i])
				    : head.ptr[i] != shape[i])
			return -1;
		if (i >= 9)
			status = status * 10 + (head.ptr[i] - '0');
	}
	if (head.len == sizeof(shape) - 1)
		return 0;
	if (!strchr(" \r\n", head.ptr[sizeof(shape) - 1]) ||
	    !head.ptr[sizeof(shape) - 1])
		return -1;
	return status >= 100 && status < 600 ? status : -1;
}

/* Wait for `events`.  1 there, 0 the time is up, or -code. */
static int await(const struct attempt *a, short events, struct error *err)
{
	for (;;) {
		struct pollfd p = { .fd = a->fd, .events = events };
		int64_t left = a->deadline - clock_ms();
		int r;

		if (a->is_canceled(a->ctx))
			return err_set(err, ERR_CANCELED, "canceled");
		if (left <= 0)
			return 0;
		r = poll(&p, 1, left < SLICE_MS ? (int)left : SLICE_MS);
		if (r > 0)
			return 1;
		if (r < 0 && errno != EINTR)
			return err_errno(err, errno, "poll");
	}
}

static int make_address(const char *ip, int port, struct sockaddr_storage *ret,
			socklen_t *ret_len, struct error *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*ret_len = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(*v6);
		return 0;
	}
	return err_set(err, ERR_INVALID, "'%s' is not an IP address", ip);
}

/* 1 connected, 0 not, or -code. */
static int attempt_connect(struct attempt *a, const char *ip, int port,
			   struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t addr_len = 0;
	int error = 0;
	socklen_t error_len = sizeof(error);
	int r = make_address(ip, port, &addr, &addr_len, err);

	if (r < 0)
		return r;
	a->fd = socket(addr.ss_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return err_errno(err, errno, "socket");
	if (connect(a->fd, (struct sockaddr *)&addr, addr_len) == 0)
		return 1;
	if (errno != EINPROGRESS)
		return 0;
	r = await(a, POLLOUT, err);
	if (r <= 0)
		return r;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
		return err_errno(err, errno, "getsockopt");
	return error == 0;
}

/* 1 answered (outcome set), 0 the time is up, or -code. */
static int attempt_read(struct attempt *a, struct probe_result *ret,
			struct error *err)
{
	char head[HEAD_MAX];
	size_t len = 0;

	for (;;) {
		ssize_t n;
		int r = await(a, POLLIN, err);

		if (r <= 0) {
			if (r == 0 && len)
				ret->outcome = PROBE_OTHER;
			return r;
		}
		n = recv(a->fd, head + len, sizeof(head) - len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) {
			ret->outcome = len ? PROBE_OTHER : PROBE_CLOSED;
			return 1;
		}
		len += (size_t)n;
		ret->status = probe_status((struct slice){ head, len });
		if (ret->status == 0)
			continue;
		ret->outcome = ret->status > 0 ? PROBE_HTTP : PROBE_OTHER;
		return 1;
	}
}

static int attempt_ask(struct attempt *a, const char *host,
		       struct probe_result *ret, struct error *err)
{
	auto_buf struct buf request = BUF_INIT(REQUEST_MAX);
	int r;

	buf_addf(&request,
		 "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: Slipway\r\n"
		 "Accept: */*\r\nConnection: close\r\n\r\n",
		 host);
	r = buf_check(&request, "host name", err);
	if (r < 0)
		return r;
	/* A fresh connection takes this much at once. */
	if (send(a->fd, buf_str(&request), request.len, MSG_NOSIGNAL) < 0) {
		ret->outcome = PROBE_CLOSED;
		return 1;
	}
	ret->outcome = PROBE_SILENT;
	return attempt_read(a, ret, err);
}

int probe_http(const char *ip, int port, const char *host, int timeout_ms,
	       bool (*is_canceled)(void *ctx), void *ctx,
	       struct probe_result *ret, struct error *err)
{
	int64_t began = clock_ms();
	struct attempt a = { .fd = -1,
			     .deadline = began + timeout_ms,
			     .is_canceled = is_canceled,
			     .ctx = ctx };
	int r;

	*ret = (struct probe_result){ .outcome = PROBE_REFUSED };
	r = attempt_connect(&a, ip, port, err);
	if (r > 0)
		r = attempt_ask(&a, host, ret, err);
	if (a.fd >= 0)
		close(a.fd);
	ret->ms = clock_ms() - began;
	return r < 0 ? r : 0;
}

/* ---- listeners ---- */

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The hexadecimal number that is all of the slice, up to 4 digits; -1. */
static int hex_number(struct slice s)
{
	int n = 0;

	if (s.len < 1 || s.len > 4)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		int digit = hex_digit(s.ptr[i]);

		if (digit < 0)
			return -1;
		n = n * 16 + digit;
	}
	return n;
}

static bool next_field(struct slice *rest, struct slice *ret)
{
	size_t len = 0;

	*rest = slice_trim(*rest);
	while (len < rest->len && rest->ptr[len] != ' ')
		len++;
	*ret = (struct slice){ rest->ptr, len };
	rest->ptr += len;
	rest->len -= len;
	return len > 0;
}

/* 32-bit words are printed as the machine holds them; ours are little-endian,
 * so 127.0.0.1 is 0100007F, ::1 ends in 01000000. */
static bool is_loopback(struct slice addr)
{
	static const char v6[] = "00000000000000000000000001000000";
	static const char mapped[] = "0000000000000000FFFF0000";

	if (addr.len == 32 && memcmp(addr.ptr, mapped, 24) == 0)
		addr = (struct slice){ addr.ptr + 24, 8 };
	if (addr.len == 8)
		return memcmp(addr.ptr + 6, "7F", 2) == 0;
	return slice_eq(addr, v6);
}

bool probe_next_listener(struct slice *rest, struct listener *ret)
{
	struct slice line;

	/* "  0: 00000000:1388 00000000:0000 0A …" */
	while (slice_line(rest, &line)) {
		struct slice number;
		struct slice local;
		struct slice remote;
		struct slice state;
		const char *colon;

		if (!next_field(&line, &number) || !next_field(&line, &local) ||
		    !next_field(&line, &remote) || !next_field(&line, &state) ||
		    hex_number(state) != TCP_LISTEN)
			continue;
		colon = memchr(local.ptr, ':', local.len);
		if (!colon)
			continue;
		ret->port = hex_number((struct slice){
			colon + 1,
			(size_t)(local.ptr + local.len - colon - 1) });
		if (ret->port <= 0)
			continue;
		ret->is_loopback = is_loopback((struct slice){
			local.ptr, (size_t)(colon - local.ptr) });
		return true;
	}
	return false;
}
