/* builder/rollout/ecs/service.h and ecs/back.h: services made, changed and
 * taken back, against scripted replies: what the double does not do at will. */
#include "tests/unit/ecs_script.h"

#include <unistd.h>

#include "builder/rollout/ecs/back.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/roll.h"
#include "builder/rollout/ecs/service.h"
#include "builder/store/app_lock.h"

/* ---- a service is changed ---- */

static const struct ecs_service_plan plan = { .app = &app,
					      .name = "shop-web",
					      .type = "web",
					      .version = 5,
					      .count = 2,
					      .taskdef = "def:5",
					      .container = "web",
					      .target_group = "group",
					      .port = 5000 };

#define NETWORK                                                                \
	"'networkConfiguration': {'awsvpcConfiguration': {"                    \
	"'subnets': ['subnet-1'], 'securityGroups': ['sg-1'], "                \
	"'assignPublicIp': 'DISABLED'}}"
#define BREAKER                                                                \
	"'deploymentCircuitBreaker': {'enable': true, 'rollback': true, "      \
	"'resetOnHealthyTask': false, 'thresholdConfiguration': "              \
	"{'type': 'COUNT', 'value': 3}}"
#define BALANCER(port)                                                         \
	"{'targetGroupArn': 'group', 'containerName': 'web', "                 \
	"'containerPort': " port "}"

static void an_update_has_only_what_changes(void **state)
{
	json_auto_t *service = doc("{" SERVICE ", " TAGS ", " NETWORK ","
				   "'deploymentConfiguration': {" BREAKER
				   ", 'maximumPercent': 200},"
				   "'healthCheckGracePeriodSeconds': 60,"
				   "'loadBalancers': [" BALANCER("5000") "]}");
	json_auto_t *input = ecs_update_input(&target, service, &plan);

	(void)state;
	expect(input, "{'cluster': 'c', 'service': 'shop-web', "
		      "'taskDefinition': 'def:5'}");
}

static void the_order_of_subnets_is_no_change(void **state)
{
	static const char other[] =
		"{" SERVICE ", " TAGS ", 'networkConfiguration': "
		"{'awsvpcConfiguration': {'subnets': ['subnet-3', 'subnet-1'], "
		"'securityGroups': ['sg-1'], 'assignPublicIp': 'DISABLED'}}}";
	json_auto_t *service = doc(other);
	json_auto_t *input = NULL;
	struct error err;

	(void)state;
	assert_int_equal(
		config_set_option(
			&cfg, "target.prod.subnets=subnet-1, subnet-3", &err),
		0);
	input = ecs_update_input(&target, service, &plan);
	assert_null(json_object_get(input, "networkConfiguration"));
	json_decref(input);
	assert_int_equal(
		config_set_option(
			&cfg, "target.prod.subnets=subnet-1, subnet-2", &err),
		0);
	input = ecs_update_input(&target, service, &plan);
	assert_non_null(json_object_get(input, "networkConfiguration"));
}

static void what_aws_does_not_know_of_the_breaker_needs_no_undo(void **state)
{
	static const char *const rows[][2] = {
		{ "{'enable': true, 'rollback': true}", "{}" },
		{ "{'enable': true, 'rollback': false}",
		  "{'deploymentConfiguration': {'deploymentCircuitBreaker': "
		  "{'enable': true, 'rollback': false}}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *text = xasprintf(
			"{" SERVICE ", " TAGS ", " NETWORK ", 'loadBalancers': "
			"[" BALANCER(
				"5000") "], "
					"'healthCheckGracePeriodSeconds': 60, "
					"'deploymentConfiguration': "
					"{'deploymentCircuitBreaker': %s}}",
			rows[i][0]);
		json_auto_t *service = doc(text);
		json_auto_t *input = ecs_update_input(&target, service, &plan);
		json_auto_t *undo = ecs_undo_of(service, input);

		assert_non_null(
			json_object_get(input, "deploymentConfiguration"));
		expect(undo, rows[i][1]);
	}
}

static void what_people_tuned_stays(void **state)
{
	json_auto_t *service =
		doc("{" SERVICE ", " TAGS ", " NETWORK ","
		    "'healthCheckGracePeriodSeconds': 60,"
		    "'deploymentConfiguration': {'maximumPercent': 150,"
		    "'alarms': {'enable': true}},"
		    "'loadBalancers': [" BALANCER(
			    "5000") ", "
				    "{'targetGroupArn': 'internal'}]}");
	json_auto_t *input = ecs_update_input(&target, service, &plan);

	(void)state;
	expect(json_object_get(input, "deploymentConfiguration"),
	       "{'maximumPercent': 150, 'alarms': {'enable': true}, " BREAKER
	       "}");
	assert_null(json_object_get(input, "loadBalancers"));
}

