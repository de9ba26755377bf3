#include "hooks/push_request.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "hooks/pkt_line.h"

#include <string.h>

#define OID_HEX	   40
#define REASON_MAX 1000

void push_request_init(struct push_request *p)
{
	memset(p, 0, sizeof(*p));
	p->updates = json_array();
	p->options = json_array();
}

void push_request_release(struct push_request *p)
{
	if (!p)
		return;
	json_decref(p->updates);
	json_decref(p->options);
	memset(p, 0, sizeof(*p));
}

/* Does the space-separated list hold this word? */
static bool list_has(struct slice list, const char *word)
{
	while (list.len) {
		const char *space = memchr(list.ptr, ' ', list.len);
		size_t len = space ? (size_t)(space - list.ptr) : list.len;

		if (slice_eq((struct slice){ list.ptr, len }, word))
			return true;
		if (!space)
			break;
		list.ptr += len + 1;
		list.len -= len + 1;
	}
	return false;
}

static int take_version(struct push_request *p, struct slice data,
			struct error *err)
{
	const char *nul = memchr(data.ptr, '\0', data.len);
	struct slice version = data;
	struct slice caps = { "", 0 };

	if (nul) {
		version.len = (size_t)(nul - data.ptr);
		caps.ptr = nul + 1;
		caps.len = data.len - version.len - 1;
	}
	if (!slice_eq(version, "version=1"))
		return err_set(err, ERR_PROTO,
			       "git speaks another proc-receive version");
	p->has_options = list_has(caps, "push-options");
	p->is_atomic = list_has(caps, "atomic");
	p->state = PUSH_WANT_VERSION_END;
	return 0;
}

static bool is_oid(struct slice s)
{
	if (s.len != OID_HEX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!memchr("0123456789abcdef", s.ptr[i], 16))
			return false;
	return true;
}

/* "OLD NEW REF" */
static int take_command(struct push_request *p, struct slice data,
			struct error *err)
{
	struct slice old = { data.ptr, OID_HEX };
	struct slice new = { data.ptr + OID_HEX + 1, OID_HEX };
	size_t head = 2 * (OID_HEX + 1);

	if (json_array_size(p->updates) >= PUSH_UPDATES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d refs in one push",
			       PUSH_UPDATES_MAX);
	if (data.len <= head || data.ptr[OID_HEX] != ' ' ||
	    data.ptr[head - 1] != ' ' || !is_oid(old) || !is_oid(new) ||
	    memchr(data.ptr, '\0', data.len))
		return err_set(err, ERR_PROTO, "malformed command from git");
	json_array_append_new(
		p->updates,
		json_pack("{s:o, s:s%, s:s%}", "ref",
			  json_string_safe(data.ptr + head, data.len - head),
			  "old", old.ptr, old.len, "new", new.ptr, new.len));
	return 0;
}

static int take_option(struct push_request *p, struct slice data,
		       struct error *err)
{
	if (json_array_size(p->options) >= PUSH_OPTIONS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d push options",
			       PUSH_OPTIONS_MAX);
	if (data.len > PUSH_OPTION_MAX)
		return err_set(err, ERR_LIMIT,
			       "a push option is longer than %d bytes",
			       PUSH_OPTION_MAX);
	json_array_append_new(p->options, json_string_safe(data.ptr, data.len));
	return 0;
}

static int take_packet(struct push_request *p, const struct pkt *pkt,
		       struct error *err)
{
	switch (p->state) {
	case PUSH_WANT_VERSION:
		if (pkt->is_flush)
			break;
		return take_version(p, pkt->data, err);
	case PUSH_WANT_VERSION_END:
		if (!pkt->is_flush)
			break;
		p->state = PUSH_WANT_COMMANDS;
		return 0;
	case PUSH_WANT_COMMANDS:
		if (!pkt->is_flush)
			return take_command(p, pkt->data, err);
		p->state = p->has_options ? PUSH_WANT_OPTIONS : PUSH_DONE;
		return 0;
	case PUSH_WANT_OPTIONS:
		if (!pkt->is_flush)
			return take_option(p, pkt->data, err);
		p->state = PUSH_DONE;
		return 0;
	case PUSH_DONE:
		break;
	}
	return err_set(err, ERR_PROTO, "unexpected packet from git");
}

int push_request_feed(struct push_request *p, struct slice in,
		      struct error *err)
{
	size_t taken = 0;

	while (p->state != PUSH_DONE) {
		enum push_request_state before = p->state;
		struct pkt pkt;
		int n = pkt_parse(
			(struct slice){ in.ptr + taken, in.len - taken }, &pkt,
			err);
		int r;

		if (n < 0)
			return n;
		if (n == 0)
			break;
		r = take_packet(p, &pkt, err);
		if (r < 0)
			return r;
		taken += (size_t)n;
		if (before == PUSH_WANT_VERSION_END)
			break;
	}
	return (int)taken;
}

void push_request_reply(const struct push_request *p, struct buf *out)
{
	static const char with_options[] = "version=1\0push-options";

	if (p->has_options)
		pkt_add(out, with_options, sizeof(with_options) - 1);
	else
		pkt_add(out, "version=1", strlen("version=1"));
	pkt_add_flush(out);
}

static const json_t *result_of(const json_t *results, const char *ref)
{
	const json_t *result;
	size_t i;

	json_array_foreach(results, i,
			   result) if (strcmp(json_get_str(result, "ref", ""),
					      ref) == 0) return result;
	return NULL;
}

void push_request_answer(const struct push_request *p, const json_t *results,
			 const char *fallback, struct buf *out)
{
	const json_t *update;
	size_t i;

	json_array_foreach(p->updates, i, update)
	{
		const char *ref = json_get_str(update, "ref", "");
		const json_t *result = results ? result_of(results, ref) : NULL;
		auto_buf struct buf reason = BUF_INIT(2 * REASON_MAX);

		if (result && json_is_true(json_object_get(result, "ok"))) {
			pkt_addf(out, "ok %s", ref);
			if (json_is_true(
				    json_object_get(result, "fall_through")))
				pkt_addf(out, "option fall-through");
			continue;
		}
		text_add_line(&reason,
			      slice_str(result ? json_get_str(result, "reason",
							      fallback)
					       : fallback),
			      REASON_MAX);
		pkt_addf(out, "ng %s %s", ref, buf_str(&reason));
	}
	pkt_add_flush(out);
}
