/* builder/aws/aws_query.h, percent.h: form fields out, XML in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/aws_query.h"
#include "builder/aws/percent.h"

/* ---- form fields ---- */

static void assert_form(const char *input, const char *wanted)
{
	auto_buf struct buf out = BUF_INIT(65536);
	auto_free char *whole = xasprintf("Action=Op&Version=V%s", wanted);
	json_auto_t *doc = json_loads(input, 0, NULL);
	struct error err = ERROR_INIT;

	assert_non_null(doc);
	if (aws_query_encode("Op", "V", doc, &out, &err) != 0)
		fail_msg("%s: %s", input, err.msg);
	assert_string_equal(buf_str(&out), whole);
}

static void members_become_form_fields(void **state)
{
	(void)state;
	assert_form("{}", "");
	assert_form("{\"Name\":\"x\",\"Port\":80}", "&Name=x&Port=80");
	assert_form("{\"A\":true,\"B\":false}", "&A=true&B=false");
	assert_form("{\"A\":-9007199254740993}", "&A=-9007199254740993");
	assert_form("{\"A\":1.5}", "&A=1.5");
	assert_form("{\"A\":\"\"}", "&A=");
	assert_form("{\"A\":null,\"B\":1}", "&B=1");
}

static void lists_are_numbered_from_one(void **state)
{
	(void)state;
	assert_form("{\"Subnets\":[\"a\",\"b\"]}",
		    "&Subnets.member.1=a&Subnets.member.2=b");
	assert_form("{\"Subnets\":[]}", "&Subnets=");
	assert_form("{\"T\":[{\"Id\":\"1\",\"Port\":80},{\"Id\":\"2\"}]}",
		    "&T.member.1.Id=1&T.member.1.Port=80&T.member.2.Id=2");
	assert_form("{\"C\":[{\"Field\":\"f\",\"V\":{\"Values\":[\"x\"]}}]}",
		    "&C.member.1.Field=f&C.member.1.V.Values.member.1=x");
}

static void names_and_values_are_percent_encoded(void **state)
{
	(void)state;
	assert_form("{\"A\":\"a b+c&d=e/\\u00e9~\"}",
		    "&A=a%20b%2Bc%26d%3De%2F%C3%A9~");
	assert_form("{\"A B\":\"*\"}", "&A%20B=%2A");
	assert_form("{\"A\":\"line\\nline\"}", "&A=line%0Aline");
}

static void a_request_over_the_maximum_is_refused(void **state)
{
	auto_buf struct buf out = BUF_INIT(40);
	json_auto_t *doc =
		json_pack("{s:s}", "A", "0123456789012345678901234567890");
	struct error err;

	(void)state;
	assert_int_equal(aws_query_encode("Op", "V", doc, &out, &err),
			 -ERR_LIMIT);
}

static void input_nested_too_deeply_is_refused(void **state)
{
	auto_buf struct buf out = BUF_INIT(65536);
	json_t *doc = json_object();
	struct error err;

	(void)state;
	for (int i = 0; i < 100; i++)
		doc = json_pack("{s:o}", "A", doc);
	assert_int_equal(aws_query_encode("Op", "V", doc, &out, &err),
			 -ERR_INVALID);
	json_decref(doc);
}

static void percent_encoding_keeps_the_unreserved(void **state)
{
	auto_buf struct buf out = BUF_INIT(1024);

	(void)state;
	percent_encode(&out, (struct slice){ "aZ09-._~/\0\xff!", 12 }, "/");
	assert_string_equal(buf_str(&out), "aZ09-._~/%00%FF%21");
}

/* ---- XML ---- */

static void assert_xml(const char *xml, const char *wanted)
{
	json_auto_t *doc = NULL;
	struct error err = ERROR_INIT;
	auto_free char *text = NULL;

	if (aws_xml_read(slice_str(xml), &doc, &err) != 0)
		fail_msg("%s: %s", xml, err.msg);
	text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, wanted);
}

static void elements_become_members(void **state)
{
	(void)state;
	assert_xml("<A>x</A>", "{\"A\":\"x\"}");
	assert_xml("<A/>", "{\"A\":\"\"}");
	assert_xml("<?xml version=\"1.0\"?>\n<A xmlns=\"urn:x\" b=\"c\">\n"
		   "  <B>1</B>\n  <C><D>2</D></C>\n</A>\n",
		   "{\"A\":{\"B\":\"1\",\"C\":{\"D\":\"2\"}}}");
}

