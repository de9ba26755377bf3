/* builder/jobs/policy.h and push_options.h: what a push means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "builder/jobs/policy.h"
#include "builder/jobs/push_options.h"
#include "builder/source/repo.h"

#define A   "1111111111111111111111111111111111111111"
#define B   "2222222222222222222222222222222222222222"
#define URL "ssh://git@deploy.example.com:2222/shop"

/* A push message of one or more (ref, old, new). */
static json_t *push_of(int atomic, const char *const *updates)
{
	json_t *list = json_array();

	for (; *updates; updates += 3)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s}", "ref", updates[0],
					"old", updates[1], "new", updates[2]));
	return json_pack("{s:b, s:o}", "atomic", atomic, "updates", list);
}

static void plan_of(const char *branch, int atomic, const char *const *updates,
		    json_t **msg, struct push_plan *plan)
{
	struct error err;

	*msg = push_of(atomic, updates);
	assert_int_equal(push_plan_make(*msg, branch, URL, plan, &err), 0);
}

static void main_or_master_deploy_until_set(void **state)
{
	static const char *const names[] = { "refs/heads/main",
					     "refs/heads/master" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *updates[] = { names[i], A, B, NULL };
		struct push_plan plan;
		json_t *msg;

		plan_of(NULL, 0, updates, &msg, &plan);
		assert_ptr_equal(plan.deploy, &plan.verdicts[0]);
		push_plan_release(&plan);
		json_decref(msg);
	}
}

static void another_branch_is_told_the_command(void **state)
{
	const char *updates[] = { "refs/heads/feat/x", A, B, NULL };
	struct push_plan plan;
	json_t *msg;

	(void)state;
	plan_of("production", 0, updates, &msg, &plan);
	assert_null(plan.deploy);
	assert_int_equal(plan.verdicts[0].meaning, MEANING_REFUSE);
	assert_string_equal(plan.verdicts[0].reason,
			    "not the deploy branch; type: git push " URL
			    " feat/x:production");
	push_plan_release(&plan);
	json_decref(msg);
}

static void main_is_another_branch_once_one_is_set(void **state)
{
	const char *updates[] = { "refs/heads/main", A, B, NULL };
	struct push_plan plan;
	json_t *msg;

	(void)state;
	plan_of("production", 0, updates, &msg, &plan);
	assert_int_equal(plan.verdicts[0].meaning, MEANING_REFUSE);
	push_plan_release(&plan);
	json_decref(msg);
}

static void tags_are_stored_and_others_refused(void **state)
{
	const char *updates[] = { "refs/tags/v1",
				  A,
				  B,
				  "refs/tags/v2",
				  A,
				  OID_ZERO,
				  "refs/notes/x",
				  A,
				  B,
				  "refs/deploys/v1",
				  A,
				  B,
				  "refs/heads/old",
				  A,
				  OID_ZERO,
				  "refs/heads/main",
				  A,
				  OID_ZERO,
				  NULL };
	static const enum meaning want[] = {
		MEANING_STORE,	MEANING_STORE, MEANING_REFUSE,
		MEANING_REFUSE, MEANING_STORE, MEANING_REFUSE,
	};
	struct push_plan plan;
	json_t *msg;

	(void)state;
	plan_of(NULL, 0, updates, &msg, &plan);
	for (size_t i = 0; i < plan.count; i++)
		assert_int_equal(plan.verdicts[i].meaning, want[i]);
	push_plan_release(&plan);
	json_decref(msg);
}

static void atomic_is_all_or_nothing(void **state)
{
	const char *updates[] = {
		"refs/heads/main", A, B, "refs/heads/feat", A, B, NULL
	};
	struct push_plan plan;
	json_t *msg;

	(void)state;
	plan_of(NULL, 1, updates, &msg, &plan);
	assert_null(plan.deploy);
	assert_string_equal(plan.verdicts[0].reason, "atomic push failed");
	assert_non_null(strstr(plan.verdicts[1].reason, "type: git push"));
	push_plan_release(&plan);
	json_decref(msg);
}

