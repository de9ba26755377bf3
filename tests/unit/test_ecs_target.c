/* builder/rollout/ecs/elb.h, ecs/cleaning.h, ecs/vars.h and what `ps` and the
 * release phase ask, against scripted replies: what the double does not do at
 * will. */
#include "tests/unit/ecs_script.h"

#include "builder/rollout/ecs/cleaning.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/elb.h"
#include "builder/rollout/ecs/vars.h"

/* ---- the load balancer ---- */

#define GROUP                                                                  \
	"{'TargetGroups': [{'TargetGroupArn': 'group', "                       \
	"'HealthCheckPath': '/'}]}"
/* A rule for this host name, with what else it asks for; its actions. */
#define RULE(host, more, actions)                                              \
	"{'RuleArn': 'theirs', 'Priority': '1', 'Conditions': ["               \
	"{'Field': 'host-header', 'Values': ['" host "']}" more "], "          \
	"'Actions': [" actions "]}"
#define TO(group)    "{'TargetGroupArn': '" group "'}"
#define RULES(rules) "{'Rules': [" rules "]}"

static int ensure(const struct step *steps, struct error *err)
{
	auto_free char *arn = NULL;

	script = steps;
	return ecs_elb_ensure(&target, &app, "web", 5000, &arn, err);
}

