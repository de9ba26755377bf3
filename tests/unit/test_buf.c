/* base/buf.h: buffers with a maximum, slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

static void is_an_empty_string_at_first(void **state)
{
	auto_buf struct buf b = BUF_INIT(10);
	struct error err;

	(void)state;
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_slice(&b).len, 0);
	assert_int_equal(buf_check(&b, "it", &err), 0);
	buf_consume(&b, 5);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	buf_release(NULL);
}

static void grows_up_to_its_maximum_and_says_so(void **state)
{
	auto_buf struct buf b = BUF_INIT(8);
	struct error err;

	(void)state;
	buf_adds(&b, "12345");
	buf_addc(&b, '6');
	buf_addf(&b, "%d", 78);
	assert_false(b.is_truncated);
	assert_string_equal(buf_str(&b), "12345678");
	assert_int_equal(buf_check(&b, "name", &err), 0);
	buf_addc(&b, '9');
	assert_true(b.is_truncated);
	assert_string_equal(buf_str(&b), "12345678");
	assert_int_equal(buf_check(&b, "name", &err), -ERR_LIMIT);
	assert_string_equal(err.msg, "name: longer than 8 bytes");
	buf_reset(&b);
	assert_int_equal(buf_check(&b, "name", &err), 0);
}

static void keeps_what_fits_of_one_addition(void **state)
{
	auto_buf struct buf b = BUF_INIT(4);

	(void)state;
	buf_adds(&b, "abcdefgh");
	assert_string_equal(buf_str(&b), "abcd");
	assert_true(b.is_truncated);
}

static void may_have_no_room_at_all(void **state)
{
	auto_buf struct buf b = BUF_INIT(0);

	(void)state;
	buf_adds(&b, "x");
	assert_true(b.is_truncated);
	assert_string_equal(buf_str(&b), "");
	assert_false(buf_reserve(&b, 1));
	assert_true(buf_reserve(&b, 0));
}

static void reserves_within_the_maximum_only(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);

	(void)state;
	buf_adds(&b, "0123456789");
	assert_true(buf_reserve(&b, 990));
	assert_true(b.cap > 1000);
	assert_false(buf_reserve(&b, 991));
	assert_false(buf_reserve(&b, SIZE_MAX));
	assert_string_equal(buf_str(&b), "0123456789");
}

static void holds_nul_bytes(void **state)
{
	auto_buf struct buf b = BUF_INIT(10);

	(void)state;
	buf_add(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "a\0b\0", 4);
}

static void drops_from_the_front(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);

	(void)state;
	buf_adds(&b, "hello world");
	buf_consume(&b, 6);
	assert_string_equal(buf_str(&b), "world");
	buf_consume(&b, 100);
	assert_string_equal(buf_str(&b), "");
	buf_adds(&b, "again");
	assert_string_equal(buf_str(&b), "again");
}

static void swaps_and_hands_over(void **state)
{
	auto_buf struct buf a = BUF_INIT(10);
	auto_buf struct buf b = BUF_INIT(20);
	auto_free char *mine = NULL;
	auto_free char *empty = NULL;

	(void)state;
	buf_adds(&a, "a");
	buf_swap(&a, &b);
	assert_string_equal(buf_str(&a), "");
	assert_int_equal(a.max, 20);
	mine = buf_detach(&b);
	assert_string_equal(mine, "a");
	assert_null(b.data);
	empty = buf_detach(&b);
	assert_string_equal(empty, "");
}

static void fill_pipe(int *ret_read_end, size_t len)
{
	auto_free char *data = xmalloc(len);
	int p[2];

	memset(data, 'x', len);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], data, len), (ssize_t)len);
	close(p[1]);
	*ret_read_end = p[0];
}

static void reads_to_the_end_of_an_fd(void **state)
{
	auto_buf struct buf b = BUF_INIT(5000);
	auto_close int fd = -1;
	struct error err;

	(void)state;
	buf_adds(&b, "12");
	fill_pipe(&fd, 4998);
	assert_int_equal(buf_read_fd(&b, fd, &err), 0);
	assert_int_equal(b.len, 5000);
	assert_int_equal(b.data[5000], '\0');
	assert_int_equal(strlen(b.data), 5000);
}

static void refuses_one_byte_too_many_from_an_fd(void **state)
{
	auto_buf struct buf b = BUF_INIT(5000);
	auto_close int fd = -1;
	struct error err;

	(void)state;
	fill_pipe(&fd, 5001);
	assert_int_equal(buf_read_fd(&b, fd, &err), -ERR_LIMIT);
	assert_true(b.is_truncated);
	assert_true(b.len <= 5000);
}

static void reports_an_fd_that_cannot_be_read(void **state)
{
	auto_buf struct buf b = BUF_INIT(10);
	struct error err;

	(void)state;
	assert_int_equal(buf_read_fd(&b, -1, &err), -ERR_SYS);
	assert_int_not_equal(err.sys, 0);
}

static void cuts_lines(void **state)
{
	struct slice rest = slice_str("one\n\nthree");
	struct slice line;

	(void)state;
	assert_true(slice_line(&rest, &line));
	assert_true(slice_eq(line, "one"));
	assert_true(slice_line(&rest, &line));
	assert_int_equal(line.len, 0);
	assert_true(slice_line(&rest, &line));
	assert_true(slice_eq(line, "three"));
	assert_false(slice_line(&rest, &line));
	rest = slice_str("end\n");
	assert_true(slice_line(&rest, &line));
	assert_false(slice_line(&rest, &line));
}

static void compares_and_trims_slices(void **state)
{
	struct slice s = slice_trim(slice_str(" \t a b \r\n"));
	auto_free char *copy = slice_dup(s);

	(void)state;
	assert_string_equal(copy, "a b");
	assert_true(slice_starts(s, "a "));
	assert_true(slice_starts(s, ""));
	assert_false(slice_starts(s, "a b c"));
	assert_false(slice_eq(s, "a"));
	assert_int_equal(slice_trim(slice_str(" \n ")).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_an_empty_string_at_first),
		cmocka_unit_test(grows_up_to_its_maximum_and_says_so),
		cmocka_unit_test(keeps_what_fits_of_one_addition),
		cmocka_unit_test(may_have_no_room_at_all),
		cmocka_unit_test(reserves_within_the_maximum_only),
		cmocka_unit_test(holds_nul_bytes),
		cmocka_unit_test(drops_from_the_front),
		cmocka_unit_test(swaps_and_hands_over),
		cmocka_unit_test(reads_to_the_end_of_an_fd),
		cmocka_unit_test(refuses_one_byte_too_many_from_an_fd),
		cmocka_unit_test(reports_an_fd_that_cannot_be_read),
		cmocka_unit_test(cuts_lines),
		cmocka_unit_test(compares_and_trims_slices),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
