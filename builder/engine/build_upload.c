#include "builder/engine/build_upload.h"

#include "builder/engine/build.h"

#include <string.h>

#define REPLAY_MAX (1024 * 1024)

void build_upload_init(struct build_upload *u, const struct build_spec *spec,
		       bool keep)
{
	memset(u, 0, sizeof(*u));
	u->spec = spec;
	u->kept.max = REPLAY_MAX;
	u->is_keeping = keep;
}

void build_upload_release(struct build_upload *u)
{
	if (u)
		buf_release(&u->kept);
}

/* A piece that was sent before; 0 when there is none (left). */
static size_t read_kept(struct build_upload *u, char *data, size_t size)
{
	size_t left = u->kept.len - u->kept_sent;
	size_t len = left < size ? left : size;

	if (len)
		memcpy(data, u->kept.data + u->kept_sent, len);
	u->kept_sent += len;
	return len;
}

static void keep_piece(struct build_upload *u, const char *data, size_t len)
{
	if (!u->is_keeping)
		return;
	buf_add(&u->kept, data, len);
	u->kept_sent = u->kept.len;
	if (u->kept.is_truncated) {
		u->is_keeping = false;
		u->kept_sent = 0;
		buf_release(&u->kept);
	}
}

ssize_t build_upload_read(struct build_upload *u, char *data, size_t size)
{
	size_t len = read_kept(u, data, size);
	ssize_t n;

	if (len || u->at_end)
		return (ssize_t)len;
	n = u->spec->read(u->spec->ctx, data, size);
	if (n == 0)
		u->at_end = true;
	if (n > 0)
		keep_piece(u, data, (size_t)n);
	return n;
}

void build_upload_rewind(struct build_upload *u)
{
	u->kept_sent = 0;
}
