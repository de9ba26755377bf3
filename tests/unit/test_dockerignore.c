/* builder/source/dockerignore.h: every measured case, and hostile patterns. */
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

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/source/dockerignore.h"

#define CASES "dockerignore-cases.tsv"

/* Opens the table, from the top of the sources or $SLIPWAY_TESTDATA. */
static int open_cases(void)
{
	const char *dir = getenv("SLIPWAY_TESTDATA");
	auto_free char *path =
		xasprintf("%s/%s", dir ? dir : "tests/unit/data", CASES);

	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Undo the table's escapes: \n \r \t \\ \uFEFF */
static char *unescape(struct slice s)
{
	auto_buf struct buf b = BUF_INIT(65536);

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '\\' || i + 1 == s.len) {
			buf_addc(&b, s.ptr[i]);
			continue;
		}
		switch (s.ptr[++i]) {
		case 'n':
			buf_addc(&b, '\n');
			break;
		case 'r':
			buf_addc(&b, '\r');
			break;
		case 't':
			buf_addc(&b, '\t');
			break;
		case 'u':
			buf_adds(&b, "\xef\xbb\xbf");
			i += 4;
			break;
		default:
			buf_addc(&b, s.ptr[i]);
		}
	}
	return buf_detach(&b);
}

static struct slice column(struct slice *rest)
{
	const char *tab = memchr(rest->ptr, '\t', rest->len);
	struct slice c = { rest->ptr,
			   tab ? (size_t)(tab - rest->ptr) : rest->len };

	rest->ptr += c.len + (tab ? 1 : 0);
	rest->len -= c.len + (tab ? 1 : 0);
	return c;
}

/* Walk down to the path as the context does: 1 excluded, 0 included. */
static int walk(struct dockerignore *d, const char *path)
{
	bool *parent = NULL;
	int excluded = 0;

	for (const char *p = path;; p++) {
		struct slice above = { path, (size_t)(p - path) };
		struct error err;
		bool *own;

		if (*p != '/' && *p != '\0')
			continue;
		own = xcalloc(d->count + 1, sizeof(bool));
		excluded = dockerignore_excludes(d, above, parent, own, &err);
		assert_true(excluded >= 0);
		free(parent);
		parent = own;
		if (*p == '\0' || p[1] == '\0')
			break;
		/* Without "!" an excluded folder is not entered at all. */
		if (excluded && !d->has_negation)
			break;
	}
	free(parent);
	return excluded;
}

/* "excluded", "included" or "error" */
static const char *verdict(const char *patterns, const char *path)
{
	struct dockerignore d = { 0 };
	const char *got = "error";
	struct error err;

	if (dockerignore_parse(slice_str(patterns), &d, &err) == 0)
		got = walk(&d, path) ? "excluded" : "included";
	dockerignore_release(&d);
	return got;
}

static int run_case(struct slice line, int number)
{
	auto_free char *patterns = unescape(column(&line));
	auto_free char *path = unescape(column(&line));
	auto_free char *expected = slice_dup(column(&line));
	const char *got = verdict(patterns, path);

	if (strcmp(got, expected) == 0)
		return 0;
	print_error("row %d: '%s' with '%s' is %s, expected %s\n", number, path,
		    patterns, got, expected);
	return 1;
}

static void every_measured_case(void **state)
{
	auto_buf struct buf text = BUF_INIT(1 << 20);
	auto_close int fd = open_cases();
	struct slice rest;
	struct slice line;
	struct error err;
	int failed = 0;
	int number = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(&text, fd, &err), 0);
	rest = buf_slice(&text);
	while (slice_line(&rest, &line)) {
		if (number++ == 0)
			continue; /* the head */
		failed += run_case(line, number);
	}
	assert_true(number > 150);
	assert_int_equal(failed, 0);
}

/*
 * What follows from Docker's translation to regular expressions and from its
 * reading every pattern twice; worked out from moby/patternmatcher by hand.
 */
