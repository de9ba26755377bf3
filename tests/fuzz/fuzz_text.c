/* base/text.h: any bytes become a short, clean, valid line. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SHORT 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct slice in, size_t max_bytes)
{
	auto_buf struct buf b = BUF_INIT(SIZE_MAX / 2);

	text_add_line(&b, in, max_bytes);
	/* The mark of a cut comes on top. */
	if (b.len > max_bytes + 4 || !text_is_utf8(buf_slice(&b)))
		abort();
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.data[i] < 0x20 || b.data[i] == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "apps:list", "logs", "ps", NULL };
	struct slice in = { (const char *)data, size };
	auto_buf struct buf clean = BUF_INIT(SIZE_MAX / 2);
	auto_free char *word = slice_dup(in);

	check_line(in, SHORT);
	check_line(in, 3 * size + SHORT);
	text_add_utf8(&clean, in);
	if (!text_is_utf8(buf_slice(&clean)))
		abort();
	if (text_is_utf8(in) && clean.len != size)
		abort();
	while (in.len) {
		size_t before = in.len;

		if (text_next_rune(&in) > 0x10ffff || in.len >= before)
			abort();
	}
	text_nearest(word, words);
	return 0;
}
