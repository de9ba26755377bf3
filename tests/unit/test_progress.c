/* builder/engine/progress.h: the trace as plain lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/engine/build_lines.h"
#include "builder/engine/progress.h"
#include "builder/engine/trace.h"

#define S 1000000000LL

static struct buf lines = BUF_INIT(64 << 20);
static struct buf steps = BUF_INIT(1 << 20);
static struct progress *p;
static int64_t now_ms;

static void on_line(void *ctx, struct slice line)
{
	(void)ctx;
	assert_true(line.len <= BUILD_LINE_MAX);
	buf_add(&lines, line.ptr, line.len);
	buf_addc(&lines, '\n');
}

static void on_step(void *ctx, const char *name)
{
	(void)ctx;
	buf_addf(&steps, "%s\n", name);
}

static int set_up(void **state)
{
	(void)state;
	buf_reset(&lines);
	buf_reset(&steps);
	now_ms = 100000;
	p = progress_new(on_line, on_step, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	progress_free(p);
	return 0;
}

static void vertex(const char *digest, const char *name, int64_t started,
		   int64_t completed, const char *error, bool is_cached)
{
	struct trace_vertex v = { .digest = digest,
				  .name = name,
				  .error = error,
				  .is_cached = is_cached,
				  .started_ns = started,
				  .completed_ns = completed };
	struct trace t = { .vertices = &v, .vertices_count = 1 };

	progress_update(p, &t, now_ms);
}

static void start(const char *digest, const char *name)
{
	vertex(digest, name, 10 * S, 0, "", false);
}

static void output(const char *digest, const char *text)
{
	struct trace_log l = { digest, slice_str(text) };
	struct trace t = { .logs = &l, .logs_count = 1 };

	progress_update(p, &t, now_ms);
}

static void transfer(const char *digest, const char *id, int64_t current,
		     int64_t total, int64_t completed)
{
	struct trace_status s = { .id = id,
				  .vertex = digest,
				  .current = current,
				  .total = total,
				  .started_ns = 10 * S,
				  .completed_ns = completed };
	struct trace t = { .statuses = &s, .statuses_count = 1 };

	progress_update(p, &t, now_ms);
}

static void shows_a_step_and_its_end(void **state)
{
	(void)state;
	vertex("a", "[1/2] FROM x", 0, 0, "", false);
	vertex("b", "[2/2] RUN y", 0, 0, "", false);
	assert_string_equal(buf_str(&lines), "");
	vertex("a", "[1/2] FROM x", 10 * S, 10 * S, "", true);
	start("b", "[2/2] RUN y");
	output("b", "one\ntw");
	output("b", "o\nlast");
	vertex("b", "[2/2] RUN y", 10 * S, 14 * S + S / 5, "", false);
	assert_string_equal(buf_str(&lines), "#1 [1/2] FROM x\n"
					     "#1 CACHED\n"
					     "\n"
					     "#2 [2/2] RUN y\n"
					     "#2 one\n"
					     "#2 two\n"
					     "#2 last\n"
					     "#2 DONE 4.2s\n");
	assert_string_equal(buf_str(&steps), "[1/2] FROM x\n[2/2] RUN y\n");
}

static void sums_its_intervals(void **state)
{
	(void)state;
	start("a", "[1/1] RUN y");
	output("a", "x\n");
	vertex("a", "[1/1] RUN y", 10 * S, 11 * S, "", false);
	vertex("a", "[1/1] RUN y", 20 * S, 0, "", false);
	output("a", "again\n");
	vertex("a", "[1/1] RUN y", 20 * S, 22 * S, "", false);
	assert_string_equal(buf_str(&lines), "#1 [1/1] RUN y\n"
					     "#1 x\n"
					     "#1 DONE 1.0s\n"
					     "#1 again\n"
					     "#1 DONE 3.0s\n");
}

static void an_end_is_told_once(void **state)
{
	(void)state;
	vertex("a", "[1/1] RUN y", 10 * S, 11 * S, "", false);
	vertex("a", "[1/1] RUN y", 12 * S, 12 * S + 5, "", false);
	vertex("a", "[1/1] RUN y", 12 * S, 12 * S + 5, "", false);
	assert_string_equal(buf_str(&lines), "#1 [1/1] RUN y\n"
					     "#1 DONE 1.0s\n");
}

static void parallel_output_is_not_mixed(void **state)
{
	(void)state;
	start("a", "[a 1/1] RUN a");
	now_ms += 100;
	start("b", "[b 1/1] RUN b");
	for (int i = 0; i < 3; i++) {
		output("a", "a\n");
		output("b", "b\n");
		now_ms += 100;
	}
	assert_string_equal(buf_str(&lines), "#1 [a 1/1] RUN a\n"
					     "#1 a\n#1 a\n#1 a\n");
	vertex("a", "", 10 * S, 11 * S, "", false);
	assert_string_equal(buf_str(&lines), "#1 [a 1/1] RUN a\n"
					     "#1 a\n#1 a\n#1 a\n"
					     "#1 DONE 1.0s\n"
					     "\n"
					     "#2 [b 1/1] RUN b\n"
					     "#2 b\n#2 b\n#2 b\n");
}

static void a_silent_step_lets_others_speak(void **state)
{
	(void)state;
	start("a", "[a 1/1] RUN a");
	output("a", "a\n");
	start("b", "[b 1/1] RUN b");
	output("b", "b\n");
	now_ms += 600;
	progress_tick(p, now_ms);
	assert_string_equal(buf_str(&lines), "#1 [a 1/1] RUN a\n"
					     "#1 a\n"
					     "#1 ...\n"
					     "\n"
					     "#2 [b 1/1] RUN b\n"
					     "#2 b\n");
}

static void a_waiting_step_gets_its_turn(void **state)
{
	(void)state;
	start("a", "[a 1/1] RUN a");
	start("b", "[b 1/1] RUN b");
	output("b", "b\n");
	for (int i = 0; i < 120 && !strstr(buf_str(&lines), "#2 b"); i++) {
		now_ms += 100;
		output("a", "a\n");
	}
	assert_non_null(strstr(buf_str(&lines), "#2 b\n"));
	assert_in_range(now_ms, 110000, 111000);
}

static void a_flood_of_a_waiting_step_is_bounded(void **state)
{
	(void)state;
	start("a", "[a 1/1] RUN a");
	start("b", "[b 1/1] RUN b");
	for (int i = 0; i < 20000; i++)
		output("b", "twenty bytes of text\n");
	assert_non_null(strstr(buf_str(&lines), "#2 twenty bytes of text\n"));
	progress_finish(p, now_ms);
	/* None is lost. */
	assert_true(lines.len > 20000 * 24);
}

