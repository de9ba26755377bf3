#include "builder/engine/build_reply.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/engine/build.h"
#include "builder/engine/message.h"
#include "builder/engine/progress.h"
#include "builder/engine/trace.h"

#include <stdlib.h>
#include <string.h>

#define TRACE_COMPLAINT "(part of the engine's progress could not be read)"

static void on_line(void *ctx, struct slice line)
{
	struct build_reply *r = ctx;

	r->spec->line(r->spec->ctx, line);
}

static void on_step(void *ctx, const char *name)
{
	struct build_reply *r = ctx;

	if (r->spec->step)
		r->spec->step(r->spec->ctx, name);
}

static void complain(struct build_reply *r)
{
	if (!r->has_complained)
		on_line(r, slice_str(TRACE_COMPLAINT));
	r->has_complained = true;
}

static void on_trace(struct build_reply *r, struct slice base64)
{
	auto_trace struct trace trace = { 0 };
	struct error ignored;

	if (trace_decode(base64, &trace, &ignored) < 0)
		complain(r);
	else
		progress_update(r->progress, &trace, clock_ms());
}

static void on_event(void *ctx, const struct build_event *event)
{
	struct build_reply *r = ctx;

	switch (event->kind) {
	case BUILD_EVENT_TRACE:
		on_trace(r, event->text);
		break;
	case BUILD_EVENT_OUTPUT:
		classic_output(&r->classic, event->text);
		break;
	case BUILD_EVENT_STATUS:
		classic_status(&r->classic, event->id, event->text);
		break;
	case BUILD_EVENT_IMAGE:
		free(r->image);
		r->image = slice_dup(event->text);
		break;
	case BUILD_EVENT_ERROR:
		free(r->failure);
		r->failure = slice_dup(event->text);
		r->failure_code = event->code;
		break;
	case BUILD_EVENT_BAD:
		complain(r);
		break;
	}
}

void build_reply_init(struct build_reply *r, const struct build_spec *spec)
{
	memset(r, 0, sizeof(*r));
	r->spec = spec;
	build_lines_init(&r->lines);
	classic_init(&r->classic, on_line, on_step, r);
	r->progress = progress_new(on_line, on_step, r);
}

void build_reply_release(struct build_reply *r)
{
	if (!r)
		return;
	build_lines_release(&r->lines);
	classic_release(&r->classic);
	progress_free(r->progress);
	free(r->image);
	free(r->failure);
	memset(r, 0, sizeof(*r));
}

void build_reply_feed(struct build_reply *r, struct slice data)
{
	build_lines_feed(&r->lines, data, on_event, r);
}

void build_reply_tick(struct build_reply *r)
{
	progress_tick(r->progress, clock_ms());
}

void build_reply_end(struct build_reply *r)
{
	build_lines_end(&r->lines, on_event, r);
	progress_finish(r->progress, clock_ms());
	classic_end(&r->classic);
}

void build_reply_steps(const struct build_reply *r, struct build_result *ret)
{
	struct progress_summary sum;

	progress_summary(r->progress, &sum);
	ret->steps = sum.steps + r->classic.steps;
	ret->steps_cached = sum.steps_cached + r->classic.steps_cached;
}

void build_reply_failed_step(const struct build_reply *r,
			     struct build_result *ret)
{
	struct progress_summary sum;

	progress_summary(r->progress, &sum);
	ret->exit_code = r->failure_code;
	if (!ret->exit_code)
		ret->exit_code = message_exit_code(slice_str(r->failure));
	if (sum.failed_step) {
		ret->failed_step = xstrdup(sum.failed_step);
		ret->failed_output = progress_failed_output(r->progress);
		if (!ret->exit_code)
			ret->exit_code =
				message_exit_code(slice_str(sum.failed_error));
	} else if (r->classic.step) {
		ret->failed_step = xstrdup(r->classic.step);
		ret->failed_output = line_tail_text(&r->classic.tail);
	}
}
