#include "builder/store/app_lock.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <time.h>

#define POLL_MS 50

static char *lock_path(const char *data, int64_t app_id)
{
	return xasprintf("%s/locks/%" PRId64, data, app_id);
}

int app_lock_take(const char *data, int64_t app_id, int wait_ms, int *ret_fd,
		  struct error *err)
{
	auto_free char *dir = xasprintf("%s/locks", data);
	auto_free char *path = lock_path(data, app_id);
	int64_t deadline = clock_ms() + wait_ms;
	auto_close int fd = -1;
	int r;

	r = io_mkdirs(dir, 0700, err);
	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, errno, "open '%s'", path);
	/* flock() itself can wait, but not for a bounded time. */
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct timespec pause = { 0, POLL_MS * 1000000 };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, errno, "lock '%s'", path);
		if (clock_ms() >= deadline)
			return err_set(err, ERR_TIMEOUT,
				       "somebody is deploying or changing "
				       "this app");
		nanosleep(&pause, NULL);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void app_lock_forget(const char *data, int64_t app_id)
{
	auto_free char *path = lock_path(data, app_id);

	/* App ids are never used again, so nobody can need it any more; when
	 * it cannot be removed, an empty file stays. */
	unlink(path);
}
