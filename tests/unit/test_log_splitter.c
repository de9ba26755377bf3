/* builder/engine/container.h: the engine's log stream cut into lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "builder/engine/container.h"

#define LINE_LIMIT 16384

struct seen {
	struct buf text; /* "o:line|" or "e:line|" */
	int lines;
	int stop_after; /* 0 = never */
	size_t longest;
};

static int take(void *ctx, bool is_stderr, struct slice line)
{
	struct seen *seen = ctx;

	buf_adds(&seen->text, is_stderr ? "e:" : "o:");
	buf_add(&seen->text, line.ptr, line.len);
	buf_addc(&seen->text, '|');
	if (line.len > seen->longest)
		seen->longest = line.len;
	return ++seen->lines == seen->stop_after;
}

static struct slice bytes(const char *text, size_t len)
{
	return (struct slice){ text, len };
}

#define FRAMES(text) bytes(text, sizeof(text) - 1)

/* All of it, in pieces of `step` bytes. */
static void split(struct seen *seen, bool is_raw, struct slice data,
		  size_t step)
{
	struct log_splitter s;

	log_splitter_init(&s, is_raw);
	for (size_t at = 0; at < data.len; at += step) {
		size_t len = data.len - at < step ? data.len - at : step;

		(void)log_splitter_feed(&s, bytes(data.ptr + at, len), take,
					seen);
	}
	(void)log_splitter_end(&s, take, seen);
	log_splitter_release(&s);
}

static void expect(bool is_raw, struct slice data, const char *expected)
{
	static const size_t steps[] = { 1, 2, 3, 7, 8, 9, 1000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct seen seen = { .text = BUF_INIT(1 << 20) };

		split(&seen, is_raw, data, steps[i]);
		assert_string_equal(buf_str(&seen.text), expected);
		buf_release(&seen.text);
	}
}

static void frames_become_lines_of_their_stream(void **state)
{
	(void)state;
	expect(false,
	       FRAMES("\1\0\0\0\0\0\0\3hi\n\2\0\0\0\0\0\0\4err\n"
		      "\1\0\0\0\0\0\0\2a\n"),
	       "o:hi|e:err|o:a|");
}

static void lines_go_on_over_frames(void **state)
{
	(void)state;
	expect(false,
	       FRAMES("\1\0\0\0\0\0\0\3one\2\0\0\0\0\0\0\1E"
		      "\1\0\0\0\0\0\0\6 more\n\2\0\0\0\0\0\0\2!\n"),
	       "o:one more|e:E!|");
}

static void a_frame_holds_many_lines(void **state)
{
	(void)state;
	expect(false, FRAMES("\1\0\0\0\0\0\0\7a\n\nb\nc\n"), "o:a|o:|o:b|o:c|");
}

static void the_last_line_may_lack_its_end(void **state)
{
	(void)state;
	expect(false, FRAMES("\1\0\0\0\0\0\0\1x\2\0\0\0\0\0\0\1y"), "o:x|e:y|");
}

static void empty_frames_are_nothing(void **state)
{
	(void)state;
	expect(false, FRAMES("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\2z\n"), "o:z|");
}

static void a_cut_frame_gives_what_came(void **state)
{
	(void)state;
	expect(false, FRAMES("\1\0\0\0\0\0\0\377abc"), "o:abc|");
	expect(false, FRAMES("\1\0\0"), "");
}

static void a_terminal_is_raw_with_carriage_returns(void **state)
{
	(void)state;
	expect(true, FRAMES("one\r\ntwo\r\n"), "o:one|o:two|");
}

static void nul_bytes_are_kept(void **state)
{
	struct seen seen = { .text = BUF_INIT(1 << 20) };

	(void)state;
	split(&seen, false, FRAMES("\1\0\0\0\0\0\0\4a\0b\n"), 1000);
	assert_int_equal(seen.text.len, 6);
	assert_memory_equal(seen.text.data, "o:a\0b|", 6);
	buf_release(&seen.text);
}

static void long_lines_come_in_bounded_pieces(void **state)
{
	auto_buf struct buf data = BUF_INIT(1 << 21);
	struct seen seen = { .text = BUF_INIT(1 << 21) };

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_adds(&data, "0123456789");
	buf_adds(&data, "\nnext\n");
	split(&seen, true, buf_slice(&data), 4099);
	assert_int_equal(seen.longest, LINE_LIMIT);
	assert_int_equal(seen.lines, 1000000 / LINE_LIMIT + 1 + 1);
	/* Nothing got lost: marks and separators are 3 bytes a line. */
	assert_int_equal(seen.text.len, 1000000 + 4 + 3 * seen.lines);
	buf_release(&seen.text);
}

static void a_line_of_just_the_limit_is_one(void **state)
{
	auto_buf struct buf data = BUF_INIT(1 << 20);
	struct seen seen = { .text = BUF_INIT(1 << 20) };

	(void)state;
	for (int i = 0; i < LINE_LIMIT; i++)
		buf_addc(&data, 'x');
	buf_adds(&data, "\n");
	split(&seen, true, buf_slice(&data), 1000);
	assert_int_equal(seen.lines, 1);
	buf_release(&seen.text);
}

static void the_sink_ends_it(void **state)
{
	struct seen seen = { .text = BUF_INIT(100), .stop_after = 2 };
	struct log_splitter s;

	(void)state;
	log_splitter_init(&s, true);
	assert_int_equal(
		log_splitter_feed(&s, FRAMES("a\nb\nc\nd\n"), take, &seen), 1);
	assert_string_equal(buf_str(&seen.text), "o:a|o:b|");
	log_splitter_release(&s);
	buf_release(&seen.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_become_lines_of_their_stream),
		cmocka_unit_test(lines_go_on_over_frames),
		cmocka_unit_test(a_frame_holds_many_lines),
		cmocka_unit_test(the_last_line_may_lack_its_end),
		cmocka_unit_test(empty_frames_are_nothing),
		cmocka_unit_test(a_cut_frame_gives_what_came),
		cmocka_unit_test(a_terminal_is_raw_with_carriage_returns),
		cmocka_unit_test(nul_bytes_are_kept),
		cmocka_unit_test(long_lines_come_in_bounded_pieces),
		cmocka_unit_test(a_line_of_just_the_limit_is_one),
		cmocka_unit_test(the_sink_ends_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
