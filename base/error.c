#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
	[ERR_SYS] = "sys",	     [ERR_INVALID] = "invalid",
	[ERR_NOTFOUND] = "notfound", [ERR_EXISTS] = "exists",
	[ERR_DENIED] = "denied",     [ERR_LIMIT] = "limit",
	[ERR_TIMEOUT] = "timeout",   [ERR_PROTO] = "proto",
	[ERR_PEER] = "peer",	     [ERR_CANCELED] = "canceled",
	[ERR_BUG] = "bug",
};

#define NAMES (sizeof(names) / sizeof(names[0]))

int err_set(struct error *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	err->sys = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -(int)code;
}

int err_errno(struct error *err, int sys, const char *fmt, ...)
{
	char text[ERR_MSG_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err->code = ERR_SYS;
	err->sys = sys;
	snprintf(err->msg, sizeof(err->msg), "%s: %s", text, strerror(sys));
	return -(int)ERR_SYS;
}

int err_wrap(struct error *err, int r, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	char old[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(old, err->msg, sizeof(old));
	old[sizeof(old) - 1] = '\0';
	if (snprintf(err->msg, sizeof(err->msg), "%s: ", text) <
	    (int)sizeof(err->msg)) {
		size_t len = strlen(err->msg);

		snprintf(err->msg + len, sizeof(err->msg) - len, "%s", old);
	}
	return r;
}

const char *err_public(const struct error *err, const char *hide, char *out,
		       size_t size)
{
	size_t n = 0;
	size_t hide_len = hide ? strlen(hide) : 0;
	const char *p = err->msg;

	if (size == 0)
		return out;
	while (*p && n + 1 < size) {
		unsigned char c = (unsigned char)*p;

		if (hide_len > 1 && strncmp(p, hide, hide_len) == 0) {
			size_t path = strcspn(p, "' \t:,");
			const char *end = p + path;

			while (end > p && end[-1] != '/')
				end--;
			if (end > p) {
				p = end;
				continue;
			}
		}
		out[n++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
		p++;
	}
	out[n] = '\0';
	return out;
}

const char *err_code_name(enum err_code code)
{
	if ((size_t)code < NAMES && names[code])
		return names[code];
	return "bug";
}

enum err_code err_code_from_name(const char *name)
{
	for (size_t i = 1; i < NAMES; i++)
		if (strcmp(names[i], name) == 0)
			return (enum err_code)i;
	return ERR_PEER;
}
