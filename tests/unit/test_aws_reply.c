/* builder/aws/aws_reply.h, aws_service.h: outputs and errors of services. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/aws/aws.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/aws_reply.h"
#include "builder/aws/aws_service.h"

/* ---- outputs ---- */

static void assert_output(enum aws_service service, const char *body,
			  const char *wanted)
{
	json_auto_t *doc = NULL;
	struct error err = ERROR_INIT;
	auto_free char *text = NULL;

	if (aws_reply_output(aws_service_info(service), "Op", slice_str(body),
			     &doc, &err) != 0)
		fail_msg("%s: %s", body, err.msg);
	text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, wanted);
}

static void assert_nonsense(enum aws_service service, const char *body)
{
	json_t *doc = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(aws_reply_output(aws_service_info(service), "Op",
					  slice_str(body), &doc, &err),
			 -ERR_PROTO);
	assert_null(strstr(err.msg, "SECRET"));
}

static void an_output_is_an_object_whatever_is_spoken(void **state)
{
	(void)state;
	assert_output(AWS_ECS, "{\"a\":[1]}", "{\"a\":[1]}");
	assert_output(AWS_ECS, "", "{}");
	assert_output(AWS_LOGS, " \n", "{}");
	assert_output(AWS_STS,
		      "<OpResponse xmlns=\"x\"><OpResult><Account>1</Account>"
		      "</OpResult><ResponseMetadata><RequestId>r</RequestId>"
		      "</ResponseMetadata></OpResponse>",
		      "{\"Account\":\"1\"}");
	assert_output(AWS_ELB, "<OpResponse><OpResult/></OpResponse>", "{}");
	assert_output(AWS_ELB,
		      "<OpResponse><ResponseMetadata><RequestId>r</RequestId>"
		      "</ResponseMetadata></OpResponse>",
		      "{}");
}

static void an_epoch_with_a_fraction_is_a_number(void **state)
{
	(void)state;
	assert_output(AWS_ECS, "{\"createdAt\":1.48E9}",
		      "{\"createdAt\":1480000000.0}");
}

static void another_document_is_nonsense_and_not_quoted(void **state)
{
	(void)state;
	assert_nonsense(AWS_ECS, "<html>SECRET</html>");
	assert_nonsense(AWS_ECS, "{\"SecretString\":\"SECRET");
	assert_nonsense(AWS_ECS, "{\"SecretString\":SECRET}");
	assert_nonsense(AWS_ECS, "[]");
	assert_nonsense(AWS_STS, "{}");
	assert_nonsense(AWS_STS, "");
	assert_nonsense(AWS_STS, "<OtherResponse/>");
	assert_nonsense(AWS_STS, "<member/>");
	assert_nonsense(AWS_STS, "<OpResponse><OpResult>");
}

/* ---- errors ---- */

static struct aws_error read_error(enum aws_service service, const char *type,
				   const char *body)
{
	struct aws_http_reply reply = { .status = 400,
					.body = BUF_INIT(1 << 20) };
	struct aws_error e;

	snprintf(reply.error_type, sizeof(reply.error_type), "%s", type);
	snprintf(reply.request_id, sizeof(reply.request_id), "id-1");
	buf_adds(&reply.body, body);
	memset(&e, 'x', sizeof(e));
	aws_reply_error(aws_service_info(service), &reply, &e);
	buf_release(&reply.body);
	assert_int_equal(e.status, 400);
	assert_string_equal(e.request_id, "id-1");
	return e;
}

struct error_case {
	enum aws_service service;
	const char *type; /* x-amzn-ErrorType */
	const char *body;
	const char *code;
	const char *message;
};

