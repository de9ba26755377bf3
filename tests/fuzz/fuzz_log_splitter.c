/* builder/engine/container.h: the engine's log stream. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "builder/engine/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_line(void *ctx, bool is_stderr, struct slice line)
{
	(void)ctx;
	(void)is_stderr;
	if (line.len > 16384)
		abort();
	/* Reads all of it, for the sanitizer. */
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '\n')
			abort();
	return 0;
}

/* First byte: raw or framed, and the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_splitter s;
	size_t step;

	if (size == 0)
		return 0;
	step = (size_t)(data[0] >> 1) + 1;
	log_splitter_init(&s, data[0] & 1);
	for (size_t at = 1; at < size; at += step) {
		size_t len = size - at < step ? size - at : step;
		struct slice piece = { (const char *)data + at, len };

		(void)log_splitter_feed(&s, piece, on_line, NULL);
	}
	(void)log_splitter_end(&s, on_line, NULL);
	log_splitter_release(&s);
	return 0;
}
