#include "builder/aws/aws_file.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int aws_file_read(const char *path, struct buf *ret, struct error *err)
{
	/* O_NONBLOCK: a FIFO must not hang us. */
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return err_errno(err, errno, "open");
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "stat");
	/* /dev/null says "no such file" in many a set-up. */
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(err, ERR_INVALID, "not a regular file");
	if (!buf_reserve(ret, ret->max))
		return err_set(err, ERR_BUG, "the buffer is not empty");
	r = buf_read_fd(ret, fd, err);
	return r < 0 ? r : 1;
}
