#include "base/json.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <string.h>

static const char *const kind_names[] = {
	[JSON_FIELD_STRING] = "a string",    [JSON_FIELD_INT] = "an integer",
	[JSON_FIELD_BOOL] = "true or false", [JSON_FIELD_OBJECT] = "an object",
	[JSON_FIELD_ARRAY] = "an array",
};

static bool store(const struct json_field *f, json_t *value, char *at)
{
	switch (f->kind) {
	case JSON_FIELD_STRING:
		if (!json_is_string(value) ||
		    strlen(json_string_value(value)) !=
			    json_string_length(value))
			return false;
		*(const char **)(void *)at = json_string_value(value);
		return true;
	case JSON_FIELD_INT:
		if (!json_is_integer(value))
			return false;
		*(json_int_t *)(void *)at = json_integer_value(value);
		return true;
	case JSON_FIELD_BOOL:
		if (!json_is_boolean(value))
			return false;
		*(bool *)(void *)at = json_is_true(value);
		return true;
	case JSON_FIELD_OBJECT:
		if (!json_is_object(value))
			return false;
		*(json_t **)(void *)at = value;
		return true;
	case JSON_FIELD_ARRAY:
		if (!json_is_array(value))
			return false;
		*(json_t **)(void *)at = value;
		return true;
	}
	return false;
}

int json_read(const json_t *doc, const struct json_field *fields,
	      const char *where, void *target, struct error *err)
{
	if (!json_is_object(doc))
		return err_set(err, ERR_INVALID, "%s: expected an object",
			       where);
	for (const struct json_field *f = fields; f->name; f++) {
		json_t *value = json_object_get(doc, f->name);

		if (!value || json_is_null(value)) {
			if (f->need == JSON_OPTIONAL)
				continue;
			return err_set(err, ERR_INVALID, "%s.%s: missing",
				       where, f->name);
		}
		if (!store(f, value, (char *)target + f->offset))
			return err_set(err, ERR_INVALID, "%s.%s: expected %s",
				       where, f->name, kind_names[f->kind]);
	}
	return 0;
}

int json_parse(struct slice text, const char *where, json_t **ret_doc,
	       struct error *err)
{
	json_error_t e;
	json_t *doc = json_loadb(text.ptr, text.len,
				 JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);

	if (!doc)
		return err_set(err, ERR_INVALID, "%s:%d:%d: %s", where, e.line,
			       e.column, e.text);
	*ret_doc = doc;
	return 0;
}

const char *json_get_str(const json_t *doc, const char *key,
			 const char *fallback)
{
	const char *s = json_string_value(json_object_get(doc, key));

	return s ? s : fallback;
}

json_t *json_at(const json_t *doc, ...)
{
	json_t *at = (json_t *)doc;
	const char *key;
	va_list ap;

	va_start(ap, doc);
	while (at && (key = va_arg(ap, const char *)))
		at = json_object_get(at, key);
	va_end(ap);
	return at;
}

json_t *json_string_safe(const char *data, size_t len)
{
	auto_buf struct buf b = BUF_INIT(SIZE_MAX / 4);

	text_add_utf8(&b, (struct slice){ data, len });
	return json_stringn(buf_str(&b), b.len);
}

void json_wipe(json_t *doc)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(doc))
		explicit_bzero((char *)json_string_value(doc),
			       json_string_length(doc));
	json_array_foreach(doc, i, item)
	{
		json_wipe(item);
	}
	json_object_foreach(doc, key, item)
	{
		json_wipe(item);
	}
}
