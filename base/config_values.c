#include "base/config_values.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number at *p that fits; moves *p behind it. */
bool config_take_number(const char **p, int64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return false;
	errno = 0;
	*ret = strtoll(*p, &end, 10);
	*p = end;
	return errno == 0;
}

int config_parse_duration(const char *text, int64_t *ret_ms, struct error *err)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 },
		      { "s", 1000 },
		      { "m", 60000 },
		      { "h", 3600000 },
		      { "d", 86400000 } };
	const char *p = text;
	int64_t total = 0;

	do {
		int64_t n;
		size_t i;
		size_t len = 0;

		if (!config_take_number(&p, &n))
			return err_set(err, ERR_INVALID,
				       "'%s' is not a duration like 90s, 15m "
				       "or 1h30m",
				       text);
		while (isalpha((unsigned char)p[len]))
			len++;
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (len == strlen(units[i].unit) &&
			    memcmp(p, units[i].unit, len) == 0)
				break;
		if (len == 0)
			i = 1; /* bare seconds */
		if (i == ARRAY_SIZE(units) ||
		    __builtin_mul_overflow(n, units[i].ms, &n) ||
		    __builtin_add_overflow(total, n, &total))
			return err_set(err, ERR_INVALID,
				       "'%s' is not a duration like 90s, 15m "
				       "or 1h30m",
				       text);
		p += len;
	} while (*p);
	*ret_ms = total;
	return 0;
}

int config_parse_size(const char *text, int64_t *ret_bytes, struct error *err)
{
	static const char units[] = "kmgt";
	const char *p = text;
	int64_t n;

	if (!config_take_number(&p, &n))
		goto bad;
	if (*p) {
		const char *u = strchr(units, tolower((unsigned char)*p));

		if (!u)
			goto bad;
		for (ptrdiff_t i = 0; i <= u - units; i++)
			if (__builtin_mul_overflow(n, INT64_C(1024), &n))
				goto bad;
		p++;
		if (*p == 'b' || *p == 'B')
			p++;
	}
	if (*p)
		goto bad;
	*ret_bytes = n;
	return 0;
bad:
	return err_set(err, ERR_INVALID, "'%s' is not a size like 512m or 2g",
		       text);
}

int config_parse_listen(const char *text, char **ret_host, int *ret_port,
			struct error *err)
{
	const char *colon = strrchr(text, ':');
	const char *p = colon ? colon + 1 : "";
	size_t host_len = colon ? (size_t)(colon - text) : 0;
	int64_t port;

	if (!colon || !config_take_number(&p, &port) || *p || port > 65535 ||
	    strpbrk(text, " \t\r\n,"))
		return err_set(err, ERR_INVALID,
			       "'%s' is not an address like :2222, "
			       "127.0.0.1:2222 or [::1]:2222",
			       text);
	if (host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']') {
		text++;
		host_len -= 2;
	} else if (memchr(text, ':', host_len)) {
		return err_set(err, ERR_INVALID,
			       "'%s': write an IPv6 address in brackets", text);
	}
	*ret_host = slice_dup((struct slice){ text, host_len });
	*ret_port = (int)port;
	return 0;
}

/* "0.5", "2", "1.25" to thousandths. */
int config_parse_cpus(const char *text, int64_t *ret, struct error *err)
{
	const char *p = text;
	int64_t whole;
	int64_t milli = 0;
	int64_t weight = 100;

	if (!config_take_number(&p, &whole) || whole > 1024)
		return err_set(err, ERR_INVALID,
			       "'%s' is not a number of CPUs like 0.5", text);
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p) && weight; p++) {
			milli += (*p - '0') * weight;
			weight /= 10;
		}
	if (*p)
		return err_set(err, ERR_INVALID,
			       "'%s' is not a number of CPUs like 0.5", text);
	*ret = whole * 1000 + milli;
	return 0;
}

/* An IPv4 prefix "a.b.c.d/len" with 8 <= len <= 26. */
bool config_is_prefix(const char *text)
{
	const char *p = text;
	int64_t n;

	for (int i = 0; i < 4; i++) {
		if (!config_take_number(&p, &n) || n > 255 ||
		    *p != (i < 3 ? '.' : '/'))
			return false;
		p++;
	}
	return config_take_number(&p, &n) && n >= 8 && n <= 26 && !*p;
}
