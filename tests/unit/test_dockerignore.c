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

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/source/dockerignore.h"

#define CASES "tests/unit/data/dockerignore-cases.tsv"

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

/* Walk down to the path as the context does. */
static bool walk(const struct dockerignore *d, const char *path)
{
	auto_free char *copy = xstrdup(path);
	bool *parent = NULL;
	bool excluded = false;

	for (char *p = copy;; p++) {
		bool *own;
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		own = xcalloc(d->count + 1, sizeof(bool));
		excluded = dockerignore_excludes(d, copy, parent, own);
		free(parent);
		parent = own;
		*p = c;
		if (c == '\0' || p[1] == '\0')
			break;
		/* Without "!" an excluded folder is not entered at all. */
		if (excluded && !d->has_negation)
			break;
	}
	free(parent);
	return excluded;
}

static int run_case(struct slice line, int number)
{
	auto_free char *patterns = unescape(column(&line));
	auto_free char *path = unescape(column(&line));
	auto_free char *expected = slice_dup(column(&line));
	struct dockerignore d = { NULL, 0, false };
	struct error err;
	const char *got;
	int r = dockerignore_parse(slice_str(patterns), &d, &err);

	if (r < 0)
		got = "error";
	else
		got = walk(&d, path) ? "excluded" : "included";
	dockerignore_release(&d);
	if (strcmp(got, expected) == 0)
		return 0;
	print_error("row %d: '%s' with '%s' is %s, expected %s\n", number, path,
		    patterns, got, expected);
	return 1;
}

static void every_measured_case(void **state)
{
	auto_buf struct buf text = BUF_INIT(1 << 20);
	auto_close int fd = open(CASES, O_RDONLY);
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

static void errors_name_the_line(void **state)
{
	struct dockerignore d;
	struct error err;

	(void)state;
	assert_int_equal(
		dockerignore_parse(slice_str("a\n# b\n\n[z\n"), &d, &err),
		-ERR_INVALID);
	assert_string_equal(err.msg, "line 4: syntax error in pattern");
	assert_int_equal(dockerignore_parse(slice_str("!\n"), &d, &err),
			 -ERR_INVALID);
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
	buf_adds(&pattern, "b");
	for (int i = 0; i < 500; i++)
		buf_adds(&path, "aaa/");
	buf_adds(&path, "c");
	assert_int_equal(dockerignore_parse(buf_slice(&pattern), &d, &err), 0);
	assert_false(dockerignore_excludes(&d, path.data, NULL, NULL));
	dockerignore_release(&d);
	assert_true(clock_ms() - began < 5000);
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
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(hostile_patterns_stay_cheap),
		cmocka_unit_test(limits_hold),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
