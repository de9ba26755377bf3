/*
 * context_tool GIT_DIR COMMIT DOCKERFILE - the build context on standard
 * output, as the Engine would get it.
 *
 * --gaps GIT_DIR COMMIT   what an image would lack, a line each
 * --stats GIT_DIR COMMIT DOCKERFILE   counts and the peak of our memory
 *
 * Exit code 2: refused, with the reason on standard error.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/source/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CHUNK	  65536
#define GAPS_MAX  1000
#define EXIT_USE  1
#define EXIT_FAIL 2

static int fail(const struct error *err)
{
	fprintf(stderr, "%s\n", err->msg);
	return EXIT_FAIL;
}

static void print_gap(void *ctx, enum source_gap gap, const char *path)
{
	(void)ctx;
	printf("%s %s\n", gap == SOURCE_SUBMODULE ? "submodule" : "lfs", path);
}

static int print_gaps(struct source *s)
{
	struct error err = ERROR_INIT;

	return source_gaps(s, GAPS_MAX, print_gap, NULL, &err) < 0 ? fail(&err)
								   : 0;
}

static void print_stats(const struct context_stats *stats)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("files=%" PRIu64 " excluded=%" PRIu64 " bytes=%" PRIu64
	       " peak_kb=%ld\n",
	       stats->files, stats->excluded, stats->bytes, usage.ru_maxrss);
}

static int stream(struct source *s, const char *dockerfile, bool wants_stats)
{
	struct error err = ERROR_INIT;
	struct context *c = NULL;
	static char chunk[CHUNK];
	ssize_t n;
	int r = context_open(s, dockerfile, &c, &err);

	if (r < 0)
		return fail(&err);
	while ((n = context_read(c, chunk, sizeof(chunk), &err)) > 0)
		if (!wants_stats &&
		    io_write_all(STDOUT_FILENO, chunk, (size_t)n, &err) < 0)
			break;
	if (n == 0 && wants_stats)
		print_stats(context_stats(c));
	context_close(c);
	return n == 0 ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
	bool wants_gaps = argc == 4 && strcmp(argv[1], "--gaps") == 0;
	bool wants_stats = argc == 5 && strcmp(argv[1], "--stats") == 0;
	struct error err = ERROR_INIT;
	struct source *s = NULL;
	int r;

	if (wants_gaps || wants_stats)
		argv++;
	else if (argc != 4)
		return EXIT_USE;
	if (source_open(argv[1], argv[2], &s, &err) < 0)
		return fail(&err);
	r = wants_gaps ? print_gaps(s) : stream(s, argv[3], wants_stats);
	source_close(s);
	return r;
}
