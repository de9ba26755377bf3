#include "builder/engine/image_push.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "base/wipe.h"
#include "builder/engine/base64url.h"
#include "builder/engine/engine.h"
#include "builder/engine/http.h"
#include "builder/engine/image.h"
#include "builder/engine/push_reply.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <string.h>

#define PATH_BYTES_MAX	   2048
#define HEADER_BYTES_MAX   (64 * 1024)
#define PROGRESS_EVERY_MS  5000
#define CREDENTIALS_HEADER "X-Registry-Auth: "

struct pushing {
	const struct image_push *push;
	CURL *easy;
	struct buf refusal; /* body of a reply that says no */
	struct push_reply reply;
	int64_t heard_ms;
	int64_t told_ms;
	bool is_canceled;
	bool is_idle;
};

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct pushing *p = ctx;
	struct slice piece = { data, size * count };

	p->heard_ms = clock_ms();
	if (http_status(p->easy) != 200)
		buf_add(&p->refusal, piece.ptr, piece.len);
	else
		push_reply_feed(&p->reply, piece);
	return piece.len;
}

static void tell(struct pushing *p, int64_t now)
{
	auto_buf struct buf text = BUF_INIT(128);

	if (!p->push->progress || now - p->told_ms < PROGRESS_EVERY_MS ||
	    p->reply.layers_count == 0)
		return;
	p->told_ms = now;
	push_reply_state(&p->reply, &text);
	p->push->progress(p->push->ctx, buf_str(&text));
}

/* curl asks about once a second, and more often when bytes come. */
static int on_tick(void *ctx, curl_off_t dltotal, curl_off_t dlnow,
		   curl_off_t ultotal, curl_off_t ulnow)
{
	struct pushing *p = ctx;
	int64_t now = clock_ms();

	(void)dltotal;
	(void)dlnow;
	(void)ultotal;
	(void)ulnow;
	tell(p, now);
	if (p->push->is_canceled && p->push->is_canceled(p->push->ctx))
		p->is_canceled = true;
	if (p->push->idle_timeout_ms > 0 &&
	    now - p->heard_ms >= p->push->idle_timeout_ms)
		p->is_idle = true;
	return p->is_canceled || p->is_idle;
}

/* The header has the password in it; the caller wipes the list. */
static struct curl_slist *credentials(const struct image_push *push)
{
	json_auto_t *doc = json_pack("{s:s, s:s, s:s}", "username",
				     push->username, "password", push->password,
				     "serveraddress", push->registry);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	auto_wiped struct buf header = BUF_INIT(HEADER_BYTES_MAX);
	struct curl_slist *list = NULL;

	/* Room for all of it, so that growing leaves no copy behind. */
	if (text && strlen(text) < HEADER_BYTES_MAX / 2 &&
	    buf_reserve(&header, 2 * strlen(text) + 64)) {
		buf_adds(&header, CREDENTIALS_HEADER);
		base64url_add(&header, slice_str(text));
		list = curl_slist_append(NULL, buf_str(&header));
	}
	wipe_text(text);
	json_wipe(doc);
	return list;
}

static void wipe_list(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		OPENSSL_cleanse(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

static void set_up(struct pushing *p, const struct curl_slist *headers)
{
	curl_easy_setopt(p->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(p->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(p->easy, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(p->easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(p->easy, CURLOPT_XFERINFOFUNCTION, on_tick);
	curl_easy_setopt(p->easy, CURLOPT_XFERINFODATA, p);
}

static int outcome(struct engine *e, struct pushing *p, CURLcode code,
		   char **ret_digest, struct error *err)
{
	auto_buf struct buf time = BUF_INIT(64);

	if (p->is_canceled)
		return err_set(err, ERR_CANCELED, "canceled");
	if (p->is_idle) {
		text_add_duration(&time, p->push->idle_timeout_ms);
		return err_set(err, ERR_TIMEOUT,
			       "nothing was heard from the engine for %s",
			       buf_str(&time));
	}
	if (code != CURLE_OK)
		return http_curl_error(e, p->easy, code, err);
	if (http_status(p->easy) != 200)
		return http_status_error(http_status(p->easy),
					 buf_slice(&p->refusal), err);
	push_reply_end(&p->reply);
	return push_reply_result(&p->reply, ret_digest, err);
}

static int run(struct engine *e, struct pushing *p, char **ret_digest,
	       struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	struct curl_slist *headers;
	int r;

	image_path(&path, p->push->repository, "/push?tag=");
	engine_query(&path, p->push->tag);
	r = http_prepare(e, p->easy, buf_str(&path), err);
	if (r < 0)
		return r;
	headers = credentials(p->push);
	if (!headers)
		return err_set(err, ERR_INVALID,
			       "the login of the registry cannot be sent");
	set_up(p, headers);
	p->heard_ms = p->told_ms = clock_ms();
	r = outcome(e, p, curl_easy_perform(p->easy), ret_digest, err);
	wipe_list(headers);
	return r;
}

int image_push(struct engine *e, const struct image_push *push,
	       char **ret_digest, struct error *err)
{
	struct pushing p = { .push = push,
			     .refusal = BUF_INIT(ENGINE_ERROR_BODY) };
	int r;

	/* A handle of its own: curl keeps sent headers as long as it lives. */
	p.easy = curl_easy_init();
	if (!p.easy)
		return err_set(err, ERR_BUG, "curl does not start");
	push_reply_init(&p.reply);
	r = run(e, &p, ret_digest, err);
	curl_easy_cleanup(p.easy);
	push_reply_release(&p.reply);
	buf_release(&p.refusal);
	return r < 0 ? err_wrap(err, r, "push '%s:%s'", push->repository,
				push->tag)
		     : 0;
}
