#include "builder/engine/build.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "builder/engine/build_reply.h"
#include "builder/engine/build_request.h"
#include "builder/engine/build_upload.h"
#include "builder/engine/engine.h"
#include "builder/engine/grpc_calls.h"
#include "builder/engine/http.h"
#include "builder/engine/image.h"
#include "builder/engine/message.h"
#include "builder/engine/session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX	 (512 * 1024) /* the engine's limit is 1 MiB */
#define HEADER_BYTES_MAX (512 * 1024)
#define UPLOAD_CHUNK	 (256 * 1024L)
#define POLL_MS		 200
#define ASK_CANCEL_MS	 100

enum stop { STOP_NONE, STOP_CANCELED, STOP_TIMEOUT, STOP_IDLE, STOP_READ };

struct build {
	struct engine *engine;
	const struct build_spec *spec;
	struct build_result *ret;
	bool is_buildkit;
	enum stop stop;
	/* the connection */
	CURL *easy;
	CURLM *multi;
	struct buf refusal; /* body of a reply that says no */
	struct session *session;
	char session_id[SESSION_ID_MAX];
	char registry[256]; /* whose credentials were asked for last */
	struct build_upload upload;
	struct build_reply reply;
	/* clocks */
	int64_t began_ms;
	int64_t heard_ms;
	int64_t asked_ms;
};

/* ---- what goes to and fro ---- */

static size_t on_read(char *data, size_t size, size_t count, void *ctx)
{
	struct build *b = ctx;
	ssize_t n = build_upload_read(&b->upload, data, size * count);

	b->heard_ms = clock_ms();
	if (n < 0) {
		b->stop = STOP_READ;
		return CURL_READFUNC_ABORT;
	}
	return (size_t)n;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct build *b = ctx;
	struct slice piece = { data, size * count };

	b->heard_ms = clock_ms();
	if (http_status(b->easy) != 200)
		buf_add(&b->refusal, piece.ptr, piece.len);
	else
		build_reply_feed(&b->reply, piece);
	return piece.len;
}

/* ---- the loop ---- */

static void end_session(struct build *b)
{
	session_free(b->session);
	b->session = NULL;
}

/* A session that ends is no failure yet: perhaps nothing needs it. */
static void serve_session(struct build *b)
{
	struct error ignored;
	int r;

	if (!b->session)
		return;
	r = session_step(b->session, &ignored);
	snprintf(b->registry, sizeof(b->registry), "%s",
		 session_last_registry(b->session));
	if (r < 0)
		end_session(b);
}

static bool should_stop(struct build *b)
{
	int64_t now = clock_ms();

	if (b->stop != STOP_NONE)
		return true;
	if (now - b->asked_ms >= ASK_CANCEL_MS) {
		b->asked_ms = now;
		if (b->spec->is_canceled && b->spec->is_canceled(b->spec->ctx))
			b->stop = STOP_CANCELED;
	}
	if (b->spec->timeout_ms > 0 && now - b->began_ms >= b->spec->timeout_ms)
		b->stop = STOP_TIMEOUT;
	if (b->spec->idle_timeout_ms > 0 &&
	    now - b->heard_ms >= b->spec->idle_timeout_ms)
		b->stop = STOP_IDLE;
	return b->stop != STOP_NONE;
}

static int wait_for_news(struct build *b, struct error *err)
{
	struct curl_waitfd extra = { .fd = -1 };
	CURLMcode code;
	short events = b->session ? session_events(b->session) : 0;

	if (events) {
		extra.fd = session_fd(b->session);
		extra.events = CURL_WAIT_POLLIN;
		if (events & POLLOUT)
			extra.events |= CURL_WAIT_POLLOUT;
	}
	code = curl_multi_poll(b->multi, events ? &extra : NULL, events ? 1 : 0,
			       POLL_MS, NULL);
	if (code != CURLM_OK)
		return err_set(err, ERR_SYS, "wait for the engine: %s",
			       curl_multi_strerror(code));
	return 0;
}

/* Until the reply ended or we had enough; the transfer's result. */
static int run_transfer(struct build *b, CURLcode *ret_code, struct error *err)
{
	int running = 1;
	int queued;
	CURLMsg *msg;

	*ret_code = CURLE_ABORTED_BY_CALLBACK;
	for (;;) {
		CURLMcode code = curl_multi_perform(b->multi, &running);
		int r;

		if (code != CURLM_OK)
			return err_set(err, ERR_BUG, "build: %s",
				       curl_multi_strerror(code));
		serve_session(b);
		build_reply_tick(&b->reply);
		if (!running || should_stop(b))
			break;
		r = wait_for_news(b, err);
		if (r < 0)
			return r;
	}
	while ((msg = curl_multi_info_read(b->multi, &queued)))
		if (msg->msg == CURLMSG_DONE)
			*ret_code = msg->data.result;
	return 0;
}

