/* builder/source/procfile.h: process types and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/source/procfile.h"

static int parse(const char *text, struct procfile *ret, struct error *err)
{
	return procfile_parse(slice_str(text), ret, err);
}

static void refused(const char *text, int code, const char *message)
{
	struct procfile p = { NULL, 0 };
	struct error err;

	assert_int_equal(parse(text, &p, &err), code);
	if (!strstr(err.msg, message))
		print_error("'%s' is not in '%s'\n", message, err.msg);
	assert_non_null(strstr(err.msg, message));
	assert_null(p.entries);
}

static void entries_keep_their_order(void **state)
{
	struct procfile p;
	struct error err;

	(void)state;
	assert_int_equal(parse("web: ./server -p $PORT\n"
			       "worker: bundle exec sidekiq -c 5\n"
			       "release: ./migrate\n",
			       &p, &err),
			 0);
	assert_int_equal(p.count, 3);
	assert_string_equal(p.entries[0].name, "web");
	assert_string_equal(p.entries[0].command, "./server -p $PORT");
	assert_string_equal(p.entries[1].name, "worker");
	assert_string_equal(p.entries[2].name, "release");
	assert_string_equal(p.entries[2].command, "./migrate");
	procfile_release(&p);
	assert_int_equal(p.count, 0);
	procfile_release(&p);
	procfile_release(NULL);
}

static void comments_blank_lines_and_line_ends(void **state)
{
	struct procfile p;
	struct error err;

	(void)state;
	assert_int_equal(parse("\xef\xbb\xbf# processes\r\n\r\n \t\n"
			       "  web :  run  x # not a comment  \r\n"
			       "a-b_C9:\turl http://x:1/ : y",
			       &p, &err),
			 0);
	assert_int_equal(p.count, 2);
	assert_string_equal(p.entries[0].name, "web");
	assert_string_equal(p.entries[0].command, "run  x # not a comment");
	assert_string_equal(p.entries[1].name, "a-b_C9");
	assert_string_equal(p.entries[1].command, "url http://x:1/ : y");
	procfile_release(&p);
}

static void an_empty_file_has_no_entries(void **state)
{
	struct procfile p;
	struct error err;

	(void)state;
	assert_int_equal(parse("", &p, &err), 0);
	assert_int_equal(p.count, 0);
	procfile_release(&p);
	assert_int_equal(parse("\n# only this\n", &p, &err), 0);
	assert_int_equal(p.count, 0);
	procfile_release(&p);
}

static void errors_name_the_line(void **state)
{
	(void)state;
	refused("web: a\n\nnonsense\n", -ERR_INVALID, "line 3");
	refused("web: a\nwe b: c\n", -ERR_INVALID, "line 2");
	refused(": a\n", -ERR_INVALID, "line 1");
	refused("w\xc3\xa9: a\n", -ERR_INVALID, "line 1");
	refused("web:\n", -ERR_INVALID, "'web' has no command");
	refused("web:  \t \n", -ERR_INVALID, "'web' has no command");
	refused("web: a\nx: b\nweb: c\n", -ERR_INVALID, "line 3");
	refused("web: a\nx: b\nweb: c\n", -ERR_INVALID, "'web'");
}

static void nul_bytes_are_refused(void **state)
{
	static const char text[] = "web: a\0b\n";
	static const char name[] = "w\0b: a\n";
	struct procfile p;
	struct error err;

	(void)state;
	assert_int_equal(
		procfile_parse((struct slice){ text, sizeof(text) - 1 }, &p,
			       &err),
		-ERR_INVALID);
	assert_int_equal(
		procfile_parse((struct slice){ name, sizeof(name) - 1 }, &p,
			       &err),
		-ERR_INVALID);
}

static void limits_hold(void **state)
{
	auto_buf struct buf text = BUF_INIT(1 << 20);
	struct procfile p;
	struct error err;

	(void)state;
	for (int i = 0; i < PROCFILE_ENTRIES_MAX; i++)
		buf_addf(&text, "p%d: run\n", i);
	assert_int_equal(procfile_parse(buf_slice(&text), &p, &err), 0);
	assert_int_equal(p.count, PROCFILE_ENTRIES_MAX);
	procfile_release(&p);
	buf_adds(&text, "more: run\n");
	refused(buf_str(&text), -ERR_LIMIT, "line 65");
	buf_reset(&text);
	for (int i = 0; i < 63; i++)
		buf_addc(&text, 'n');
	buf_adds(&text, ": run");
	assert_int_equal(procfile_parse(buf_slice(&text), &p, &err), 0);
	procfile_release(&p);
	buf_reset(&text);
	for (int i = 0; i < 64; i++)
		buf_addc(&text, 'n');
	buf_adds(&text, ": run");
	refused(buf_str(&text), -ERR_INVALID, "line 1");
	buf_reset(&text);
	buf_adds(&text, "web: ");
	for (int i = 0; i < 8193; i++)
		buf_addc(&text, 'x');
	refused(buf_str(&text), -ERR_LIMIT, "line 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_keep_their_order),
		cmocka_unit_test(comments_blank_lines_and_line_ends),
		cmocka_unit_test(an_empty_file_has_no_entries),
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(limits_hold),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
