/*
 * tests/unit/aws_script.h - a client of AWS that answers as it is told to, in
 * the place of builder/aws/aws.c.
 *
 * Defines functions of builder/aws/aws.h: include it in one file of a test.
 */
#ifndef TESTS_UNIT_AWS_SCRIPT_H
#define TESTS_UNIT_AWS_SCRIPT_H

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
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"

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

#endif
