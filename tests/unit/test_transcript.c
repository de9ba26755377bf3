/* builder/jobs/transcript.h: what the pusher reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/io.h"
#include "builder/jobs/transcript.h"

static char path[] = "/tmp/transcript.XXXXXX";

static void open_one(struct transcript *t, int64_t max)
{
	struct error err;
	int fd;

	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(transcript_open(t, path, -1, max, &err), 0);
}

static void read_back(struct buf *b)
{
	int fd = open(path, O_RDONLY);
	struct error err;

	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(b, fd, &err), 0);
	close(fd);
	unlink(path);
}

static void lines_have_their_marks(void **state)
{
	auto_buf struct buf b = BUF_INIT(100000);
	struct transcript t;

	(void)state;
	open_one(&t, 100000);
	transcript_step(&t, "Building from %s", "Dockerfile");
	transcript_detail(&t, "one");
	transcript_error(&t, "two");
	transcript_result(&t, "three");
	transcript_close(&t);
	read_back(&b);
	assert_string_equal(b.data, "-----> Building from Dockerfile\n"
				    "       one\n"
				    " !     two\n"
				    "=====> three\n");
}

static void output_is_cleaned(void **state)
{
	static const char nasty[] = "10%\r55%\r\033[31mred\033[0m \xff"
				    "\x9b\033]0;title\a\x08 end\t.";
	auto_buf struct buf b = BUF_INIT(100000);
	struct transcript t;

	(void)state;
	open_one(&t, 100000);
	transcript_output(&t, slice_str(nasty));
	transcript_close(&t);
	read_back(&b);
	assert_string_equal(b.data, "       red \xef\xbf\xbd\xef\xbf\xbd"
				    " end .\n");
}

static void output_is_bounded_but_errors_come_through(void **state)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	struct transcript t;

	(void)state;
	open_one(&t, 2048);
	for (int i = 0; i < 10000; i++)
		transcript_output(&t, slice_str("a line of output"));
	transcript_error(&t, "the reason");
	transcript_close(&t);
	read_back(&b);
	assert_true(b.len < 4096);
	assert_non_null(strstr(b.data, "further output is left out"));
	assert_non_null(strstr(b.data, " !     the reason\n"));
}

static void a_long_line_is_cut(void **state)
{
	auto_buf struct buf line = BUF_INIT(2000000);
	auto_buf struct buf b = BUF_INIT(2000000);
	struct transcript t;

	(void)state;
	open_one(&t, 1 << 20);
	for (int i = 0; i < 1000000; i++)
		buf_addc(&line, 'x');
	transcript_output(&t, buf_slice(&line));
	transcript_close(&t);
	read_back(&b);
	assert_true(b.len < 4200);
	assert_string_equal(b.data + b.len - 5, " \xe2\x80\xa6\n");
}

static void a_quiet_step_says_that_it_runs(void **state)
{
	auto_buf struct buf b = BUF_INIT(100000);
	struct transcript t;

	(void)state;
	open_one(&t, 100000);
	transcript_busy(&t, "[3/7] RUN make");
	transcript_tick(&t);
	t.quiet_ms -= 16000;
	t.busy_ms -= 100000;
	transcript_tick(&t);
	transcript_tick(&t);
	transcript_busy(&t, "[3/7] RUN make");
	transcript_progress(&t, "3 of 4");
	t.quiet_ms -= 16000;
	transcript_tick(&t);
	transcript_busy(&t, "[4/7] RUN test");
	t.quiet_ms -= 16000;
	t.busy_ms -= 2000;
	transcript_tick(&t);
	transcript_busy(&t, NULL);
	t.quiet_ms -= 16000;
	transcript_tick(&t);
	transcript_close(&t);
	read_back(&b);
	assert_string_equal(b.data,
			    "       still running: [3/7] RUN make (1m40s)\n"
			    "       still running: [3/7] RUN make: 3 of 4 "
			    "(1m40s)\n"
			    "       still running: [4/7] RUN test (2.0s)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_their_marks),
		cmocka_unit_test(output_is_cleaned),
		cmocka_unit_test(output_is_bounded_but_errors_come_through),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(a_quiet_step_says_that_it_runs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
