#include "base/wipe.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

void wipe_buf(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

void wipe_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}
