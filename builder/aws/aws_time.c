#include "builder/aws/aws_time.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

/* `digits` digits at *p, which moves past them; -1 = something else. */
static int number(const char **p, int digits)
{
	int n = 0;

	for (int i = 0; i < digits; i++) {
		if (**p < '0' || **p > '9')
			return -1;
		n = 10 * n + (*(*p)++ - '0');
	}
	return n;
}

static bool skip(const char **p, const char *any_of)
{
	if (!**p || !strchr(any_of, **p))
		return false;
	(*p)++;
	return true;
}

static bool read_date(const char **p, struct tm *tm)
{
	tm->tm_year = number(p, 4) - 1900;
	if (!skip(p, "-"))
		return false;
	tm->tm_mon = number(p, 2) - 1;
	if (!skip(p, "-"))
		return false;
	tm->tm_mday = number(p, 2);
	return tm->tm_year >= 70 && tm->tm_mon >= 0 && tm->tm_mon < 12 &&
	       tm->tm_mday >= 1 && tm->tm_mday <= 31;
}

static bool read_clock(const char **p, struct tm *tm)
{
	tm->tm_hour = number(p, 2);
	if (!skip(p, ":"))
		return false;
	tm->tm_min = number(p, 2);
	if (!skip(p, ":"))
		return false;
	tm->tm_sec = number(p, 2);
	if (**p == '.') {
		const char *begin = ++*p;

		*p += strspn(*p, "0123456789");
		if (*p == begin)
			return false;
	}
	return tm->tm_hour >= 0 && tm->tm_hour < 24 && tm->tm_min >= 0 &&
	       tm->tm_min < 60 && tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

/* Seconds east of Greenwich. */
static bool read_zone(const char **p, int *ret)
{
	char sign = **p;
	int hours;
	int minutes;

	*ret = 0;
	if (skip(p, "Zz"))
		return true;
	if (!skip(p, "+-"))
		return false;
	hours = number(p, 2);
	if (!skip(p, ":"))
		return false;
	minutes = number(p, 2);
	*ret = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : 1);
	return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

bool aws_time_parse(const char *text, int64_t *ret_unix_s)
{
	struct tm tm = { 0 };
	int east;

	if (!read_date(&text, &tm) || !skip(&text, "Tt ") ||
	    !read_clock(&text, &tm) || !read_zone(&text, &east) || *text)
		return false;
	*ret_unix_s = (int64_t)timegm(&tm) - east;
	return true;
}
