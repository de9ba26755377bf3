/* builder/engine/build_lines.h, classic.h, lines.h, message.h: what the
 * engine says during a build, and what is made of it. */
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
#include "builder/engine/build_lines.h"
#include "builder/engine/classic.h"
#include "builder/engine/lines.h"
#include "builder/engine/message.h"

/* ---- the reply ---- */

static void note_event(void *ctx, const struct build_event *event)
{
	struct buf *out = ctx;
	static const char kinds[] = "TOSIEB";

	buf_addf(out, "%c:", kinds[event->kind]);
	buf_add(out, event->text.ptr, event->text.len);
	if (*event->id)
		buf_addf(out, "@%s", event->id);
	if (event->code)
		buf_addf(out, "(%d)", event->code);
	buf_addc(out, '|');
}

static void parse(struct slice text, size_t step, struct buf *out)
{
	struct build_lines l;

	build_lines_init(&l);
	for (size_t at = 0; at < text.len; at += step) {
		size_t len = text.len - at < step ? text.len - at : step;

		build_lines_feed(&l, (struct slice){ text.ptr + at, len },
				 note_event, out);
	}
	build_lines_end(&l, note_event, out);
	build_lines_release(&l);
}

static void expect(const char *text, const char *expected)
{
	static const size_t steps[] = { 1, 5, 64, 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		auto_buf struct buf out = BUF_INIT(1 << 20);

		parse(slice_str(text), steps[i], &out);
		assert_string_equal(buf_str(&out), expected);
	}
}

static void every_kind_of_line_is_known(void **state)
{
	(void)state;
	expect("{\"id\":\"moby.buildkit.trace\",\"aux\":\"QUJD\"}\r\n"
	       "{\"stream\":\"hi\\n\"}\n"
	       "{\"status\":\"Pull complete\",\"id\":\"abc\","
	       "\"progressDetail\":{}}\n"
	       "{\"id\":\"moby.image.id\",\"aux\":{\"ID\":\"sha256:1\"}}\r\n"
	       "{\"aux\":{\"ID\":\"sha256:2\"}}\r\n"
	       "{\"errorDetail\":{\"code\":7,\"message\":\"no\"},"
	       "\"error\":\"no\"}\n",
	       "T:QUJD|O:hi\n|S:Pull complete@abc|I:sha256:1|I:sha256:2|"
	       "E:no(7)|");
}

static void members_are_optional_and_of_any_type(void **state)
{
	(void)state;
	expect("{}\n{\"stream\":5}\n{\"aux\":null}\n{\"errorDetail\":{}}\n"
	       "{\"errorDetail\":7,\"error\":\"old\"}\n"
	       "{\"aux\":\"x\",\"id\":\"other\"}\n"
	       "{\"errorDetail\":{\"code\":\"7\",\"message\":\"m\"}}\n"
	       "{\"errorDetail\":{\"code\":-7,\"message\":\"n\"}}\n"
	       "{\"status\":\"s\",\"id\":4}\n",
	       "E:old|E:m|E:n|S:s|");
}

static void what_is_no_object_is_bad(void **state)
{
	(void)state;
	expect("[]\n\n  \r\nnope\n{\"stream\":\"a\"}x\n",
	       "B:not a JSON object|B:not a JSON object|B:not a JSON object|");
}

static void the_last_line_may_lack_its_end(void **state)
{
	(void)state;
	expect("{\"stream\":\"a\"}\n{\"stream\":\"b\"}", "O:a|O:b|");
}

static void nul_bytes_come_through(void **state)
{
	auto_buf struct buf out = BUF_INIT(100);

	(void)state;
	parse(slice_str("{\"stream\":\"a\\u0000b\"}\n"), 1000, &out);
	assert_int_equal(out.len, 6);
	assert_memory_equal(out.data, "O:a\0b|", 6);
}

