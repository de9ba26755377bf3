/* builder/engine/build_lines.h and classic.h: the reply of a build. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "builder/engine/build_lines.h"
#include "builder/engine/classic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *ctx, struct slice line)
{
	(void)ctx;
	if (line.len > BUILD_LINE_MAX)
		abort();
}

static void on_event(void *ctx, const struct build_event *event)
{
	struct classic *c = ctx;

	if (event->kind == BUILD_EVENT_OUTPUT)
		classic_output(c, event->text);
	else if (event->kind == BUILD_EVENT_STATUS)
		classic_status(c, event->id, event->text);
}

/* The first byte is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct build_lines l;
	struct classic c;
	size_t step;

	if (size == 0)
		return 0;
	step = (size_t)data[0] + 1;
	build_lines_init(&l);
	classic_init(&c, on_line, NULL, NULL);
	for (size_t at = 1; at < size; at += step) {
		size_t len = size - at < step ? size - at : step;

		build_lines_feed(&l,
				 (struct slice){ (const char *)data + at, len },
				 on_event, &c);
	}
	build_lines_end(&l, on_event, &c);
	classic_end(&c);
	free(line_tail_text(&c.tail));
	classic_release(&c);
	build_lines_release(&l);
	return 0;
}
