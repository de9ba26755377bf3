/* base/json.h: documents read through field tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

struct thing {
	const char *name;
	json_int_t count;
	bool is_on;
	json_t *more;
	json_t *items;
};

static const struct json_field fields[] = {
	JSON_FIELD(struct thing, name, "name", JSON_FIELD_STRING,
		   JSON_REQUIRED),
	JSON_FIELD(struct thing, count, "count", JSON_FIELD_INT, JSON_OPTIONAL),
	JSON_FIELD(struct thing, is_on, "on", JSON_FIELD_BOOL, JSON_OPTIONAL),
	JSON_FIELD(struct thing, more, "more", JSON_FIELD_OBJECT,
		   JSON_OPTIONAL),
	JSON_FIELD(struct thing, items, "items", JSON_FIELD_ARRAY,
		   JSON_OPTIONAL),
	{ 0 },
};

static json_t *parsed(const char *text)
{
	struct error err;
	json_t *doc = NULL;

	assert_int_equal(json_parse(slice_str(text), "it", &doc, &err), 0);
	return doc;
}

static void reads_every_kind(void **state)
{
	json_auto_t *doc =
		parsed("{\"name\":\"n\",\"count\":-7,\"on\":true,"
		       "\"more\":{\"a\":1},\"items\":[1,2],\"other\":3}");
	struct thing t = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(json_read(doc, fields, "thing", &t, &err), 0);
	assert_string_equal(t.name, "n");
	assert_int_equal(t.count, -7);
	assert_true(t.is_on);
	assert_int_equal(json_object_size(t.more), 1);
	assert_int_equal(json_array_size(t.items), 2);
}

static void leaves_absent_and_null_alone(void **state)
{
	json_auto_t *doc = parsed("{\"name\":\"n\",\"count\":null}");
	struct thing t = { .count = 5, .is_on = true };
	struct error err;

	(void)state;
	assert_int_equal(json_read(doc, fields, "thing", &t, &err), 0);
	assert_int_equal(t.count, 5);
	assert_true(t.is_on);
	assert_null(t.items);
}

static void assert_refused(const char *text, const char *why)
{
	json_auto_t *doc = parsed(text);
	struct thing t = { 0 };
	struct error err;

	assert_int_equal(json_read(doc, fields, "thing", &t, &err),
			 -ERR_INVALID);
	assert_string_equal(err.msg, why);
}

static void names_the_member_that_is_wrong(void **state)
{
	(void)state;
	assert_refused("{}", "thing.name: missing");
	assert_refused("{\"name\":null}", "thing.name: missing");
	assert_refused("{\"name\":1}", "thing.name: expected a string");
	assert_refused("{\"name\":\"a\\u0000b\"}",
		       "thing.name: expected a string");
	assert_refused("{\"name\":\"n\",\"count\":1.5}",
		       "thing.count: expected an integer");
	assert_refused("{\"name\":\"n\",\"on\":1}",
		       "thing.on: expected true or false");
	assert_refused("{\"name\":\"n\",\"more\":[]}",
		       "thing.more: expected an object");
	assert_refused("{\"name\":\"n\",\"items\":{}}",
		       "thing.items: expected an array");
	assert_refused("[]", "thing: expected an object");
}

static void says_where_a_text_is_wrong(void **state)
{
	static const char *const bad[] = { "",
					   "{",
					   "{\"a\":1,\"a\":2}",
					   "{\"a\":\"\xff\"}",
					   "{} x",
					   "{\"a\":1e999}" };
	struct error err;
	json_t *doc = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			json_parse(slice_str(bad[i]), "it", &doc, &err),
			-ERR_INVALID);
		assert_null(doc);
	}
	assert_int_equal(
		json_parse(slice_str("{\n \"a\" 1}"), "it", &doc, &err),
		-ERR_INVALID);
	assert_memory_equal(err.msg, "it:2:", 5);
}

static void bounds_the_depth(void **state)
{
	auto_buf struct buf deep = BUF_INIT(200000);
	struct error err;
	json_t *doc = NULL;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_addc(&deep, '[');
	assert_int_equal(json_parse(buf_slice(&deep), "it", &doc, &err),
			 -ERR_INVALID);
}

static void finds_members_by_path(void **state)
{
	json_auto_t *doc = parsed("{\"a\":{\"b\":{\"c\":\"x\"}},\"n\":1}");

	(void)state;
	assert_string_equal(
		json_string_value(json_at(doc, "a", "b", "c", NULL)), "x");
	assert_null(json_at(doc, "a", "z", "c", NULL));
	assert_null(json_at(doc, "n", "b", NULL));
	assert_null(json_at(NULL, "a", NULL));
	assert_string_equal(json_get_str(doc, "n", "else"), "else");
	assert_string_equal(json_get_str(doc, "zz", "else"), "else");
	assert_null(json_get_str(NULL, "n", NULL));
}

static void makes_strings_of_any_bytes(void **state)
{
	json_auto_t *s = json_string_safe("a\xff\0b", 4);

	(void)state;
	assert_int_equal(json_string_length(s), 6);
	assert_memory_equal(json_string_value(s), "a\xef\xbf\xbd\0b", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_kind),
		cmocka_unit_test(leaves_absent_and_null_alone),
		cmocka_unit_test(names_the_member_that_is_wrong),
		cmocka_unit_test(says_where_a_text_is_wrong),
		cmocka_unit_test(bounds_the_depth),
		cmocka_unit_test(finds_members_by_path),
		cmocka_unit_test(makes_strings_of_any_bytes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
