#include "builder/engine/lines.h"

#include <stdlib.h>
#include <string.h>

#define CUT_MARK " \xe2\x80\xa6 (line cut)"
/* Room for the mark and for a prefix such as "#1234 ". */
#define TEXT_MAX (BUILD_LINE_MAX - 64)

void line_splitter_init(struct line_splitter *s)
{
	memset(s, 0, sizeof(*s));
	s->line.max = BUILD_LINE_MAX;
}

void line_splitter_release(struct line_splitter *s)
{
	if (s)
		buf_release(&s->line);
}

static void restart(struct line_splitter *s)
{
	buf_reset(&s->line);
	s->is_cut = false;
	s->is_after = false;
}

/* A piece without CR and LF. */
static void add_piece(struct line_splitter *s, struct slice piece)
{
	if (piece.len == 0)
		return;
	if (s->is_after)
		restart(s);
	if (s->is_cut)
		return;
	if (piece.len > TEXT_MAX - s->line.len) {
		buf_add(&s->line, piece.ptr, TEXT_MAX - s->line.len);
		buf_adds(&s->line, CUT_MARK);
		s->is_cut = true;
		return;
	}
	buf_add(&s->line, piece.ptr, piece.len);
}

static size_t find_end(struct slice s)
{
	size_t n = 0;

	while (n < s.len && s.ptr[n] != '\n' && s.ptr[n] != '\r')
		n++;
	return n;
}

void line_splitter_feed(struct line_splitter *s, struct slice data, line_fn fn,
			void *ctx)
{
	while (data.len) {
		size_t len = find_end(data);

		add_piece(s, (struct slice){ data.ptr, len });
		if (len == data.len)
			return;
		if (data.ptr[len] == '\r') {
			s->is_after = true;
		} else {
			fn(ctx, buf_slice(&s->line));
			restart(s);
		}
		data.ptr += len + 1;
		data.len -= len + 1;
	}
}

void line_splitter_end(struct line_splitter *s, line_fn fn, void *ctx)
{
	if (s->line.len)
		fn(ctx, buf_slice(&s->line));
	restart(s);
}

void line_tail_release(struct line_tail *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < LINE_TAIL_COUNT; i++)
		free(t->lines[i]);
	memset(t, 0, sizeof(*t));
}

void line_tail_add(struct line_tail *t, struct slice line)
{
	char **slot = &t->lines[t->count % LINE_TAIL_COUNT];

	if (line.len > LINE_TAIL_BYTES)
		line.len = LINE_TAIL_BYTES;
	free(*slot);
	*slot = slice_dup(line);
	t->count++;
}

char *line_tail_text(const struct line_tail *t)
{
	struct buf text =
		BUF_INIT(LINE_TAIL_COUNT * (size_t)(LINE_TAIL_BYTES + 1));
	size_t first =
		t->count > LINE_TAIL_COUNT ? t->count - LINE_TAIL_COUNT : 0;

	if (t->count == 0)
		return NULL;
	for (size_t i = first; i < t->count; i++) {
		if (i > first)
			buf_addc(&text, '\n');
		buf_adds(&text, t->lines[i % LINE_TAIL_COUNT]);
	}
	return buf_detach(&text);
}