static void a_line_that_is_too_long_is_dropped(void **state)
{
	auto_buf struct buf text = BUF_INIT(8 << 20);
	auto_buf struct buf out = BUF_INIT(1000);

	(void)state;
	buf_adds(&text, "{\"stream\":\"");
	while (text.len < BUILD_REPLY_LINE_MAX + 10)
		buf_adds(&text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	buf_adds(&text, "\"}\n{\"stream\":\"next\"}\n");
	parse(buf_slice(&text), 65536, &out);
	assert_string_equal(buf_str(&out), "B:too long|O:next|");
}

/* ---- lines of a step ---- */

static void note_line(void *ctx, struct slice line)
{
	buf_add(ctx, line.ptr, line.len);
	buf_addc(ctx, '|');
}

static void split(const char *text, size_t step, struct buf *out)
{
	struct line_splitter s;
	size_t len = strlen(text);

	line_splitter_init(&s);
	for (size_t at = 0; at < len; at += step)
		line_splitter_feed(&s,
				   (struct slice){ text + at, len - at < step
								      ? len - at
								      : step },
				   note_line, out);
	line_splitter_end(&s, note_line, out);
	line_splitter_release(&s);
}

static void expect_lines(const char *text, const char *expected)
{
	for (size_t step = 1; step < 8; step++) {
		auto_buf struct buf out = BUF_INIT(1 << 20);

		split(text, step, &out);
		assert_string_equal(buf_str(&out), expected);
	}
}

static void of_rewritten_lines_the_last_writing_counts(void **state)
{
	(void)state;
	expect_lines("10%\r20%\r100%\nnext\n", "100%|next|");
	expect_lines("crlf\r\nmore\r\r\n", "crlf|more|");
	expect_lines("spin\r", "spin|");
	expect_lines("a\r\r\rb", "b|");
	expect_lines("\n\n", "||");
}

static void a_long_line_is_cut_once(void **state)
{
	auto_buf struct buf text = BUF_INIT(2 << 20);
	auto_buf struct buf out = BUF_INIT(2 << 20);

	(void)state;
	while (text.len < 1000000)
		buf_addc(&text, 'x');
	buf_adds(&text, "\nnext\n");
	split(buf_str(&text), 32768, &out);
	assert_true(out.len < BUILD_LINE_MAX);
	assert_non_null(
		strstr(buf_str(&out), "xxx \xe2\x80\xa6 (line cut)|next|"));
}

static void a_progress_bar_without_end_shows_its_last_state(void **state)
{
	auto_buf struct buf text = BUF_INIT(2 << 20);
	auto_buf struct buf out = BUF_INIT(2 << 20);

	(void)state;
	for (int i = 0; i < 50000; i++)
		buf_addf(&text, "downloading %d\r", i);
	split(buf_str(&text), 1000, &out);
	assert_string_equal(buf_str(&out), "downloading 49999|");
}

static void the_tail_keeps_the_last_lines(void **state)
{
	struct line_tail tail = { .count = 0 };
	auto_free char *text = NULL;
	char line[32];

	(void)state;
	assert_null(line_tail_text(&tail));
	for (int i = 0; i < 45; i++) {
		snprintf(line, sizeof(line), "line %d", i);
		line_tail_add(&tail, slice_str(line));
	}
	text = line_tail_text(&tail);
	assert_true(strncmp(text, "line 25\nline 26\n", 16) == 0);
	assert_string_equal(strrchr(text, '\n'), "\nline 44");
	line_tail_release(&tail);
}

/* ---- the classic builder's text ---- */

struct classic_seen {
	struct buf lines;
	struct buf steps;
};

static void on_classic_line(void *ctx, struct slice line)
{
	note_line(&((struct classic_seen *)ctx)->lines, line);
}

static void on_classic_step(void *ctx, const char *name)
{
	note_line(&((struct classic_seen *)ctx)->steps, slice_str(name));
}

static void to_classic(void *ctx, const struct build_event *event)
{
	if (event->kind == BUILD_EVENT_OUTPUT)
		classic_output(ctx, event->text);
}

static void a_real_classic_build_is_read(void **state)
{
	struct classic_seen seen = { BUF_INIT(1 << 20), BUF_INIT(1 << 20) };
	auto_buf struct buf file = BUF_INIT(1 << 20);
	struct build_lines l;
	struct classic c;
	struct error err;
	int fd = open("tests/unit/data/build-classic.jsonl", O_RDONLY);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(&file, fd, &err), 0);
	close(fd);
	build_lines_init(&l);
	classic_init(&c, on_classic_line, on_classic_step, &seen);
	build_lines_feed(&l, buf_slice(&file), to_classic, &c);
	classic_end(&c);
	assert_string_equal(buf_str(&seen.steps),
			    "[1/4] FROM slipway-test/busybox:e2e|"
			    "[2/4] RUN echo hi there; echo err >&2|"
			    "[3/4] COPY a.txt /a.txt|"
			    "[4/4] CMD [\"/bin/busybox\",\"httpd\"]|");
	assert_non_null(strstr(buf_str(&seen.lines),
			       "|hi there|err|Removing intermediate"));
	assert_int_equal(c.steps, 4);
	assert_int_equal(c.steps_cached, 0);
	classic_release(&c);
	build_lines_release(&l);
	buf_release(&seen.lines);
	buf_release(&seen.steps);
}

