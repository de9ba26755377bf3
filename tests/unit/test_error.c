/* base/error.h: makers, context, and what the public may read. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"

static void makers_return_the_code(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, ERR_LIMIT, "%d of %s", 3, "them"),
			 -ERR_LIMIT);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.msg, "3 of them");
	assert_int_equal(err_errno(&err, ENOENT, "open '%s'", "x"), -ERR_SYS);
	assert_int_equal(err.code, ERR_SYS);
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(err.msg, "open 'x': No such file or directory");
	/* A later error leaves no errno of an earlier one behind. */
	assert_int_equal(err_set(&err, ERR_PROTO, "broken"), -ERR_PROTO);
	assert_int_equal(err.sys, 0);
}

static void context_goes_in_front(void **state)
{
	struct error err = ERROR_INIT;
	int r = err_errno(&err, EACCES, "open '%s'", "x");

	(void)state;
	r = err_wrap(&err, r, "read %s", "keys");
	r = err_wrap(&err, r, "app %d", 7);
	assert_int_equal(r, -ERR_SYS);
	assert_int_equal(err.sys, EACCES);
	assert_string_equal(err.msg,
			    "app 7: read keys: open 'x': Permission denied");
}

static void long_texts_are_cut_and_ended(void **state)
{
	char text[4 * ERR_MSG_MAX];
	struct error err = ERROR_INIT;
	int r;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	r = err_set(&err, ERR_INVALID, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	/* The reason stays readable behind a long name. */
	r = err_errno(&err, ENOSPC, "write '%s'", text);
	assert_int_equal(r, -ERR_SYS);
	assert_non_null(strstr(err.msg, ": No space left on device"));
	/* Context as long as the message pushes all of it out, no further. */
	r = err_wrap(&err, r, "%s", text);
	assert_int_equal(r, -ERR_SYS);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	assert_int_equal(err.msg[ERR_MSG_MAX - 2], 'a');
}

static void assert_public(const char *msg, const char *hide, const char *want)
{
	struct error err = ERROR_INIT;
	char out[ERR_MSG_MAX];

	snprintf(err.msg, sizeof(err.msg), "%s", msg);
	assert_ptr_equal(err_public(&err, hide, out, sizeof(out)), out);
	assert_string_equal(out, want);
}

static void paths_of_ours_are_shortened(void **state)
{
	(void)state;
	assert_public("open '/srv/data/repos/7.git/HEAD': gone", "/srv/data",
		      "open 'HEAD': gone");
	assert_public("/srv/data/a/b and /srv/data/c, /srv/data/d: no",
		      "/srv/data", "b and c, d: no");
	assert_public("'/srv/data'", "/srv/data", "'data'");
	assert_public("folder '/srv/data/repos/'", "/srv/data", "folder ''");
	assert_public("open '/etc/passwd'", "/srv/data", "open '/etc/passwd'");
	assert_public("a /srv/data/x", NULL, "a /srv/data/x");
	/* A data folder of "/" hides nothing, and nothing breaks. */
	assert_public("a /b/c", "/", "a /b/c");
	assert_public("a /b/c", "", "a /b/c");
}

static void control_characters_are_masked(void **state)
{
	(void)state;
	assert_public("a\033[2Jb\rc\nd\te\177f", NULL, "a [2Jb c d e f");
	assert_public("gr\303\274n", NULL, "gr\303\274n");
}

static void the_output_is_bounded(void **state)
{
	struct error err = ERROR_INIT;
	char out[8] = "#######";

	(void)state;
	assert_int_equal(err_set(&err, ERR_PEER, "0123456789"), -ERR_PEER);
	err_public(&err, NULL, out, 5);
	assert_string_equal(out, "0123");
	assert_int_equal(out[5], '#');
	err_public(&err, NULL, out, 1);
	assert_string_equal(out, "");
	out[0] = '#';
	err_public(&err, NULL, out, 0);
	assert_int_equal(out[0], '#');
}

static void names_go_both_ways(void **state)
{
	(void)state;
	for (int code = ERR_SYS; code <= ERR_BUG; code++)
		assert_int_equal(
			err_code_from_name(err_code_name((enum err_code)code)),
			code);
	assert_string_equal(err_code_name(ERR_NOTFOUND), "notfound");
	assert_string_equal(err_code_name((enum err_code)0), "bug");
	assert_string_equal(err_code_name((enum err_code)99), "bug");
	assert_int_equal(err_code_from_name("of another version"), ERR_PEER);
	assert_int_equal(err_code_from_name(""), ERR_PEER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makers_return_the_code),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(long_texts_are_cut_and_ended),
		cmocka_unit_test(paths_of_ours_are_shortened),
		cmocka_unit_test(control_characters_are_masked),
		cmocka_unit_test(the_output_is_bounded),
		cmocka_unit_test(names_go_both_ways),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
