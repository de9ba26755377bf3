/* Command lines as clients send them, and as attackers might. */
#include "receiver/exec_line.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int parse(const char *line, struct exec_line *e)
{
	struct error err;

	return exec_line_parse(slice_str(line), e, &err);
}

/* The words, each followed by "|". */
static void assert_words(const char *line, const char *expected)
{
	struct exec_line e;
	char got[4096] = "";
	size_t len = 0;

	assert_int_equal(parse(line, &e), 0);
	for (size_t i = 0; i < e.argc; i++)
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%s|",
					e.argv[i]);
	assert_null(e.argv[e.argc]);
	assert_string_equal(got, expected);
	exec_line_release(&e);
}

static void assert_app(const char *line, enum exec_kind kind, const char *app)
{
	struct exec_line e;

	assert_int_equal(parse(line, &e), 0);
	assert_int_equal(e.kind, kind);
	assert_string_equal(e.app, app);
	exec_line_release(&e);
}

static void assert_refused(const char *line, int code)
{
	struct exec_line e;

	assert_int_equal(parse(line, &e), -code);
	exec_line_release(&e);
}

static void test_words_are_split_at_blanks(void **state)
{
	(void)state;
	assert_words("a b  c", "a|b|c|");
	assert_words("  a\tb ", "a|b|");
	assert_words("a", "a|");
}

static void test_quotes_work_as_in_a_shell(void **state)
{
	(void)state;
	assert_words("'a b' c", "a b|c|");
	assert_words("\"a b\" c", "a b|c|");
	assert_words("a\\ b", "a b|");
	assert_words("a'b'\"c\"d", "abcd|");
	assert_words("''", "|");
	assert_words("a '' b", "a||b|");
	assert_words("'a\\b'", "a\\b|");
	assert_words("\"a\\b\"", "a\\b|");
	assert_words("\"a\\\"b\\\\c\\$d\\`e\"", "a\"b\\c$d`e|");
	assert_words("'it'\\''s'", "it's|");
	assert_words("\\\\ \\'", "\\|'|");
}

static void test_nothing_is_expanded(void **state)
{
	(void)state;
	assert_words("echo $HOME `id` $(id) * ~ {a,b}",
		     "echo|$HOME|`id`|$(id)|*|~|{a,b}|");
	assert_words("a;b|c&d<e>f #g", "a;b|c&d<e>f|#g|");
}

static void test_blank_lines_are_nothing(void **state)
{
	struct exec_line e;

	(void)state;
	assert_int_equal(parse("", &e), 0);
	assert_int_equal(e.kind, EXEC_NOTHING);
	exec_line_release(&e);
	assert_int_equal(parse(" \t ", &e), 0);
	assert_int_equal(e.kind, EXEC_NOTHING);
	exec_line_release(&e);
}

static void test_git_services_are_recognised(void **state)
{
	(void)state;
	assert_app("git-receive-pack 'shop'", EXEC_RECEIVE_PACK, "shop");
	assert_app("git receive-pack 'shop'", EXEC_RECEIVE_PACK, "shop");
	assert_app("git-upload-pack '/shop.git'", EXEC_UPLOAD_PACK, "shop");
	assert_app("git upload-pack shop", EXEC_UPLOAD_PACK, "shop");
	assert_app("git-upload-archive '~/shop'", EXEC_UPLOAD_ARCHIVE, "shop");
	assert_app("git upload-archive /~/shop/", EXEC_UPLOAD_ARCHIVE, "shop");
	assert_app("git-upload-pack shop.git/", EXEC_UPLOAD_PACK, "shop");
	assert_app("'git-upload-pack' \"my-app_1.2\"", EXEC_UPLOAD_PACK,
		   "my-app_1.2");
}

static void test_other_words_are_commands(void **state)
{
	static const char *const lines[] = { "apps:list",
					     "git",
					     "git status",
					     "git-lfs-authenticate shop",
					     "git-receive-packs shop",
					     "GIT-RECEIVE-PACK shop" };
	struct exec_line e;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(lines[i], &e), 0);
		assert_int_equal(e.kind, EXEC_COMMAND);
		exec_line_release(&e);
	}
}

