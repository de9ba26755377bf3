/* base/wire.h: frames and messages on the control socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/wire.h"

static struct slice bytes(const char *p, size_t len)
{
	return (struct slice){ p, len };
}

static void writes_the_documented_bytes(void **state)
{
	auto_buf struct buf out = BUF_INIT(100);

	(void)state;
	wire_add(&out, WIRE_STDERR, "hi", 2);
	wire_add(&out, WIRE_STDIN, "", 0);
	assert_int_equal(out.len, 12);
	assert_memory_equal(out.data, "\0\0\0\3\2hi\0\0\0\1\3", 12);
}

static void reads_one_frame_at_a_time(void **state)
{
	static const char two[] = "\0\0\0\3\1hi\0\0\0\1\3";
	struct wire_frame f;
	struct error err;

	(void)state;
	assert_int_equal(wire_parse(bytes(two, 12), &f, &err), 7);
	assert_int_equal(f.kind, WIRE_STDOUT);
	assert_true(slice_eq(f.payload, "hi"));
	assert_int_equal(wire_parse(bytes(two + 7, 5), &f, &err), 5);
	assert_int_equal(f.kind, WIRE_STDIN);
	assert_int_equal(f.payload.len, 0);
}

static void waits_for_the_rest(void **state)
{
	static const char frame[] = "\0\0\0\3\1hi";
	struct wire_frame f;
	struct error err;

	(void)state;
	for (size_t len = 0; len < 7; len++)
		assert_int_equal(wire_parse(bytes(frame, len), &f, &err), 0);
}

static void refuses_bad_heads_before_the_payload(void **state)
{
	static const char *const bad[] = {
		"\0\0\0\0\0", /* not even a kind */
		"\0\0\0\2\4",	      "\0\0\0\2\377",
		"\0\20\0\2\1", /* one byte over the longest */
		"\377\377\377\377\1", "\200\0\0\0\1",
	};
	struct wire_frame f;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(wire_parse(bytes(bad[i], 5), &f, &err),
				 -ERR_PROTO);
}

static void takes_the_longest_frame(void **state)
{
	auto_buf struct buf out = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	auto_free char *data = xcalloc(1, WIRE_MAX);
	struct wire_frame f;
	struct error err;

	(void)state;
	wire_add(&out, WIRE_STDOUT, data, WIRE_MAX);
	assert_false(out.is_truncated);
	assert_int_equal(wire_parse(buf_slice(&out), &f, &err),
			 WIRE_MAX + WIRE_HEAD);
	assert_int_equal(f.payload.len, WIRE_MAX);
}

static void pair(int *ret_a, int *ret_b)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*ret_a = fds[0];
	*ret_b = fds[1];
}

static void sends_and_receives_messages(void **state)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	auto_close int a = -1;
	auto_close int b = -1;
	json_auto_t *msg = NULL;
	struct wire_frame f;
	struct error err;
	const char *type;

	(void)state;
	pair(&a, &b);
	assert_int_equal(wire_send(a, json_pack("{s:s}", "type", "ping"), &err),
			 0);
	assert_int_equal(wire_send_data(a, WIRE_STDOUT, "out", 3, &err), 0);
	close(TAKE_FD(a));
	assert_int_equal(wire_recv(b, &in, &f, &err), 1);
	assert_int_equal(wire_message(&f, &msg, &type, &err), 0);
	assert_string_equal(type, "ping");
	assert_int_equal(wire_recv(b, &in, &f, &err), 1);
	assert_int_equal(f.kind, WIRE_STDOUT);
	assert_true(slice_eq(f.payload, "out"));
	assert_int_equal(wire_recv(b, &in, &f, &err), 0);
}