static void feed(struct classic *c, const char *text)
{
	classic_output(c, slice_str(text));
}

static void the_failed_steps_output_is_kept(void **state)
{
	struct classic_seen seen = { BUF_INIT(10000), BUF_INIT(10000) };
	auto_free char *tail = NULL;
	struct classic c;

	(void)state;
	classic_init(&c, on_classic_line, on_classic_step, &seen);
	feed(&c, "Step 1/2 : FROM x");
	feed(&c, "\n");
	feed(&c, " ---> Using cache\n");
	feed(&c, "Step 2/2 : RUN a\n ---> Running in 12\n");
	feed(&c, "out");
	feed(&c, "\033[91merr\n\033[0m");
	feed(&c, "no end");
	feed(&c, "Removing intermediate container 12\n");
	classic_end(&c);
	tail = line_tail_text(&c.tail);
	assert_string_equal(tail, "outerr\nno end");
	assert_string_equal(c.step, "[2/2] RUN a");
	assert_int_equal(c.steps_cached, 1);
	classic_release(&c);
	buf_release(&seen.lines);
	buf_release(&seen.steps);
}

static void podman_steps_are_known(void **state)
{
	struct classic_seen seen = { BUF_INIT(10000), BUF_INIT(10000) };
	struct classic c;

	(void)state;
	classic_init(&c, on_classic_line, on_classic_step, &seen);
	feed(&c, "[1/2] STEP 1/3: FROM x AS a\nSTEP 2/3: RUN y\n"
		 "--> Using cache 12\nSTEP by step\nStep 3 of 4: no\n");
	assert_string_equal(buf_str(&seen.steps),
			    "[1/3] FROM x AS a|[2/3] RUN y|");
	assert_int_equal(c.steps_cached, 1);
	classic_release(&c);
	buf_release(&seen.lines);
	buf_release(&seen.steps);
}

static void of_pulls_only_ends_are_told(void **state)
{
	struct classic_seen seen = { BUF_INIT(10000), BUF_INIT(10000) };
	struct classic c;

	(void)state;
	classic_init(&c, on_classic_line, on_classic_step, &seen);
	classic_status(&c, "1", slice_str("Pulling from library/x"));
	classic_status(&c, "ab", slice_str("Downloading"));
	classic_status(&c, "ab", slice_str("Pull complete"));
	classic_status(&c, "", slice_str("Status: Downloaded\033[2J"));
	assert_string_equal(buf_str(&seen.lines),
			    "1: Pulling from library/x|ab: Pull complete|"
			    "Status: Downloaded|");
	classic_release(&c);
	buf_release(&seen.lines);
	buf_release(&seen.steps);
}

/* ---- messages ---- */

static void expect_message(const char *text, enum build_cause cause,
			   const char *expected)
{
	static const struct build_hints hints = {
		.dockerfile = "sub/Dockerfile",
		.registry = "r.example.com",
		.has_login = false,
	};
	auto_buf struct buf out = BUF_INIT(1000);

	assert_int_equal(message_of_build(slice_str(text), &hints, &out),
			 cause);
	assert_string_equal(buf_str(&out), expected);
}

