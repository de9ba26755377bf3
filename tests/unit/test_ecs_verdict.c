/* builder/rollout/ecs/verdict.h: replies of ECS, and what they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/rollout/ecs/verdict.h"

static json_t *parse(const char *text)
{
	json_t *doc = NULL;
	struct error err;

	if (json_parse(slice_str(text), "test", &doc, &err) < 0)
		fail_msg("%s: %s", err.msg, text);
	return doc;
}

/* ---- verdicts: ours is ecs-svc/2, before it was ecs-svc/1 ---- */

struct row {
	const char *what;
	const char *deployments;
	int64_t age_ms;
	enum ecs_verdict verdict;
};

#define D(id, status, state, reason)                                           \
	"{\"id\": \"ecs-svc/" id "\", \"status\": \"" status                   \
	"\", \"rolloutState\": \"" state                                       \
	"\", \"rolloutStateReason\": \"" reason                                \
	"\", \"taskDefinition\": \"arn:t/shop-web:" id                         \
	"\", \"desiredCount\": 2, \"runningCount\": 1, \"pendingCount\": 1, "  \
	"\"failedTasks\": 0}"

#define GOES_BACK_TO(id)                                                       \
	"ECS deployment circuit breaker: rolling back to deploymentId "        \
	"ecs-svc/" id
#define GOES_BACK GOES_BACK_TO("1")

static const struct row rows[] = {
	{ "just started",
	  D("2", "PRIMARY", "IN_PROGRESS", "") "," D("1", "ACTIVE", "COMPLETED",
						     ""),
	  0, ECS_IN_PROGRESS },
	{ "complete", D("2", "PRIMARY", "COMPLETED", ""), 60000, ECS_COMPLETE },
	{ "complete at first sight", D("2", "PRIMARY", "COMPLETED", ""), 0,
	  ECS_COMPLETE },
	{ "the breaker, with nothing to go back to",
	  D("2", "PRIMARY", "FAILED",
	    "ECS deployment circuit breaker: tasks failed to start."),
	  60000, ECS_FAILED },
	{ "a description from before", D("1", "PRIMARY", "COMPLETED", ""), 2000,
	  ECS_IN_PROGRESS },
	{ "ours was there and is not any more",
	  D("1", "PRIMARY", "COMPLETED", ""), 40000, ECS_ROLLED_BACK },
	{ "never seen, too late for lag", D("1", "PRIMARY", "COMPLETED", ""),
	  60000, ECS_ROLLED_BACK },
	{ "the breaker goes back",
	  D("1", "PRIMARY", "IN_PROGRESS", GOES_BACK) "," D(
		  "2", "ACTIVE", "FAILED",
		  "ECS deployment circuit breaker: tasks failed to start."),
	  60000, ECS_ROLLED_BACK },
	{ "the breaker goes back, ours never seen",
	  D("1", "PRIMARY", "IN_PROGRESS", GOES_BACK), 40000, ECS_ROLLED_BACK },
	{ "what was there before goes back still, ours is not known yet",
	  D("1", "PRIMARY", "IN_PROGRESS", GOES_BACK), 1000, ECS_IN_PROGRESS },
	{ "stopped by hand with a rollback",
	  D("1", "PRIMARY", "IN_PROGRESS",
	    "ECS deployment stopped by user: rolling back to deploymentId "
	    "ecs-svc/1") "," D("2", "DRAINING", "FAILED", ""),
	  60000, ECS_ROLLED_BACK },
	{ "a rollback that is over",
	  D("1", "PRIMARY", "COMPLETED", "ECS deployment ecs-svc/1 completed."),
	  90000, ECS_ROLLED_BACK },
	{ "the breaker has failed ours, and is about to go back",
	  D("2", "PRIMARY", "FAILED", GOES_BACK), 60000, ECS_ROLLED_BACK },
	{ "the breaker goes back to another one than the last",
	  D("0", "PRIMARY", "IN_PROGRESS", "") "," D("2", "ACTIVE", "FAILED",
						     GOES_BACK_TO("0")),
	  60000, ECS_ROLLED_BACK },
	{ "the breaker went back, and then somebody deployed",
	  D("3", "PRIMARY", "IN_PROGRESS", "") "," D("2", "ACTIVE", "FAILED",
						     GOES_BACK),
	  60000, ECS_SUPERSEDED },
	{ "somebody deployed meanwhile",
	  D("3", "PRIMARY", "IN_PROGRESS", "") "," D("2", "ACTIVE",
						     "IN_PROGRESS", ""),
	  9000, ECS_SUPERSEDED },
	{ "somebody deployed, ours is gone", D("3", "PRIMARY", "COMPLETED", ""),
	  9000, ECS_SUPERSEDED },
	{ "somebody deployed before we looked",
	  D("3", "PRIMARY", "COMPLETED", ""), 500, ECS_SUPERSEDED },
	{ "no deployments yet", "", 500, ECS_IN_PROGRESS },
	{ "a state that nobody knows", D("2", "PRIMARY", "PENDING", ""), 500,
	  ECS_IN_PROGRESS },
};

