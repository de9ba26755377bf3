/* base/wire.h: bytes from the other end of the control socket. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct wire_frame frame;
	struct error err;
	int n;

	while ((n = wire_parse(in, &frame, &err)) > 0) {
		json_auto_t *msg = NULL;
		const char *type = NULL;

		if ((size_t)n > in.len ||
		    frame.payload.len + WIRE_HEAD != (size_t)n)
			abort();
		if (wire_message(&frame, &msg, &type, &err) == 0 && !type)
			abort();
		in.ptr += n;
		in.len -= (size_t)n;
	}
	return 0;
}