/* ---- how it ended ---- */

static int stop_error(const struct build *b, struct error *err)
{
	auto_buf struct buf time = BUF_INIT(64);

	switch (b->stop) {
	case STOP_TIMEOUT:
		text_add_duration(&time, b->spec->timeout_ms);
		return err_set(err, ERR_TIMEOUT,
			       "the build took longer than %s", buf_str(&time));
	case STOP_IDLE:
		text_add_duration(&time, b->spec->idle_timeout_ms);
		return err_set(err, ERR_TIMEOUT,
			       "nothing was heard from the build for %s",
			       buf_str(&time));
	case STOP_READ:
		return err_set(err, ERR_CANCELED,
			       "the build context could not be read");
	default:
		return err_set(err, ERR_CANCELED, "the build was canceled");
	}
}

/*
 * The registry of "[1/3] FROM registry.example.com:5000/base:1": the classic
 * builder does not ask us for credentials.
 */
static void registry_of_step(const char *step, char *out, size_t size)
{
	const char *name = step ? strstr(step, "] FROM ") : NULL;
	size_t len;

	if (!name)
		return;
	name += strlen("] FROM ");
	len = strcspn(name, "/ ");
	if (name[len] != '/' || !memchr(name, '.', len))
		snprintf(out, size, "docker.io");
	else
		snprintf(out, size, "%.*s", (int)len, name);
}

static bool has_login(const struct build *b)
{
	for (size_t i = 0; i < b->spec->credentials_count; i++)
		if (strcmp(grpc_registry_name(b->spec->credentials[i].host),
			   b->registry) == 0)
			return true;
	return false;
}

static void make_hints(struct build *b, struct build_hints *ret)
{
	if (!b->registry[0])
		registry_of_step(b->reply.classic.step, b->registry,
				 sizeof(b->registry));
	ret->dockerfile =
		b->spec->dockerfile ? b->spec->dockerfile : "Dockerfile";
	ret->registry = b->registry;
	ret->has_login = has_login(b);
}

static int failure_error(struct build *b, struct slice text, bool is_refusal,
			 struct error *err)
{
	auto_buf struct buf message = BUF_INIT(ERR_MSG_MAX);
	struct build_hints hints;
	enum build_cause cause;

	make_hints(b, &hints);
	cause = message_of_build(text, &hints, &message);
	if (cause == BUILD_CAUSE_DISK)
		return err_set(err, ERR_LIMIT, "%s", buf_str(&message));
	if (is_refusal && cause == BUILD_CAUSE_OTHER)
		return http_status_error(http_status(b->easy), text, err);
	if (cause != BUILD_CAUSE_DOCKERFILE &&
	    cause != BUILD_CAUSE_NO_DOCKERFILE && !is_refusal)
		build_reply_failed_step(&b->reply, b->ret);
	if (b->ret->failed_step && b->ret->exit_code)
		return err_set(err, ERR_PEER, "%s exited %d",
			       b->ret->failed_step, b->ret->exit_code);
	return err_set(err, ERR_PEER, "%s", buf_str(&message));
}

/* {"message": …} to its text; the caller frees it. */
static char *refusal_text(struct build *b)
{
	struct buf text = BUF_INIT(ERR_MSG_MAX);

	message_from_reply(buf_slice(&b->refusal), &text);
	return buf_detach(&text);
}

/* Podman does not always tell the image: ask for its tag. */
static int find_image(struct build *b, struct error *err)
{
	struct image_info info;
	int r;

	if (b->reply.image && !engine_info(b->engine)->is_podman) {
		b->ret->image = TAKE_PTR(b->reply.image);
		return 0;
	}
	r = image_inspect(b->engine, b->spec->tag, &info, err);
	if (r < 0)
		return err_set(err, ERR_PEER,
			       "the engine ended the build without an image");
	b->ret->image = TAKE_PTR(info.id);
	image_info_release(&info);
	return 0;
}

static int succeed(struct build *b, struct error *err)
{
	build_reply_steps(&b->reply, b->ret);
	return find_image(b, err);
}

static int conclude(struct build *b, CURLcode code, struct error *err)
{
	auto_free char *refusal = NULL;

	build_reply_end(&b->reply);
	if (b->stop != STOP_NONE)
		return stop_error(b, err);
	if (b->reply.failure)
		return failure_error(b, slice_str(b->reply.failure), false,
				     err);
	if (code != CURLE_OK)
		return http_curl_error(b->engine, b->easy, code, err);
	if (http_status(b->easy) == 200)
		return succeed(b, err);
	refusal = refusal_text(b);
	return failure_error(b, slice_str(refusal), true, err);
}

/* ---- one try ---- */