static void one_push_deploys_one_branch(void **state)
{
	const char *updates[] = {
		"refs/heads/main", A, B, "refs/heads/master", A, B, NULL
	};
	struct push_plan plan;
	json_t *msg;

	(void)state;
	plan_of(NULL, 0, updates, &msg, &plan);
	assert_ptr_equal(plan.deploy, &plan.verdicts[0]);
	assert_int_equal(plan.verdicts[1].meaning, MEANING_REFUSE);
	push_plan_release(&plan);
	json_decref(msg);
}

static void hostile_names_and_ids_are_refused(void **state)
{
	const char *updates[] = { "refs/heads/../../x",
				  A,
				  B,
				  "refs/heads/a b",
				  A,
				  B,
				  "refs/heads/-x\n",
				  A,
				  B,
				  "refs/tags/x.lock",
				  A,
				  B,
				  NULL };
	const char *ids[] = { "refs/heads/main", A, "; rm -rf /", NULL };
	struct push_plan plan;
	struct error err;
	json_t *msg;

	(void)state;
	plan_of(NULL, 0, updates, &msg, &plan);
	for (size_t i = 0; i < plan.count; i++)
		assert_string_equal(plan.verdicts[i].reason, "funny refname");
	push_plan_release(&plan);
	json_decref(msg);
	msg = push_of(0, ids);
	assert_int_equal(push_plan_make(msg, NULL, URL, &plan, &err),
			 -ERR_PROTO);
	json_decref(msg);
}

static void ref_names_follow_git(void **state)
{
	static const char *const good[] = { "refs/heads/main", "refs/tags/v1.0",
					    "refs/heads/a/b-c_d", "refs/x/@" };
	static const char *const bad[] = {
		"HEAD",
		"refs/",
		"refs/heads/",
		"refs/heads/a..b",
		"refs/heads/.a",
		"refs/heads/a/",
		"refs/heads/a//b",
		"refs/heads/a.lock",
		"refs/heads/a.",
		"refs/heads/a@{1}",
		"refs/heads/a\\b",
		"refs/heads/a:b",
		"refs/heads/a\x7f",
		"refs/heads/a*",
		"refs/heads/a.lock/b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(ref_name_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ref_name_is_valid(bad[i]));
}

static void options_are_read(void **state)
{
	json_auto_t *list = json_pack("[s, s, s, s]", "no-cache", "target=prod",
				      "build-arg=A=b=c", "message=hello there");
	struct push_options o;
	struct error err;

	(void)state;
	assert_int_equal(push_options_parse(list, &o, &err), 0);
	assert_true(o.no_cache);
	assert_false(o.pull);
	assert_string_equal(o.stage, "prod");
	assert_string_equal(o.message, "hello there");
	assert_string_equal(json_get_str(o.build_args, "A", ""), "b=c");
	push_options_release(&o);
}

static void unknown_options_are_refused(void **state)
{
	static const char *const bad[] = { "no-cash",	  "target", "target=",
					   "build-arg=A", "x=y",    "" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_auto_t *list = json_pack("[s]", bad[i]);
		struct push_options o;
		struct error err;

		assert_int_equal(push_options_parse(list, &o, &err),
				 -ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_or_master_deploy_until_set),
		cmocka_unit_test(another_branch_is_told_the_command),
		cmocka_unit_test(main_is_another_branch_once_one_is_set),
		cmocka_unit_test(tags_are_stored_and_others_refused),
		cmocka_unit_test(atomic_is_all_or_nothing),
		cmocka_unit_test(one_push_deploys_one_branch),
		cmocka_unit_test(hostile_names_and_ids_are_refused),
		cmocka_unit_test(ref_names_follow_git),
		cmocka_unit_test(options_are_read),
		cmocka_unit_test(unknown_options_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