static void causes_are_told_plainly(void **state)
{
	(void)state;
	expect_message("failed to solve with frontend dockerfile.v0: failed to "
		       "create LLB definition: dockerfile parse error line 2: "
		       "unknown instruction: RUNN",
		       BUILD_CAUSE_DOCKERFILE,
		       "dockerfile parse error line 2: unknown instruction: "
		       "RUNN");
	expect_message("failed to solve with frontend dockerfile.v0: failed to "
		       "read dockerfile: open /var/lib/docker/tmp/"
		       "buildkit-mount3876465316/sub/Dockerfile: no such file "
		       "or directory",
		       BUILD_CAUSE_NO_DOCKERFILE,
		       "there is no 'sub/Dockerfile' in the commit");
	expect_message("Cannot locate specified Dockerfile: sub/Dockerfile",
		       BUILD_CAUSE_NO_DOCKERFILE,
		       "there is no 'sub/Dockerfile' in the commit");
	expect_message("no active sessions", BUILD_CAUSE_SESSION,
		       "the engine has no session with us (credentials of "
		       "base images and build secrets need one)");
	expect_message("write /x: no space left on device", BUILD_CAUSE_DISK,
		       "the engine's disk is full: write /x: no space left on "
		       "device");
	expect_message("pulling failed: 401 Unauthorized", BUILD_CAUSE_LOGIN,
		       "pulling failed: 401 Unauthorized; for a private image "
		       "of r.example.com add a [registry \"r.example.com\"] "
		       "section to the configuration");
	expect_message("something\nelse\033[2J", BUILD_CAUSE_OTHER,
		       "something else");
}

static void exit_codes_are_found(void **state)
{
	(void)state;
	assert_int_equal(message_exit_code(slice_str(
				 "executor failed running [sh -c exit code: 3]:"
				 " exit code: 7")),
			 7);
	assert_int_equal(message_exit_code(slice_str(
				 "process \"x\" did not complete successfully: "
				 "exit code: 137")),
			 137);
	assert_int_equal(message_exit_code(slice_str(
				 "The command 'x' returned a non-zero code: "
				 "2")),
			 2);
	assert_int_equal(
		message_exit_code(slice_str("while running: exit status 9")),
		9);
	assert_int_equal(message_exit_code(slice_str("exit code: ")), 0);
	assert_int_equal(message_exit_code(slice_str("exit code: 99999")), 0);
	assert_int_equal(message_exit_code(slice_str("")), 0);
}

static void expect_clean(const char *text, const char *expected)
{
	auto_buf struct buf out = BUF_INIT(1000);

	message_clean(slice_str(text), &out);
	assert_string_equal(buf_str(&out), expected);
}

static void queries_of_urls_are_dropped(void **state)
{
	(void)state;
	expect_clean("put https://r/v2/x?_state=secret&a=b: denied",
		     "put https://r/v2/x: denied");
	expect_clean("Head \"http://r/x?token=1\": no",
		     "Head \"http://r/x\": no");
	expect_clean("really? yes", "really? yes");
	expect_clean("https://a/?", "https://a/");
	expect_clean("  trimmed\r\n", "trimmed");
}

static void long_messages_are_cut(void **state)
{
	auto_buf struct buf text = BUF_INIT(100000);
	auto_buf struct buf out = BUF_INIT(100000);

	(void)state;
	while (text.len < 50000)
		buf_adds(&text, "word ");
	message_clean(buf_slice(&text), &out);
	assert_true(out.len <= ENGINE_MESSAGE_MAX + 4);
}

static void error_replies_are_read(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"message\":\"No such image\"}\n", "No such image" },
		{ "{\"errorDetail\":{\"message\":\"m\"},\"error\":\"e\"}",
		  "m" },
		{ "plain text\n", "plain text" },
		{ "{\"message\":5}", "{\"message\":5}" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_buf struct buf out = BUF_INIT(1000);

		message_from_reply(slice_str(cases[i][0]), &out);
		assert_string_equal(buf_str(&out), cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_line_is_known),
		cmocka_unit_test(members_are_optional_and_of_any_type),
		cmocka_unit_test(what_is_no_object_is_bad),
		cmocka_unit_test(the_last_line_may_lack_its_end),
		cmocka_unit_test(nul_bytes_come_through),
		cmocka_unit_test(a_line_that_is_too_long_is_dropped),
		cmocka_unit_test(of_rewritten_lines_the_last_writing_counts),
		cmocka_unit_test(a_long_line_is_cut_once),
		cmocka_unit_test(
			a_progress_bar_without_end_shows_its_last_state),
		cmocka_unit_test(the_tail_keeps_the_last_lines),
		cmocka_unit_test(a_real_classic_build_is_read),
		cmocka_unit_test(the_failed_steps_output_is_kept),
		cmocka_unit_test(podman_steps_are_known),
		cmocka_unit_test(of_pulls_only_ends_are_told),
		cmocka_unit_test(causes_are_told_plainly),
		cmocka_unit_test(exit_codes_are_found),
		cmocka_unit_test(queries_of_urls_are_dropped),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(error_replies_are_read),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