static int set_up_handle(struct build *b, struct curl_slist *headers,
			 struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	int r = build_request_path(b->spec, b->is_buildkit, b->session_id,
				   &path, err);

	if (r == 0)
		r = http_prepare(b->engine, b->easy, buf_str(&path), err);
	if (r < 0)
		return r;
	curl_easy_setopt(b->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(b->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(b->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(b->easy, CURLOPT_READDATA, b);
	curl_easy_setopt(b->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(b->easy, CURLOPT_WRITEDATA, b);
	curl_easy_setopt(b->easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_CHUNK);
	/* Its end is what cancels a build. */
	curl_easy_setopt(b->easy, CURLOPT_FORBID_REUSE, 1L);
	return 0;
}

static struct curl_slist *make_headers(const struct build *b)
{
	auto_buf struct buf credentials = BUF_INIT(HEADER_BYTES_MAX);
	struct curl_slist *headers = NULL;

	headers = curl_slist_append(headers, "Content-Type: application/x-tar");
	headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
	headers = curl_slist_append(headers, "Expect:");
	if (!b->is_buildkit && b->spec->credentials_count) {
		build_request_credentials(b->spec->credentials,
					  b->spec->credentials_count,
					  &credentials);
		headers = curl_slist_append(headers, buf_str(&credentials));
		explicit_bzero(credentials.data, credentials.len);
	}
	return headers;
}

static void start_session(struct build *b)
{
	const struct session_answers answers = {
		.credentials = b->spec->credentials,
		.credentials_count = b->spec->credentials_count,
		.secrets = b->spec->secrets,
		.secrets_count = b->spec->secrets_count,
	};
	struct error ignored;

	/* Without it what needs none still builds. */
	if (session_open(b->engine, &answers, &b->session, b->session_id,
			 &ignored) < 0)
		b->session_id[0] = '\0';
}

static int transfer(struct build *b, struct error *err)
{
	struct curl_slist *headers = make_headers(b);
	CURLcode code;
	int r = set_up_handle(b, headers, err);

	if (r == 0) {
		curl_multi_add_handle(b->multi, b->easy);
		r = run_transfer(b, &code, err);
		if (r == 0)
			r = conclude(b, code, err);
		curl_multi_remove_handle(b->multi, b->easy);
	}
	curl_slist_free_all(headers);
	return r;
}

static int try_build(struct build *b, struct error *err)
{
	int r;

	build_reply_release(&b->reply);
	build_reply_init(&b->reply, b->spec);
	buf_reset(&b->refusal);
	build_upload_rewind(&b->upload);
	b->session_id[0] = '\0';
	if (b->is_buildkit)
		start_session(b);
	b->heard_ms = clock_ms();
	b->easy = curl_easy_init();
	b->multi = curl_multi_init();
	if (!b->easy || !b->multi)
		r = err_set(err, ERR_BUG, "curl does not start");
	else
		r = transfer(b, err);
	return r;
}

/* Closes the connection, which is what cancels a build that still runs. */
static void hang_up(struct build *b)
{
	if (b->easy)
		curl_easy_cleanup(b->easy);
	if (b->multi)
		curl_multi_cleanup(b->multi);
	b->easy = NULL;
	b->multi = NULL;
	end_session(b);
}

/* Did the engine refuse BuildKit itself, before it took much? */
static bool is_buildkit_refused(const struct build *b)
{
	const char *text = buf_str(&b->refusal);

	return b->is_buildkit && b->upload.is_keeping && b->refusal.len &&
	       b->stop == STOP_NONE &&
	       (strcasestr(text, "buildkit") ||
		strstr(text, "invalid version"));
}

static bool wants_buildkit(const struct build *b)
{
	if (b->spec->builder == BUILDER_AUTO)
		return engine_info(b->engine)->has_buildkit;
	return b->spec->builder == BUILDER_BUILDKIT;
}

int build_run(struct engine *e, const struct build_spec *spec,
	      struct build_result *ret, struct error *err)
{
	struct build b = {
		.engine = e,
		.spec = spec,
		.ret = ret,
		.refusal = BUF_INIT(ENGINE_ERROR_BODY),
		.began_ms = clock_ms(),
	};
	int r;

	memset(ret, 0, sizeof(*ret));
	b.is_buildkit = wants_buildkit(&b);
	build_upload_init(&b.upload, spec,
			  b.is_buildkit && spec->builder == BUILDER_AUTO);
	r = try_build(&b, err);
	hang_up(&b);
	if (r < 0 && is_buildkit_refused(&b)) {
		b.is_buildkit = false;
		r = try_build(&b, err);
		hang_up(&b);
	}
	build_reply_release(&b.reply);
	build_upload_release(&b.upload);
	buf_release(&b.refusal);
	return r;
}

void build_result_release(struct build_result *r)
{
	if (!r)
		return;
	free(r->image);
	free(r->failed_step);
	free(r->failed_output);
	memset(r, 0, sizeof(*r));
}
