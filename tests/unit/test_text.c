/* base/text.h: foreign text made safe, words for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

#define REPLACED "\xef\xbf\xbd"
#define ELLIPSIS "\xe2\x80\xa6"

static void knows_utf8(void **state)
{
	static const char *const good[] = {
		"",
		"abc",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf",
	};
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc2",
		"\xc2\x20",
		"\xe0\x9f\xbf" /* overlong */,
		"\xed\xa0\x80" /* surrogate */,
		"\xe2\x82" /* cut */,
		"\xf0\x8f\xbf\xbf" /* overlong */,
		"\xf4\x90\x80\x80" /* over U+10FFFF */,
		"\xf5\x80\x80\x80",
		"\xfe",
		"\xff",
		"ok\xe2\x28\xa1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(text_is_utf8(slice_str(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_is_utf8(slice_str(bad[i])));
	assert_true(text_is_utf8((struct slice){ "a\0b", 3 }));
}

static void takes_characters_off_the_front(void **state)
{
	struct slice s = slice_str("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\xa2\xff");
	static const uint32_t want[] = { 'a', 0xe9, 0x20ac, 0x1f6a2, 0xfffd };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(text_next_rune(&s), want[i]);
	assert_int_equal(s.len, 0);
}

static void replaces_what_is_no_utf8(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);

	(void)state;
	text_add_utf8(&b, slice_str("a\xff\xc3\xa9\xe2\x82z"));
	assert_string_equal(buf_str(&b),
			    "a" REPLACED "\xc3\xa9" REPLACED REPLACED "z");
}

static void assert_line(const char *line, const char *want)
{
	auto_buf struct buf b = BUF_INIT(1000);

	text_add_line(&b, slice_str(line), 200);
	assert_string_equal(buf_str(&b), want);
}

static void drops_escape_sequences(void **state)
{
	(void)state;
	assert_line("\033[31mred\033[0m text", "red text");
	assert_line("\033[2K\033[1;1Hx", "x");
	assert_line("\033]0;title\ay", "y");
	assert_line("\033]8;;http://a\033\\link\033]8;;\033\\", "link");
	assert_line("\033Pq#0;2\033\\z", "z");
	assert_line("\033(Bok", "Bok");
	assert_line("cut \033[38;5", "cut ");
	assert_line("cut \033", "cut ");
	assert_line("\033", "");
}

static void drops_control_characters(void **state)
{
	(void)state;
	assert_line("a\tb\ac\bd\x7f", "a bcd");
	assert_line("c1 \xc2\x9b"
		    "31m gone",
		    "c1 31m gone");
	assert_line("nbsp\xc2\xa0stays", "nbsp\xc2\xa0stays");
	assert_line("\xff", REPLACED);
}

static void keeps_the_last_rewrite_of_a_line(void **state)
{
	(void)state;
	assert_line("10%\r50%\r100%", "100%");
	assert_line("10%\r100%\r", "100%");
	assert_line("windows\r", "windows");
	assert_line("\r\r", "");
	assert_line("", "");
}

static void cuts_long_lines_between_characters(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);

	(void)state;
	text_add_line(&b, slice_str("0123456789abcdef"), 10);
	assert_string_equal(buf_str(&b), "0123456 " ELLIPSIS);
	buf_reset(&b);
	text_add_line(&b, slice_str("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"), 8);
	assert_true(text_is_utf8(buf_slice(&b)));
	assert_non_null(strstr(buf_str(&b), ELLIPSIS));
}

static void assert_duration(int64_t ms, const char *want)
{
	auto_buf struct buf b = BUF_INIT(100);

	text_add_duration(&b, ms);
	assert_string_equal(buf_str(&b), want);
}

static void writes_durations(void **state)
{
	(void)state;
	assert_duration(0, "0ms");
	assert_duration(999, "999ms");
	assert_duration(1000, "1.0s");
	assert_duration(6349, "6.3s");
	assert_duration(59999, "59.9s");
	assert_duration(60000, "1m00s");
	assert_duration(100000, "1m40s");
	assert_duration(3599999, "59m59s");
	assert_duration(3600000, "1h00m");
	assert_duration(7500000, "2h05m");
}

static void assert_size(uint64_t bytes, const char *want)
{
	auto_buf struct buf b = BUF_INIT(100);

	text_add_size(&b, bytes);
	assert_string_equal(buf_str(&b), want);
}

static void writes_sizes(void **state)
{
	(void)state;
	assert_size(0, "0 B");
	assert_size(999, "999 B");
	assert_size(1000, "1.0 kB");
	assert_size(48200000, "48.2 MB");
	assert_size(999949, "999.9 kB");
	assert_size(999999, "1.0 MB");
	assert_size(UINT64_C(2500000000), "2.5 GB");
	assert_size(UINT64_C(5000000000000000), "5000.0 TB");
}

static void finds_the_word_that_was_meant(void **state)
{
	static const char *const words[] = { "apps:list", "apps:create",
					     "keys:add", "ps", NULL };
	char monster[2000];

	(void)state;
	assert_string_equal(text_nearest("app:list", words), "apps:list");
	assert_string_equal(text_nearest("apps:lsit", words), "apps:list");
	assert_string_equal(text_nearest("apps:crate", words), "apps:create");
	assert_string_equal(text_nearest("pss", words), "ps");
	assert_null(text_nearest("completely-else", words));
	memset(monster, 'a', sizeof(monster) - 1);
	monster[sizeof(monster) - 1] = '\0';
	assert_null(text_nearest(monster, words));
}

static void writes_moments(void **state)
{
	char out[32];
	char small[4] = "abc";

	(void)state;
	text_utc(0, out, sizeof(out));
	assert_string_equal(out, "1970-01-01T00:00:00Z");
	text_utc(1795342500, out, sizeof(out));
	assert_string_equal(out, "2026-11-22T10:15:00Z");
	text_utc(0, small, sizeof(small));
	assert_string_equal(small, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_utf8),
		cmocka_unit_test(takes_characters_off_the_front),
		cmocka_unit_test(replaces_what_is_no_utf8),
		cmocka_unit_test(drops_escape_sequences),
		cmocka_unit_test(drops_control_characters),
		cmocka_unit_test(keeps_the_last_rewrite_of_a_line),
		cmocka_unit_test(cuts_long_lines_between_characters),
		cmocka_unit_test(writes_durations),
		cmocka_unit_test(writes_sizes),
		cmocka_unit_test(finds_the_word_that_was_meant),
		cmocka_unit_test(writes_moments),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
