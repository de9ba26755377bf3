/* hooks/push_request.h and hooks/pkt_line.h: bytes from git. */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "hooks/push_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf out = BUF_INIT(1 << 24);
	struct push_request p;
	struct error err;
	size_t at = 0;
	int n;

	push_request_init(&p);
	do {
		n = push_request_feed(
			&p,
			(struct slice){ (const char *)data + at, size - at },
			&err);
		if (n > 0)
			at += (size_t)n;
	} while (n > 0);
	push_request_answer(&p, NULL, "no verdict", &out);
	push_request_release(&p);
	return 0;
}
