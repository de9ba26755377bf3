#include "builder/aws/percent.h"

#include <string.h>

void percent_encode(struct buf *out, struct slice s, const char *also)
{
	static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz"
				   "0123456789-._~";

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c && (strchr(kept, c) || strchr(also, c)))
			buf_addc(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned char)c);
	}
}
