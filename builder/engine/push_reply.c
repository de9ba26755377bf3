#include "builder/engine/push_reply.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "builder/engine/message.h"

#include <stdio.h>
#include <string.h>

#define DIGEST_MAX 128

void push_reply_init(struct push_reply *p)
{
	memset(p, 0, sizeof(*p));
	p->line.max = PUSH_LINE_MAX;
}

void push_reply_release(struct push_reply *p)
{
	if (!p)
		return;
	buf_release(&p->line);
	free(p->layers);
	free(p->digest);
	free(p->failure);
	memset(p, 0, sizeof(*p));
}

/* ---- layers ---- */

static struct push_layer *find_layer(struct push_reply *p, const char *id)
{
	struct push_layer *layer;

	for (size_t i = 0; i < p->layers_count; i++)
		if (strcmp(p->layers[i].id, id) == 0)
			return &p->layers[i];
	if (p->layers_count == PUSH_LAYERS_MAX ||
	    strlen(id) >= sizeof(layer->id))
		return NULL;
	p->layers =
		xrealloc(p->layers, (p->layers_count + 1) * sizeof(*p->layers));
	layer = &p->layers[p->layers_count++];
	memset(layer, 0, sizeof(*layer));
	snprintf(layer->id, sizeof(layer->id), "%s", id);
	return layer;
}

static void note_layer(struct push_reply *p, const json_t *doc,
		       const char *status)
{
	static const char *const done[] = { "Pushed", "Layer already exists",
					    "Mounted from" };
	json_t *bytes = json_at(doc, "progressDetail", "current", NULL);
	const char *id = json_get_str(doc, "id", "");
	struct push_layer *layer = *id ? find_layer(p, id) : NULL;

	if (!layer)
		return;
	if (json_integer_value(bytes) > 0)
		layer->bytes = (uint64_t)json_integer_value(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(done); i++)
		if (strncmp(status, done[i], strlen(done[i])) == 0)
			layer->is_done = true;
}

void push_reply_state(const struct push_reply *p, struct buf *out)
{
	size_t done = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->layers_count; i++) {
		done += p->layers[i].is_done;
		if (__builtin_add_overflow(bytes, p->layers[i].bytes, &bytes))
			bytes = UINT64_MAX;
	}
	buf_addf(out, "%zu of %zu layers", done, p->layers_count);
	if (bytes) {
		buf_adds(out, ", ");
		text_add_size(out, bytes);
	}
}

/* ---- lines ---- */

static void keep(char **where, const char *text)
{
	free(*where);
	*where = slice_dup((struct slice){ text, strlen(text) });
}

static void read_line(struct push_reply *p, struct slice line)
{
	json_auto_t *doc = NULL;
	const char *text;

	line = slice_trim(line);
	if (line.len == 0)
		return;
	doc = json_loadb(line.ptr, line.len, 0, NULL);
	text = json_get_str(json_object_get(doc, "errorDetail"), "message",
			    json_get_str(doc, "error", NULL));
	if (text)
		keep(&p->failure, text);
	text = json_get_str(json_object_get(doc, "aux"), "Digest", NULL);
	if (text && strlen(text) < DIGEST_MAX)
		keep(&p->digest, text);
	text = json_get_str(doc, "status", NULL);
	if (text)
		note_layer(p, doc, text);
}

static void end_line(struct push_reply *p)
{
	if (!p->is_dropping)
		read_line(p, buf_slice(&p->line));
	p->is_dropping = false;
	buf_reset(&p->line);
}

void push_reply_feed(struct push_reply *p, struct slice data)
{
	while (data.len) {
		const char *lf = memchr(data.ptr, '\n', data.len);
		size_t len = lf ? (size_t)(lf - data.ptr) : data.len;

		buf_add(&p->line, data.ptr, len);
		if (p->line.is_truncated)
			p->is_dropping = true;
		if (lf) {
			end_line(p);
			len++;
		}
		data.ptr += len;
		data.len -= len;
	}
}

void push_reply_end(struct push_reply *p)
{
	end_line(p);
}

/* ---- how it ended ---- */

static bool has_one_of(const char *text, const char *const *signs)
{
	for (; *signs; signs++)
		if (strstr(text, *signs))
			return true;
	return false;
}

static enum err_code cause_of(const char *text)
{
	/* The last two: of a HEAD request, which has no text. */
	static const char *const denied[] = {
		"denied:",
		"unauthorized",
		"no basic auth",
		"authentication required",
		"authorization token has expired",
		"401 Unauthorized",
		"403 Forbidden",
		"HTTP 401",
		"HTTP 403",
		NULL,
	};
	static const char *const fixed[] = { "tag invalid:", "immutable",
					     NULL };
	static const char *const missing[] = {
		"does not exist locally",
		"tag does not exist",
		NULL,
	};

	if (has_one_of(text, denied))
		return ERR_DENIED;
	if (has_one_of(text, fixed))
		return ERR_EXISTS;
	if (has_one_of(text, missing))
		return ERR_NOTFOUND;
	return ERR_PEER;
}

int push_reply_result(const struct push_reply *p, char **ret_digest,
		      struct error *err)
{
	auto_buf struct buf text = BUF_INIT(ERR_MSG_MAX);

	if (p->failure) {
		message_clean(slice_str(p->failure), &text);
		return err_set(err, cause_of(p->failure), "%s",
			       text.len ? buf_str(&text) : "it failed");
	}
	if (!p->digest)
		return err_set(err, ERR_PROTO,
			       "the engine ended without a digest");
	*ret_digest = xstrdup(p->digest);
	return 0;
}
