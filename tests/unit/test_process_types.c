/* builder/jobs/process_types.h: what of a Procfile runs, and how often. */
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
#include "builder/jobs/process_types.h"
#include "builder/rollout/release_plan.h"
#include "builder/source/procfile.h"

/* The plan of a Procfile, as the rollout reads it. */
static int plan_of(const char *text, struct release_plan *ret,
		   struct error *err)
{
	struct procfile file = { NULL, 0 };
	auto_free char *json = NULL;
	int r = procfile_parse(slice_str(text), &file, err);

	assert_int_equal(r, 0);
	r = process_types_plan(&file, &json, err);
	procfile_release(&file);
	return r < 0 ? r : release_plan_parse(json, ret, err);
}

static void counts_are(const char *text, const char *counts)
{
	auto_buf struct buf out = BUF_INIT(1024);
	struct release_plan plan;
	struct error err;

	assert_int_equal(plan_of(text, &plan, &err), 0);
	process_types_add_counts(&plan, &out);
	assert_string_equal(buf_str(&out), counts);
	release_plan_release(&plan);
}

static void without_a_procfile_web_runs_as_the_image_says(void **state)
{
	struct release_plan plan;
	struct error err;

	(void)state;
	assert_int_equal(plan_of("", &plan, &err), 0);
	assert_int_equal(plan.types_count, 1);
	assert_string_equal(plan.types[0].type, "web");
	assert_null(plan.types[0].command);
	release_plan_release(&plan);
	counts_are("", "web=1");
}

static void every_type_runs_once_and_web_comes_first(void **state)
{
	(void)state;
	counts_are("worker: a\nclock: b\nweb: c\n", "web=1 worker=1 clock=1");
	counts_are("worker: a\n", "web=1 worker=1");
}

static void commands_go_through_a_shell(void **state)
{
	struct release_plan plan;
	const struct process_plan *p;
	struct error err;

	(void)state;
	assert_int_equal(plan_of("web: ./serve -p \"$PORT\"\n", &plan, &err),
			 0);
	p = release_plan_type(&plan, "web");
	assert_string_equal(p->command[0], "/bin/sh");
	assert_string_equal(p->command[1], "-c");
	assert_string_equal(p->command[2], "./serve -p \"$PORT\"");
	assert_null(p->command[3]);
	release_plan_release(&plan);
}

static void release_is_kept_but_does_not_run(void **state)
{
	struct release_plan plan;
	const struct process_plan *p;
	struct error err;

	(void)state;
	assert_int_equal(plan_of("release: ./migrate\nweb: x\n", &plan, &err),
			 0);
	p = release_plan_type(&plan, PROCESS_RELEASE);
	assert_non_null(p);
	assert_int_equal(p->count, 0);
	assert_string_equal(p->command[2], "./migrate");
	release_plan_release(&plan);
	counts_are("release: ./migrate\nweb: x\n", "web=1");
}

static void refused(const char *text, int code, const char *message)
{
	struct release_plan plan;
	struct error err;

	assert_int_equal(plan_of(text, &plan, &err), code);
	assert_non_null(strstr(err.msg, message));
}

static void what_cannot_run_is_refused(void **state)
{
	auto_buf struct buf many = BUF_INIT(4096);

	(void)state;
	refused("abcdefghijklmnopqrstuvwxyz123456: x\n", -ERR_INVALID,
		"'abcdefghijklmnopqrstuvwxyz123456' is not a process type");
	for (int i = 0; i < PLAN_TYPES_MAX; i++)
		buf_addf(&many, "t%d: x\n", i);
	refused(buf_str(&many), -ERR_LIMIT, "at most 16 types");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_procfile_web_runs_as_the_image_says),
		cmocka_unit_test(every_type_runs_once_and_web_comes_first),
		cmocka_unit_test(commands_go_through_a_shell),
		cmocka_unit_test(release_is_kept_but_does_not_run),
		cmocka_unit_test(what_cannot_run_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
