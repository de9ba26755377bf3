#include "receiver/service.h"

#include <string.h>

void service_add_text(struct buf *b, struct slice text, bool is_tty)
{
	while (is_tty && text.len) {
		const char *lf = memchr(text.ptr, '\n', text.len);
		size_t len = lf ? (size_t)(lf - text.ptr) : text.len;

		buf_add(b, text.ptr, len);
		if (!lf)
			return;
		if (b->len && b->data[b->len - 1] == '\r')
			buf_addc(b, '\n');
		else
			buf_adds(b, "\r\n");
		text.ptr += len + 1;
		text.len -= len + 1;
	}
	if (text.len)
		buf_add(b, text.ptr, text.len);
}
