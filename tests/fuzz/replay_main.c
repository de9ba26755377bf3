/*
 * Feeds every file of the folders on the command line to a fuzz target, so
 * that its corpus is a test without clang.  TAP.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#define INPUT_MAX (16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *dir, const char *name)
{
	auto_buf struct buf input = BUF_INIT(INPUT_MAX);
	auto_free char *path = xasprintf("%s/%s", dir, name);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error err;

	if (fd < 0 || buf_read_fd(&input, fd, &err) < 0) {
		fprintf(stderr, "cannot read %s\n", path);
		return 1;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&input), input.len);
	return 0;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		auto_closedir DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		if (!dir) {
			fprintf(stderr, "cannot open %s\n", argv[i]);
			return 1;
		}
		while ((entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			if (replay(argv[i], entry->d_name) != 0)
				return 1;
			printf("ok %d - %s\n", ++count, entry->d_name);
			fflush(stdout);
		}
	}
	printf("1..%d\n", count);
	return count == 0;
}
