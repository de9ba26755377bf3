/*
 * tests/unit/ecs_script.h - a client of AWS that answers as it is told to, in
 * the place of builder/aws/aws.c, and a target of type ecs that uses it.
 *
 * Defines functions of builder/aws/aws.h: include it in one file of a test.
 */
#ifndef TESTS_UNIT_ECS_SCRIPT_H
#define TESTS_UNIT_ECS_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/store/store.h"

/* ---- a scripted client in the place of builder/aws/aws.c ---- */

struct step {
	const char *operation;
	const char *input; /* members that it must have (null: not); NULL = any
			    */
	/* JSON with ' for ", or "CODE: message", or one of the following */
	const char *reply;
};

#define NO_ANSWER "!"
#define CANCELED  "~" /* while it was under way */

static struct aws *const client = (struct aws *)&(char){ 0 };
static const struct step *script;
static struct aws_error last;
static bool is_canceled;

static json_t *doc(const char *text)
{
	auto_free char *copy = xstrdup(text);
	json_error_t e;
	json_t *d;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	d = json_loads(copy, JSON_DECODE_ANY, &e);
	if (!d)
		fail_msg("bad test document: %s in %s", e.text, copy);
	return d;
}

static void expect(const json_t *got, const char *wanted)
{
	json_auto_t *want = doc(wanted);
	auto_free char *text =
		got ? json_dumps(got, JSON_ENCODE_ANY) : xstrdup("nothing");

	if (!json_equal(got, want))
		fail_msg("%s instead of %s", text, wanted);
}

static void check_input(const json_t *input, const char *expected)
{
	json_auto_t *wanted = doc(expected);
	const char *key;
	json_t *value;

	json_object_foreach(wanted, key, value)
	{
		json_t *given = json_object_get(input, key);

		if (json_is_null(value) ? given != NULL
					: !json_equal(given, value))
			fail_msg("%s: %s is not as in %s", script->operation,
				 key, expected);
	}
}

int aws_call(struct aws *a, enum aws_service service, const char *operation,
	     const json_t *input, json_t **ret_output, struct error *err)
{
	const char *reply = script->reply;
	const char *colon;

	(void)a;
	(void)service;
	if (!script->operation)
		fail_msg("unexpected %s", operation);
	assert_string_equal(operation, script->operation);
	if (script->input)
		check_input(input, script->input);
	script++;
	memset(&last, 0, sizeof(last));
	if (strcmp(reply, NO_ANSWER) == 0)
		return err_set(err, ERR_TIMEOUT, "%s: no answer", operation);
	is_canceled = strcmp(reply, CANCELED) == 0;
	if (is_canceled)
		return err_set(err, ERR_CANCELED, "canceled");
	if (reply[0] == '{') {
		*ret_output = doc(reply);
		return 0;
	}
	colon = strchr(reply, ':');
	snprintf(last.code, sizeof(last.code), "%.*s",
		 colon ? (int)(colon - reply) : 95, reply);
	snprintf(last.message, sizeof(last.message), "%s",
		 colon ? colon + 2 : "");
	return err_set(err, ERR_PEER, "%s: %s", operation, reply);
}

bool aws_failed_with(const struct aws *a, const char *code)
{
	(void)a;
	return strcmp(last.code, code) == 0;
}

const struct aws_error *aws_last_error(const struct aws *a)
{
	(void)a;
	return &last;
}

const char *aws_region(const struct aws *a)
{
	(void)a;
	return "us-east-1";
}

/* ---- a target and an app ---- */

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
					     .is_canceled = asks_cancel };

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
