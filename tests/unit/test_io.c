/* base/io.h: whole reads and writes, unix sockets, folders. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#define BIG (4 << 20)

static char dir[] = "/tmp/slipway-test-io-XXXXXX";
static struct error err;

static int make_dir(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void close_all(int *ends)
{
	close(ends[0]);
	close(ends[1]);
}

/* A child that runs fn(fd) while we have the other end. */
static pid_t other_side(int ours, int theirs, void (*fn)(int fd))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		close(ours);
		fn(theirs);
		_exit(0);
	}
	close(theirs);
	return pid;
}

static void in_small_pieces(int fd)
{
	for (int i = 0; i < 10; i++) {
		if (write(fd, "0123456789" + i, 1) != 1)
			_exit(1);
		usleep(1000);
	}
}

static void reads_what_comes_in_pieces(void **state)
{
	char data[10];
	int ends[2];
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pid = other_side(ends[0], ends[1], in_small_pieces);
	assert_int_equal(io_read_exact(ends[0], data, sizeof(data), &err), 1);
	assert_memory_equal(data, "0123456789", 10);
	assert_int_equal(io_read_exact(ends[0], data, 1, &err), 0);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void tells_an_end_from_a_cut(void **state)
{
	char data[4];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "ab", 2), 2);
	close(ends[1]);
	assert_int_equal(io_read_exact(ends[0], data, 4, &err), -ERR_PROTO);
	assert_non_null(strstr(err.msg, "2 of 4"));
	assert_int_equal(io_read_exact(ends[0], data, 4, &err), 0);
	close(ends[0]);
	assert_int_equal(io_read_exact(ends[0], data, 4, &err), -ERR_SYS);
	assert_int_equal(err.sys, EBADF);
}

/* Slow, and with a sum at the end so that nothing is lost or doubled. */
static void count_bytes(int fd)
{
	static char data[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (data[i] != (char)((total + (size_t)i) % 251))
				_exit(1);
		total += (size_t)n;
	}
	_exit(total == BIG ? 0 : 2);
}

