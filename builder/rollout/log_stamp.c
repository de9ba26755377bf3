#include "builder/rollout/log_stamp.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NANOS	  1000000000
#define SHAPE_LEN 19 /* "2026-11-22T10:15:00" */

int log_stamp_compare(struct log_stamp a, struct log_stamp b)
{
	if (a.s != b.s)
		return a.s < b.s ? -1 : 1;
	return (a.ns > b.ns) - (a.ns < b.ns);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int two(const char *p)
{
	return (p[0] - '0') * 10 + (p[1] - '0');
}

static bool take_seconds(struct slice *s, int64_t *ret)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	struct tm tm = { 0 };

	if (s->len < SHAPE_LEN)
		return false;
	for (int i = 0; i < SHAPE_LEN; i++)
		if (shape[i] == 'd' ? !is_digit(s->ptr[i])
				    : s->ptr[i] != shape[i])
			return false;
	tm.tm_year = two(s->ptr) * 100 + two(s->ptr + 2) - 1900;
	tm.tm_mon = two(s->ptr + 5) - 1;
	tm.tm_mday = two(s->ptr + 8);
	tm.tm_hour = two(s->ptr + 11);
	tm.tm_min = two(s->ptr + 14);
	tm.tm_sec = two(s->ptr + 17);
	*ret = timegm(&tm);
	s->ptr += SHAPE_LEN;
	s->len -= SHAPE_LEN;
	return true;
}

/* ".123": nine digits count. */
static void take_fraction(struct slice *s, int32_t *ret)
{
	int32_t weight = NANOS / 10;

	*ret = 0;
	if (s->len == 0 || s->ptr[0] != '.')
		return;
	s->ptr++;
	s->len--;
	while (s->len && is_digit(s->ptr[0])) {
		*ret += (s->ptr[0] - '0') * weight;
		weight /= 10;
		s->ptr++;
		s->len--;
	}
}

/* "Z" or "+02:00" */
static bool take_zone(struct slice *s, int64_t *seconds)
{
	int64_t offset;

	if (s->len >= 1 && s->ptr[0] == 'Z') {
		s->ptr++;
		s->len--;
		return true;
	}
	if (s->len < 6 || (s->ptr[0] != '+' && s->ptr[0] != '-') ||
	    s->ptr[3] != ':' || !is_digit(s->ptr[1]) || !is_digit(s->ptr[2]) ||
	    !is_digit(s->ptr[4]) || !is_digit(s->ptr[5]))
		return false;
	offset = two(s->ptr + 1) * 3600 + two(s->ptr + 4) * 60;
	*seconds += s->ptr[0] == '+' ? -offset : offset;
	s->ptr += 6;
	s->len -= 6;
	return true;
}

bool log_stamp_take(struct slice *line, struct log_stamp *ret)
{
	struct log_stamp stamp;
	struct slice s = *line;

	if (!take_seconds(&s, &stamp.s))
		return false;
	take_fraction(&s, &stamp.ns);
	if (!take_zone(&s, &stamp.s))
		return false;
	if (s.len) {
		if (s.ptr[0] != ' ')
			return false;
		s.ptr++;
		s.len--;
	}
	*line = s;
	*ret = stamp;
	return true;
}

/* ---- cursor ---- */

void log_cursor_begin(struct log_cursor *c)
{
	c->to_skip = c->at_last;
}

bool log_cursor_is_new(struct log_cursor *c, struct log_stamp stamp)
{
	int order = log_stamp_compare(stamp, c->last);

	if (c->at_last && order < 0)
		return false;
	if (c->at_last && order == 0) {
		if (c->to_skip > 0) {
			c->to_skip--;
			return false;
		}
		c->at_last++;
		return true;
	}
	c->last = stamp;
	c->at_last = 1;
	c->to_skip = 0;
	return true;
}

/* ---- pile ---- */

void log_pile_release(struct log_pile *p)
{
	if (!p)
		return;
	for (size_t i = p->first; i < p->end; i++)
		free(p->entries[i].text);
	free(p->entries);
	p->entries = NULL;
	p->first = 0;
	p->end = 0;
	p->cap = 0;
	p->bytes = 0;
}

static void drop_oldest(struct log_pile *p)
{
	struct log_entry *e = &p->entries[p->first++];

	p->bytes -= strlen(e->text);
	free(e->text);
}

static void make_room(struct log_pile *p)
{
	if (p->end < p->cap)
		return;
	if (p->first > p->cap / 2) {
		memmove(p->entries, p->entries + p->first,
			(p->end - p->first) * sizeof(*p->entries));
		p->end -= p->first;
		p->first = 0;
		return;
	}
	p->cap = p->cap ? p->cap * 2 : 64;
	p->entries = xrealloc(p->entries, p->cap * sizeof(*p->entries));
}

void log_pile_add(struct log_pile *p, struct log_stamp stamp, char *text)
{
	make_room(p);
	p->entries[p->end++] =
		(struct log_entry){ stamp, p->next_number++, text };
	p->bytes += strlen(text);
	while (p->end - p->first > p->max_lines ||
	       (p->bytes > p->max_bytes && p->end - p->first > 1))
		drop_oldest(p);
}

static int compare_entries(const void *a, const void *b)
{
	const struct log_entry *x = a;
	const struct log_entry *y = b;
	int order = log_stamp_compare(x->stamp, y->stamp);

	if (order)
		return order;
	return (x->number > y->number) - (x->number < y->number);
}

void log_pile_sort(struct log_pile *p)
{
	if (p->end > p->first)
		qsort(p->entries + p->first, p->end - p->first,
		      sizeof(*p->entries), compare_entries);
}
