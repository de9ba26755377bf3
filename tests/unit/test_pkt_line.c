/* hooks/pkt_line.h: framing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "hooks/pkt_line.h"

static struct slice bytes(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static void reads_a_packet_without_its_lf(void **state)
{
	struct pkt pkt;
	struct error err;

	(void)state;
	assert_int_equal(pkt_parse(bytes("000ahello\nrest"), &pkt, &err), 10);
	assert_false(pkt.is_flush);
	assert_int_equal(pkt.data.len, 5);
	assert_memory_equal(pkt.data.ptr, "hello", 5);
}

static void reads_flush_and_empty(void **state)
{
	struct pkt pkt;
	struct error err;

	(void)state;
	assert_int_equal(pkt_parse(bytes("0000"), &pkt, &err), 4);
	assert_true(pkt.is_flush);
	assert_int_equal(pkt_parse(bytes("0004"), &pkt, &err), 4);
	assert_false(pkt.is_flush);
	assert_int_equal(pkt.data.len, 0);
}

static void waits_for_the_rest(void **state)
{
	struct pkt pkt;
	struct error err;

	(void)state;
	assert_int_equal(pkt_parse(bytes(""), &pkt, &err), 0);
	assert_int_equal(pkt_parse(bytes("000"), &pkt, &err), 0);
	assert_int_equal(pkt_parse(bytes("000ahell"), &pkt, &err), 0);
}

static void refuses_bad_lengths(void **state)
{
	static const char *const bad[] = { "000g", "-001", "0001", "0002",
					   "0003", "fff1", "ffff", "zzzz" };
	struct pkt pkt;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pkt_parse(bytes(bad[i]), &pkt, &err),
				 -ERR_PROTO);
}

static void writes_what_it_reads(void **state)
{
	auto_buf struct buf out = BUF_INIT(200000);
	auto_buf struct buf big = BUF_INIT(100000);
	struct pkt pkt;
	struct error err;

	(void)state;
	pkt_addf(&out, "ok %s", "refs/heads/main");
	pkt_add_flush(&out);
	assert_string_equal(out.data, "0016ok refs/heads/main0000");
	buf_reset(&out);
	for (int i = 0; i < 100000; i++)
		buf_addc(&big, 'x');
	pkt_add(&out, big.data, big.len);
	assert_int_equal(pkt_parse(buf_slice(&out), &pkt, &err), PKT_MAX);
	assert_int_equal(pkt.data.len, PKT_MAX - 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_packet_without_its_lf),
		cmocka_unit_test(reads_flush_and_empty),
		cmocka_unit_test(waits_for_the_rest),
		cmocka_unit_test(refuses_bad_lengths),
		cmocka_unit_test(writes_what_it_reads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
