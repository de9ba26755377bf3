/* builder/engine/session.h: an HTTP/2 client, as the engine is one, talks to
 * the session over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/engine/build.h"
#include "builder/engine/session.h"

#define HEALTH	    "/grpc.health.v1.Health/Check"
#define CREDENTIALS "/moby.filesync.v1.Auth/Credentials"
#define SECRET	    "/moby.buildkit.secrets.v1.Secrets/GetSecret"
#define ROUNDS	    2000

static const struct build_credential credentials[] = {
	{ "127.0.0.1:5000", "alice", "s3cret" },
	{ "docker.io", "hub", "token" },
};
static char big_secret[300000];
static const struct build_secret secrets[] = {
	{ "npm", { "sesame", 6 } },
	{ "nul", { "a\0b", 3 } },
	{ "big", { big_secret, sizeof(big_secret) } },
};
static const struct session_answers answers = {
	.credentials = credentials,
	.credentials_count = 2,
	.secrets = secrets,
	.secrets_count = 3,
};

/* ---- the engine's side ---- */

struct reply {
	struct buf body;
	char http_status[8];
	char grpc_status[8];
	char content_type[32];
	bool is_closed;
};

struct peer {
	int fd;
	nghttp2_session *h2;
	struct session *server;
};

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t value_len, uint8_t flags, void *ctx)
{
	struct reply *r =
		nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	struct slice n = { (const char *)name, name_len };
	char *out = NULL;

	(void)flags;
	(void)ctx;
	if (slice_eq(n, ":status"))
		out = r->http_status;
	else if (slice_eq(n, "grpc-status"))
		out = r->grpc_status;
	else if (slice_eq(n, "content-type"))
		out = r->content_type;
	if (out) {
		assert_true(value_len < (out == r->content_type ? 32u : 8u));
		memcpy(out, value, value_len);
	}
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id,
		   const uint8_t *data, size_t len, void *ctx)
{
	struct reply *r = nghttp2_session_get_stream_user_data(h2, id);

	(void)flags;
	(void)ctx;
	buf_add(&r->body, data, len);
	return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *ctx)
{
	struct reply *r = nghttp2_session_get_stream_user_data(h2, id);

	(void)code;
	(void)ctx;
	r->is_closed = true;
	return 0;
}

static void set_up_peer(struct peer *p)
{
	nghttp2_session_callbacks *callbacks;
	struct error err;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p->fd = fds[0];
	assert_int_equal(
		session_new(fds[1], &answers, slice_str(""), &p->server, &err),
		0);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
								  on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
							       on_close);
	nghttp2_session_client_new(&p->h2, callbacks, p);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(p->h2, NGHTTP2_FLAG_NONE, NULL, 0);
}

static void tear_down_peer(struct peer *p)
{
	nghttp2_session_del(p->h2);
	session_free(p->server);
	close(p->fd);
}

static void peer_send(struct peer *p)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(p->h2, &data)) > 0)
		assert_int_equal(send(p->fd, data, (size_t)n, MSG_NOSIGNAL), n);
}

static void peer_receive(struct peer *p)
{
	uint8_t data[4096];
	ssize_t n;

	while ((n = recv(p->fd, data, sizeof(data), 0)) > 0)
		assert_int_equal(
			nghttp2_session_mem_recv(p->h2, data, (size_t)n), n);
}

