#include "builder/aws/aws_reply.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/aws/aws.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/aws_query.h"
#include "builder/aws/aws_service.h"

#include <stdio.h>
#include <string.h>

#define PAGE_TEXT_MAX 200 /* bytes shown of a page that is not AWS's */

/* ---- success ---- */

static int read_json(struct slice body, json_t **ret, struct error *err)
{
	json_error_t e;
	json_t *doc = json_loadb(body.ptr, body.len, JSON_ALLOW_NUL, &e);

	if (doc && !json_is_object(doc)) {
		json_decref(doc);
		return err_set(err, ERR_PROTO, "the reply is no object");
	}
	/* Without e.text: it quotes the reply, which may be a secret. */
	if (!doc)
		return err_set(err, ERR_PROTO,
			       "the reply is not JSON (line %d, column %d)",
			       e.line, e.column);
	*ret = doc;
	return 0;
}

static int read_xml(const char *operation, struct slice body, json_t **ret,
		    struct error *err)
{
	auto_free char *root = xasprintf("%sResponse", operation);
	auto_free char *name = xasprintf("%sResult", operation);
	json_auto_t *doc = NULL;
	json_t *response;
	json_t *result;
	int r = aws_xml_read(body, &doc, err);

	if (r < 0)
		return err_wrap(err, r, "the reply");
	response = json_object_get(doc, root);
	if (!response)
		return err_set(err, ERR_PROTO, "the reply is no <%s>", root);
	result = json_object_get(response, name);
	*ret = json_is_object(result) ? json_incref(result) : json_object();
	return 0;
}

int aws_reply_output(const struct aws_service_info *service,
		     const char *operation, struct slice body,
		     json_t **ret_output, struct error *err)
{
	if (!service->target_prefix)
		return read_xml(operation, body, ret_output, err);
	if (slice_trim(body).len == 0) {
		*ret_output = json_object();
		return 0;
	}
	return read_json(body, ret_output, err);
}

/* ---- failure ---- */

/*
 * Whole characters of `text` that fit; control characters become spaces, and
 * what is no UTF-8 U+FFFD.
 */
static void copy_text(char *out, size_t size, struct slice text)
{
	auto_buf struct buf clean = BUF_INIT(3 * size);
	struct slice rest;
	size_t len = 0;

	if (text.len > size)
		text.len = size;
	text_add_utf8(&clean, text);
	rest = buf_slice(&clean);
	while (rest.len) {
		struct slice before = rest;
		uint32_t rune = text_next_rune(&rest);
		size_t n = before.len - rest.len;

		if (len + n >= size)
			break;
		memcpy(out + len, before.ptr, n);
		if (rune < ' ' || rune == 0x7f)
			out[len] = ' ';
		len += n;
	}
	out[len] = '\0';
}

static void copy_string(char *out, size_t size, const json_t *value)
{
	copy_text(out, size,
		  (struct slice){
			  json_is_string(value) ? json_string_value(value) : "",
			  json_string_length(value) });
}

/* "ns#Code:uri" is called Code. */
static void copy_code(char *out, size_t size, struct slice name)
{
	const char *hash = name.len ? memrchr(name.ptr, '#', name.len) : NULL;
	const char *colon;

	if (hash) {
		name.len -= (size_t)(hash + 1 - name.ptr);
		name.ptr = hash + 1;
	}
	colon = name.len ? memchr(name.ptr, ':', name.len) : NULL;
	if (colon)
		name.len = (size_t)(colon - name.ptr);
	copy_text(out, size, slice_trim(name));
}

static bool read_json_error(struct slice body, struct aws_error *ret)
{
	json_auto_t *doc = json_loadb(body.ptr, body.len, JSON_ALLOW_NUL, NULL);
	const json_t *type = json_object_get(doc, "__type");
	const json_t *message = json_object_get(doc, "message");

	if (!json_is_object(doc))
		return false;
	if (!message)
		message = json_object_get(doc, "Message");
	if (!type)
		type = json_object_get(doc, "code");
	if (json_is_string(type))
		copy_code(ret->code, sizeof(ret->code),
			  (struct slice){ json_string_value(type),
					  json_string_length(type) });
	copy_string(ret->message, sizeof(ret->message), message);
	return true;
}

/* <ErrorResponse><Error><Code/><Message/></Error><RequestId/> */
static bool read_xml_error(struct slice body, struct aws_error *ret)
{
	json_auto_t *doc = NULL;
	struct error ignored;
	const json_t *response;
	const json_t *error;

	if (aws_xml_read(body, &doc, &ignored) < 0)
		return false;
	response = json_object_get(doc, "ErrorResponse");
	error = json_object_get(response, "Error");
	if (!json_is_object(error))
		return false;
	copy_string(ret->code, sizeof(ret->code),
		    json_object_get(error, "Code"));
	copy_string(ret->message, sizeof(ret->message),
		    json_object_get(error, "Message"));
	if (!ret->request_id[0])
		copy_string(ret->request_id, sizeof(ret->request_id),
			    json_object_get(response, "RequestId"));
	return true;
}

/* The words between the tags, in one line. */
static void read_page(struct slice body, struct aws_error *ret)
{
	auto_buf struct buf text = BUF_INIT(PAGE_TEXT_MAX);
	bool is_tag = false;
	bool is_gap = false;

	for (size_t i = 0; i < body.len && !text.is_truncated; i++) {
		char c = body.ptr[i];

		if (c == '<')
			is_tag = true;
		if (is_tag || (unsigned char)c <= ' ') {
			is_gap = true;
		} else {
			if (is_gap && text.len)
				buf_addc(&text, ' ');
			is_gap = false;
			buf_addc(&text, c);
		}
		if (c == '>')
			is_tag = false;
	}
	copy_text(ret->message, sizeof(ret->message), buf_slice(&text));
}

void aws_reply_error(const struct aws_service_info *service,
		     const struct aws_http_reply *reply, struct aws_error *ret)
{
	struct slice body = buf_slice(&reply->body);
	bool is_read;

	memset(ret, 0, sizeof(*ret));
	ret->status = reply->status;
	copy_text(ret->request_id, sizeof(ret->request_id),
		  slice_str(reply->request_id));
	if (reply->error_type[0])
		copy_code(ret->code, sizeof(ret->code),
			  slice_str(reply->error_type));
	is_read = service->target_prefix ? read_json_error(body, ret)
					 : read_xml_error(body, ret);
	if (!is_read)
		read_page(body, ret);
}

bool aws_denied_action(const char *message, char *out, size_t size)
{
	static const char before[] = "not authorized to perform: ";
	const char *action = strstr(message, before);
	size_t len;

	if (!action)
		return false;
	action += strlen(before);
	len = strspn(action, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:");
	if (len == 0 || len >= size || !memchr(action, ':', len))
		return false;
	snprintf(out, size, "%.*s", (int)len, action);
	return true;
}