static void a_changed_port_can_be_undone(void **state)
{
	static const char before[] =
		"[{'targetGroupArn': 'internal'}, " BALANCER("3000") "]";
	auto_free char *text = xasprintf(
		"{" SERVICE ", " TAGS ", " NETWORK ", 'loadBalancers': %s,"
		"'healthCheckGracePeriodSeconds': 10,"
		"'deploymentConfiguration': {" BREAKER "}}",
		before);
	json_auto_t *service = doc(text);
	json_auto_t *input = ecs_update_input(&target, service, &plan);
	json_auto_t *undo = ecs_undo_of(service, input);

	(void)state;
	expect(json_object_get(input, "loadBalancers"),
	       "[{'targetGroupArn': 'internal'}, " BALANCER("5000") "]");
	expect(json_object_get(undo, "loadBalancers"), before);
	expect(json_object_get(undo, "healthCheckGracePeriodSeconds"), "10");
	assert_int_equal(json_object_size(undo), 2);
}

static void a_first_balancer_is_undone_without_its_grace(void **state)
{
	json_auto_t *service =
		doc("{" SERVICE ", 'deploymentConfiguration': {" BREAKER "},"
		    "'healthCheckGracePeriodSeconds': 0}");
	json_auto_t *input = ecs_update_input(&target, service, &plan);
	json_auto_t *undo = ecs_undo_of(service, input);

	(void)state;
	expect(json_object_get(input, "loadBalancers"),
	       "[" BALANCER("5000") "]");
	expect(undo, "{'loadBalancers': []}");
	/* Nobody's: their network is theirs. */
	assert_null(json_object_get(input, "networkConfiguration"));
}

static void a_new_service_fits_the_live_revision_again(void **state)
{
	json_auto_t *other = ecs_undo_of_creation(&plan, 3000);
	json_auto_t *same = ecs_undo_of_creation(&plan, 5000);
	json_auto_t *unknown = ecs_undo_of_creation(&plan, 0);

	(void)state;
	expect(other, "{'loadBalancers': [" BALANCER("3000") "]}");
	expect(same, "{}");
	expect(unknown, "{}");
}

static void tasks_are_counted_only_when_there_are_none(void **state)
{
	json_auto_t *service = doc("{'desiredCount': 0}");
	json_auto_t *input = ecs_update_input(&target, service, &plan);
	json_auto_t *undo = ecs_undo_of(service, input);

	(void)state;
	expect(json_object_get(input, "desiredCount"), "2");
	expect(json_object_get(undo, "desiredCount"), "0");
}

static void a_capacity_provider_comes_and_goes(void **state)
{
	json_auto_t *plain = doc("{" SERVICE ", " TAGS "}");
	json_auto_t *spot =
		doc("{" SERVICE ", " TAGS ", 'capacityProviderStrategy': "
		    "[{'capacityProvider': 'FARGATE_SPOT', 'weight': 1}]}");
	json_auto_t *back = ecs_update_input(&target, spot, &plan);
	json_auto_t *stays = ecs_update_input(&target, plain, &plan);
	json_auto_t *undo = NULL;
	json_auto_t *comes = NULL;
	struct error err;

	(void)state;
	expect(json_object_get(back, "capacityProviderStrategy"), "[]");
	expect(json_object_get(back, "forceNewDeployment"), "true");
	assert_null(json_object_get(stays, "forceNewDeployment"));
	assert_int_equal(
		config_set(&cfg, "target.prod.capacity", "fargate-spot", &err),
		0);
	comes = ecs_update_input(&target, plain, &plan);
	expect(json_object_get(comes, "capacityProviderStrategy"),
	       "[{'capacityProvider': 'FARGATE_SPOT', 'weight': 1}]");
	undo = ecs_undo_of(plain, comes);
	expect(json_object_get(undo, "capacityProviderStrategy"), "[]");
}

/* ---- a service is made ---- */

#define CREATED                                                                \
	"{'service': {'serviceName': 'shop-web', 'deployments': "              \
	"[{'id': 'ecs-svc/1', 'status': 'PRIMARY'}]}}"