static void errors_are_read_in_every_shape(void **state)
{
	static const struct error_case all[] = {
		{ AWS_ECS, "",
		  "{\"__type\":\"ClientException\",\"message\":"
		  "\"No.\"}",
		  "ClientException", "No." },
		{ AWS_ECS, "",
		  "{\"__type\":\"com.amazonaws.ecs#ClientException\","
		  "\"Message\":\"No.\"}",
		  "ClientException", "No." },
		{ AWS_ECS, "", "{\"__type\":\"a#Code:http://x/y\"}", "Code",
		  "" },
		{ AWS_ECS, "Code:http://internal/", "{\"message\":\"m\"}",
		  "Code", "m" },
		{ AWS_ECS, "Code", "", "Code", "" },
		{ AWS_ECS, "", "{\"code\":\"Code\",\"message\":\"m\"}", "Code",
		  "m" },
		{ AWS_ECS, "", "{\"__type\":7,\"message\":[]}", "", "" },
		{ AWS_ECS, "", "{}", "", "" },
		{ AWS_STS, "",
		  "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>"
		  "AccessDenied</Code><Message>No &lt;way&gt;</Message></Error>"
		  "<RequestId>other</RequestId></ErrorResponse>",
		  "AccessDenied", "No <way>" },
		{ AWS_STS, "", "<ErrorResponse/>", "", "" },
		{ AWS_ECS, "",
		  "<html><head><title>503 Service</title></head>\r\n<body>\n"
		  "<h1>Temporarily\tUnavailable</h1></body></html>",
		  "", "503 Service Temporarily Unavailable" },
		{ AWS_STS, "", "upstream connect error", "",
		  "upstream connect error" },
		{ AWS_ECS, "", "[1]", "", "[1]" },
		{ AWS_ECS, "", "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct aws_error e =
			read_error(all[i].service, all[i].type, all[i].body);

		if (strcmp(e.code, all[i].code) != 0 ||
		    strcmp(e.message, all[i].message) != 0)
			fail_msg("%s: '%s' '%s'", all[i].body, e.code,
				 e.message);
	}
}

static void the_request_id_may_be_in_the_body(void **state)
{
	struct aws_http_reply reply = { .status = 403, .body = BUF_INIT(4096) };
	struct aws_error e;

	(void)state;
	buf_adds(&reply.body,
		 "<ErrorResponse><Error><Code>C</Code></Error>"
		 "<RequestId>in-the-body</RequestId></ErrorResponse>");
	aws_reply_error(aws_service_info(AWS_ELB), &reply, &e);
	buf_release(&reply.body);
	assert_string_equal(e.request_id, "in-the-body");
}

static void messages_are_one_line_of_whole_characters(void **state)
{
	struct aws_error e = read_error(
		AWS_ECS, "",
		"{\"__type\":\"C\",\"message\":\"a\\nb\\u0000c\\u001b[1m\"}");

	(void)state;
	assert_string_equal(e.message, "a b c [1m");
}

static void long_messages_are_cut_between_characters(void **state)
{
	auto_buf struct buf body = BUF_INIT(65536);
	struct aws_error e;

	(void)state;
	buf_adds(&body, "{\"__type\":\"C\",\"message\":\"");
	for (int i = 0; i < 2000; i++)
		buf_adds(&body, "\xe2\x82\xac");
	buf_adds(&body, "\"}");
	e = read_error(AWS_ECS, "", buf_str(&body));
	assert_in_range(strlen(e.message), sizeof(e.message) - 4,
			sizeof(e.message) - 1);
	assert_true(text_is_utf8(slice_str(e.message)));
	assert_null(strstr(e.message, "\xef\xbf\xbd"));
}

static void long_codes_and_pages_are_cut(void **state)
{
	auto_buf struct buf page = BUF_INIT(65536);
	struct aws_error e;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_adds(&page, "word ");
	e = read_error(AWS_ECS, "", buf_str(&page));
	assert_in_range(strlen(e.message), 190, 200);
	e = read_error(AWS_ECS, buf_str(&page), "");
	assert_in_range(strlen(e.code), 90, sizeof(e.code) - 1);
}

static void assert_action(const char *message, const char *wanted)
{
	char action[64] = "";
	bool found = aws_denied_action(message, action, sizeof(action));

	assert_int_equal(found, wanted != NULL);
	if (wanted)
		assert_string_equal(action, wanted);
}

static void the_action_to_allow_is_found_in_the_message(void **state)
{
	(void)state;
	assert_action("User: arn:aws:sts::1:assumed-role/r/s is not authorized "
		      "to perform: ecs:UpdateService on resource: arn because",
		      "ecs:UpdateService");
	assert_action("not authorized to perform: iam:PassRole",
		      "iam:PassRole");
	assert_action("not authorized to perform: nothing here", NULL);
	assert_action("not authorized to perform: ", NULL);
	assert_action("Access denied", NULL);
	assert_action("not authorized to perform: a:bbbbbbbbbbbbbbbbbbbbbbbbbbb"
		      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
		      NULL);
}

/* ---- the table ---- */

static void every_service_speaks_one_protocol(void **state)
{
	(void)state;
	for (int i = 0; i < AWS_SERVICES_COUNT; i++) {
		const struct aws_service_info *s =
			aws_service_info((enum aws_service)i);

		assert_non_null(s->name);
		assert_true(!s->target_prefix == !s->json_version);
		assert_true(!s->target_prefix == !!s->query_version);
	}
	assert_string_equal(aws_service_name(AWS_ELB), "elasticloadbalancing");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_output_is_an_object_whatever_is_spoken),
		cmocka_unit_test(an_epoch_with_a_fraction_is_a_number),
		cmocka_unit_test(another_document_is_nonsense_and_not_quoted),
		cmocka_unit_test(errors_are_read_in_every_shape),
		cmocka_unit_test(the_request_id_may_be_in_the_body),
		cmocka_unit_test(messages_are_one_line_of_whole_characters),
		cmocka_unit_test(long_messages_are_cut_between_characters),
		cmocka_unit_test(long_codes_and_pages_are_cut),
		cmocka_unit_test(the_action_to_allow_is_found_in_the_message),
		cmocka_unit_test(every_service_speaks_one_protocol),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
