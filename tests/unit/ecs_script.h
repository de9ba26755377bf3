/*
 * tests/unit/ecs_script.h - a target of type ecs whose client of AWS answers as
 * it is told to (aws_script.h), and an app on it.
 */
#ifndef TESTS_UNIT_ECS_SCRIPT_H
#define TESTS_UNIT_ECS_SCRIPT_H

#include "tests/unit/aws_script.h"

#include "base/config.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/store/store.h"

#define OURS                                                                   \
	"[{'key': 'slipway:owner', 'value': 'o'},"                             \
	" {'key': 'slipway:app', 'value': '7'},"                               \
	" {'key': 'slipway:process', 'value': 'web'}"
#define TAGS "'tags': " OURS "]"
#define RELEASE(n)                                                             \
	"'tags': " OURS ", {'key': 'slipway:release', 'value': '" n "'}]"
#define ELB_OURS                                                               \
	"{'TagDescriptions': [{'Tags': ["                                      \
	"{'Key': 'slipway:owner', 'Value': 'o'},"                              \
	"{'Key': 'slipway:app', 'Value': '7'}]}]}"
#define ELB_ANOTHERS                                                           \
	"{'TagDescriptions': [{'Tags': ["                                      \
	"{'Key': 'slipway:owner', 'Value': 'o'},"                              \
	"{'Key': 'slipway:app', 'Value': '8'}]}]}"
#define ELB_NOBODYS "{'TagDescriptions': [{'Tags': []}]}"

#define SERVICE                                                                \
	"'serviceName': 'shop-web', 'status': 'ACTIVE', 'desiredCount': 3, "   \
	"'taskDefinition': 'def:4'"
#define DEFINITION(tags) "{'taskDefinition': {'family': 'f'}, " tags "}"
#define FAMILY(arns)	 "{'taskDefinitionArns': [" arns "]}"

static struct config cfg;
static struct ecs target;
static const struct app app = { .id = 7,
				.name = (char *)"shop",
				.live_version = 4 };
static char told[4096];

static void tell(void *ctx, const char *line)
{
	size_t len = strlen(told);

	(void)ctx;
	if (line)
		snprintf(told + len, sizeof(told) - len, "%s\n", line);
}

static void say_nothing(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

static bool asks_cancel(void *ctx)
{
	(void)ctx;
	return is_canceled;
}

static const struct target_report report = { .step = tell,
					     .detail = tell,
					     .error = tell,
					     .busy = say_nothing,
					     .progress = say_nothing,
					     .is_canceled = asks_cancel };

static void expect(const json_t *got, const char *wanted)
{
	json_auto_t *want = doc(wanted);
	auto_free char *text =
		got ? json_dumps(got, JSON_ENCODE_ANY) : xstrdup("nothing");

	if (!json_equal(got, want))
		fail_msg("%s instead of %s", text, wanted);
}

static int open_target(void **state)
{
	static const char *const options[] = {
		"target.prod.type=ecs",
		"target.prod.cluster=c",
		"target.prod.subnets=subnet-1",
		"target.prod.security-groups=sg-1",
		"target.prod.execution-role=role",
		"target.prod.listener=listener",
		"target.prod.vpc=vpc",
		"target.prod.domain=example",
	};
	struct error err;

	(void)state;
	config_init(&cfg);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (config_set_option(&cfg, options[i], &err) < 0)
			return -1;
	memset(&target, 0, sizeof(target));
	target.cfg = &cfg;
	target.section = config_target(&cfg, "prod");
	target.aws = client;
	target.store = (struct store *)client; /* the tests' own, if any */
	target.owner = (char *)"o";
	target.report = &report;
	is_canceled = false;
	told[0] = '\0';
	return 0;
}

static int close_target(void **state)
{
	(void)state;
	config_release(&cfg);
	if (script && script->operation) {
		print_error("%s was not called\n", script->operation);
		return -1;
	}
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_target, close_target)

#endif