static void a_rollout_is_judged_by_the_id_of_its_deployment(void **state)
{
	const struct ecs_watched like = { .id = "ecs-svc/2",
					  .before = "ecs-svc/1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *text = xasprintf(
			"{\"status\": \"ACTIVE\", \"deployments\": [%s]}",
			rows[i].deployments);
		json_auto_t *service = parse(text);
		struct ecs_watched w = like;
		struct ecs_state s;

		w.age_ms = rows[i].age_ms;
		ecs_judge(service, &w, &s);
		if (s.verdict != rows[i].verdict)
			fail_msg("%s: %d instead of %d", rows[i].what,
				 s.verdict, rows[i].verdict);
	}
}

static void tasks_and_reason_are_those_of_the_primary_deployment(void **state)
{
	const struct ecs_watched w = { .id = "ecs-svc/2", .before = "" };
	json_auto_t *service =
		parse("{\"status\": \"ACTIVE\", \"deployments\": [" D(
			"2", "PRIMARY", "IN_PROGRESS", "why") "]}");
	struct ecs_state s;

	(void)state;
	ecs_judge(service, &w, &s);
	assert_true(s.is_seen);
	assert_int_equal(s.desired, 2);
	assert_int_equal(s.running, 1);
	assert_int_equal(s.pending, 1);
	assert_string_equal(s.primary_id, "ecs-svc/2");
	assert_string_equal(s.primary_taskdef, "arn:t/shop-web:2");
	assert_false(s.primary_is_complete);
	assert_string_equal(s.reason, "why");
}

static void a_service_that_drains_is_deleted(void **state)
{
	const struct ecs_watched w = { .id = "ecs-svc/2", .before = "" };
	json_auto_t *service =
		parse("{\"status\": \"DRAINING\", \"deployments\": []}");
	struct ecs_state s;

	(void)state;
	ecs_judge(service, &w, &s);
	assert_int_equal(s.verdict, ECS_DELETED);
}

/* Services that ECS does not deploy itself tell no rolloutState. */
static void without_a_rollout_state_the_running_tasks_decide(void **state)
{
	const struct ecs_watched w = { .id = "ecs-svc/2", .before = "" };
	json_auto_t *service =
		parse("{\"status\": \"ACTIVE\", \"deployments\": [{\"id\": "
		      "\"ecs-svc/2\", \"status\": \"PRIMARY\", "
		      "\"desiredCount\": 2, \"runningCount\": 1}]}");
	json_t *d = json_array_get(json_object_get(service, "deployments"), 0);
	struct ecs_state s;

	(void)state;
	ecs_judge(service, &w, &s);
	assert_int_equal(s.verdict, ECS_IN_PROGRESS);
	json_object_set_new(d, "runningCount", json_integer(2));
	ecs_judge(service, &w, &s);
	assert_int_equal(s.verdict, ECS_COMPLETE);
}

