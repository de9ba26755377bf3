#include "builder/aws/aws_query.h"

#include "base/error.h"
#include "base/json.h"
#include "builder/aws/percent.h"

#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- form fields ---- */

#define NAME_MAX_BYTES	1024
#define INPUT_DEPTH_MAX 16

static int add_value(struct buf *name, const json_t *value, int depth,
		     struct buf *out, struct error *err);

static void add_field(struct buf *out, const char *name, struct slice value)
{
	buf_addc(out, '&');
	percent_encode(out, slice_str(name), "");
	buf_addc(out, '=');
	percent_encode(out, value, "");
}

/* The value under `name` + "." + `part`; `name` is as before afterwards. */
static int add_part(struct buf *name, const char *part, const json_t *value,
		    int depth, struct buf *out, struct error *err)
{
	size_t len = name->len;
	int r;

	buf_addf(name, "%s%s", len ? "." : "", part);
	r = buf_check(name, "name of a member", err);
	if (r == 0)
		r = add_value(name, value, depth + 1, out, err);
	name->len = len;
	if (name->data)
		name->data[len] = '\0';
	return r;
}

static int add_list(struct buf *name, const json_t *list, int depth,
		    struct buf *out, struct error *err)
{
	size_t i;
	const json_t *item;
	int r = 0;

	if (json_array_size(list) == 0)
		add_field(out, buf_str(name), slice_str(""));
	json_array_foreach(list, i, item)
	{
		char part[32];

		snprintf(part, sizeof(part), "member.%zu", i + 1);
		r = add_part(name, part, item, depth, out, err);
		if (r < 0)
			break;
	}
	return r;
}

static int add_members(struct buf *name, const json_t *object, int depth,
		       struct buf *out, struct error *err)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)object, key, value)
	{
		r = add_part(name, key, value, depth, out, err);
		if (r < 0)
			break;
	}
	return r;
}

static void add_number(struct buf *name, const json_t *value, struct buf *out)
{
	char text[64];

	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
	else
		snprintf(text, sizeof(text), "%.17g", json_real_value(value));
	add_field(out, buf_str(name), slice_str(text));
}

static int add_value(struct buf *name, const json_t *value, int depth,
		     struct buf *out, struct error *err)
{
	if (depth > INPUT_DEPTH_MAX)
		return err_set(err, ERR_INVALID, "nested too deeply");
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return add_members(name, value, depth, out, err);
	case JSON_ARRAY:
		return add_list(name, value, depth, out, err);
	case JSON_STRING:
		add_field(out, buf_str(name),
			  (struct slice){ json_string_value(value),
					  json_string_length(value) });
		return 0;
	case JSON_INTEGER:
	case JSON_REAL:
		add_number(name, value, out);
		return 0;
	case JSON_TRUE:
	case JSON_FALSE:
		add_field(out, buf_str(name),
			  slice_str(json_is_true(value) ? "true" : "false"));
		return 0;
	case JSON_NULL:
		break;
	}
	return 0;
}

int aws_query_encode(const char *operation, const char *version,
		     const json_t *input, struct buf *out, struct error *err)
{
	auto_buf struct buf name = BUF_INIT(NAME_MAX_BYTES);
	int r;

	buf_addf(out, "Action=%s&Version=%s", operation, version);
	r = add_value(&name, input, 0, out, err);
	return r < 0 ? r : buf_check(out, "request", err);
}

/* ---- XML ---- */

struct element {
	json_t *value; /* NULL until an element was found in it */
	struct buf text;
};

struct reader {
	XML_Parser parser;
	struct element open[AWS_XML_DEPTH_MAX + 1]; /* 0: the document */
	int depth;
	int count;
	const char *complaint; /* why we stopped */
};

static void stop(struct reader *rd, const char *complaint)
{
	rd->complaint = complaint;
	XML_StopParser(rd->parser, XML_FALSE);
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name,
			       const XML_Char *system, const XML_Char *public,
			       int has_internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)has_internal;
	stop(ctx, "a document type");
}

static void XMLCALL on_start(void *ctx, const XML_Char *name,
			     const XML_Char **attributes)
{
	struct reader *rd = ctx;

	(void)name;
	(void)attributes;
	if (rd->complaint)
		return;
	if (rd->depth == AWS_XML_DEPTH_MAX) {
		stop(rd, "elements nested too deeply");
		return;
	}
	if (++rd->count > AWS_XML_ELEMENTS_MAX) {
		stop(rd, "too many elements");
		return;
	}
	rd->depth++;
	rd->open[rd->depth].value = NULL;
	buf_reset(&rd->open[rd->depth].text);
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int len)
{
	struct reader *rd = ctx;

	if (!rd->complaint && !rd->open[rd->depth].value)
		buf_add(&rd->open[rd->depth].text, text, (size_t)len);
}

/*
 * The first element decides what its parent is.  What does not fit, a
 * stranger in a list or the same name again, is left out.
 */
static void put(struct element *parent, const char *name, json_t *value)
{
	bool is_item = strcmp(name, "member") == 0;

	if (!parent->value)
		parent->value = is_item ? json_array() : json_object();
	if (json_is_array(parent->value) && is_item)
		json_array_append_new(parent->value, value);
	else if (json_is_object(parent->value) &&
		 !json_object_get(parent->value, name))
		json_object_set_new(parent->value, name, value);
	else
		json_decref(value);
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct reader *rd = ctx;
	struct element *e = &rd->open[rd->depth];
	json_t *value = e->value;

	if (rd->complaint)
		return;
	if (!value)
		value = json_string_safe(buf_str(&e->text), e->text.len);
	e->value = NULL;
	rd->depth--;
	put(&rd->open[rd->depth], name, value);
}

static int parse(struct reader *rd, struct slice xml, struct error *err)
{
	if (xml.len > INT_MAX)
		return err_set(err, ERR_PROTO, "XML: too long");
	XML_SetUserData(rd->parser, rd);
	XML_SetElementHandler(rd->parser, on_start, on_end);
	XML_SetCharacterDataHandler(rd->parser, on_text);
	XML_SetStartDoctypeDeclHandler(rd->parser, on_doctype);
	if (XML_Parse(rd->parser, xml.ptr, (int)xml.len, 1) == XML_STATUS_OK)
		return 0;
	return err_set(err, ERR_PROTO, "XML, line %lu: %s",
		       (unsigned long)XML_GetCurrentLineNumber(rd->parser),
		       rd->complaint
			       ? rd->complaint
			       : XML_ErrorString(XML_GetErrorCode(rd->parser)));
}

int aws_xml_read(struct slice xml, json_t **ret_doc, struct error *err)
{
	struct reader rd = { .parser = XML_ParserCreate(NULL) };
	int r;

	if (!rd.parser)
		return err_set(err, ERR_BUG, "expat does not start");
	for (int i = 0; i <= AWS_XML_DEPTH_MAX; i++)
		rd.open[i].text = (struct buf)BUF_INIT(xml.len + 1);
	r = parse(&rd, xml, err);
	if (r == 0)
		*ret_doc = json_incref(rd.open[0].value);
	for (int i = 0; i <= AWS_XML_DEPTH_MAX; i++) {
		json_decref(rd.open[i].value);
		buf_release(&rd.open[i].text);
	}
	XML_ParserFree(rd.parser);
	return r;
}