static void a_rule_that_ecs_does_not_see_yet_is_waited_for(void **state)
{
	static const struct step steps[] = {
		{ "CreateService", "{'desiredCount': 2}",
		  "InvalidParameterException: The target group with "
		  "targetGroupArn group does not have an associated load "
		  "balancer." },
		{ "CreateService", NULL, CREATED },
		{ NULL, NULL, NULL },
	};
	json_t *service = NULL;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_create_service(&target, &plan, &service, &err), 0);
	json_decref(service);
}

static void one_that_is_there_after_all_is_told_apart(void **state)
{
	static const struct step steps[] = {
		{ "CreateService", NULL,
		  "InvalidParameterException: Creation of service was not "
		  "idempotent." },
		{ NULL, NULL, NULL },
	};
	json_t *service = NULL;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_create_service(&target, &plan, &service, &err),
			 -ERR_EXISTS);
}

static void without_a_deployment_there_is_nothing_to_follow(void **state)
{
	static const struct step steps[] = {
		{ "UpdateService", NULL,
		  "{'service': {'deployments': [], 'taskSets': []}}" },
		{ NULL, NULL, NULL },
	};
	json_auto_t *input = json_object();
	json_t *service = NULL;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_update_service(&target, input, &service, &err),
			 -ERR_PROTO);
}

static void a_wrong_key_is_named(void **state)
{
	static const struct step steps[] = {
		{ "DescribeServices", NULL,
		  "ClusterNotFoundException: Cluster not found." },
		{ NULL, NULL, NULL },
	};
	const char *const names[] = { "a", NULL };
	json_t *services = NULL;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecs_describe_services(&target, names, &services, &err),
			 -ERR_PEER);
	assert_non_null(strstr(err.msg, "target.prod.cluster"));
}

/* ---- what to go back to ---- */

static void expect_previous(const struct step *steps, const char *service,
			    const char *current, const char *want)
{
	json_auto_t *s = doc(service);
	json_auto_t *c = doc(current);
	auto_free char *got = NULL;
	struct error err;

	script = steps;
	assert_int_equal(ecs_find_previous(&target, &app, s, c, &got, &err), 0);
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
	assert_null(script->operation);
}

static void it_goes_back_to_what_was_live(void **state)
{
	static const struct step none[] = { { NULL, NULL, NULL } };
	static const struct step looked[] = {
		{ "ListTaskDefinitions", "{'familyPrefix': 'f'}",
		  FAMILY("'def:5', 'def:4'") },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'def:5'}",
		  DEFINITION(RELEASE("5")) },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'def:4'}",
		  DEFINITION(RELEASE("4")) },
		{ NULL, NULL, NULL },
	};
	static const struct step not_found[] = {
		{ "ListTaskDefinitions", NULL, FAMILY("'def:5'") },
		{ "DescribeTaskDefinition", NULL, DEFINITION(RELEASE("5")) },
		{ NULL, NULL, NULL },
	};

	(void)state;
	expect_previous(none, "{'taskDefinition': 'def:4'}",
			DEFINITION(RELEASE("4")), "def:4");
	/* A builder that was killed left its rollout. */
	expect_previous(looked, "{'taskDefinition': 'def:5'}",
			DEFINITION(RELEASE("5")), "def:4");
	expect_previous(not_found,
			"{'taskDefinition': 'def:5', 'deployments': ["
			"{'status': 'PRIMARY', 'taskDefinition': 'def:5'},"
			"{'rolloutState': 'COMPLETED', 'taskDefinition': "
			"'def:3'}]}",
			DEFINITION(RELEASE("5")), "def:3");
	expect_previous(not_found, "{'taskDefinition': 'def:5'}",
			DEFINITION(RELEASE("5")), NULL);
}

static void what_somebody_deployed_by_hand_was_there_before(void **state)
{
	static const struct step none[] = { { NULL, NULL, NULL } };
	static const struct step looked[] = {
		{ "ListTaskDefinitions", NULL, FAMILY("'def:4'") },
		{ "DescribeTaskDefinition", NULL, DEFINITION(RELEASE("4")) },
		{ NULL, NULL, NULL },
	};

	(void)state;
	expect_previous(none,
			"{'taskDefinition': 'def:9', 'deployments': ["
			"{'status': 'PRIMARY', 'rolloutState': 'COMPLETED'}]}",
			DEFINITION("'tags': []"), "def:9");
	/* It does not run yet, and may never. */
	expect_previous(looked,
			"{'taskDefinition': 'def:9', 'deployments': ["
			"{'status': 'PRIMARY', 'rolloutState': "
			"'IN_PROGRESS'}]}",
			DEFINITION("'tags': []"), "def:4");
}