static void a_target_group_of_another_app_is_not_taken(void **state)
{
	static const struct step steps[] = {
		{ "DescribeTargetGroups", "{'Names': ['shop-web']}", GROUP },
		{ "DescribeTags", "{'ResourceArns': ['group']}", ELB_ANOTHERS },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	assert_int_equal(ensure(steps, &err), -ERR_EXISTS);
	assert_non_null(strstr(err.msg, "target.prod.name-prefix"));
}

static void one_that_somebody_made_is_used_as_it_is(void **state)
{
	static const struct step steps[] = {
		{ "DescribeTargetGroups", NULL, GROUP },
		{ "DescribeTags", NULL, ELB_NOBODYS },
		{ "DescribeRules", NULL,
		  RULES(RULE("shop.example", "",
			     "{'ForwardConfig': {'TargetGroups': [" TO(
				     "group") "]}}")) },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	assert_int_equal(ensure(steps, &err), 0);
}

static void a_rule_for_a_path_or_an_old_domain_is_not_ours(void **state)
{
	static const struct step steps[] = {
		{ "DescribeTargetGroups", NULL, GROUP },
		{ "DescribeTags", NULL, ELB_OURS },
		{ "ModifyTargetGroupAttributes", NULL, "{}" },
		{ "DescribeRules", NULL,
		  RULES(RULE("shop.example", ", {'Field': 'path-pattern'}",
			     TO("static")) ", " RULE("shop.old", "",
						     TO("group"))) },
		{ "CreateRule", "{'Priority': 2}", "{}" },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	assert_int_equal(ensure(steps, &err), 0);
}

static void a_rule_whose_making_was_not_answered_is_made_once(void **state)
{
	static const struct step steps[] = {
		{ "DescribeTargetGroups", NULL, GROUP },
		{ "DescribeTags", NULL, ELB_OURS },
		{ "ModifyTargetGroupAttributes", NULL, "{}" },
		{ "DescribeRules", NULL, RULES("") },
		{ "CreateRule", "{'Priority': 1}",
		  "PriorityInUse: Priority '1' is currently in use" },
		{ "DescribeRules", NULL,
		  RULES(RULE("shop.example", "", TO("group"))) },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	assert_int_equal(ensure(steps, &err), 0);
}

static void a_host_name_that_another_rule_takes_is_refused(void **state)
{
	static const struct step steps[] = {
		{ "DescribeTargetGroups", NULL, GROUP },
		{ "DescribeTags", NULL, ELB_OURS },
		{ "ModifyTargetGroupAttributes", NULL, "{}" },
		{ "DescribeRules", NULL,
		  RULES(RULE("SHOP.example", "", TO("other"))) },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	assert_int_equal(ensure(steps, &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "theirs"));
}

static void a_rule_with_other_groups_is_not_deleted(void **state)
{
	static const struct step steps[] = {
		{ "DescribeTargetGroups", NULL, GROUP },
		{ "DescribeTags", NULL, ELB_OURS },
		{ "DescribeRules", NULL,
		  RULES(RULE("a", "",
			     "{'ForwardConfig': {'TargetGroups': [" TO(
				     "group") ", " TO("other") "]}}")) },
		{ "DeleteTargetGroup", "{'TargetGroupArn': 'group'}", "{}" },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_elb_remove(&target, &app, "web", &err), 0);
}

static void a_group_that_somebody_made_outlives_the_app(void **state)
{
	static const struct step steps[] = {
		{ "DescribeTargetGroups", NULL, GROUP },
		{ "DescribeTags", NULL, ELB_NOBODYS },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_elb_remove(&target, &app, "web", &err), 0);
}

/* ---- an app's services ---- */

#define LISTED "{'serviceArns': ['arn/shop-web', 'arn/other-web']}"

static void a_service_that_runs_our_definition_is_the_apps(void **state)
{
	static const struct step steps[] = {
		{ "ListServices", "{'nextToken': null}",
		  "{'serviceArns': ['arn/shop-web'], 'nextToken': 'n'}" },
		{ "ListServices", "{'nextToken': 'n'}",
		  "{'serviceArns': ['arn/shop-admin-web']}" },
		{ "DescribeServices",
		  "{'services': ['shop-web', 'shop-admin-web']}",
		  "{'services': [{" SERVICE ", 'tags': []},"
		  "{'serviceName': 'shop-admin-web', 'status': 'ACTIVE', "
		  "'tags': [{'key': 'slipway:owner', 'value': 'o'}, "
		  "{'key': 'slipway:app', 'value': '8'}]}]}" },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'def:4'}",
		  DEFINITION(RELEASE("4")) },
		{ NULL, NULL, NULL },
	};
	json_auto_t *services = NULL;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_app_services(&target, &app, &services, &err), 0);
	assert_int_equal(json_array_size(services), 1);
	assert_true(ecs_is_adopted(json_array_get(services, 0)));
}

/* ---- retention ---- */

static struct release releases[] = {
	{ .version = 5, .state = RELEASE_FAILED, .config_version = 3 },
	{ .version = 4, .state = RELEASE_LIVE, .config_version = 2 },
	{ .version = 3, .state = RELEASE_OLD, .config_version = 1 },
};

int store_releases(struct store *st, int64_t app_id, int limit,
		   struct release **ret, struct error *err)
{
	(void)st;
	(void)app_id;
	(void)limit;
	(void)err;
	*ret = xcalloc(ARRAY_SIZE(releases), sizeof(**ret));
	memcpy(*ret, releases, sizeof(releases));
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++)
		(*ret)[i].processes = xstrdup("[]");
	return ARRAY_SIZE(releases);
}

void release_release(struct release *r)
{
	free(r->processes);
	r->processes = NULL;
}

static void a_service_that_somebody_made_is_not_deleted(void **state)
{
	static const struct step steps[] = {
		{ "ListServices", NULL, LISTED },
		{ "DescribeServices", NULL,
		  "{'services': [{" SERVICE ", 'tags': []}]}" },
		{ "DescribeTaskDefinition", NULL, DEFINITION(RELEASE("4")) },
		{ NULL, NULL, NULL },
	};
	struct ecs_cleaning c;

	(void)state;
	script = steps;
	ecs_cleaning_init(&c, &target, &app);
	ecs_clean_services(&c, NULL);
	assert_int_equal(c.o.r, -ERR_EXISTS);
	assert_non_null(strstr(c.o.err.msg, "was not made by Slipway"));
	ecs_cleaning_release(&c);
}

#define DIGEST(c) c c c c c c c c c c c c c c c c
#define DA	  "sha256:" DIGEST("aaaa")
#define DB	  "sha256:" DIGEST("bbbb")
#define RUNS(d, tags)                                                          \
	"{'taskDefinition': {'containerDefinitions': [{'name': 'web', "        \
	"'image': 'r@" d "'}]}, " tags "}"

static void images_of_revisions_on_every_page_are_kept(void **state)
{
	static const struct step steps[] = {
		{ "ListTaskDefinitions", "{'familyPrefix': 'shop-release'}",
		  FAMILY("") },
		{ "ListTaskDefinitions", "{'nextToken': null}",
		  "{'taskDefinitionArns': ['def:3', 'def:2'], 'nextToken': "
		  "'n'}" },
		{ "ListTaskDefinitions", "{'nextToken': 'n'}",
		  FAMILY("'def:1'") },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'def:3'}",
		  RUNS(DA, TAGS) },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'def:2'}",
		  RUNS("sha256:x", TAGS) },
		{ "DeregisterTaskDefinition", "{'taskDefinition': 'def:2'}",
		  "{}" },
		/* Somebody's. */
		{ "DescribeTaskDefinition", "{'taskDefinition': 'def:1'}",
		  RUNS(DB, "'tags': []") },
		{ "DeleteTaskDefinitions", "{'taskDefinitions': ['def:2']}",
		  "{'failures': []}" },
		{ NULL, NULL, NULL },
	};
	struct ecs_cleaning c;

	(void)state;
	script = steps;
	ecs_cleaning_init(&c, &target, &app);
	ecs_clean_taskdefs(&c, 1);
	assert_int_equal(c.o.r, 0);
	expect(c.digests, "{'" DA "': true, '" DB "': true}");
	ecs_cleaning_release(&c);
}

/* ---- config vars ---- */

int store_config_get(struct store *st, int64_t app_id, int64_t version,
		     json_t **ret, struct error *err)
{
	(void)st;
	(void)app_id;
	(void)version;
	(void)err;
	*ret = doc("{'A': 'b'}");
	return 0;
}

