#include "builder/engine/build_lines.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <limits.h>
#include <string.h>

#define TRACE_ID "moby.buildkit.trace"

void build_lines_init(struct build_lines *l)
{
	memset(l, 0, sizeof(*l));
	l->line.max = BUILD_REPLY_LINE_MAX;
}

void build_lines_release(struct build_lines *l)
{
	if (l)
		buf_release(&l->line);
}

static struct slice text_of(const json_t *value)
{
	return (struct slice){ json_string_value(value),
			       json_string_length(value) };
}

static bool read_error(const json_t *doc, struct build_event *event)
{
	json_t *detail = json_object_get(doc, "errorDetail");
	json_t *message = json_object_get(detail, "message");
	json_int_t code = json_integer_value(json_object_get(detail, "code"));

	if (!json_is_string(message))
		message = json_object_get(doc, "error");
	if (!json_is_string(message))
		return false;
	event->kind = BUILD_EVENT_ERROR;
	event->text = text_of(message);
	event->code = code > 0 && code < INT_MAX ? (int)code : 0;
	return true;
}

static bool read_aux(const json_t *doc, struct build_event *event)
{
	json_t *aux = json_object_get(doc, "aux");
	json_t *id = json_object_get(aux, "ID");

	if (json_is_string(aux) &&
	    strcmp(json_get_str(doc, "id", ""), TRACE_ID) == 0) {
		event->kind = BUILD_EVENT_TRACE;
		event->text = text_of(aux);
		return true;
	}
	if (json_string_length(id) == 0)
		return false;
	event->kind = BUILD_EVENT_IMAGE;
	event->text = text_of(id);
	return true;
}

static bool read_text(const json_t *doc, struct build_event *event)
{
	json_t *stream = json_object_get(doc, "stream");
	json_t *status = json_object_get(doc, "status");

	if (json_is_string(stream)) {
		event->kind = BUILD_EVENT_OUTPUT;
		event->text = text_of(stream);
		return true;
	}
	if (!json_is_string(status))
		return false;
	event->kind = BUILD_EVENT_STATUS;
	event->text = text_of(status);
	event->id = json_get_str(doc, "id", "");
	return true;
}

static void parse_line(struct slice line, build_event_fn fn, void *ctx)
{
	struct build_event event = { .kind = BUILD_EVENT_BAD, .id = "" };
	json_auto_t *doc = NULL;

	line = slice_trim(line);
	if (line.len == 0)
		return;
	/* A step may print NUL bytes. */
	doc = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(doc)) {
		event.text = slice_str("not a JSON object");
		fn(ctx, &event);
		return;
	}
	/* Members that we do not know are other builders' extras. */
	if (read_error(doc, &event) || read_aux(doc, &event) ||
	    read_text(doc, &event))
		fn(ctx, &event);
}

static void end_line(struct build_lines *l, build_event_fn fn, void *ctx)
{
	static const struct build_event too_long = {
		.kind = BUILD_EVENT_BAD,
		.text = { "too long", 8 },
		.id = "",
	};

	if (l->is_dropping)
		fn(ctx, &too_long);
	else
		parse_line(buf_slice(&l->line), fn, ctx);
	l->is_dropping = false;
	buf_reset(&l->line);
}

void build_lines_feed(struct build_lines *l, struct slice data,
		      build_event_fn fn, void *ctx)
{
	struct slice line;

	while (data.len) {
		const char *lf = memchr(data.ptr, '\n', data.len);

		line.ptr = data.ptr;
		line.len = lf ? (size_t)(lf - data.ptr) : data.len;
		data.ptr += line.len + (lf ? 1 : 0);
		data.len -= line.len + (lf ? 1 : 0);
		if (lf && l->line.len == 0 && !l->is_dropping) {
			parse_line(line, fn, ctx);
			continue;
		}
		if (!l->is_dropping)
			buf_add(&l->line, line.ptr, line.len);
		if (l->line.is_truncated) {
			buf_release(&l->line);
			l->is_dropping = true;
		}
		if (lf)
			end_line(l, fn, ctx);
	}
}

void build_lines_end(struct build_lines *l, build_event_fn fn, void *ctx)
{
	if (l->line.len || l->is_dropping)
		end_line(l, fn, ctx);
}