/* ---- going back ---- */

static const struct process_plan web = { .type = "web", .count = 1 };

static void make_roll(struct ecs_roll *r, const char *previous,
		      const char *undo)
{
	memset(r, 0, sizeof(*r));
	r->p = &web;
	r->name = xstrdup("shop-web");
	r->previous = previous ? xstrdup(previous) : NULL;
	r->undo = doc(undo);
}

#define REVERTED                                                               \
	"{'service': {'serviceName': 'shop-web', 'deployments': ["             \
	"{'id': 'ecs-svc/3', 'status': 'PRIMARY'}]}}"
#define BACK                                                                   \
	"{'services': [{'serviceName': 'shop-web', 'status': 'ACTIVE', "       \
	"'deployments': [{'id': 'ecs-svc/3', 'status': 'PRIMARY', "            \
	"'taskDefinition': 'x/def:4', 'rolloutState': 'COMPLETED', "           \
	"'runningCount': 2, 'desiredCount': 2}]}]}"

static void a_rollout_that_may_have_begun_is_taken_back(void **state)
{
	static const struct step steps[] = {
		{ "UpdateService",
		  "{'taskDefinition': 'def:4', 'loadBalancers': [], "
		  "'desiredCount': null}",
		  NO_ANSWER },
		{ "DescribeServices", NULL, "{'services': []}" },
		{ "UpdateService", "{'taskDefinition': 'def:4'}", REVERTED },
		{ "DescribeServices", NULL, BACK },
		{ NULL, NULL, NULL },
	};
	struct ecs_roll roll;

	(void)state;
	make_roll(&roll, "def:4", "{'loadBalancers': []}");
	roll.may_have_begun = true;
	script = steps;
	ecs_go_back(&target, &app, &roll, 1);
	assert_non_null(strstr(told, "Going back to v4"));
	assert_non_null(strstr(told, "web: back on def:4, 2 of 2 running"));
	ecs_roll_release(&roll);
}

#define PRIMARY(id, state)                                                     \
	"{'services': [{'serviceName': 'shop-web', 'status': 'ACTIVE', "       \
	"'deployments': [{'id': '" id "', 'status': 'PRIMARY', "               \
	"'taskDefinition': 'x/def:9', 'rolloutState': '" state "'}]}]}"

#define GOING_ON "{'serviceDeployments': [{'serviceDeploymentArn': 'sd/1'}]}"

static void go_back_from(const struct step *steps, const char *undo)
{
	struct ecs_roll roll;

	make_roll(&roll, "x/def:4", undo);
	roll.is_completed = true;
	roll.id = xstrdup("ecs-svc/2");
	roll.before = xstrdup("ecs-svc/3");
	script = steps;
	ecs_go_back(&target, &app, &roll, 1);
	assert_non_null(strstr(told, "web: back on def:4, 2 of 2 running"));
	ecs_roll_release(&roll);
}

static void a_stop_is_enough_where_the_definition_alone_changed(void **state)
{
	static const struct step stopped[] = {
		{ "DescribeServices", NULL,
		  PRIMARY("ecs-svc/2", "IN_PROGRESS") },
		{ "ListServiceDeployments", "{'service': 'shop-web'}",
		  GOING_ON },
		{ "StopServiceDeployment",
		  "{'serviceDeploymentArn': 'sd/1', 'stopType': 'ROLLBACK'}",
		  "{}" },
		{ "DescribeServices", NULL, BACK },
		{ NULL, NULL, NULL },
	};
	static const struct step updated[] = {
		{ "DescribeServices", NULL,
		  PRIMARY("ecs-svc/2", "IN_PROGRESS") },
		{ "UpdateService",
		  "{'taskDefinition': 'x/def:4', 'loadBalancers': []}",
		  REVERTED },
		{ "DescribeServices", NULL, BACK },
		{ NULL, NULL, NULL },
	};

	(void)state;
	go_back_from(stopped, "{}");
	go_back_from(updated, "{'loadBalancers': []}");
}

static void what_was_not_made_needs_no_way_back(void **state)
{
	static const struct step steps[] = {
		{ "UpdateService",
		  "{'desiredCount': 0, 'taskDefinition': null}",
		  "ServiceNotFoundException: Service not found." },
		{ NULL, NULL, NULL },
	};
	struct ecs_roll roll;

	(void)state;
	make_roll(&roll, NULL, "{'desiredCount': 0}");
	roll.may_have_begun = true;
	script = steps;
	ecs_go_back(&target, &app, &roll, 1);
	ecs_roll_release(&roll);
}