static void members_become_arrays(void **state)
{
	(void)state;
	assert_xml("<A><L><member>1</member><member>2</member></L></A>",
		   "{\"A\":{\"L\":[\"1\",\"2\"]}}");
	assert_xml("<A><L><member><Id>1</Id></member></L></A>",
		   "{\"A\":{\"L\":[{\"Id\":\"1\"}]}}");
	assert_xml("<A><L><member><M><member>x</member></M></member>"
		   "<member/></L></A>",
		   "{\"A\":{\"L\":[{\"M\":[\"x\"]},\"\"]}}");
}

static void what_does_not_fit_is_left_out(void **state)
{
	(void)state;
	assert_xml("<A><B>1</B><B>2</B></A>", "{\"A\":{\"B\":\"1\"}}");
	assert_xml("<A><member>1</member><B>2</B></A>", "{\"A\":[\"1\"]}");
	assert_xml("<A><B>1</B><member>2</member></A>",
		   "{\"A\":{\"B\":\"1\",\"member\":\"2\"}}");
	assert_xml("<A>text<B>1</B>more</A>", "{\"A\":{\"B\":\"1\"}}");
}

static void text_is_kept_as_it_is(void **state)
{
	(void)state;
	assert_xml("<A> a &amp; b &#233; &lt;</A>",
		   "{\"A\":\" a & b \xc3\xa9 <\"}");
	assert_xml("<A><![CDATA[<x> & y]]></A>", "{\"A\":\"<x> & y\"}");
	assert_xml("<A>a<!-- no -->b</A>", "{\"A\":\"ab\"}");
	assert_xml("<?xml version='1.0' encoding='ISO-8859-1'?><A>\xe9</A>",
		   "{\"A\":\"\xc3\xa9\"}");
}

static void assert_no_xml(struct slice xml, const char *word)
{
	json_t *doc = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(aws_xml_read(xml, &doc, &err), -ERR_PROTO);
	assert_null(doc);
	if (!strstr(err.msg, word))
		fail_msg("'%s' is not in '%s'", word, err.msg);
}

static void broken_xml_is_refused(void **state)
{
	static const char *const broken[] = {
		"",	    "x",	  "<A>",       "<A></B>",
		"<A/><B/>", "<A>&x;</A>", "{\"a\":1}", "<A>\xff</A>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		assert_no_xml(slice_str(broken[i]), "line 1");
	assert_no_xml((struct slice){ NULL, 0 }, "XML");
	assert_no_xml(slice_str("<A>\n<B>\n</A>"), "line 3");
}

/* Entities that grow begin with one. */
static void a_document_type_is_refused(void **state)
{
	(void)state;
	assert_no_xml(slice_str("<!DOCTYPE a [<!ENTITY x \"xx\">]><a>&x;</a>"),
		      "a document type");
	assert_no_xml(
		slice_str("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"),
		"a document type");
}

static void endless_xml_is_refused(void **state)
{
	auto_buf struct buf deep = BUF_INIT(1 << 20);
	auto_buf struct buf wide = BUF_INIT(4 << 20);

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_adds(&deep, "<a>");
	assert_no_xml(buf_slice(&deep), "too deeply");
	buf_adds(&wide, "<a>");
	for (int i = 0; i < AWS_XML_ELEMENTS_MAX; i++)
		buf_adds(&wide, "<b/>");
	assert_no_xml(buf_slice(&wide), "too many");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_become_form_fields),
		cmocka_unit_test(lists_are_numbered_from_one),
		cmocka_unit_test(names_and_values_are_percent_encoded),
		cmocka_unit_test(a_request_over_the_maximum_is_refused),
		cmocka_unit_test(input_nested_too_deeply_is_refused),
		cmocka_unit_test(percent_encoding_keeps_the_unreserved),
		cmocka_unit_test(elements_become_members),
		cmocka_unit_test(members_become_arrays),
		cmocka_unit_test(what_does_not_fit_is_left_out),
		cmocka_unit_test(text_is_kept_as_it_is),
		cmocka_unit_test(broken_xml_is_refused),
		cmocka_unit_test(a_document_type_is_refused),
		cmocka_unit_test(endless_xml_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