static void nonsense_is_never_complete(void **state)
{
	static const char *const docs[] = {
		"{}", "{\"status\": 7, \"deployments\": {}}",
		"{\"status\": \"ACTIVE\", \"deployments\": [1, null, []]}"
	};
	const struct ecs_watched w = { .id = "ecs-svc/2", .before = "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		json_auto_t *service = parse(docs[i]);
		struct ecs_state s;

		ecs_judge(service, &w, &s);
		assert_int_not_equal(s.verdict, ECS_COMPLETE);
		assert_null(ecs_completed(service));
	}
}

static void the_completed_one_to_go_back_to_is_the_newest(void **state)
{
	json_auto_t *service = parse("{\"deployments\": [" D(
		"3", "PRIMARY", "IN_PROGRESS",
		"") "," D("2", "ACTIVE", "COMPLETED",
			  "") "," D("1", "ACTIVE", "COMPLETED", "") "]}");

	(void)state;
	assert_string_equal(json_get_str(ecs_completed(service), "id", ""),
			    "ecs-svc/2");
}

/* ---- deaths ---- */

#define CRASH                                                                  \
	"{\"lastStatus\": \"STOPPED\", \"stopCode\": "                         \
	"\"EssentialContainerExited\", \"stoppedReason\": \"Essential "        \
	"container in task exited\", \"containers\": [{\"name\": \"proxy\", "  \
	"\"exitCode\": 0}, {\"name\": \"web\", \"exitCode\": 3}]}"

static void expect_reason(const char *text, const char *want)
{
	auto_buf struct buf got = BUF_INIT(1024);
	json_auto_t *task = parse(text);

	ecs_death_reason(task, &got);
	assert_string_equal(buf_str(&got), want);
}

static void reasons_say_once_what_ecs_knows(void **state)
{
	(void)state;
	expect_reason(CRASH, "exited 3 (Essential container in task exited)");
	expect_reason("{\"stopCode\": \"TaskFailedToStart\", "
		      "\"stoppedReason\": \"CannotPullContainerError: no "
		      "basic auth\", \"containers\": [{\"reason\": "
		      "\"CannotPullContainerError: no basic auth\"}]}",
		      "CannotPullContainerError: no basic auth");
	expect_reason("{\"stopCode\": \"EssentialContainerExited\", "
		      "\"stoppedReason\": \"Essential container in task "
		      "exited\", \"containers\": [{\"exitCode\": 137, "
		      "\"reason\": \"OutOfMemoryError: Container killed due "
		      "to memory usage\"}]}",
		      "exited 137: OutOfMemoryError: Container killed due to "
		      "memory usage (Essential container in task exited)");
	expect_reason("{\"stopCode\": \"ServiceSchedulerInitiated\", "
		      "\"stoppedReason\": \"Task failed container health "
		      "checks\", \"containers\": [{\"exitCode\": 143}]}",
		      "Task failed container health checks");
	expect_reason("{\"stoppedReason\": \"a\\u001b[31mb\\nc\"}", "abc");
	expect_reason("{}", "it stopped");
}