static void splits_long_data_into_frames(void **state)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	auto_free char *data = xcalloc(1, 100000);
	auto_close int a = -1;
	auto_close int b = -1;
	struct wire_frame f;
	struct error err;
	size_t got = 0;

	(void)state;
	pair(&a, &b);
	assert_int_equal(wire_send_data(a, WIRE_STDIN, data, 100000, &err), 0);
	assert_int_equal(wire_send_data(a, WIRE_STDIN, "", 0, &err), 0);
	while (wire_recv(b, &in, &f, &err) == 1 && f.payload.len)
		got += f.payload.len;
	assert_int_equal(got, 100000);
}

static void notices_an_end_in_a_frame(void **state)
{
	static const char *const cut[] = { "\0\0", "\0\0\0\5\1",
					   "\0\0\0\5\1ab" };
	static const size_t lens[] = { 2, 5, 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
		auto_close int a = -1;
		auto_close int b = -1;
		struct wire_frame f;
		struct error err;

		pair(&a, &b);
		assert_int_equal(write(a, cut[i], lens[i]), (ssize_t)lens[i]);
		close(TAKE_FD(a));
		assert_int_equal(wire_recv(b, &in, &f, &err), -ERR_PROTO);
	}
}

static void does_not_receive_over_its_maximum(void **state)
{
	auto_buf struct buf in = BUF_INIT(100);
	auto_close int a = -1;
	auto_close int b = -1;
	struct wire_frame f;
	struct error err;

	(void)state;
	pair(&a, &b);
	assert_int_equal(write(a, "\0\0\1\0\1", 5), 5);
	assert_int_equal(wire_recv(b, &in, &f, &err), -ERR_LIMIT);
}

static void refuses_messages_without_a_type(void **state)
{
	static const char *const bad[] = {
		"", "[]", "{}", "{\"type\":1}", "{\"type\":null}", "null", "{"
	};
	struct error err;
	json_t *msg = NULL;
	const char *type;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct wire_frame f = { WIRE_MESSAGE, slice_str(bad[i]) };

		assert_int_equal(wire_message(&f, &msg, &type, &err),
				 -ERR_PROTO);
		assert_null(msg);
	}
}

static void carries_errors(void **state)
{
	struct wire_frame f = { WIRE_STDOUT, { "", 0 } };
	auto_close int a = -1;
	auto_close int b = -1;
	struct error err;
	struct error sent;
	json_t *reply = NULL;
	const char *type;

	(void)state;
	assert_int_equal(wire_message(&f, &reply, &type, &err), -ERR_PROTO);
	(void)err_set(&sent, ERR_DENIED, "not you \xff");
	pair(&a, &b);
	assert_int_equal(wire_send(b, wire_error(&sent), &err), 0);
	assert_int_equal(
		wire_call(a, json_pack("{s:s}", "type", "x"), &reply, &err),
		-ERR_DENIED);
	assert_string_equal(err.msg, "not you \xef\xbf\xbd");
	assert_null(reply);
}

static void a_call_notices_that_nobody_answers(void **state)
{
	auto_close int a = -1;
	auto_close int b = -1;
	struct error err;
	json_t *reply = NULL;

	(void)state;
	pair(&a, &b);
	assert_int_equal(shutdown(b, SHUT_WR), 0);
	assert_int_equal(
		wire_call(a, json_pack("{s:s}", "type", "x"), &reply, &err),
		-ERR_PEER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_documented_bytes),
		cmocka_unit_test(reads_one_frame_at_a_time),
		cmocka_unit_test(waits_for_the_rest),
		cmocka_unit_test(refuses_bad_heads_before_the_payload),
		cmocka_unit_test(takes_the_longest_frame),
		cmocka_unit_test(sends_and_receives_messages),
		cmocka_unit_test(splits_long_data_into_frames),
		cmocka_unit_test(notices_an_end_in_a_frame),
		cmocka_unit_test(does_not_receive_over_its_maximum),
		cmocka_unit_test(refuses_messages_without_a_type),
		cmocka_unit_test(carries_errors),
		cmocka_unit_test(a_call_notices_that_nobody_answers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
