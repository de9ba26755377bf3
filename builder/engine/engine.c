#include "builder/engine/engine.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/engine/engine_json.h"
#include "builder/engine/engine_private.h"
#include "builder/engine/http.h"
#include "builder/engine/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_MAX	(16 * 1024 * 1024)
#define PING_REPLY_MAX	4096
#define PING_TIMEOUT_MS 5000

/* ---- one request on the reused handle ---- */

struct request {
	struct engine *engine;
	struct buf reply;   /* of engine_call */
	struct buf refusal; /* body of a reply that says no */
	engine_chunk_fn chunk;
	void *ctx;
	bool is_stopped; /* the sink had enough */
};

static bool is_success(long status)
{
	return (status >= 200 && status < 300) || status == 304;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct request *q = ctx;
	size_t len = size * count;

	if (!is_success(http_status(q->engine->easy))) {
		buf_add(&q->refusal, data, len);
		return len;
	}
	if (!q->chunk) {
		buf_add(&q->reply, data, len);
		return q->reply.is_truncated ? 0 : len;
	}
	if (q->chunk(q->ctx, (struct slice){ data, len }) != 0) {
		q->is_stopped = true;
		return 0;
	}
	return len;
}

static void set_method(CURL *easy, const char *method, const char *body)
{
	if (strcmp(method, "GET") == 0) {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	if (strcmp(method, "POST") == 0 || body) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body ? body : "");
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static int perform(struct request *q, const char *method, const char *path,
		   const char *body, int timeout_ms, struct error *err)
{
	CURL *easy = q->engine->easy;
	struct curl_slist *headers = NULL;
	CURLcode code;
	int r = http_prepare(q->engine, easy, path, err);

	if (r < 0)
		return r;
	set_method(easy, method, body);
	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers, body ? "Content-Type: "
						    "application/json"
						  : "Content-Type:");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, q);
	if (timeout_ms > 0)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	code = curl_easy_perform(easy);
	if (q->is_stopped)
		r = err_set(err, ERR_CANCELED, "the reply was not wanted");
	else if (q->reply.is_truncated)
		r = err_set(err, ERR_LIMIT,
			    "the engine's reply is longer than %d bytes",
			    REPLY_MAX);
	else if (code != CURLE_OK)
		r = http_curl_error(q->engine, easy, code, err);
	else if (!is_success(http_status(q->engine->easy)))
		r = http_status_error(http_status(q->engine->easy),
				      buf_slice(&q->refusal), err);
	/* The handle must not keep pointers to what ends here. */
	curl_easy_reset(easy);
	curl_slist_free_all(headers);
	return r;
}

static int parse_reply(struct buf *reply, json_t **ret, struct error *err)
{
	json_error_t e;

	*ret = NULL;
	if (slice_trim(buf_slice(reply)).len == 0)
		return 0;
	*ret = json_loadb(reply->data, reply->len, JSON_ALLOW_NUL, &e);
	if (!*ret)
		return err_set(err, ERR_PROTO,
			       "the engine's reply is not JSON: %s", e.text);
	return 0;
}

int engine_call(struct engine *e, const char *method, const char *path,
		const json_t *body, int timeout_ms, json_t **ret_reply,
		struct error *err)
{
	struct request q = { .engine = e,
			     .reply = BUF_INIT(REPLY_MAX),
			     .refusal = BUF_INIT(ENGINE_ERROR_BODY) };
	auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int r;

	if (body && !text)
		return err_set(err, ERR_BUG, "%s: bad JSON to send", path);
	r = perform(&q, method, path, text, timeout_ms, err);
	if (r == 0 && ret_reply)
		r = parse_reply(&q.reply, ret_reply, err);
	if (text) /* an app's secrets may be in it */
		explicit_bzero(text, strlen(text));
	buf_release(&q.reply);
	buf_release(&q.refusal);
	return r;
}

int engine_stream(struct engine *e, const char *method, const char *path,
		  engine_chunk_fn chunk, void *ctx, int timeout_ms,
		  struct error *err)
{
	struct request q = { .engine = e,
			     .reply = BUF_INIT(0),
			     .refusal = BUF_INIT(ENGINE_ERROR_BODY),
			     .chunk = chunk,
			     .ctx = ctx };
	int r = perform(&q, method, path, NULL, timeout_ms, err);

	buf_release(&q.refusal);
	return r;
}