static void what_was_stopped_on_purpose_did_not_die(void **state)
{
	static const struct {
		const char *task;
		bool is_death;
	} cases[] = {
		{ CRASH, true },
		{ "{\"lastStatus\": \"DEPROVISIONING\", \"stopCode\": "
		  "\"TaskFailedToStart\"}",
		  true },
		{ "{\"lastStatus\": \"STOPPED\", \"stopCode\": "
		  "\"ServiceSchedulerInitiated\", \"stoppedReason\": \"Task "
		  "failed ELB health checks in (target-group x)\"}",
		  true },
		{ "{\"lastStatus\": \"STOPPED\", \"stopCode\": "
		  "\"ServiceSchedulerInitiated\", \"stoppedReason\": "
		  "\"Scaling activity initiated by (deployment "
		  "ecs-svc/1)\"}",
		  false },
		{ "{\"lastStatus\": \"STOPPED\", \"stopCode\": "
		  "\"UserInitiated\"}",
		  false },
		{ "{\"lastStatus\": \"STOPPED\", \"stopCode\": "
		  "\"SpotInterruption\"}",
		  false },
		{ "{\"lastStatus\": \"STOPPING\", \"stopCode\": "
		  "\"EssentialContainerExited\"}",
		  false },
		{ "{\"lastStatus\": \"RUNNING\"}", false },
		{ "{}", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *task = parse(cases[i].task);

		if (ecs_is_death(task) != cases[i].is_death)
			fail_msg("%s", cases[i].task);
	}
}

static json_t *pull_failure(const char *detail)
{
	return json_pack("{s:s, s:s, s:s}", "lastStatus", "STOPPED", "stopCode",
			 "TaskFailedToStart", "stoppedReason", detail);
}

static void deaths_are_alike_whatever_ids_and_addresses_they_name(void **state)
{
	json_auto_t *crash = parse(CRASH);
	json_auto_t *a = pull_failure("CannotPullContainerError: (request "
				      "1f0c22ab-0000-1111-2222-333344445555) "
				      "dial 10.0.1.7:443");
	json_auto_t *b = pull_failure("CannotPullContainerError: (request "
				      "9e8d77cd-0000-1111-2222-333344440000) "
				      "dial 10.0.2.9:443");
	json_auto_t *c = pull_failure("CannotPullContainerError: not found");
	struct ecs_deaths d = { .count = 0 };

	(void)state;
	assert_null(ecs_deaths_worst(&d));
	assert_null(ecs_deaths_enough(&d, 1));
	assert_true(ecs_deaths_add(&d, a));
	assert_true(ecs_deaths_add(&d, crash));
	assert_false(ecs_deaths_add(&d, b));
	assert_true(ecs_deaths_add(&d, c));
	assert_null(ecs_deaths_enough(&d, 3));
	assert_false(ecs_deaths_add(&d, crash));
	assert_false(ecs_deaths_add(&d, crash));
	assert_non_null(ecs_deaths_enough(&d, 3));
	assert_string_equal(ecs_deaths_enough(&d, 3)->reason,
			    "exited 3 (Essential container in task exited)");
	ecs_deaths_release(&d);
}

static void more_kinds_of_deaths_than_are_kept_still_count(void **state)
{
	struct ecs_deaths d = { .count = 0 };

	(void)state;
	for (int i = 0; i < 3 * ECS_DEATHS_MAX; i++) {
		auto_free char *text =
			xasprintf("reason %c%c", 'a' + i % 26, 'a' + i / 26);
		json_auto_t *task = pull_failure(text);

		(void)ecs_deaths_add(&d, task);
	}
	assert_int_equal(d.count, ECS_DEATHS_MAX);
	assert_non_null(ecs_deaths_enough(&d, 3));
	ecs_deaths_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_rollout_is_judged_by_the_id_of_its_deployment),
		cmocka_unit_test(
			tasks_and_reason_are_those_of_the_primary_deployment),
		cmocka_unit_test(a_service_that_drains_is_deleted),
		cmocka_unit_test(
			without_a_rollout_state_the_running_tasks_decide),
		cmocka_unit_test(nonsense_is_never_complete),
		cmocka_unit_test(the_completed_one_to_go_back_to_is_the_newest),
		cmocka_unit_test(reasons_say_once_what_ecs_knows),
		cmocka_unit_test(what_was_stopped_on_purpose_did_not_die),
		cmocka_unit_test(
			deaths_are_alike_whatever_ids_and_addresses_they_name),
		cmocka_unit_test(
			more_kinds_of_deaths_than_are_kept_still_count),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