static void surprises_of_docker_are_kept(void **state)
{
	static const char *const cases[][3] = {
		{ "[*]x", "*x", "included" },
		{ "[*]x", "[]x", "excluded" },
		{ "[*]x", "^//]x", "excluded" },
		{ "a[?]b", "a[]b", "excluded" },
		{ "a[?]b", "a?b", "included" },
		{ "\\d", "7", "excluded" },
		{ "\\d", "d", "included" },
		{ "\\D", "d", "excluded" },
		{ "[\\d]x", "7x", "excluded" },
		{ "[\\d]x", "dx", "included" },
		{ "[[:alpha:]]", "q", "excluded" },
		{ "[[:alpha:]]", ":]", "included" },
		{ "[[:^alpha:]]", "7", "excluded" },
		{ "[[:nothing:]]", "q", "error" },
		{ "bin\\x41", "binA", "excluded" },
		{ "bin\\x4g", "binx4g", "error" },
		{ "\\101", "A", "excluded" },
		{ "\\9", "9", "error" },
		{ "\\e", "e", "error" },
		{ "\\pL", "x", "error" },
		{ "bin\\bobj", "bin/obj", "included" },
		{ "*\\bx", "a/x", "included" },
		{ "*\\b.c", "a.c", "excluded" },
		{ "*\\B.c", "a.c", "included" },
		{ "\\Aa?", "ab", "excluded" },
		{ "a?\\z", "ab", "excluded" },
		{ "a\\Qb.c", "abxc", "included" },
		{ "x^*", "x^y", "included" },
		{ "x^y", "x^y", "excluded" },
		{ "*]", "a]", "excluded" },
		/* "|" divides, and binds less than the anchors do. */
		{ "*.log|*.tmp", "x.log", "excluded" },
		{ "*.log|*.tmp", "x.tmp", "excluded" },
		{ "*.log|*.tmp", "x.log.gz", "excluded" },
		{ "*.log|*.tmp", "a/x.tmp", "excluded" },
		{ "*.log|*.tmp", "a/x.log", "included" },
		{ "*.log|*.tmp", "x.tmp.gz", "included" },
		{ "*x|b|c", "abba", "excluded" },
		{ "*x|b|c", "adda", "included" },
		{ "*|", "d/a", "excluded" },
		{ "[|]x", "|x", "excluded" },
		{ "*\\|b", "a|b", "excluded" },
		{ "*\\|b", "ab", "included" },
		{ "a|b", "a", "included" },
		{ "{{x}}*", "{{x}}y", "excluded" },
		{ "{a,b}*", "{a,b}c", "excluded" },
		{ "{a,b}*", "ac", "included" },
		{ "a{1,b}*", "a{1,b}c", "excluded" },
		{ "\\\xc3\xa9", "\xc3\xa9", "error" },
		{ "**x", "ax", "excluded" },
		{ "**x", "d/ax", "excluded" },
		{ "**x?", "axy", "included" },
		{ "**x?", "a/xy", "excluded" },
		{ "**/x*", "a\nb/xy", "included" },
		{ "**/x", "a\nb/x", "excluded" },
		{ "a***c", "abc", "excluded" },
		{ "a***c", "a/d/bc", "excluded" },
		{ "d?", "d\xc3\xa9", "excluded" },
		{ "d??", "d\xc3\xa9", "included" },
		{ "d?", "d\xff", "excluded" },
		{ "d??", "d\xff\xfe", "excluded" },
		{ "[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", "excluded" },
		{ "[\xff]", "\xff", "error" },
		{ "x\xffy*", "x\xfeyz", "excluded" },
		{ "x\xffy", "x\xfey", "included" },
		{ "*\n!/", "a", "error" },
		{ "*\n!.", "a", "excluded" },
		{ "b\n/!b", "b", "included" },
		{ "!!b", "!b", "included" },
		{ "*\n!!b", "!b", "included" },
		{ "a\xc2\xa0", "a", "excluded" },
		{ "\xe2\x80\x83 a", "a", "excluded" },
		{ "a/./b/../c", "a/c", "excluded" },
		{ "a/../../b", "b", "included" },
		{ "/../b", "b", "excluded" },
		{ "a/", "a", "excluded" },
		{ "[a-c-e]", "b", "error" },
		{ "[-a]", "a", "error" },
		{ "[]", "a", "error" },
		{ "[", "a", "error" },
		{ "[^", "a", "error" },
		{ "[a\\", "a", "error" },
		{ "[a\\]]", "]", "excluded" },
		{ "[a-\\z]x", "bx", "error" },
		{ "a\\", "a", "error" },
		{ "", "", "included" },
	};
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = verdict(cases[i][0], cases[i][1]);

		if (strcmp(got, cases[i][2]) == 0)
			continue;
		print_error("'%s' with '%s' is %s, expected %s\n", cases[i][1],
			    cases[i][0], got, cases[i][2]);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void errors_name_line_and_pattern(void **state)
{
	static const char utf16[] = "a\0\n\0";
	struct dockerignore d;
	struct error err;

	(void)state;
	assert_int_equal(
		dockerignore_parse(slice_str("a\n# b\n\n [z \n"), &d, &err),
		-ERR_INVALID);
	assert_string_equal(err.msg, "line 4: '[z': syntax error in pattern");
	assert_int_equal(dockerignore_parse(slice_str("x\n!\n"), &d, &err),
			 -ERR_INVALID);
	assert_string_equal(err.msg, "line 2: '!': \"!\" without a pattern");
	assert_int_equal(
		dockerignore_parse((struct slice){ utf16, sizeof(utf16) - 1 },
				   &d, &err),
		-ERR_INVALID);
	assert_non_null(strstr(err.msg, "line 1"));
	assert_int_equal(dockerignore_parse(slice_str("*a{2}"), &d, &err),
			 -ERR_INVALID);
	assert_non_null(strstr(err.msg, "counts"));
}

/* A backtracking matcher would need longer than the universe has. */
static void hostile_patterns_stay_cheap(void **state)
{
	auto_buf struct buf pattern = BUF_INIT(100000);
	auto_buf struct buf path = BUF_INIT(100000);
	struct dockerignore d;
	struct error err;
	int64_t began = clock_ms();

	(void)state;
	for (int i = 0; i < 60; i++)
		buf_adds(&pattern, "**/*a*");
	buf_adds(&pattern, "?b");
	for (int i = 0; i < 500; i++)
		buf_adds(&path, "aaa/");
	buf_adds(&path, "acb");
	assert_int_equal(dockerignore_parse(buf_slice(&pattern), &d, &err), 0);
	assert_int_equal(
		dockerignore_excludes(&d, buf_slice(&path), NULL, NULL, &err),
		1);
	buf_adds(&path, "/c");
	assert_int_equal(
		dockerignore_excludes(&d, buf_slice(&path), NULL, NULL, &err),
		0);
	dockerignore_release(&d);
	assert_true(clock_ms() - began < 5000);
}

static void hostile_classes_stay_cheap(void **state)
{
	auto_buf struct buf pattern = BUF_INIT(100000);
	struct dockerignore d;
	struct error err;
	int64_t began = clock_ms();

	(void)state;
	buf_adds(&pattern, "[");
	for (int i = 0; i < 30000; i++)
		buf_adds(&pattern, "[:");
	buf_adds(&pattern, "x]");
	assert_int_equal(dockerignore_parse(buf_slice(&pattern), &d, &err), 0);
	dockerignore_release(&d);
	assert_true(clock_ms() - began < 5000);
}

static void work_is_bounded(void **state)
{
	struct dockerignore d;
	struct error err;
	int r;

	(void)state;
	assert_int_equal(dockerignore_parse(slice_str("*a*a*a*?"), &d, &err),
			 0);
	/* As if all but the last of many files had been matched. */
	d.steps = DOCKERIGNORE_STEPS_MAX - 100;
	r = dockerignore_excludes(&d, slice_str("x"), NULL, NULL, &err);
	assert_int_equal(r, 0);
	for (int i = 0; i < 200 && r == 0; i++)
		r = dockerignore_excludes(&d, slice_str("x"), NULL, NULL, &err);
	assert_int_equal(r, -ERR_LIMIT);
	dockerignore_release(&d);
}

static void limits_hold(void **state)
{
	auto_buf struct buf text = BUF_INIT(1 << 20);
	struct dockerignore d;
	struct error err;

	(void)state;
	for (int i = 0; i <= DOCKERIGNORE_LINE_MAX; i++)
		buf_addc(&text, 'x');
	assert_int_equal(dockerignore_parse(buf_slice(&text), &d, &err),
			 -ERR_LIMIT);
	buf_reset(&text);
	for (int i = 0; i <= DOCKERIGNORE_PATTERNS_MAX; i++)
		buf_adds(&text, "x\n");
	assert_int_equal(dockerignore_parse(buf_slice(&text), &d, &err),
			 -ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_measured_case),
		cmocka_unit_test(surprises_of_docker_are_kept),
		cmocka_unit_test(errors_name_line_and_pattern),
		cmocka_unit_test(hostile_patterns_stay_cheap),
		cmocka_unit_test(hostile_classes_stay_cheap),
		cmocka_unit_test(work_is_bounded),
		cmocka_unit_test(limits_hold),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