static void writes_more_than_the_kernel_takes(void **state)
{
	auto_free char *data = xcalloc(BIG, 1);
	int ends[2];
	int status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		data[i] = (char)(i % 251);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pid = other_side(ends[0], ends[1], count_bytes);
	assert_int_equal(io_write_all(ends[0], data, BIG, &err), 0);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_reader_that_left_is_an_error(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(io_write_all(ends[1], "x", 1, &err), -ERR_SYS);
	assert_int_equal(err.sys, EPIPE);
	close(ends[1]);
}

static void waits_no_longer_than_told(void **state)
{
	int64_t began = clock_ms();
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(io_wait_readable(ends[0], 0, &err), 0);
	assert_int_equal(io_wait_readable(ends[0], 60, &err), 0);
	assert_true(clock_ms() - began >= 59);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(io_wait_readable(ends[0], -1, &err), 1);
	/* An end is something to read, too. */
	assert_int_equal(read(ends[0], &began, 1), 1);
	close(ends[1]);
	assert_int_equal(io_wait_readable(ends[0], -1, &err), 1);
	close(ends[0]);
}

static void switches_blocking(void **state)
{
	char c;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(io_set_nonblock(ends[0], true, &err), 0);
	assert_int_equal(read(ends[0], &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(io_set_nonblock(ends[0], false, &err), 0);
	assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
	close_all(ends);
	assert_int_equal(io_set_nonblock(ends[0], true, &err), -ERR_SYS);
}

static void listens_and_connects(void **state)
{
	auto_free char *path = xasprintf("%s/s", dir);
	auto_close int listener = io_unix_listen(path, 0660, &err);
	auto_close int client = -1;
	auto_close int server = -1;
	struct stat st;
	char c;

	(void)state;
	assert_true(listener >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	client = io_unix_connect(path, &err);
	assert_true(client >= 0);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	server = accept(listener, NULL, NULL);
	assert_int_equal(io_write_all(client, "x", 1, &err), 0);
	assert_int_equal(io_read_exact(server, &c, 1, &err), 1);
	unlink(path);
}

static void replaces_only_a_stale_socket(void **state)
{
	auto_free char *path = xasprintf("%s/s", dir);
	int listener = io_unix_listen(path, 0600, &err);
	int second;

	(void)state;
	assert_true(listener >= 0);
	assert_int_equal(io_unix_listen(path, 0600, &err), -ERR_EXISTS);
	assert_non_null(strstr(err.msg, "another process answers"));
	/* It was not taken away from who has it. */
	second = io_unix_connect(path, &err);
	assert_true(second >= 0);
	close(second);
	close(listener);
	assert_int_equal(io_unix_connect(path, &err), -ERR_SYS);
	assert_int_equal(err.sys, ECONNREFUSED);
	listener = io_unix_listen(path, 0600, &err);
	assert_true(listener >= 0);
	close(listener);
	unlink(path);
	assert_int_equal(io_unix_connect(path, &err), -ERR_SYS);
	assert_int_equal(err.sys, ENOENT);
}

static void refuses_a_path_that_does_not_fit(void **state)
{
	struct sockaddr_un addr;
	char path[sizeof(addr.sun_path) + 1];
	int fd;

	(void)state;
	memset(path, 'a', sizeof(path));
	memcpy(path, dir, strlen(dir));
	path[strlen(dir)] = '/';
	path[sizeof(addr.sun_path)] = '\0';
	assert_int_equal(io_unix_connect(path, &err), -ERR_INVALID);
	assert_int_equal(io_unix_listen(path, 0600, &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "longer than 107 bytes"));
	/* One less is the longest. */
	path[sizeof(addr.sun_path) - 1] = '\0';
	fd = io_unix_listen(path, 0600, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void a_limited_connection_gives_up(void **state)
{
	auto_free char *path = xasprintf("%s/s", dir);
	auto_close int listener = io_unix_listen(path, 0600, &err);
	auto_close int fd = io_unix_connect_for(path, 80, &err);
	int64_t began = clock_ms();
	char c;

	(void)state;
	assert_true(listener >= 0);
	assert_true(fd >= 0);
	assert_int_equal(io_read_exact(fd, &c, 1, &err), -ERR_SYS);
	assert_int_equal(err.sys, EAGAIN);
	assert_true(clock_ms() - began >= 75);
	unlink(path);
}

static void a_full_queue_does_not_hold_a_limited_connect(void **state)
{
	auto_free char *path = xasprintf("%s/s", dir);
	auto_close int listener = io_unix_listen(path, 0600, &err);
	int fds[1024];
	int n = 0;

	(void)state;
	assert_true(listener >= 0);
	assert_int_equal(listen(listener, 1), 0);
	while (n < 1024 && (fds[n] = io_unix_connect_for(path, 50, &err)) >= 0)
		n++;
	assert_in_range(n, 1, 1023);
	assert_int_equal(fds[n], -ERR_SYS);
	assert_int_equal(err.sys, EAGAIN);
	while (n > 0)
		close(fds[--n]);
	unlink(path);
}

static void makes_the_folders_above(void **state)
{
	auto_free char *a = xasprintf("%s/a", dir);
	auto_free char *b = xasprintf("%s/a/b", dir);
	auto_free char *slash = xasprintf("%s/a//b/", dir);
	auto_free char *file = xasprintf("%s/file", dir);
	auto_free char *below = xasprintf("%s/file/x", dir);
	mode_t mask = umask(0);
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(io_mkdirs(b, 0710, &err), 0);
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0710);
	assert_int_equal(chmod(a, 0700), 0);
	/* Again: existing ones keep their mode. */
	assert_int_equal(io_mkdirs(slash, 0755, &err), 0);
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(io_mkdirs(below, 0755, &err), -ERR_SYS);
	assert_int_equal(err.sys, ENOTDIR);
	umask(mask);
	unlink(file);
	rmdir(b);
	rmdir(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_comes_in_pieces),
		cmocka_unit_test(tells_an_end_from_a_cut),
		cmocka_unit_test(writes_more_than_the_kernel_takes),
		cmocka_unit_test(a_reader_that_left_is_an_error),
		cmocka_unit_test(waits_no_longer_than_told),
		cmocka_unit_test(switches_blocking),
		cmocka_unit_test(listens_and_connects),
		cmocka_unit_test(replaces_only_a_stale_socket),
		cmocka_unit_test(refuses_a_path_that_does_not_fit),
		cmocka_unit_test(a_limited_connection_gives_up),
		cmocka_unit_test(a_full_queue_does_not_hold_a_limited_connect),
		cmocka_unit_test(makes_the_folders_above),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
