/* hooks/push_request.h: what git tells its proc-receive hook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "hooks/pkt_line.h"
#include "hooks/push_request.h"

#define OLD "1111111111111111111111111111111111111111"
#define NEW "2222222222222222222222222222222222222222"

static void add_version(struct buf *b, const char *caps)
{
	auto_buf struct buf text = BUF_INIT(1000);

	buf_adds(&text, "version=1");
	if (caps) {
		buf_addc(&text, '\0');
		buf_adds(&text, caps);
	}
	pkt_add(b, text.data, text.len);
	pkt_add_flush(b);
}

/* Feed everything, as the hook does; 0 or -code. */
static int feed(struct push_request *p, const struct buf *in, struct error *err)
{
	size_t at = 0;

	for (;;) {
		int n = push_request_feed(
			p, (struct slice){ in->data + at, in->len - at }, err);

		if (n <= 0)
			return n;
		at += (size_t)n;
	}
}

static const char *member(const json_t *array, size_t i, const char *key)
{
	return json_get_str(json_array_get(array, i), key, "");
}

static void reads_commands_and_options(void **state)
{
	auto_buf struct buf in = BUF_INIT(10000);
	struct push_request p;
	struct error err;

	(void)state;
	push_request_init(&p);
	add_version(&in, "push-options atomic");
	pkt_addf(&in, OLD " " NEW " refs/heads/main\n");
	pkt_addf(&in, OLD " " NEW " refs/tags/v 1");
	pkt_add_flush(&in);
	pkt_addf(&in, "no-cache");
	pkt_addf(&in, "build-arg=A=b c");
	pkt_add_flush(&in);
	assert_int_equal(feed(&p, &in, &err), 0);
	assert_int_equal(p.state, PUSH_DONE);
	assert_true(p.is_atomic);
	assert_int_equal(json_array_size(p.updates), 2);
	assert_string_equal(member(p.updates, 0, "ref"), "refs/heads/main");
	assert_string_equal(member(p.updates, 0, "old"), OLD);
	assert_string_equal(member(p.updates, 0, "new"), NEW);
	assert_string_equal(json_string_value(json_array_get(p.options, 1)),
			    "build-arg=A=b c");
	push_request_release(&p);
}

static void reads_a_push_without_options(void **state)
{
	auto_buf struct buf in = BUF_INIT(10000);
	auto_buf struct buf out = BUF_INIT(1000);
	struct push_request p;
	struct error err;

	(void)state;
	push_request_init(&p);
	add_version(&in, NULL);
	pkt_addf(&in, OLD " " NEW " refs/heads/main");
	pkt_add_flush(&in);
	assert_int_equal(feed(&p, &in, &err), 0);
	assert_int_equal(p.state, PUSH_DONE);
	assert_false(p.is_atomic);
	push_request_reply(&p, &out);
	assert_string_equal(out.data, "000dversion=10000");
	push_request_release(&p);
}

static void stops_for_our_answer_after_the_version(void **state)
{
	auto_buf struct buf in = BUF_INIT(10000);
	struct push_request p;
	struct error err;
	int n;

	(void)state;
	push_request_init(&p);
	add_version(&in, "push-options");
	n = (int)in.len;
	pkt_addf(&in, OLD " " NEW " refs/heads/main");
	assert_int_equal(push_request_feed(&p, buf_slice(&in), &err), n);
	assert_int_equal(p.state, PUSH_WANT_COMMANDS);
	assert_int_equal(json_array_size(p.updates), 0);
	push_request_release(&p);
}

static void takes_one_byte_at_a_time(void **state)
{
	auto_buf struct buf in = BUF_INIT(10000);
	auto_buf struct buf part = BUF_INIT(10000);
	struct push_request p;
	struct error err;

	(void)state;
	push_request_init(&p);
	add_version(&in, "atomic");
	pkt_addf(&in, OLD " " NEW " refs/heads/main");
	pkt_add_flush(&in);
	for (size_t i = 0; i < in.len; i++) {
		int n;

		buf_add(&part, in.data + i, 1);
		n = push_request_feed(&p, buf_slice(&part), &err);
		assert_true(n >= 0);
		buf_consume(&part, (size_t)n);
	}
	assert_int_equal(p.state, PUSH_DONE);
	assert_int_equal(json_array_size(p.updates), 1);
	push_request_release(&p);
}

static void refuses_nonsense(void **state)
{
	static const char *const commands[] = {
		"short",
		OLD " " NEW " ",
		OLD "x" NEW " refs/heads/a",
		OLD " ZZ22222222222222222222222222222222222222 refs/heads/a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		auto_buf struct buf in = BUF_INIT(10000);
		struct push_request p;
		struct error err;

		push_request_init(&p);
		add_version(&in, NULL);
		pkt_addf(&in, "%s", commands[i]);
		assert_int_equal(feed(&p, &in, &err), -ERR_PROTO);
		push_request_release(&p);
	}
}

static void refuses_another_version(void **state)
{
	auto_buf struct buf in = BUF_INIT(1000);
	struct push_request p;
	struct error err;

	(void)state;
	push_request_init(&p);
	pkt_addf(&in, "version=2");
	assert_int_equal(feed(&p, &in, &err), -ERR_PROTO);
	push_request_release(&p);
}

static void bounds_options(void **state)
{
	auto_buf struct buf in = BUF_INIT(1 << 20);
	struct push_request p;
	struct error err;

	(void)state;
	push_request_init(&p);
	add_version(&in, "push-options");
	pkt_addf(&in, OLD " " NEW " refs/heads/main");
	pkt_add_flush(&in);
	for (int i = 0; i <= PUSH_OPTIONS_MAX; i++)
		pkt_addf(&in, "o%d", i);
	assert_int_equal(feed(&p, &in, &err), -ERR_LIMIT);
	push_request_release(&p);
}

static void answers_in_gits_order(void **state)
{
	auto_buf struct buf in = BUF_INIT(10000);
	auto_buf struct buf out = BUF_INIT(10000);
	json_auto_t *results =
		json_pack("[{s:s, s:b, s:s}, {s:s, s:b, s:b}]", "ref",
			  "refs/heads/b", "ok", 0, "reason", "line\none\033[2J",
			  "ref", "refs/heads/a", "ok", 1, "fall_through", 1);
	struct push_request p;
	struct error err;

	(void)state;
	push_request_init(&p);
	add_version(&in, NULL);
	pkt_addf(&in, OLD " " NEW " refs/heads/a");
	pkt_addf(&in, OLD " " NEW " refs/heads/b");
	pkt_addf(&in, OLD " " NEW " refs/heads/c");
	pkt_add_flush(&in);
	assert_int_equal(feed(&p, &in, &err), 0);
	push_request_answer(&p, results, "no verdict", &out);
	assert_string_equal(out.data, "0013ok refs/heads/a"
				      "0017option fall-through"
				      "001bng refs/heads/b lineone"
				      "001eng refs/heads/c no verdict"
				      "0000");
	push_request_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_commands_and_options),
		cmocka_unit_test(reads_a_push_without_options),
		cmocka_unit_test(stops_for_our_answer_after_the_version),
		cmocka_unit_test(takes_one_byte_at_a_time),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(refuses_another_version),
		cmocka_unit_test(bounds_options),
		cmocka_unit_test(answers_in_gits_order),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
