/* builder/engine/push_reply.h: the stream of a push. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "builder/engine/push_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf state = BUF_INIT(128);
	struct push_reply p;
	struct error err;
	char *digest = NULL;
	size_t step;

	if (size == 0)
		return 0;
	step = (size_t)data[0] + 1;
	push_reply_init(&p);
	for (size_t at = 1; at < size; at += step)
		push_reply_feed(&p, (struct slice){ (const char *)data + at,
						    size - at < step ? size - at
								     : step });
	push_reply_end(&p);
	push_reply_state(&p, &state);
	if (p.layers_count > PUSH_LAYERS_MAX || state.is_truncated)
		abort();
	if (push_reply_result(&p, &digest, &err) == 0 && !digest)
		abort();
	free(digest);
	buf_release(&state);
	push_reply_release(&p);
	return 0;
}
