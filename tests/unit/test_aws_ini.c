/* builder/aws/aws_ini.h: sections, nesting, duplicates, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "builder/aws/aws_ini.h"

static struct aws_ini parsed(const char *text, enum aws_ini_file file)
{
	struct aws_ini ini = { 0 };
	struct error err = ERROR_INIT;

	if (aws_ini_parse(slice_str(text), file, &ini, &err) < 0)
		fail_msg("%s", err.msg);
	return ini;
}

static void profile_has(const struct aws_ini *ini, const char *name,
			const char *key, const char *value)
{
	const char *found = aws_ini_get(ini, AWS_INI_PROFILE, name, key);

	if (!value) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, value);
}

static void refused(const char *text, int code, const char *message)
{
	struct aws_ini ini = { 0 };
	struct error err = ERROR_INIT;

	assert_int_equal(
		aws_ini_parse(slice_str(text), AWS_INI_CONFIG, &ini, &err),
		-code);
	assert_non_null(strstr(err.msg, message));
	assert_null(ini.entries);
}

static void config_names_profiles(void **state)
{
	struct aws_ini ini = parsed("[default]\nregion = eu-west-1\n"
				    "[profile ops]\nregion=us-east-1\n"
				    "[profile \"two words\"]\nregion = r2\n"
				    "[ops]\nregion = not-a-profile\n"
				    "[profile\tempty]\n",
				    AWS_INI_CONFIG);

	(void)state;
	profile_has(&ini, "default", "region", "eu-west-1");
	profile_has(&ini, "ops", "region", "us-east-1");
	profile_has(&ini, "two words", "region", "r2");
	assert_true(aws_ini_has(&ini, AWS_INI_PROFILE, "empty"));
	assert_false(aws_ini_has(&ini, AWS_INI_PROFILE, "none"));
	aws_ini_release(&ini);
}

static void credentials_name_them_bare(void **state)
{
	struct aws_ini ini = parsed("[ops]\naws_access_key_id = A\n"
				    "[profile x]\naws_access_key_id = B\n",
				    AWS_INI_CREDENTIALS);

	(void)state;
	profile_has(&ini, "ops", "aws_access_key_id", "A");
	profile_has(&ini, "x", "aws_access_key_id", NULL);
	profile_has(&ini, "profile x", "aws_access_key_id", NULL);
	aws_ini_release(&ini);
}

static void the_last_of_duplicates_wins(void **state)
{
	struct aws_ini ini = parsed("[default]\na = 1\nb = 1\na = 2\n"
				    "[profile x]\n"
				    "[profile default]\nb = 3\nB = 4\n",
				    AWS_INI_CONFIG);

	(void)state;
	profile_has(&ini, "default", "a", "2");
	profile_has(&ini, "default", "b", "4");
	aws_ini_release(&ini);
}

static void whole_lines_are_comments(void **state)
{
	struct aws_ini ini =
		parsed("\xef\xbb\xbf# c\r\n; c\r\n[default] # c\r\n"
		       "  # c\r\n\r\nkey = a # b ; c\r\n",
		       AWS_INI_CONFIG);

	(void)state;
	profile_has(&ini, "default", "key", "a # b ; c");
	aws_ini_release(&ini);
}

static void deeper_lines_nest_or_continue(void **state)
{
	struct aws_ini ini = parsed("[default]\n"
				    "s3 =\n"
				    "  region = nested\n"
				    "\n"
				    "  # c\n"
				    "  Max = 2\n"
				    "command = one\n"
				    "\ttwo = 2\n"
				    "region = own\n"
				    "[profile indented]\n"
				    "  region = a\n"
				    "  output = b\n"
				    "  s3 =\n"
				    "    x = y\n"
				    "  z = 1\n",
				    AWS_INI_CONFIG);

	(void)state;
	profile_has(&ini, "default", "s3", "");
	profile_has(&ini, "default", "s3.region", "nested");
	profile_has(&ini, "default", "s3.max", "2");
	profile_has(&ini, "default", "command", "one\ntwo = 2");
	profile_has(&ini, "default", "region", "own");
	profile_has(&ini, "indented", "output", "b");
	profile_has(&ini, "indented", "s3.x", "y");
	profile_has(&ini, "indented", "z", "1");
	aws_ini_release(&ini);
}

static void services_and_other_sections(void **state)
{
	const char *text = "[services local]\n"
			   "ecs =\n"
			   "  endpoint_url = http://localhost:1\n"
			   "[sso-session my]\n"
			   "anything that is no setting\n"
			   "[profile x]\nservices = local\n";
	struct aws_ini ini = parsed(text, AWS_INI_CONFIG);

	(void)state;
	assert_string_equal(aws_ini_get(&ini, AWS_INI_SERVICES, "local",
					"ecs.endpoint_url"),
			    "http://localhost:1");
	profile_has(&ini, "x", "services", "local");
	profile_has(&ini, "my", "", NULL);
	aws_ini_release(&ini);
}

static void says_the_line_and_not_its_content(void **state)
{
	struct aws_ini ini = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	refused("key = value\n", ERR_INVALID, "line 1: expected a [section]");
	refused("[default]\nkey\n", ERR_INVALID, "line 2: expected 'key");
	refused("[default]\n = v\n", ERR_INVALID, "line 2: expected 'key");
	refused("\n\n[default\n", ERR_INVALID, "line 3: '[' without ']'");
	refused("[]\n", ERR_INVALID, "line 1: a section without a name");
	refused("[profile \"\"]\n", ERR_INVALID, "a section without a name");
	refused("[default]\ns3 =\n  nested\n", ERR_INVALID, "line 3");
	assert_int_equal(aws_ini_parse((struct slice){ "[a]\nb=\0\n", 8 },
				       AWS_INI_CREDENTIALS, &ini, &err),
			 -ERR_INVALID);
	assert_int_equal(aws_ini_parse(slice_str("[default]\nSECRET\n"),
				       AWS_INI_CREDENTIALS, &ini, &err),
			 -ERR_INVALID);
	assert_null(strstr(err.msg, "SECRET"));
}

static void bounds_entries_and_values(void **state)
{
	struct buf text = BUF_INIT(1 << 20);

	(void)state;
	buf_adds(&text, "[default]\n");
	for (int i = 0; i < AWS_INI_ENTRIES_MAX; i++)
		buf_adds(&text, "a=b\n");
	refused(buf_str(&text), ERR_LIMIT, "entries");
	buf_reset(&text);
	buf_adds(&text, "[default]\na=b\n");
	for (int i = 0; i < AWS_INI_VALUE_MAX / 4; i++)
		buf_adds(&text, "  cccc\n");
	refused(buf_str(&text), ERR_LIMIT, "bytes");
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_names_profiles),
		cmocka_unit_test(credentials_name_them_bare),
		cmocka_unit_test(the_last_of_duplicates_wins),
		cmocka_unit_test(whole_lines_are_comments),
		cmocka_unit_test(deeper_lines_nest_or_continue),
		cmocka_unit_test(services_and_other_sections),
		cmocka_unit_test(says_the_line_and_not_its_content),
		cmocka_unit_test(bounds_entries_and_values),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