static void test_paths_are_not_apps(void **state)
{
	static const char *const lines[] = {
		"git-receive-pack '../../etc'",	 "git-receive-pack /etc/passwd",
		"git-receive-pack ..",		 "git-receive-pack .",
		"git-receive-pack ''",		 "git-receive-pack /",
		"git-receive-pack .git",	 "git-receive-pack ./shop",
		"git-receive-pack //shop",	 "git-receive-pack ~bob/shop",
		"git-receive-pack -x",		 "git-receive-pack --help",
		"git-receive-pack 'sh op'",	 "git-receive-pack 'shop;id'",
		"git-receive-pack 'shop'\\''x'", "git-receive-pack '$(id)'",
		"git-receive-pack shöp",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_refused(lines[i], ERR_INVALID);
}

static void test_a_service_takes_one_app(void **state)
{
	(void)state;
	assert_refused("git-receive-pack", ERR_INVALID);
	assert_refused("git receive-pack", ERR_INVALID);
	assert_refused("git-receive-pack a b", ERR_INVALID);
	assert_refused("git-upload-pack --strict shop", ERR_INVALID);
	assert_refused("git-upload-pack 'shop' ;id", ERR_INVALID);
}

static void test_unfinished_lines_are_refused(void **state)
{
	(void)state;
	assert_refused("'a", ERR_INVALID);
	assert_refused("a \"b", ERR_INVALID);
	assert_refused("a\\", ERR_INVALID);
	assert_refused("\"a\\\"", ERR_INVALID);
}

static void test_control_characters_are_refused(void **state)
{
	struct exec_line e;
	struct error err;
	struct slice nul = { "a\0b", 3 };

	(void)state;
	assert_refused("a\nb", ERR_INVALID);
	assert_refused("'a\rb'", ERR_INVALID);
	assert_refused("a \033[2J", ERR_INVALID);
	assert_refused("a\177", ERR_INVALID);
	assert_refused("a \377", ERR_INVALID);
	assert_int_equal(exec_line_parse(nul, &e, &err), -ERR_INVALID);
	exec_line_release(&e);
}

static void test_limits_hold(void **state)
{
	char *line = malloc(EXEC_LINE_MAX + 2);
	struct exec_line e;

	(void)state;
	memset(line, 'a', EXEC_LINE_MAX + 1);
	line[EXEC_LINE_MAX + 1] = '\0';
	assert_refused(line, ERR_LIMIT);
	line[EXEC_LINE_MAX] = '\0';
	assert_int_equal(parse(line, &e), 0);
	assert_int_equal(strlen(e.argv[0]), EXEC_LINE_MAX);
	exec_line_release(&e);
	for (size_t i = 1; i < EXEC_WORDS_MAX * 2; i += 2)
		line[i] = ' ';
	line[EXEC_WORDS_MAX * 2 - 1] = '\0';
	assert_int_equal(parse(line, &e), 0);
	assert_int_equal(e.argc, EXEC_WORDS_MAX);
	exec_line_release(&e);
	line[EXEC_WORDS_MAX * 2 - 1] = ' ';
	line[EXEC_WORDS_MAX * 2 + 1] = '\0';
	assert_refused(line, ERR_LIMIT);
	free(line);
}

static void test_app_names_are_bounded(void **state)
{
	char line[128] = "git-upload-pack ";
	size_t start = strlen(line);
	struct exec_line e;

	(void)state;
	memset(line + start, 'a', EXEC_APP_MAX);
	assert_int_equal(parse(line, &e), 0);
	exec_line_release(&e);
	line[start + EXEC_APP_MAX] = 'a';
	assert_refused(line, ERR_INVALID);
}

static void test_git_protocol_is_checked(void **state)
{
	char longest[256] = "version=";

	(void)state;
	assert_true(exec_git_protocol_ok("version=2"));
	assert_true(exec_git_protocol_ok("version=1:version=2"));
	assert_false(exec_git_protocol_ok(""));
	assert_false(exec_git_protocol_ok("version="));
	assert_false(exec_git_protocol_ok("version=2:"));
	assert_false(exec_git_protocol_ok("version=2;id"));
	assert_false(exec_git_protocol_ok("version=2\nA=b"));
	assert_false(exec_git_protocol_ok("x=1"));
	memset(longest + 8, '1', 192);
	assert_true(exec_git_protocol_ok(longest));
	longest[200] = '1';
	assert_false(exec_git_protocol_ok(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_are_split_at_blanks),
		cmocka_unit_test(test_quotes_work_as_in_a_shell),
		cmocka_unit_test(test_nothing_is_expanded),
		cmocka_unit_test(test_blank_lines_are_nothing),
		cmocka_unit_test(test_git_services_are_recognised),
		cmocka_unit_test(test_other_words_are_commands),
		cmocka_unit_test(test_paths_are_not_apps),
		cmocka_unit_test(test_a_service_takes_one_app),
		cmocka_unit_test(test_unfinished_lines_are_refused),
		cmocka_unit_test(test_control_characters_are_refused),
		cmocka_unit_test(test_limits_hold),
		cmocka_unit_test(test_app_names_are_bounded),
		cmocka_unit_test(test_git_protocol_is_checked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
