#include "builder/engine/session.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/engine/engine.h"
#include "builder/engine/grpc_calls.h"
#include "builder/engine/http.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define STREAMS_MAX  100
#define REQUEST_MAX  65536
#define REPLY_MAX    (4 * 1024 * 1024)
#define METHOD_MAX   256
#define READ_BYTES   16384
#define READS_A_STEP 16 /* so that a chatty engine cannot keep us */
#define UPGRADE_MAX  2048
#define ID_BYTES     16

struct session {
	int fd;
	nghttp2_session *h2;
	struct session_answers answers;
	struct slice unsent; /* of nghttp2's last piece */
	bool has_ended;
	char registry[GRPC_REGISTRY_MAX];
	struct call *calls; /* open ones: nghttp2 forgets them at its end */
};

/* One gRPC call. */
struct call {
	char method[METHOD_MAX];
	struct buf request;
	struct buf reply;
	size_t sent; /* of reply */
	enum grpc_status status;
	bool is_answered;
	struct call *next;
	struct call **place; /* the pointer that points here */
};

static void free_call(struct call *call)
{
	if (!call)
		return;
	*call->place = call->next;
	if (call->next)
		call->next->place = call->place;
	/* It may hold a password. */
	if (call->reply.data)
		explicit_bzero(call->reply.data, call->reply.len);
	buf_release(&call->request);
	buf_release(&call->reply);
	free(call);
}

/* ---- answering ---- */

#define HEADER(name, value)                                                    \
	{                                                                      \
		(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1,       \
			strlen(value), NGHTTP2_NV_FLAG_NONE                    \
	}

static void status_text(const struct call *call, char out[8])
{
	snprintf(out, 8, "%d", (int)call->status);
}

/* nghttp2 asks for the reply's bytes; after them come the trailers. */
static ssize_t on_read_reply(nghttp2_session *h2, int32_t stream_id,
			     uint8_t *data, size_t size, uint32_t *flags,
			     nghttp2_data_source *source, void *ctx)
{
	struct call *call = source->ptr;
	size_t left = call->reply.len - call->sent;
	size_t len = left < size ? left : size;
	char status[8];

	(void)ctx;
	memcpy(data, call->reply.data + call->sent, len);
	call->sent += len;
	if (call->sent == call->reply.len) {
		status_text(call, status);
		nghttp2_nv trailer[] = { HEADER("grpc-status", status) };

		*flags |=
			NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(h2, stream_id, trailer, 1) != 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return (ssize_t)len;
}

static int submit_reply(struct session *s, int32_t stream_id, struct call *call)
{
	nghttp2_data_provider provider = { .source.ptr = call,
					   .read_callback = on_read_reply };
	const nghttp2_nv headers[] = {
		HEADER(":status", "200"),
		HEADER("content-type", "application/grpc"),
	};

	return nghttp2_submit_response(s->h2, stream_id, headers, 2, &provider);
}

/* A failure is one block of headers that ends the stream. */
static int submit_failure(struct session *s, int32_t stream_id,
			  const struct call *call)
{
	char status[8];

	status_text(call, status);
	const nghttp2_nv headers[] = {
		HEADER(":status", "200"),
		HEADER("content-type", "application/grpc"),
		HEADER("grpc-status", status),
	};

	return nghttp2_submit_response(s->h2, stream_id, headers, 3, NULL);
}

static int answer(struct session *s, int32_t stream_id, struct call *call)
{
	int r;

	if (call->is_answered)
		return 0;
	call->is_answered = true;
	if (call->request.is_truncated)
		call->status = GRPC_RESOURCE_EXHAUSTED;
	else
		call->status = grpc_answer(&s->answers, call->method,
					   buf_slice(&call->request),
					   &call->reply, s->registry);
	if (call->status == GRPC_OK && call->reply.is_truncated)
		call->status = GRPC_RESOURCE_EXHAUSTED;
	if (call->status == GRPC_OK)
		r = submit_reply(s, stream_id, call);
	else
		r = submit_failure(s, stream_id, call);
	return r == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- what nghttp2 tells ---- */

static struct call *call_of(nghttp2_session *h2, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(h2, stream_id);
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame,
			    void *ctx)
{
	struct session *s = ctx;
	struct call *call;

	if (frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = xcalloc(1, sizeof(*call));
	call->request.max = REQUEST_MAX;
	call->reply.max = REPLY_MAX;
	call->next = s->calls;
	call->place = &s->calls;
	if (call->next)
		call->next->place = &call->next;
	s->calls = call;
	nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, call);
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t value_len, uint8_t flags, void *ctx)
{
	struct call *call = call_of(h2, frame->hd.stream_id);

	(void)flags;
	(void)ctx;
	/* A path that is too long is no method of ours. */
	if (call && name_len == 5 && memcmp(name, ":path", 5) == 0 &&
	    value_len < METHOD_MAX && !memchr(value, '\0', value_len))
		memcpy(call->method, value, value_len);
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream_id,
		   const uint8_t *data, size_t len, void *ctx)
{
	struct call *call = call_of(h2, stream_id);

	(void)flags;
	(void)ctx;
	if (call)
		buf_add(&call->request, data, len);
	return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *ctx)
{
	struct call *call;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = call_of(h2, frame->hd.stream_id);
	return call ? answer(ctx, frame->hd.stream_id, call) : 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream_id,
			   uint32_t code, void *ctx)
{
	struct call *call = call_of(h2, stream_id);

	(void)code;
	(void)ctx;
	nghttp2_session_set_stream_user_data(h2, stream_id, NULL);
	free_call(call);
	return 0;
}

static int make_h2(struct session *s, struct error *err)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16384 },
	};
	nghttp2_session_callbacks *callbacks = NULL;
	int r = nghttp2_session_callbacks_new(&callbacks);

	if (r == 0) {
		nghttp2_session_callbacks_set_on_begin_headers_callback(
			callbacks, on_begin_headers);
		nghttp2_session_callbacks_set_on_header_callback(callbacks,
								 on_header);
		nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
			callbacks, on_data);
		nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
								     on_frame);
		nghttp2_session_callbacks_set_on_stream_close_callback(
			callbacks, on_stream_close);
		r = nghttp2_session_server_new(&s->h2, callbacks, s);
		nghttp2_session_callbacks_del(callbacks);
	}
	if (r == 0)
		r = nghttp2_submit_settings(s->h2, NGHTTP2_FLAG_NONE, settings,
					    ARRAY_SIZE(settings));
	if (r != 0)
		return err_set(err, ERR_BUG, "HTTP/2: %s", nghttp2_strerror(r));
	return 0;
}