static void ecs_may_have_gone_back_to_another_revision(void **state)
{
	static const struct step steps[] = {
		{ "DescribeServices", NULL,
		  "{'services': [{'serviceName': 'shop-web', 'status': "
		  "'ACTIVE', 'deployments': [{'id': 'ecs-svc/1', 'status': "
		  "'PRIMARY', 'taskDefinition': 'x/def:2', 'rolloutState': "
		  "'COMPLETED'}]}]}" },
		{ "DescribeServices", NULL,
		  "{'services': [{'serviceName': 'shop-web', 'status': "
		  "'ACTIVE', 'deployments': [{'id': 'ecs-svc/1', 'status': "
		  "'PRIMARY', 'taskDefinition': 'x/def:2', 'rolloutState': "
		  "'COMPLETED'}]}]}" },
		{ "UpdateService", "{'taskDefinition': 'x/def:4'}", REVERTED },
		{ "DescribeServices", NULL, BACK },
		{ NULL, NULL, NULL },
	};
	struct ecs_roll roll;

	(void)state;
	make_roll(&roll, "x/def:4", "{}");
	roll.id = xstrdup("ecs-svc/2");
	roll.before = xstrdup("ecs-svc/1");
	roll.was_seen = true;
	roll.verdict = ECS_ROLLED_BACK;
	script = steps;
	ecs_go_back(&target, &app, &roll, 1);
	assert_non_null(strstr(told, "web: back on def:4"));
	ecs_roll_release(&roll);
}

static void what_ecs_does_not_take_back_is_taken_back(void **state)
{
	static const struct step steps[] = {
		{ "DescribeServices", NULL, PRIMARY("ecs-svc/1", "COMPLETED") },
		{ "DescribeServices", NULL, PRIMARY("ecs-svc/1", "COMPLETED") },
		{ "UpdateService",
		  "{'taskDefinition': 'x/def:9', 'desiredCount': 0}",
		  REVERTED },
		{ "DescribeServices", NULL, BACK },
		{ NULL, NULL, NULL },
	};
	struct ecs_roll roll;

	(void)state;
	make_roll(&roll, "x/def:9", "{'desiredCount': 0}");
	roll.id = xstrdup("ecs-svc/2");
	roll.before = xstrdup("ecs-svc/1");
	roll.verdict = ECS_ROLLED_BACK;
	script = steps;
	ecs_go_back(&target, &app, &roll, 1);
	assert_non_null(strstr(told, "web: it had no tasks before"));
	ecs_roll_release(&roll);
}

static void what_somebody_deploys_while_ecs_goes_back_is_left(void **state)
{
	static const struct step steps[] = {
		{ "DescribeServices", NULL,
		  PRIMARY("ecs-svc/2", "IN_PROGRESS") },
		{ "DescribeServices", NULL,
		  PRIMARY("ecs-svc/1", "IN_PROGRESS") },
		{ "DescribeServices", NULL, PRIMARY("ecs-svc/4", "COMPLETED") },
		{ NULL, NULL, NULL },
	};
	struct ecs_roll roll;

	(void)state;
	make_roll(&roll, "x/def:9", "{}");
	roll.id = xstrdup("ecs-svc/2");
	roll.before = xstrdup("ecs-svc/1");
	roll.verdict = ECS_ROLLED_BACK;
	script = steps;
	ecs_go_back(&target, &app, &roll, 1);
	assert_non_null(strstr(told, "web: left as somebody else wants it"));
	ecs_roll_release(&roll);
}

/* ---- what a killed worker left ---- */

#define ON(name, def)                                                          \
	"{'serviceName': '" name "', 'status': 'ACTIVE', 'desiredCount': 1, "  \
	"'taskDefinition': '" def "', 'deployments': [{'status': 'PRIMARY', "  \
	"'taskDefinition': '" def "', 'rolloutState': 'COMPLETED'}], " TAGS    \
	", 'loadBalancers': [" BALANCER("3000") "]}"

/* The store of these tests. */
static int64_t live;
static int64_t interrupted;

int store_app_get_id(struct store *st, int64_t id, struct app *ret,
		     struct error *err)
{
	(void)st;
	(void)err;
	assert_int_equal(id, app.id);
	*ret = app;
	ret->live_version = live;
	return 0;
}

