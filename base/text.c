#include "base/text.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define WORD_MAX 64

/* Length of the valid UTF-8 sequence at s (RFC 3629), or 0. */
static size_t utf8_sequence(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s.len < len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* overlong */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90; /* overlong */
	else if (p[0] == 0xf4)
		high = 0x8f; /* over U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

uint32_t text_next_rune(struct slice *s)
{
	const unsigned char *p = (const unsigned char *)s->ptr;
	size_t len = utf8_sequence(*s);
	uint32_t rune = p[0];

	if (len == 0)
		rune = 0xfffd;
	else if (len > 1)
		rune &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++)
		rune = rune << 6 | (p[i] & 0x3f);
	len = len ? len : 1;
	s->ptr += len;
	s->len -= len;
	return rune;
}

bool text_is_utf8(struct slice s)
{
	while (s.len) {
		size_t len = utf8_sequence(s);

		if (len == 0)
			return false;
		s.ptr += len;
		s.len -= len;
	}
	return true;
}

void text_add_utf8(struct buf *b, struct slice s)
{
	while (s.len) {
		size_t len = utf8_sequence(s);

		if (len)
			buf_add(b, s.ptr, len);
		else
			buf_adds(b, "\xef\xbf\xbd");
		len = len ? len : 1;
		s.ptr += len;
		s.len -= len;
	}
}

/* Length of the escape sequence that starts with ESC at s (ECMA-48). */
static size_t escape_sequence(struct slice s)
{
	size_t i = 2;

	if (s.len < 2)
		return s.len;
	switch (s.ptr[1]) {
	case '[':
		while (i < s.len && (unsigned char)s.ptr[i] >= 0x20 &&
		       (unsigned char)s.ptr[i] < 0x40)
			i++;
		return i < s.len ? i + 1 : i;
	case ']':
	case 'P':
	case '_':
	case '^':
		while (i < s.len && s.ptr[i] != '\a' && s.ptr[i] != '\033')
			i++;
		if (i < s.len && s.ptr[i] == '\033')
			i++;
		return i < s.len ? i + 1 : i;
	default:
		return (unsigned char)s.ptr[1] >= 0x20 ? 2 : 1;
	}
}

/* C1 controls are U+0080 to U+009F: two bytes, c2 80 to c2 9f. */
static int is_c1_control(struct slice s, size_t len)
{
	return len == 2 && (unsigned char)s.ptr[0] == 0xc2 &&
	       (unsigned char)s.ptr[1] < 0xa0;
}

static struct slice after_last_cr(struct slice line)
{
	while (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	for (size_t i = line.len; i > 0; i--) {
		if (line.ptr[i - 1] != '\r')
			continue;
		return (struct slice){ line.ptr + i, line.len - i };
	}
	return line;
}

void text_add_line(struct buf *b, struct slice line, size_t max_bytes)
{
	size_t start = b->len;
	struct slice s = after_last_cr(line);

	while (s.len) {
		size_t len = utf8_sequence(s);

		if (b->len - start + 4 > max_bytes) {
			buf_adds(b, " \xe2\x80\xa6");
			return;
		}
		if (s.ptr[0] == '\033') {
			len = escape_sequence(s);
		} else if (len == 1 && s.ptr[0] == '\t') {
			buf_addc(b, ' ');
		} else if (len == 0) {
			buf_adds(b, "\xef\xbf\xbd");
			len = 1;
		} else if (!(len == 1 && ((unsigned char)s.ptr[0] < 0x20 ||
					  s.ptr[0] == 0x7f)) &&
			   !is_c1_control(s, len)) {
			buf_add(b, s.ptr, len);
		}
		s.ptr += len;
		s.len -= len;
	}
}

void text_add_duration(struct buf *b, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		buf_addf(b, "%dms", (int)ms);
	else if (s < 60)
		buf_addf(b, "%d.%ds", (int)s, (int)(ms % 1000 / 100));
	else if (s < 3600)
		buf_addf(b, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else
		buf_addf(b, "%dh%02dm", (int)(s / 3600), (int)(s % 3600 / 60));
}

void text_add_size(struct buf *b, uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 999.95 && unit < 4) {
		value /= 1000;
		unit++;
	}
	buf_addf(b, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment distance; both words shorter than WORD_MAX. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *prev2 = rows[0];
	size_t *prev = rows[1];
	size_t *cur = rows[2];
	size_t la = strlen(a);
	size_t lb = strlen(b);

	for (size_t j = 0; j <= lb; j++)
		prev[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *t;

		cur[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t cost = a[i - 1] != b[j - 1];

			cur[j] = min3(prev[j] + 1, cur[j - 1] + 1,
				      prev[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && prev2[j - 2] + 1 < cur[j])
				cur[j] = prev2[j - 2] + 1;
		}
		t = prev2;
		prev2 = prev;
		prev = cur;
		cur = t;
	}
	return prev[lb];
}

const char *text_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t best_distance = SIZE_MAX;
	size_t limit;

	if (strlen(word) >= WORD_MAX)
		return NULL;
	limit = strlen(word) / 3 + 1;
	for (; *words; words++) {
		size_t d;

		if (strlen(*words) >= WORD_MAX)
			continue;
		d = distance(word, *words);
		if (d < best_distance && d <= limit) {
			best = *words;
			best_distance = d;
		}
	}
	return best;
}

void text_utc(int64_t unix_s, char *out, size_t size)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	if (strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0 && size)
		out[0] = '\0';
}
