#include "builder/engine/message.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Cap on what is looked at of a message before it is cut. */
#define MESSAGE_SCAN 4096

/* Bytes of the URL's query at s, which starts with "?". */
static size_t query_length(struct slice s)
{
	size_t n = 0;

	while (n < s.len && !strchr(" \t\r\n\"'<>)", s.ptr[n]))
		n++;
	/* "GET https://…?x: refused": the colon belongs to the sentence. */
	if (n && n < s.len && (s.ptr[n - 1] == ':' || s.ptr[n - 1] == ','))
		n--;
	return n;
}

static bool starts_url(struct slice s)
{
	return slice_starts(s, "http://") || slice_starts(s, "https://");
}

void message_clean(struct slice text, struct buf *out)
{
	auto_buf struct buf line = BUF_INIT(MESSAGE_SCAN);
	bool in_url = false;

	text = slice_trim(text);
	while (text.len && line.len < MESSAGE_SCAN) {
		size_t skip = 1;
		char c = text.ptr[0];

		if (c == '\n' || c == '\r')
			c = ' ';
		if (starts_url(text))
			in_url = true;
		else if (c == ' ' || c == '"')
			in_url = false;
		if (in_url && c == '?')
			skip = query_length(text);
		else
			buf_addc(&line, c);
		text.ptr += skip;
		text.len -= skip;
	}
	text_add_line(out, buf_slice(&line), ENGINE_MESSAGE_MAX);
}

void message_from_reply(struct slice body, struct buf *out)
{
	json_auto_t *doc = json_loadb(body.ptr, body.len, JSON_ALLOW_NUL, NULL);
	json_t *message = json_object_get(doc, "message");

	/* Podman may answer a build with an error line of the stream. */
	if (!json_is_string(message))
		message = json_object_get(json_object_get(doc, "errorDetail"),
					  "message");
	if (json_is_string(message))
		body = (struct slice){ json_string_value(message),
				       json_string_length(message) };
	message_clean(body, out);
}

/* ---- messages of a failed build ---- */

/* What engines put in front of the cause. */
static const char *const wrappers[] = {
	"failed to solve with frontend dockerfile.v0: ",
	"failed to solve with frontend gateway.v0: ",
	"failed to solve: ",
	"failed to create LLB definition: ",
	"failed to build LLB: ",
	"rpc error: code = Unknown desc = ",
	"rpc error: code = NotFound desc = ",
	"rpc error: code = Internal desc = ",
};

static struct slice unwrap(struct slice s)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++) {
			if (!slice_starts(s, wrappers[i]))
				continue;
			s.ptr += strlen(wrappers[i]);
			s.len -= strlen(wrappers[i]);
			again = true;
		}
	}
	return s;
}

static bool has(struct slice s, const char *words)
{
	return s.len && memmem(s.ptr, s.len, words, strlen(words));
}

static bool is_missing_dockerfile(struct slice s)
{
	return (has(s, "failed to read dockerfile") &&
		(has(s, "no such file") || has(s, "not found"))) ||
	       has(s, "Cannot locate specified Dockerfile");
}

static bool is_login_wanted(struct slice s)
{
	static const char *const signs[] = {
		"401 Unauthorized",	   "no basic auth credentials",
		"pull access denied",	   "insufficient_scope",
		"unauthorized:",	   "authorization failed",
		"authentication required",
	};

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (has(s, signs[i]))
			return true;
	return false;
}

/* The number after the last `words`; 0 when there is none in 1 … 255. */
static int number_after(const char *text, const char *words)
{
	const char *at = NULL;
	long n;

	for (const char *p = text; (p = strstr(p, words)); p++)
		at = p + strlen(words);
	if (!at || *at < '0' || *at > '9')
		return 0;
	n = strtol(at, NULL, 10);
	return n > 0 && n < 256 ? (int)n : 0;
}

int message_exit_code(struct slice text)
{
	static const char *const words[] = { "exit code: ", "exit status ",
					     "returned a non-zero code: " };
	auto_free char *copy = slice_dup(text);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		int code = number_after(copy, words[i]);

		if (code)
			return code;
	}
	return 0;
}

/* What to do about a registry that wants a login. */
static void add_login_hint(const struct build_hints *hints, struct buf *out)
{
	if (!*hints->registry)
		buf_adds(out, "; a private base image needs a [registry "
			      "\"HOST\"] section in the configuration");
	else if (hints->has_login)
		buf_addf(out,
			 "; %s does not accept the login of [registry \"%s\"] "
			 "in the configuration",
			 hints->registry, hints->registry);
	else
		buf_addf(out,
			 "; for a private image of %s add a [registry \"%s\"] "
			 "section to the configuration",
			 hints->registry, hints->registry);
}

static enum build_cause cause_of(struct slice text)
{
	if (has(text, "no space left on device"))
		return BUILD_CAUSE_DISK;
	if (is_missing_dockerfile(text))
		return BUILD_CAUSE_NO_DOCKERFILE;
	if (has(text, "no active session"))
		return BUILD_CAUSE_SESSION;
	if (is_login_wanted(text))
		return BUILD_CAUSE_LOGIN;
	if (has(text, "dockerfile parse error") ||
	    has(text, "failed to reach build target") ||
	    has(text, "target stage ") || has(text, "ockerfile cannot be") ||
	    has(text, "the Dockerfile ("))
		return BUILD_CAUSE_DOCKERFILE;
	return BUILD_CAUSE_OTHER;
}

enum build_cause message_of_build(struct slice text,
				  const struct build_hints *hints,
				  struct buf *out)
{
	enum build_cause cause;

	text = unwrap(slice_trim(text));
	cause = cause_of(text);
	switch (cause) {
	case BUILD_CAUSE_NO_DOCKERFILE:
		buf_addf(out, "there is no '%s' in the commit",
			 hints->dockerfile);
		break;
	case BUILD_CAUSE_SESSION:
		buf_adds(out, "the engine has no session with us (credentials "
			      "of base images and build secrets need one)");
		break;
	case BUILD_CAUSE_DISK:
		buf_adds(out, "the engine's disk is full: ");
		message_clean(text, out);
		break;
	case BUILD_CAUSE_LOGIN:
		message_clean(text, out);
		add_login_hint(hints, out);
		break;
	default:
		message_clean(text, out);
	}
	return cause;
}
