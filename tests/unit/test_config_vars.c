/* builder/store/config_vars.h: names, values, bounds, and no leaks. */
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
#include "base/json.h"
#include "builder/store/config_vars.h"

static struct error err;

static int name(const char *text)
{
	err.msg[0] = '\0';
	return config_var_check_name(text, &err);
}

static int set(json_t *vars, const char *key, const char *value)
{
	return config_vars_set(vars, key, slice_str(value), &err);
}

static void names_are_those_of_a_shell(void **state)
{
	static const char *const bad[] = { "",	  "1A",	     "A-B",
					   "A B", "A.B",     "\xc3\x84",
					   "A\n", "s3-cret", "=s3-cret" };
	char longest[CONFIG_NAME_MAX + 2];

	(void)state;
	assert_int_equal(name("A"), 0);
	assert_int_equal(name("_a1_B"), 0);
	assert_int_equal(name("PORTS"), 0);
	assert_int_equal(name("slipway_app"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(name(bad[i]), -ERR_INVALID);
		assert_null(strstr(err.msg, "s3-cret"));
	}
	memset(longest, 'A', sizeof(longest));
	longest[CONFIG_NAME_MAX + 1] = '\0';
	assert_int_equal(name(longest), -ERR_LIMIT);
	longest[CONFIG_NAME_MAX] = '\0';
	assert_int_equal(name(longest), 0);
}

static void what_slipway_sets_is_not_to_be_set(void **state)
{
	(void)state;
	assert_int_equal(name("PORT"), -ERR_INVALID);
	assert_string_equal(err.msg, "PORT is set by Slipway");
	assert_int_equal(name("SLIPWAY_APP"), -ERR_INVALID);
	assert_int_equal(name("SLIPWAY_WHATEVER"), -ERR_INVALID);
}

static void setting_tells_what_changed(void **state)
{
	json_auto_t *vars = json_object();

	(void)state;
	assert_int_equal(set(vars, "A", "1"), 1);
	assert_int_equal(set(vars, "A", "1"), 0);
	assert_int_equal(set(vars, "A", "12"), 1);
	assert_int_equal(set(vars, "B", ""), 1);
	assert_int_equal(set(vars, "B", ""), 0);
	assert_string_equal(json_get_str(vars, "A", ""), "12");
	assert_true(config_vars_unset(vars, "A"));
	assert_false(config_vars_unset(vars, "A"));
	assert_int_equal(json_object_size(vars), 1);
}

static void refused(struct slice value, int code)
{
	json_auto_t *vars = json_object();

	assert_int_equal(config_vars_set(vars, "A", value, &err), code);
	assert_int_equal(json_object_size(vars), 0);
	assert_null(strstr(err.msg, "s3cret"));
}

static void values_are_text_of_a_bounded_length(void **state)
{
	auto_buf struct buf large = BUF_INIT(CONFIG_VALUE_MAX + 1);
	json_auto_t *vars = json_object();

	(void)state;
	refused((struct slice){ "s3cret\0x", 8 }, -ERR_INVALID);
	refused(slice_str("s3cret\xff"), -ERR_INVALID);
	while (large.len < CONFIG_VALUE_MAX)
		buf_addc(&large, 'x');
	assert_int_equal(config_vars_set(vars, "A", buf_slice(&large), &err),
			 1);
	buf_addc(&large, 'x');
	refused(buf_slice(&large), -ERR_LIMIT);
	assert_int_equal(set(vars, "B", "two\nlines\t\xc3\xa4"), 1);
}

static void all_together_are_bounded(void **state)
{
	auto_buf struct buf half = BUF_INIT(CONFIG_VALUE_MAX);
	json_auto_t *many = json_object();
	json_auto_t *large = json_object();

	(void)state;
	for (int i = 0; i < CONFIG_VARS_MAX; i++) {
		auto_free char *key = xasprintf("A%d", i);

		assert_int_equal(set(many, key, "x"), 1);
	}
	assert_int_equal(config_vars_check(many, &err), 0);
	assert_int_equal(set(many, "B", "x"), 1);
	assert_int_equal(config_vars_check(many, &err), -ERR_LIMIT);
	while (half.len < CONFIG_VALUE_MAX)
		buf_addc(&half, 'x');
	assert_int_equal(set(large, "A", buf_str(&half)), 1);
	assert_int_equal(config_vars_check(large, &err), 0);
	assert_int_equal(set(large, "B", buf_str(&half)), 1);
	assert_int_equal(config_vars_check(large, &err), -ERR_LIMIT);
}

static void references_are_found(void **state)
{
	json_auto_t *vars = json_object();

	(void)state;
	assert_true(config_value_is_reference("ssm:/shop/db"));
	assert_true(config_value_is_reference("secretsmanager:arn:aws:x"));
	assert_false(config_value_is_reference("SSM:x"));
	assert_false(config_value_is_reference("https://ssm:x"));
	assert_int_equal(set(vars, "A", "1"), 1);
	assert_null(config_vars_reference(vars));
	assert_int_equal(set(vars, "DB", "ssm:/shop/db"), 1);
	assert_string_equal(config_vars_reference(vars), "DB");
}

static void a_wiped_value_is_gone(void **state)
{
	json_t *vars = json_object();
	json_t *value;

	(void)state;
	assert_int_equal(set(vars, "A", "s3cret"), 1);
	value = json_incref(json_object_get(vars, "A"));
	config_vars_wipe(vars);
	assert_memory_equal(json_string_value(value), "\0\0\0\0\0\0", 6);
	json_decref(value);
	config_vars_wipe(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_a_shell),
		cmocka_unit_test(what_slipway_sets_is_not_to_be_set),
		cmocka_unit_test(setting_tells_what_changed),
		cmocka_unit_test(values_are_text_of_a_bounded_length),
		cmocka_unit_test(all_together_are_bounded),
		cmocka_unit_test(references_are_found),
		cmocka_unit_test(a_wiped_value_is_gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
