/* builder/engine/trace.h and progress.h: what BuildKit reports. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "builder/engine/progress.h"
#include "builder/engine/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *ctx, struct slice line)
{
	(void)ctx;
	if (line.len > BUILD_LINE_MAX)
		abort();
}

static void encode(const uint8_t *data, size_t size, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
				     "ghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int have = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | data[i];
		for (have += 8; have >= 6; have -= 6)
			buf_addc(out, digits[bits >> (have - 6) & 63]);
	}
	if (have)
		buf_addc(out, digits[bits << (6 - have) & 63]);
}

/*
 * The first byte chooses: base64 text as it is, or messages in protobuf,
 * each behind its length.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct progress *p = progress_new(on_line, NULL, NULL);
	struct progress_summary sum;
	struct error err;
	int64_t now_ms = 0;
	size_t at = 1;

	while (at < size) {
		auto_buf struct buf text = BUF_INIT(1 << 24);
		auto_trace struct trace t = { 0 };
		size_t len = size - at;

		if (data[0] == 'b') {
			buf_add(&text, data + at, len);
		} else {
			if (len > (size_t)data[at] + 1)
				len = (size_t)data[at] + 1;
			encode(data + at + 1, len - 1, &text);
		}
		at += len;
		if (trace_decode(buf_slice(&text), &t, &err) == 0)
			progress_update(p, &t, now_ms);
		now_ms += 700;
		progress_tick(p, now_ms);
	}
	progress_finish(p, now_ms);
	progress_summary(p, &sum);
	free(progress_failed_output(p));
	progress_free(p);
	return 0;
}
