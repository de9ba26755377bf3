#include "base/config_keys.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_values.h"
#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
	[KIND_STRING] = "string",
	[KIND_OPTIONAL] = "string",
	[KIND_PATH] = "path",
	[KIND_LISTEN] = "address",
	[KIND_LISTEN_LIST] = "address, repeatable",
	[KIND_DURATION] = "duration",
	[KIND_SIZE] = "size",
	[KIND_COUNT] = "count",
	[KIND_BOOL] = "true or false",
	[KIND_CPUS] = "CPUs",
	[KIND_LOG_LEVEL] = "level",
	[KIND_CHOICE] = "choice",
	[KIND_PREFIX] = "IPv4 prefix",
};

const char *config_kind_name(enum config_kind kind)
{
	return kind_names[kind];
}

void config_set_string(char **at, const char *value)
{
	char *copy = xstrdup(value);

	free(*at);
	*at = copy;
}

static void *field(void *at, const struct config_key *k)
{
	return (char *)at + k->offset;
}

static int bad_value(struct error *err, const char *name, const char *value,
		     const char *want)
{
	return err_set(err, ERR_INVALID, "%s: '%s' is not %s", name, value,
		       want);
}

/* ---- numbers ---- */

static bool is_number(enum config_kind kind)
{
	return kind == KIND_DURATION || kind == KIND_SIZE ||
	       kind == KIND_COUNT || kind == KIND_CPUS;
}

static int read_number(const struct config_key *k, const char *name,
		       const char *value, int64_t *ret, struct error *err)
{
	const char *p = value;
	int64_t n = 0;
	int r = 0;

	if (k->kind == KIND_DURATION)
		r = config_parse_duration(value, &n, err);
	else if (k->kind == KIND_SIZE)
		r = config_parse_size(value, &n, err);
	else if (k->kind == KIND_CPUS)
		r = config_parse_cpus(value, &n, err);
	else if (!config_take_number(&p, &n) || *p)
		return bad_value(err, name, value, "a whole number");
	if (r < 0)
		return err_wrap(err, r, "%s", name);
	if (n < k->min || n > k->max)
		return err_set(err, ERR_INVALID,
			       "%s: '%s' is outside the allowed range", name,
			       value);
	*ret = n;
	return 0;
}

static int read_bool(const char *name, const char *value, bool *ret,
		     struct error *err)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		bool is_yes = strcmp(value, yes[i]) == 0;

		if (!is_yes && strcmp(value, no[i]) != 0)
			continue;
		*ret = is_yes;
		return 0;
	}
	return bad_value(err, name, value, "true or false");
}

/* ---- words ---- */

/* "auto, buildkit or classic" */
static void list_choices(const char *choices, struct buf *out)
{
	const char *last = strrchr(choices, '|');

	for (const char *p = choices; *p; p++) {
		if (*p != '|')
			buf_addc(out, *p);
		else
			buf_adds(out, p == last ? " or " : ", ");
	}
}

static int check_choice(const struct config_key *k, const char *name,
			const char *value, struct error *err)
{
	auto_buf struct buf list = BUF_INIT(512);
	size_t len = strlen(value);

	for (const char *p = k->choices; *p;) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, value, n) == 0)
			return 0;
		p += n + (p[n] == '|');
	}
	list_choices(k->choices, &list);
	return bad_value(err, name, value, buf_str(&list));
}

static int check_listen(const char *name, const char *value, struct error *err)
{
	auto_free char *host = NULL;
	int port;
	int r = config_parse_listen(value, &host, &port, err);

	return r < 0 ? err_wrap(err, r, "%s", name) : 0;
}

static int check_form(const struct config_key *k, const char *name,
		      const char *value, struct error *err)
{
	switch (k->kind) {
	case KIND_PATH:
		return value[0] == '/' ? 0
				       : bad_value(err, name, value,
						   "an absolute path");
	case KIND_LISTEN:
	case KIND_LISTEN_LIST:
		return check_listen(name, value, err);
	case KIND_LOG_LEVEL:
		return log_level_from_name(value) >= 0
			       ? 0
			       : bad_value(err, name, value,
					   "error, warn, info or debug");
	case KIND_CHOICE:
		return check_choice(k, name, value, err);
	case KIND_PREFIX:
		return config_is_prefix(value)
			       ? 0
			       : bad_value(err, name, value,
					   "an IPv4 prefix like 10.213.0.0/16");
	case KIND_OPTIONAL:
		return 0;
	default:
		return *value ? 0
			      : err_set(err, ERR_INVALID, "%s: is empty", name);
	}
}

int config_key_check(const struct config_key *k, const char *name,
		     const char *value, struct error *err)
{
	int64_t n;
	bool yes;
	int r;

	if (k->kind == KIND_BOOL)
		return read_bool(name, value, &yes, err);
	if (is_number(k->kind))
		return read_number(k, name, value, &n, err);
	r = check_form(k, name, value, err);
	if (r == 0 && strpbrk(value, "\r\n"))
		return err_set(err, ERR_INVALID, "%s: holds a line break",
			       name);
	return r;
}

int config_key_set(const struct config_key *k, void *at, const char *name,
		   const char *value, struct error *err)
{
	int r;

	if (k->kind == KIND_BOOL)
		return read_bool(name, value, field(at, k), err);
	if (is_number(k->kind))
		return read_number(k, name, value, field(at, k), err);
	r = config_key_check(k, name, value, err);
	if (r == 0)
		config_set_string(field(at, k), value);
	return r;
}

void config_key_release(const struct config_key *k, void *at)
{
	char **text = field(at, k);

	if (k->kind == KIND_BOOL || is_number(k->kind))
		return;
	free(*text);
	*text = NULL;
}

/* ---- out again ---- */

void config_dump_pair(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "%s=%s", key, value);
	buf_addc(out, '\0');
}

void config_key_dump(const struct config_key *k, const void *at,
		     const char *name, struct buf *out)
{
	const void *member = (const char *)at + k->offset;
	char number[40];
	int64_t n;

	switch (k->kind) {
	case KIND_DURATION:
	case KIND_SIZE:
	case KIND_COUNT:
		n = *(const int64_t *)member;
		snprintf(number, sizeof(number), "%" PRId64 "%s", n,
			 k->kind == KIND_DURATION ? "ms" : "");
		config_dump_pair(out, name, number);
		return;
	case KIND_CPUS:
		n = *(const int64_t *)member;
		snprintf(number, sizeof(number), "%" PRId64 ".%03" PRId64,
			 n / 1000, n % 1000);
		config_dump_pair(out, name, number);
		return;
	case KIND_BOOL:
		config_dump_pair(out, name,
				 *(const bool *)member ? "true" : "false");
		return;
	default:
		config_dump_pair(out, name, *(char *const *)member);
	}
}
