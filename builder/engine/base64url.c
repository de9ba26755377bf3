#include "builder/engine/base64url.h"

#include <stdint.h>

void base64url_add(struct buf *out, struct slice s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_";
	const unsigned char *p = (const unsigned char *)s.ptr;

	for (size_t i = 0; i < s.len; i += 3) {
		size_t have = s.len - i < 3 ? s.len - i : 3;
		uint32_t bits = (uint32_t)p[i] << 16;

		bits |= have > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		bits |= have > 2 ? p[i + 2] : 0;
		buf_addc(out, digits[bits >> 18]);
		buf_addc(out, digits[bits >> 12 & 63]);
		buf_addc(out, have > 1 ? digits[bits >> 6 & 63] : '=');
		buf_addc(out, have > 2 ? digits[bits & 63] : '=');
	}
}