void engine_query(struct buf *path, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		    (*p >= 'A' && *p <= 'Z') || strchr("-._~", *p)) {
			buf_addc(path, (char)*p);
			continue;
		}
		buf_addc(path, '%');
		buf_addc(path, hex[*p >> 4]);
		buf_addc(path, hex[*p & 15]);
	}
}

/* ---- opening ---- */

struct ping {
	struct engine *engine;
	char api[32];
	bool is_windows;
};

/* The value of the header `name` in `line`, or a NULL slice. */
static struct slice header_value(struct slice line, const char *name)
{
	size_t len = strlen(name);

	if (line.len <= len || line.ptr[len] != ':' ||
	    strncasecmp(line.ptr, name, len) != 0)
		return (struct slice){ NULL, 0 };
	line.ptr += len + 1;
	line.len -= len + 1;
	return slice_trim(line);
}

static void copy_value(struct slice value, char *out, size_t size)
{
	auto_buf struct buf clean = BUF_INIT(size - 1);

	message_clean(value, &clean);
	snprintf(out, size, "%s", buf_str(&clean));
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
	struct ping *ping = ctx;
	struct engine_info *info = &ping->engine->info;
	struct slice line = { data, size * count };
	struct slice value = header_value(line, "Api-Version");

	if (value.ptr)
		copy_value(value, ping->api, sizeof(ping->api));
	value = header_value(line, "Server");
	if (value.ptr)
		copy_value(value, info->server, sizeof(info->server));
	value = header_value(line, "Ostype");
	if (value.ptr && slice_eq(value, "windows"))
		ping->is_windows = true;
	if (header_value(line, "Libpod-Api-Version").ptr)
		info->is_podman = true;
	return size * count;
}

static int ping_engine(struct engine *e, struct ping *ping, struct error *err)
{
	struct request q = { .engine = e,
			     .reply = BUF_INIT(PING_REPLY_MAX),
			     .refusal = BUF_INIT(ENGINE_ERROR_BODY) };
	CURLcode code;
	int r = http_prepare(e, e->easy, "/_ping", err);

	if (r < 0)
		return r;
	curl_easy_setopt(e->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e->easy, CURLOPT_HEADERDATA, ping);
	curl_easy_setopt(e->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e->easy, CURLOPT_WRITEDATA, &q);
	curl_easy_setopt(e->easy, CURLOPT_TIMEOUT_MS, (long)PING_TIMEOUT_MS);
	code = curl_easy_perform(e->easy);
	if (code != CURLE_OK)
		r = http_curl_error(e, e->easy, code, err);
	else if (!is_success(http_status(q.engine->easy)))
		r = http_status_error(http_status(q.engine->easy),
				      buf_slice(&q.refusal), err);
	curl_easy_reset(e->easy);
	buf_release(&q.reply);
	buf_release(&q.refusal);
	return r;
}

static int settle(struct engine *e, const struct ping *ping, struct error *err)
{
	if (!ping->api[0])
		return err_set(err, ERR_PROTO,
			       "what answers at %s is not a Docker Engine",
			       e->url);
	if (ping->is_windows)
		return err_set(err, ERR_PEER,
			       "the engine at %s runs Windows containers",
			       e->url);
	if (!engine_api_version(ping->api, e->info.api, sizeof(e->info.api)))
		return err_set(err, ERR_PEER,
			       "the engine at %s offers API %s; Slipway needs "
			       "1.40 (Docker 19.03) or newer",
			       e->url, ping->api);
	/* 20.10 does not announce BuildKit, but has it. */
	e->info.has_buildkit = !e->info.is_podman;
	e->prefix = xasprintf("/v%s", e->info.api);
	return 0;
}

int engine_open(const char *url, struct engine **ret, struct error *err)
{
	struct engine *e = xcalloc(1, sizeof(*e));
	struct ping ping = { .engine = e };
	int r;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	r = engine_set_url(e, url, err);
	if (r == 0) {
		e->easy = curl_easy_init();
		if (!e->easy)
			r = err_set(err, ERR_BUG, "curl does not start");
	}
	if (r == 0)
		r = ping_engine(e, &ping, err);
	if (r == 0)
		r = settle(e, &ping, err);
	if (r < 0) {
		engine_close(e);
		return r;
	}
	*ret = e;
	return 0;
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	if (e->easy)
		curl_easy_cleanup(e->easy);
	free(e->url);
	free(e->base);
	free(e->unix_path);
	free(e->prefix);
	free(e);
}

const struct engine_info *engine_info(const struct engine *e)
{
	return &e->info;
}

bool engine_is_local(const struct engine *e)
{
	return e->unix_path != NULL;
}
