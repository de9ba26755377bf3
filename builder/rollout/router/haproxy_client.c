#include "builder/rollout/router/haproxy_client.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 16384

/* Wait for `events` until the deadline.  0 or -code. */
static int wait_for(int fd, short events, int64_t deadline, struct error *err)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = deadline - clock_ms();
		int r = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (r > 0)
			return 0;
		if (r == 0)
			return err_set(err, ERR_TIMEOUT,
				       "the router does not answer");
		if (errno != EINTR)
			return err_errno(err, errno, "poll");
	}
}

static int send_all(int fd, struct slice text, int64_t deadline,
		    struct error *err)
{
	while (text.len) {
		ssize_t n = send(fd, text.ptr, text.len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (n > 0) {
			text.ptr += n;
			text.len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return err_set(err, ERR_PEER,
				       "the router closed its socket");
		r = wait_for(fd, POLLOUT, deadline, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive_all(int fd, struct buf *out, int64_t deadline,
		       struct error *err)
{
	char chunk[CHUNK];

	for (;;) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		int r;

		if (n == 0)
			return buf_check(out, "the router's reply", err);
		if (n > 0) {
			buf_add(out, chunk, (size_t)n);
			r = buf_check(out, "the router's reply", err);
		} else if (errno == EINTR) {
			r = 0;
		} else if (errno != EAGAIN) {
			r = err_set(err, ERR_PEER,
				    "the router closed its socket");
		} else {
			r = wait_for(fd, POLLIN, deadline, err);
		}
		if (r < 0)
			return r;
	}
}

int haproxy_call(const char *path, const char *commands, int timeout_ms,
		 struct buf *out, struct error *err)
{
	auto_free char *line = xasprintf("%s\n", commands);
	int64_t deadline = clock_ms() + timeout_ms;
	auto_close int fd = io_unix_connect_for(path, timeout_ms, err);
	int r;

	if (fd == -ERR_SYS && (err->sys == ENOENT || err->sys == ECONNREFUSED))
		return err_set(err, ERR_PEER,
			       "the router (HAProxy) does not run");
	if (fd < 0)
		return err_wrap(err, fd, "router");
	r = send_all(fd, slice_str(line), deadline, err);
	if (r == 0)
		r = receive_all(fd, out, deadline, err);
	return r;
}

int haproxy_change(const char *path, const char *commands, int timeout_ms,
		   struct error *err)
{
	auto_free char *line =
		xasprintf("set severity-output number;%s", commands);
	auto_buf struct buf reply = BUF_INIT(HAPROXY_REPLY_MAX);
	int r = haproxy_call(path, line, timeout_ms, &reply, err);

	if (r == 0)
		r = haproxy_reply_check(buf_slice(&reply), err);
	return r;
}