static void a_failed_step_is_remembered(void **state)
{
	struct progress_summary sum;
	auto_free char *tail = NULL;

	(void)state;
	start("a", "[1/2] RUN other");
	start("b", "[2/2] RUN y");
	for (int i = 0; i < 30; i++) {
		auto_free char *line = xasprintf("line %d\n", i);

		output("b", line);
	}
	vertex("a", "", 10 * S, 11 * S, "x: context canceled", false);
	vertex("b", "", 10 * S, 11 * S, "failed: exit code: 7", false);
	progress_finish(p, now_ms);
	progress_summary(p, &sum);
	tail = progress_failed_output(p);
	assert_string_equal(sum.failed_step, "[2/2] RUN y");
	assert_string_equal(sum.failed_error, "failed: exit code: 7");
	assert_true(strncmp(tail, "line 10\n", 8) == 0);
	assert_non_null(strstr(buf_str(&lines), "#1 CANCELED\n"));
	assert_non_null(strstr(buf_str(&lines), "#2 ERROR: failed: exit"));
}

static void an_error_without_an_end_is_told(void **state)
{
	(void)state;
	vertex("a", "[1/1] RUN y", 0, 0, "broken", false);
	progress_finish(p, now_ms);
	assert_string_equal(buf_str(&lines), "#1 [1/1] RUN y\n"
					     "#1 ERROR: broken\n");
}

static void counts_steps_of_the_dockerfile(void **state)
{
	struct progress_summary sum;

	(void)state;
	vertex("a", "[internal] load build definition", S, S, "", false);
	vertex("b", "[1/3] FROM x", S, S, "", true);
	vertex("c", "[base 2/3] RUN x", S, S, "", true);
	vertex("d", "[3/3] RUN [a/b] y", S, 2 * S, "", false);
	vertex("e", "exporting to image", S, S, "", false);
	vertex("f", "[x/] RUN", S, S, "", true);
	vertex("g", "[/2] RUN", S, S, "", true);
	progress_summary(p, &sum);
	assert_int_equal(sum.steps, 3);
	assert_int_equal(sum.steps_cached, 2);
	assert_null(sum.failed_step);
}

static void unpacking_the_context_is_not_shown(void **state)
{
	(void)state;
	start("a", "[internal] load remote build context");
	vertex("a", "", 10 * S, 11 * S, "", false);
	start("b", "copy /context /");
	now_ms += 20000;
	progress_tick(p, now_ms);
	vertex("b", "", 10 * S, 11 * S, "no space", false);
	assert_string_equal(buf_str(&lines), "#1 copy /context /\n"
					     "#1 ERROR: no space\n");
}