/* ---- reading and writing ---- */

static int end(struct session *s, struct error *err, const char *why)
{
	s->has_ended = true;
	return err_set(err, ERR_PEER, "the build session ended: %s", why);
}

static int take_in(struct session *s, struct slice data, struct error *err)
{
	ssize_t n = nghttp2_session_mem_recv(s->h2, (const uint8_t *)data.ptr,
					     data.len);

	if (n >= 0)
		return 0;
	s->has_ended = true;
	return err_set(err, ERR_PROTO, "the build session broke HTTP/2: %s",
		       nghttp2_strerror((int)n));
}

static int read_input(struct session *s, struct error *err)
{
	char data[READ_BYTES];

	for (int i = 0; i < READS_A_STEP; i++) {
		ssize_t n = recv(s->fd, data, sizeof(data), 0);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n <= 0)
			return end(s, err, n ? strerror(errno) : "closed");
		r = take_in(s, (struct slice){ data, (size_t)n }, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_output(struct session *s, struct error *err)
{
	for (;;) {
		ssize_t n;

		if (s->unsent.len == 0) {
			const uint8_t *data = NULL;

			n = nghttp2_session_mem_send(s->h2, &data);
			if (n < 0)
				return end(s, err, nghttp2_strerror((int)n));
			if (n == 0)
				return 0;
			s->unsent.ptr = (const char *)data;
			s->unsent.len = (size_t)n;
		}
		n = send(s->fd, s->unsent.ptr, s->unsent.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return end(s, err, strerror(errno));
		s->unsent.ptr += n;
		s->unsent.len -= (size_t)n;
	}
}

short session_events(const struct session *s)
{
	short events = POLLIN;

	if (s->has_ended)
		return 0;
	if (s->unsent.len || nghttp2_session_want_write(s->h2))
		events |= POLLOUT;
	return events;
}

int session_step(struct session *s, struct error *err)
{
	int r;

	if (s->has_ended)
		return err_set(err, ERR_PEER, "the build session has ended");
	r = read_input(s, err);
	if (r < 0)
		return r;
	r = write_output(s, err);
	if (r < 0)
		return r;
	if (!nghttp2_session_want_read(s->h2) &&
	    !nghttp2_session_want_write(s->h2))
		return end(s, err, "told to go away");
	return 0;
}

int session_fd(const struct session *s)
{
	return s->fd;
}

const char *session_last_registry(const struct session *s)
{
	return s->registry;
}

/* ---- life ---- */

int session_new(int fd, const struct session_answers *answers,
		struct slice early, struct session **ret, struct error *err)
{
	struct session *s = xcalloc(1, sizeof(*s));
	int r;

	s->fd = fd;
	s->answers = *answers;
	r = make_h2(s, err);
	if (r == 0 && early.len)
		r = take_in(s, early, err);
	if (r == 0)
		r = write_output(s, err);
	if (r < 0) {
		session_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	nghttp2_session_del(s->h2);
	while (s->calls)
		free_call(s->calls);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static int make_id(char ret_id[SESSION_ID_MAX], struct error *err)
{
	unsigned char bytes[ID_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_errno(err, errno, "random numbers");
	for (size_t i = 0; i < ID_BYTES; i++)
		snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

int session_open(struct engine *e, const struct session_answers *answers,
		 struct session **ret, char ret_id[SESSION_ID_MAX],
		 struct error *err)
{
	auto_buf struct buf request = BUF_INIT(UPGRADE_MAX);
	auto_buf struct buf early = BUF_INIT(READ_BYTES);
	int fd = make_id(ret_id, err);

	if (fd < 0)
		return fd;
	buf_addf(&request,
		 "POST /v%s/session HTTP/1.1\r\n"
		 "Host: localhost\r\n"
		 "Connection: Upgrade\r\n"
		 "Upgrade: h2c\r\n"
		 "X-Docker-Expose-Session-Uuid: %s\r\n"
		 "X-Docker-Expose-Session-Name: slipway\r\n"
		 "X-Docker-Expose-Session-Sharedkey: \r\n",
		 engine_info(e)->api, ret_id);
	buf_adds(&request, "X-Docker-Expose-Session-Grpc-Method: "
			   "/grpc.health.v1.Health/Check\r\n"
			   "X-Docker-Expose-Session-Grpc-Method: "
			   "/moby.filesync.v1.Auth/Credentials\r\n"
			   "X-Docker-Expose-Session-Grpc-Method: "
			   "/moby.buildkit.secrets.v1.Secrets/GetSecret\r\n"
			   "\r\n");
	fd = http_upgrade(e, buf_slice(&request), &early, err);
	if (fd < 0)
		return fd;
	return session_new(fd, answers, buf_slice(&early), ret, err);
}
