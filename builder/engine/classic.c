#include "builder/engine/classic.h"

#include "builder/engine/message.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void classic_init(struct classic *c, line_fn line,
		  void (*step)(void *ctx, const char *name), void *ctx)
{
	memset(c, 0, sizeof(*c));
	c->line = line;
	c->step_fn = step;
	c->ctx = ctx;
	line_splitter_init(&c->output);
}

void classic_release(struct classic *c)
{
	if (!c)
		return;
	line_splitter_release(&c->output);
	line_tail_release(&c->tail);
	free(c->step);
	c->step = NULL;
}

static void skip(struct slice *s, size_t n)
{
	s->ptr += n;
	s->len -= n;
}

static size_t digits(struct slice s)
{
	size_t n = 0;

	while (n < s.len && isdigit((unsigned char)s.ptr[n]))
		n++;
	return n;
}

/* "[1/2] STEP 2/5: RUN x" of a Podman build with stages: the front. */
static void skip_stage(struct slice *s)
{
	const char *end;

	if (!slice_starts(*s, "["))
		return;
	end = memchr(s->ptr, ']', s->len);
	if (end)
		skip(s, (size_t)(end - s->ptr) + 1);
	while (s->len && s->ptr[0] == ' ')
		skip(s, 1);
}

/* "Step 2/4 : RUN npm ci" into "2/4" and "RUN npm ci". */
static bool parse_step(struct slice line, struct slice *ret_number,
		       struct slice *ret_text)
{
	size_t n;

	skip_stage(&line);
	if (!slice_starts(line, "Step ") && !slice_starts(line, "STEP "))
		return false;
	skip(&line, 5);
	n = digits(line);
	if (n == 0 || n >= line.len || line.ptr[n] != '/')
		return false;
	ret_number->ptr = line.ptr;
	ret_number->len = n + 1;
	skip(&line, n + 1);
	n = digits(line);
	ret_number->len += n;
	skip(&line, n);
	if (line.len && line.ptr[0] == ' ')
		skip(&line, 1);
	if (n == 0 || !slice_starts(line, ":"))
		return false;
	skip(&line, 1);
	*ret_text = slice_trim(line);
	return true;
}

static void start_step(struct classic *c, struct slice number,
		       struct slice text)
{
	struct buf name = BUF_INIT(ENGINE_MESSAGE_MAX * 2);

	buf_addc(&name, '[');
	buf_add(&name, number.ptr, number.len);
	buf_adds(&name, "] ");
	message_clean(text, &name);
	free(c->step);
	c->step = buf_detach(&name);
	c->steps++;
	line_tail_release(&c->tail);
	if (c->step_fn)
		c->step_fn(c->ctx, c->step);
}

/* Remarks of the builder itself, not output of a step. */
static bool is_remark(struct slice line)
{
	return slice_starts(line, " ---> ") || slice_starts(line, "--> ") ||
	       slice_starts(line, "Removing intermediate container ");
}

static void on_line(void *ctx, struct slice line)
{
	struct classic *c = ctx;
	struct slice number;
	struct slice text;

	if (parse_step(line, &number, &text))
		start_step(c, number, text);
	else if (slice_starts(line, " ---> Using cache") ||
		 slice_starts(line, "--> Using cache"))
		c->steps_cached++;
	else if (!is_remark(line))
		line_tail_add(&c->tail, line);
	c->line(c->ctx, line);
}

#define STDERR_START "\033[91m"
#define STDERR_END   "\033[0m"

/* The classic builder paints what a step wrote to stderr. */
static struct slice unpaint(struct slice s)
{
	size_t end = strlen(STDERR_END);

	if (!slice_starts(s, STDERR_START))
		return s;
	skip(&s, strlen(STDERR_START));
	if (s.len >= end && memcmp(s.ptr + s.len - end, STDERR_END, end) == 0)
		s.len -= end;
	return s;
}

void classic_output(struct classic *c, struct slice text)
{
	struct slice ignored;

	text = unpaint(text);
	/* A step need not end its last line; the builder's own words do not
	 * belong to it. */
	if (c->output.line.len &&
	    (is_remark(text) || parse_step(text, &ignored, &ignored)))
		line_splitter_end(&c->output, on_line, c);
	line_splitter_feed(&c->output, text, on_line, c);
}

void classic_status(struct classic *c, const char *id, struct slice text)
{
	auto_buf struct buf line = BUF_INIT(ENGINE_MESSAGE_MAX * 2);

	/* Of a layer's life only the end is worth a line. */
	if (*id && !slice_eq(text, "Pull complete") &&
	    !slice_starts(text, "Pulling from"))
		return;
	if (*id) {
		message_clean(slice_str(id), &line);
		buf_adds(&line, ": ");
	}
	message_clean(text, &line);
	c->line(c->ctx, buf_slice(&line));
}

void classic_end(struct classic *c)
{
	line_splitter_end(&c->output, on_line, c);
}