static void transfers_are_thinned(void **state)
{
	int count = 0;

	(void)state;
	start("a", "[1/1] FROM x");
	for (int i = 0; i <= 1000; i++) {
		transfer("a", "sha256:1", i * 10000, 10000000, 0);
		now_ms += 20;
	}
	transfer("a", "sha256:1", 10000000, 10000000, 31 * S);
	transfer("a", "sha256:1", 10000000, 10000000, 31 * S);
	transfer("a", "resolve", 0, 0, 10 * S + 5);
	for (const char *s = buf_str(&lines); (s = strchr(s, '\n')); s++)
		count++;
	/* 20 s, 5 % each second */
	assert_in_range(count, 10, 25);
	assert_non_null(strstr(buf_str(&lines),
			       "#1 sha256:1 10.0 MB / 10.0 MB 21.0s done\n"));
	assert_null(strstr(buf_str(&lines), "resolve"));
}

static void hostile_names_are_cleaned_and_bounded(void **state)
{
	auto_buf struct buf name = BUF_INIT(100000);

	(void)state;
	buf_adds(&name, "[1/1] RUN \033[2Ja\nb\r");
	while (name.len < 50000)
		buf_addc(&name, 'x');
	start("a", buf_str(&name));
	assert_true(lines.len < 400);
	assert_true(strncmp(buf_str(&lines), "#1 [1/1] RUN a b xxx", 20) == 0);
}

static void endless_vertices_and_transfers_are_bounded(void **state)
{
	struct progress_summary sum;

	(void)state;
	for (int i = 0; i < 6000; i++) {
		auto_free char *name = xasprintf("[%d/9] RUN x", i);

		start(name, name);
		transfer("[0/9] RUN x", name, 5, 10, 0);
	}
	progress_summary(p, &sum);
	assert_int_equal(sum.steps, 4096);
}

static void foreign_digests_are_ignored(void **state)
{
	(void)state;
	output("nobody", "x\n");
	transfer("nobody", "x", 1, 2, 3);
	assert_string_equal(buf_str(&lines), "");
}

/* ---- what Engine 20.10.24 really sends ---- */

static void on_event(void *ctx, const struct build_event *event)
{
	auto_trace struct trace t = { 0 };
	struct error err;

	(void)ctx;
	if (event->kind != BUILD_EVENT_TRACE)
		return;
	assert_int_equal(trace_decode(event->text, &t, &err), 0);
	progress_update(p, &t, now_ms);
}

static void a_real_failed_build_reads_well(void **state)
{
	auto_buf struct buf file = BUF_INIT(1 << 20);
	auto_free char *tail = NULL;
	struct build_lines l;
	struct error err;
	int fd = open("tests/unit/data/build-fails.jsonl", O_RDONLY);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(&file, fd, &err), 0);
	close(fd);
	build_lines_init(&l);
	build_lines_feed(&l, buf_slice(&file), on_event, NULL);
	build_lines_release(&l);
	progress_finish(p, now_ms);
	assert_string_equal(
		buf_str(&lines),
		"#1 [internal] load metadata for "
		"docker.io/slipway-test/busybox:e2e\n"
		"#1 DONE 0.0s\n"
		"\n"
		"#2 [1/2] FROM docker.io/slipway-test/busybox:e2e\n"
		"#2 CACHED\n"
		"\n"
		"#3 [2/2] RUN echo one; echo two >&2; exit 7\n"
		"#3 one\n"
		"#3 two\n"
		"#3 ERROR: executor failed running [/bin/sh -c echo one; echo "
		"two >&2; exit 7]: exit code: 7\n");
	tail = progress_failed_output(p);
	assert_string_equal(tail, "one\ntwo");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shows_a_step_and_its_end),
		TEST(sums_its_intervals),
		TEST(an_end_is_told_once),
		TEST(parallel_output_is_not_mixed),
		TEST(a_silent_step_lets_others_speak),
		TEST(a_waiting_step_gets_its_turn),
		TEST(a_flood_of_a_waiting_step_is_bounded),
		TEST(a_failed_step_is_remembered),
		TEST(an_error_without_an_end_is_told),
		TEST(counts_steps_of_the_dockerfile),
		TEST(unpacking_the_context_is_not_shown),
		TEST(transfers_are_thinned),
		TEST(hostile_names_are_cleaned_and_bounded),
		TEST(endless_vertices_and_transfers_are_bounded),
		TEST(foreign_digests_are_ignored),
		TEST(a_real_failed_build_reads_well),
	};
	int failed;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_release(&lines);
	buf_release(&steps);
	return failed;
}
