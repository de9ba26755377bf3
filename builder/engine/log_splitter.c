#include "builder/engine/container.h"

#include <string.h>

/* A longer line is given out in pieces of this size. */
#define LINE_MAX_BYTES 16384
#define HEAD_BYTES     8

void log_splitter_init(struct log_splitter *s, bool is_raw)
{
	memset(s, 0, sizeof(*s));
	s->is_raw = is_raw;
	s->lines[0].max = LINE_MAX_BYTES;
	s->lines[1].max = LINE_MAX_BYTES;
}

void log_splitter_release(struct log_splitter *s)
{
	buf_release(&s->lines[0]);
	buf_release(&s->lines[1]);
}

static int give(struct buf *line, bool is_stderr, log_line_fn sink, void *ctx)
{
	struct slice text = buf_slice(line);
	int r;

	/* The line end of a TTY. */
	if (text.len && text.ptr[text.len - 1] == '\r')
		text.len--;
	r = sink(ctx, is_stderr, text);
	buf_reset(line);
	return r;
}

static int add_payload(struct log_splitter *s, bool is_stderr,
		       struct slice data, log_line_fn sink, void *ctx)
{
	struct buf *line = &s->lines[is_stderr];

	while (data.len) {
		const char *lf = memchr(data.ptr, '\n', data.len);
		size_t len = lf ? (size_t)(lf - data.ptr) : data.len;
		size_t room = LINE_MAX_BYTES - line->len;
		bool is_full = len > room;
		int r;

		if (is_full) {
			len = room;
			lf = NULL;
		}
		buf_add(line, data.ptr, len);
		data.ptr += len + (lf ? 1 : 0);
		data.len -= len + (lf ? 1 : 0);
		if (!lf && !is_full)
			return 0;
		r = give(line, is_stderr, sink, ctx);
		if (r != 0)
			return r;
	}
	return 0;
}

/* Take bytes of a frame's head; it is whole when head_len is HEAD_BYTES. */
static void add_head(struct log_splitter *s, struct slice *data)
{
	size_t n = HEAD_BYTES - s->head_len;

	n = n < data->len ? n : data->len;
	memcpy(s->head + s->head_len, data->ptr, n);
	s->head_len += n;
	data->ptr += n;
	data->len -= n;
	if (s->head_len == HEAD_BYTES)
		s->left = (size_t)s->head[4] << 24 | (size_t)s->head[5] << 16 |
			  (size_t)s->head[6] << 8 | s->head[7];
}

int log_splitter_feed(struct log_splitter *s, struct slice data,
		      log_line_fn sink, void *ctx)
{
	if (s->is_raw)
		return add_payload(s, false, data, sink, ctx);
	while (data.len) {
		struct slice payload = data;
		int r;

		if (s->head_len < HEAD_BYTES) {
			add_head(s, &data);
			continue;
		}
		if (payload.len > s->left)
			payload.len = s->left;
		data.ptr += payload.len;
		data.len -= payload.len;
		s->left -= payload.len;
		r = add_payload(s, s->head[0] == 2, payload, sink, ctx);
		if (r != 0)
			return r;
		if (s->left == 0)
			s->head_len = 0;
	}
	return 0;
}

int log_splitter_end(struct log_splitter *s, log_line_fn sink, void *ctx)
{
	for (int i = 0; i < 2; i++) {
		int r = s->lines[i].len ? give(&s->lines[i], i == 1, sink, ctx)
					: 0;

		if (r != 0)
			return r;
	}
	return 0;
}