static void labels_of_failed_releases_make_room(void **state)
{
	static const struct step steps[] = {
		{ "DescribeSecret", NULL, "{'ARN': 'arn'}" },
		{ "DescribeSecret", NULL, "{'ARN': 'arn'}" },
		{ "PutSecretValue", NULL, "LimitExceededException" },
		{ "DescribeSecret", NULL,
		  "{'ARN': 'arn', 'VersionIdsToStages': {"
		  "'1': ['slipway-o-7-1'], '2': ['slipway-o-7-2'], "
		  "'3': ['slipway-o-7-3', 'AWSCURRENT']}}" },
		{ "UpdateSecretVersionStage",
		  "{'VersionStage': 'slipway-o-7-3'}", "{}" },
		{ "DescribeSecret", NULL, "{'ARN': 'arn'}" },
		{ "PutSecretValue", NULL, "{'ARN': 'arn', 'VersionId': '9'}" },
		{ NULL, NULL, NULL },
	};
	const struct release next = { .version = 6, .config_version = 4 };
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_prepare(&target, &app, &next, &err), 0);
	expect(target.secrets, "[{'name': 'A', 'valueFrom': 'arn:A::9'}]");
	json_decref(target.secrets);
}

static void a_secret_of_another_installation_is_not_touched(void **state)
{
	static const struct step steps[] = {
		{ "DescribeSecret", NULL,
		  "{'Tags': [{'Key': 'slipway:owner', 'Value': 'x'}, "
		  "{'Key': 'slipway:app', 'Value': '7'}]}" },
		{ "DescribeSecret", NULL,
		  "{'Tags': [{'Key': 'slipway:owner', 'Value': 'x'}, "
		  "{'Key': 'slipway:app', 'Value': '7'}]}" },
		{ NULL, NULL, NULL },
	};
	const struct release next = { .version = 6, .config_version = 4 };
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_prepare(&target, &app, &next, &err), -ERR_EXISTS);
	assert_int_equal(ecs_remove_vars(&target, &app, &err), 0);
}

/* ---- ps ---- */

static void ps_shows_the_tasks_of_every_page(void **state)
{
	static const struct step steps[] = {
		{ "ListServices", NULL, LISTED },
		{ "DescribeServices", NULL,
		  "{'services': [{" SERVICE ", " TAGS "}]}" },
		{ "ListTasks", "{'nextToken': null}",
		  "{'taskArns': ['t/1'], 'nextToken': 'n'}" },
		{ "DescribeTasks", "{'tasks': ['t/1']}",
		  "{'tasks': [{'taskArn': 't/1', 'startedAt': 20}]}" },
		{ "DescribeTaskDefinition", NULL, DEFINITION(RELEASE("4")) },
		{ "ListTasks", "{'nextToken': 'n'}", "{'taskArns': ['t/2']}" },
		{ "DescribeTasks", "{'tasks': ['t/2']}",
		  "{'tasks': [{'taskArn': 't/2', 'startedAt': 10}]}" },
		{ NULL, NULL, NULL },
	};
	struct target_process *list = NULL;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_processes(&target.base, &app, &list, &err), 2);
	assert_string_equal(list[0].detail, "task 2");
	assert_int_equal(list[0].index, 1);
	assert_int_equal(list[1].index, 2);
	free(list);
}

/* ---- the release phase ---- */

static void a_release_task_that_started_all_the_same_is_stopped(void **state)
{
	static const char *const command[] = { "migrate", NULL };
	static const struct step steps[] = {
		{ "DescribeTaskDefinition", NULL,
		  "ClientException: Unable to describe task definition." },
		{ "RegisterTaskDefinition", NULL,
		  "{'taskDefinition': {'taskDefinitionArn': 'def:1', "
		  "'containerDefinitions': [{'name': 'release'}]}}" },
		{ "RunTask", "{'count': 1}", CANCELED },
		{ "ListTasks", "{'desiredStatus': 'RUNNING'}",
		  "{'taskArns': ['t/1']}" },
		{ "ListTasks", "{'desiredStatus': 'STOPPED'}",
		  "{'taskArns': []}" },
		{ "StopTask", "{'task': 't/1'}", "{}" },
		{ NULL, NULL, NULL },
	};
	struct release release = { .version = 5,
				   .commit = (char *)"c",
				   .published = (char *)"r@" DA };
	struct error err;

	(void)state;
	target.prepared = 5;
	target.secrets = json_array();
	script = steps;
	assert_int_equal(ecs_release_phase(&target.base, &app, &release,
					   command, &report, &err),
			 -ERR_CANCELED);
	json_decref(target.secrets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_target_group_of_another_app_is_not_taken),
		T(one_that_somebody_made_is_used_as_it_is),
		T(a_rule_for_a_path_or_an_old_domain_is_not_ours),
		T(a_rule_whose_making_was_not_answered_is_made_once),
		T(a_host_name_that_another_rule_takes_is_refused),
		T(a_rule_with_other_groups_is_not_deleted),
		T(a_group_that_somebody_made_outlives_the_app),
		T(a_service_that_runs_our_definition_is_the_apps),
		T(a_service_that_somebody_made_is_not_deleted),
		T(images_of_revisions_on_every_page_are_kept),
		T(labels_of_failed_releases_make_room),
		T(a_secret_of_another_installation_is_not_touched),
		T(ps_shows_the_tasks_of_every_page),
		T(a_release_task_that_started_all_the_same_is_stopped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ecs target", tests, NULL, NULL);
}
