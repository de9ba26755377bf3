#include "base/io.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define UNIX_BACKLOG 128

int io_write_all(int fd, const void *data, size_t len, struct error *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_read_exact(int fd, void *data, size_t len, struct error *err)
{
	char *p = data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, p + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read");
		if (n == 0 && got == 0)
			return 0;
		if (n == 0)
			return err_set(err, ERR_PROTO,
				       "the connection ended after %zu of %zu "
				       "bytes",
				       got, len);
		got += (size_t)n;
	}
	return 1;
}

int io_wait_readable(int fd, int timeout_ms, struct error *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_errno(err, errno, "poll");
	return r > 0;
}

int io_set_nonblock(int fd, bool nonblock, struct error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_errno(err, errno, "fcntl");
	flags = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (fcntl(fd, F_SETFL, flags) < 0)
		return err_errno(err, errno, "fcntl");
	return 0;
}

static int unix_socket(const char *path, struct sockaddr_un *addr,
		       struct error *err)
{
	int fd;

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(addr->sun_path))
		return err_set(err, ERR_INVALID,
			       "socket path '%s' is longer than %zu bytes",
			       path, sizeof(addr->sun_path) - 1);
	memcpy(addr->sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, errno, "socket");
	return fd;
}

int io_unix_connect(const char *path, struct error *err)
{
	return io_unix_connect_for(path, 0, err);
}

int io_unix_connect_for(const char *path, int timeout_ms, struct error *err)
{
	struct sockaddr_un addr;
	struct timeval limit = { .tv_sec = timeout_ms / 1000,
				 .tv_usec = timeout_ms % 1000 * 1000 };
	auto_close int fd = unix_socket(path, &addr, err);

	if (fd < 0)
		return fd;
	/* Before connect: it waits, too, when the listener's queue is full. */
	if (timeout_ms > 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
					  sizeof(limit)) < 0 ||
			       setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
					  sizeof(limit)) < 0))
		return err_errno(err, errno, "setsockopt");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_errno(err, errno, "connect to '%s'", path);
	return TAKE_FD(fd);
}

int io_unix_listen(const char *path, mode_t mode, struct error *err)
{
	struct sockaddr_un addr;
	struct error ignored;
	auto_close int probe = -1;
	auto_close int fd = unix_socket(path, &addr, err);

	if (fd < 0)
		return fd;
	probe = io_unix_connect(path, &ignored);
	if (probe >= 0)
		return err_set(err, ERR_EXISTS,
			       "'%s': another process answers on this socket",
			       path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove stale socket '%s'", path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_errno(err, errno, "bind '%s'", path);
	if (chmod(path, mode) < 0)
		return err_errno(err, errno, "chmod '%s'", path);
	if (listen(fd, UNIX_BACKLOG) < 0)
		return err_errno(err, errno, "listen on '%s'", path);
	return TAKE_FD(fd);
}

int io_mkdirs(const char *path, mode_t mode, struct error *err)
{
	auto_free char *copy = xstrdup(path);

	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_errno(err, errno, "create folder '%s'",
					 copy);
		*p = c;
		if (c == '\0')
			return 0;
	}
}

static int64_t read_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}
