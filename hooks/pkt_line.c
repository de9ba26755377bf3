#include "hooks/pkt_line.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#define PKT_HEAD 4

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int pkt_parse(struct slice in, struct pkt *ret, struct error *err)
{
	size_t len = 0;

	if (in.len < PKT_HEAD)
		return 0;
	for (int i = 0; i < PKT_HEAD; i++) {
		int digit = hex_digit(in.ptr[i]);

		if (digit < 0)
			return err_set(err, ERR_PROTO, "pkt-line: bad length");
		len = len * 16 + (size_t)digit;
	}
	if ((len > 0 && len < PKT_HEAD) || len > PKT_MAX)
		return err_set(err, ERR_PROTO, "pkt-line: length %zu", len);
	if (len > in.len)
		return 0;
	ret->is_flush = len == 0;
	ret->data.ptr = in.ptr + PKT_HEAD;
	ret->data.len = len ? len - PKT_HEAD : 0;
	if (ret->data.len && ret->data.ptr[ret->data.len - 1] == '\n')
		ret->data.len--;
	return len ? (int)len : PKT_HEAD;
}

void pkt_add(struct buf *out, const void *data, size_t len)
{
	if (len > PKT_MAX - PKT_HEAD)
		len = PKT_MAX - PKT_HEAD;
	buf_addf(out, "%04x", (unsigned)(len + PKT_HEAD));
	buf_add(out, data, len);
}

void pkt_addf(struct buf *out, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(PKT_MAX);
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	pkt_add(out, buf_str(&text), text.len);
}

void pkt_add_flush(struct buf *out)
{
	buf_adds(out, "0000");
}