void app_release(struct app *a)
{
	(void)a;
}

int store_release_interrupted(struct store *st, int64_t app_id,
			      int64_t *ret_version, struct error *err)
{
	(void)st;
	(void)app_id;
	(void)err;
	*ret_version = interrupted;
	return 1;
}

static void reconcile(const struct step *steps, int64_t live_version,
		      int64_t interrupted_version)
{
	char dir[] = "/tmp/test_ecs_XXXXXX";
	char locks[sizeof(dir) + 8];
	struct release none = { .version = 0 };
	struct error err;

	assert_non_null(mkdtemp(dir));
	free(cfg.data);
	cfg.data = xstrdup(dir);
	live = live_version;
	interrupted = interrupted_version;
	script = steps;
	assert_int_equal(
		ecs_reconcile(&target.base, &app, &none, 1, &report, &err), 0);
	app_lock_forget(dir, app.id);
	snprintf(locks, sizeof(locks), "%s/locks", dir);
	rmdir(locks);
	assert_int_equal(rmdir(dir), 0);
}

static void a_rollout_that_nobody_follows_goes_back(void **state)
{
	static const struct step steps[] = {
		{ "ListServices", NULL,
		  "{'serviceArns': ['c/shop-web', 'c/shop-cron']}" },
		{ "DescribeServices", NULL,
		  "{'services': [" ON("shop-web", "f:5") ", " ON("shop-cron",
								 "g:1") "]}" },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'f:5'}",
		  DEFINITION(RELEASE("5")) },
		{ "ListTaskDefinitions", NULL, FAMILY("'f:4'") },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'f:4'}",
		  DEFINITION(RELEASE("4")) },
		{ "DescribeTaskDefinition", "{'taskDefinition': 'f:4'}",
		  "{'taskDefinition': {'containerDefinitions': [{'name': "
		  "'web', 'environment': [{'name': 'PORT', 'value': "
		  "'5000'}]}]}}" },
		{ "UpdateService",
		  "{'service': 'shop-web', 'taskDefinition': 'f:4', "
		  "'loadBalancers': [" BALANCER("5000") "]}",
		  CREATED },
		/* As somebody else wants it. */
		{ "DescribeTaskDefinition", "{'taskDefinition': 'g:1'}",
		  DEFINITION("'tags': []") },
		{ NULL, NULL, NULL },
	};

	(void)state;
	reconcile(steps, 4, 5);
	assert_non_null(strstr(told, "app=shop v5 was interrupted: service "
				     "shop-web goes back to f:4"));
}

static void a_first_one_goes_to_nothing(void **state)
{
	static const struct step steps[] = {
		{ "ListServices", NULL, "{'serviceArns': ['c/shop-web']}" },
		{ "DescribeServices", NULL,
		  "{'services': [" ON("shop-web", "f:1") "]}" },
		{ "DescribeTaskDefinition", NULL, DEFINITION(RELEASE("1")) },
		{ "UpdateService", "{'desiredCount': 0}", CREATED },
		{ NULL, NULL, NULL },
	};

	(void)state;
	reconcile(steps, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_update_has_only_what_changes),
		T(the_order_of_subnets_is_no_change),
		T(what_aws_does_not_know_of_the_breaker_needs_no_undo),
		T(what_people_tuned_stays),
		T(a_changed_port_can_be_undone),
		T(a_first_balancer_is_undone_without_its_grace),
		T(a_new_service_fits_the_live_revision_again),
		T(tasks_are_counted_only_when_there_are_none),
		T(a_capacity_provider_comes_and_goes),
		T(a_rule_that_ecs_does_not_see_yet_is_waited_for),
		T(one_that_is_there_after_all_is_told_apart),
		T(without_a_deployment_there_is_nothing_to_follow),
		T(a_wrong_key_is_named),
		T(it_goes_back_to_what_was_live),
		T(what_somebody_deployed_by_hand_was_there_before),
		T(a_rollout_that_may_have_begun_is_taken_back),
		T(a_stop_is_enough_where_the_definition_alone_changed),
		T(what_was_not_made_needs_no_way_back),
		T(ecs_may_have_gone_back_to_another_revision),
		T(what_ecs_does_not_take_back_is_taken_back),
		T(what_somebody_deploys_while_ecs_goes_back_is_left),
		T(a_rollout_that_nobody_follows_goes_back),
		T(a_first_one_goes_to_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ecs service", tests, NULL, NULL);
}