/* ---- requests ---- */

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *data,
			 size_t size, uint32_t *flags,
			 nghttp2_data_source *source, void *ctx)
{
	struct buf *body = source->ptr;
	size_t len = body->len < size ? body->len : size;

	(void)h2;
	(void)id;
	(void)ctx;
	if (len)
		memcpy(data, body->data, len);
	buf_consume(body, len);
	if (body->len == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

#define NV(name, value)                                                        \
	{                                                                      \
		(uint8_t *)(name), (uint8_t *)(value), strlen(name),           \
			strlen(value), 0                                       \
	}

static void request(struct peer *p, const char *path, struct buf *body,
		    struct reply *r)
{
	const nghttp2_nv headers[] = {
		NV(":method", "POST"), NV(":scheme", "http"),
		NV(":authority", "x"), NV(":path", path),
		NV("te", "trailers"),  NV("content-type", "application/grpc"),
	};
	nghttp2_data_provider provider = { .source.ptr = body,
					   .read_callback = read_body };

	memset(r, 0, sizeof(*r));
	r->body.max = 1 << 20;
	assert_true(nghttp2_submit_request(p->h2, NULL, headers,
					   ARRAY_SIZE(headers), &provider,
					   r) > 0);
}

static void run(struct peer *p, const struct reply *until)
{
	struct error err;

	for (int i = 0; i < ROUNDS && !until->is_closed; i++) {
		peer_send(p);
		assert_int_equal(session_step(p->server, &err), 0);
		peer_receive(p);
	}
	assert_true(until->is_closed);
}

/* A message of one string field, with its gRPC prefix. */
static void add_message(struct buf *b, const char *text)
{
	size_t len = strlen(text);

	buf_add(b, "\0\0\0\0", 4);
	buf_addc(b, (char)(len + 2));
	buf_addc(b, 0x0a);
	buf_addc(b, (char)len);
	buf_adds(b, text);
}

static void call(struct peer *p, const char *path, const char *text,
		 struct reply *r)
{
	auto_buf struct buf body = BUF_INIT(1000);

	add_message(&body, text);
	request(p, path, &body, r);
	run(p, r);
}

static void expect_reply(const char *path, const char *text, const char *body,
			 size_t len)
{
	struct reply r;
	struct peer p;

	set_up_peer(&p);
	call(&p, path, text, &r);
	assert_string_equal(r.http_status, "200");
	assert_string_equal(r.content_type, "application/grpc");
	assert_string_equal(r.grpc_status, "0");
	assert_int_equal(r.body.len, len);
	assert_memory_equal(r.body.data, body, len);
	buf_release(&r.body);
	tear_down_peer(&p);
}

static void expect_status(const char *path, const char *text,
			  const char *status)
{
	struct reply r;
	struct peer p;

	set_up_peer(&p);
	call(&p, path, text, &r);
	assert_string_equal(r.http_status, "200");
	assert_string_equal(r.grpc_status, status);
	assert_int_equal(r.body.len, 0);
	tear_down_peer(&p);
}

/* ---- tests ---- */

static void it_is_healthy(void **state)
{
	auto_buf struct buf body = BUF_INIT(100);
	struct reply r;
	struct peer p;

	(void)state;
	set_up_peer(&p);
	buf_add(&body, "\0\0\0\0\0", 5); /* an empty message */
	request(&p, HEALTH, &body, &r);
	run(&p, &r);
	assert_string_equal(r.grpc_status, "0");
	assert_int_equal(r.body.len, 7);
	assert_memory_equal(r.body.data, "\0\0\0\0\2\x08\x01", 7);
	buf_release(&r.body);
	tear_down_peer(&p);
}

static void it_gives_credentials(void **state)
{
	(void)state;
	expect_reply(CREDENTIALS, "127.0.0.1:5000",
		     "\0\0\0\0\17\x0a\5alice\x12\6s3cret", 5 + 15);
	expect_reply(CREDENTIALS, "registry-1.docker.io",
		     "\0\0\0\0\14\x0a\3hub\x12\5token", 5 + 12);
}

static void an_unknown_registry_is_anonymous(void **state)
{
	struct reply r;
	struct peer p;

	(void)state;
	expect_reply(CREDENTIALS, "127.0.0.1:5001", "\0\0\0\0\0", 5);
	set_up_peer(&p);
	assert_string_equal(session_last_registry(p.server), "");
	call(&p, CREDENTIALS, "r.example.com", &r);
	assert_string_equal(session_last_registry(p.server), "r.example.com");
	buf_release(&r.body);
	tear_down_peer(&p);
}

static void it_gives_secrets(void **state)
{
	(void)state;
	expect_reply(SECRET, "npm", "\0\0\0\0\x08\x0a\6sesame", 5 + 8);
	expect_reply(SECRET, "nul", "\0\0\0\0\5\x0a\3a\0b", 5 + 5);
	expect_status(SECRET, "other", "5");
}

/* More than a flow control window. */
static void a_big_secret_arrives_whole(void **state)
{
	struct reply r;
	struct peer p;

	(void)state;
	memset(big_secret, 'x', sizeof(big_secret));
	set_up_peer(&p);
	call(&p, SECRET, "big", &r);
	assert_string_equal(r.grpc_status, "0");
	assert_int_equal(r.body.len, 5 + 4 + sizeof(big_secret));
	assert_int_equal(r.body.data[r.body.len - 1], 'x');
	buf_release(&r.body);
	tear_down_peer(&p);
}

static void other_methods_are_not_implemented(void **state)
{
	auto_free char *path = xmalloc(5000);

	(void)state;
	expect_status("/moby.filesync.v1.Auth/GetTokenAuthority", "x", "12");
	expect_status("/moby.filesync.v1.Auth/FetchToken", "x", "12");
	expect_status("/moby.filesync.v1.FileSync/DiffCopy", "x", "12");
	expect_status("/", "x", "12");
	memset(path, 'p', 5000);
	path[0] = '/';
	path[4999] = '\0';
	expect_status(path, "x", "12");
}

static void broken_messages_are_refused(void **state)
{
	static const struct slice bad[] = {
		{ "", 0 },
		{ "\0\0\0\0", 4 },
		{ "\0\0\0\0\5ab", 7 },
		{ "\1\0\0\0\0", 5 },
		{ "\0\0\0\0\2\x0a\5", 7 },
		{ "\0\377\377\377\377ab", 7 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		auto_buf struct buf body = BUF_INIT(100);
		struct reply r;
		struct peer p;

		set_up_peer(&p);
		buf_add(&body, bad[i].ptr, bad[i].len);
		request(&p, SECRET, &body, &r);
		run(&p, &r);
		assert_string_equal(r.grpc_status, "3");
		tear_down_peer(&p);
	}
}

static void requests_are_bounded(void **state)
{
	auto_buf struct buf body = BUF_INIT(1 << 20);
	struct reply r;
	struct peer p;

	(void)state;
	set_up_peer(&p);
	for (int i = 0; i < 100000; i++)
		buf_addc(&body, 'x');
	request(&p, SECRET, &body, &r);
	run(&p, &r);
	assert_string_equal(r.grpc_status, "8");
	tear_down_peer(&p);
}

static void calls_may_overlap(void **state)
{
	struct reply replies[20];
	struct buf bodies[20];
	struct peer p;

	(void)state;
	set_up_peer(&p);
	for (size_t i = 0; i < 20; i++) {
		bodies[i] = (struct buf)BUF_INIT(100);
		add_message(&bodies[i], i % 2 ? "npm" : "other");
		request(&p, SECRET, &bodies[i], &replies[i]);
	}
	for (size_t i = 0; i < 20; i++) {
		run(&p, &replies[i]);
		assert_string_equal(replies[i].grpc_status, i % 2 ? "0" : "5");
		buf_release(&replies[i].body);
		buf_release(&bodies[i]);
	}
	tear_down_peer(&p);
}

/* Freed in the middle of a call: the sanitizers would see a leak. */
static void it_may_end_during_a_call(void **state)
{
	auto_buf struct buf body = BUF_INIT(1 << 20);
	struct error err;
	struct reply r;
	struct peer p;

	(void)state;
	set_up_peer(&p);
	for (int i = 0; i < 200000; i++)
		buf_addc(&body, 'x');
	request(&p, SECRET, &body, &r);
	peer_send(&p); /* as much as the window lets through */
	assert_int_equal(session_step(p.server, &err), 0);
	tear_down_peer(&p);
}

static void the_engine_may_close(void **state)
{
	struct error err;
	struct peer p;

	(void)state;
	set_up_peer(&p);
	assert_true(session_events(p.server) & POLLIN);
	shutdown(p.fd, SHUT_RDWR);
	assert_int_equal(session_step(p.server, &err), -ERR_PEER);
	assert_int_equal(session_events(p.server), 0);
	assert_int_equal(session_step(p.server, &err), -ERR_PEER);
	tear_down_peer(&p);
}

static void what_is_no_http2_ends_it(void **state)
{
	struct error err;
	struct peer p;

	(void)state;
	set_up_peer(&p);
	assert_int_equal(send(p.fd, "GET / HTTP/1.1\r\n\r\n 123456789", 28, 0),
			 28);
	assert_int_equal(session_step(p.server, &err), -ERR_PROTO);
	assert_int_equal(session_events(p.server), 0);
	tear_down_peer(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_healthy),
		cmocka_unit_test(it_gives_credentials),
		cmocka_unit_test(an_unknown_registry_is_anonymous),
		cmocka_unit_test(it_gives_secrets),
		cmocka_unit_test(a_big_secret_arrives_whole),
		cmocka_unit_test(other_methods_are_not_implemented),
		cmocka_unit_test(broken_messages_are_refused),
		cmocka_unit_test(requests_are_bounded),
		cmocka_unit_test(calls_may_overlap),
		cmocka_unit_test(it_may_end_during_a_call),
		cmocka_unit_test(the_engine_may_close),
		cmocka_unit_test(what_is_no_http2_ends_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
