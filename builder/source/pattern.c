#include "builder/source/pattern.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/source/matcher.h"

#include <string.h>

enum match_kind {
	MATCH_EXACT,
	MATCH_PREFIX, /* "x**" */
	MATCH_SUFFIX, /* "**x" */
	MATCH_REGEX,
};

struct pattern {
	enum match_kind kind;
	char *text;
	struct slice literal; /* part of text that is compared */
	struct matcher *matcher;
};

static int syntax(struct error *err)
{
	return err_set(err, ERR_INVALID, "syntax error in pattern");
}

/* ---- syntax, as Go's path.Match sees it ---- */

/* One end of a range in a class. */
static bool skip_class_rune(struct slice *s)
{
	const char *at;

	if (s->len == 0 || s->ptr[0] == '-' || s->ptr[0] == ']')
		return false;
	if (s->ptr[0] == '\\') {
		s->ptr++;
		s->len--;
		if (s->len == 0)
			return false;
	}
	at = s->ptr;
	if (text_next_rune(s) == 0xfffd && s->ptr - at == 1)
		return false;
	return s->len > 0;
}

/* Behind "[". */
static bool skip_class(struct slice *s)
{
	bool is_first = true;

	if (s->len && s->ptr[0] == '^') {
		s->ptr++;
		s->len--;
	}
	while (is_first || s->len == 0 || s->ptr[0] != ']') {
		is_first = false;
		if (!skip_class_rune(s))
			return false;
		if (s->ptr[0] != '-')
			continue;
		s->ptr++;
		s->len--;
		if (!skip_class_rune(s))
			return false;
	}
	s->ptr++;
	s->len--;
	return true;
}

static bool is_well_formed(struct slice s)
{
	while (s.len) {
		char c = s.ptr[0];

		s.ptr++;
		s.len--;
		if (c == '[' && !skip_class(&s))
			return false;
		if (c != '\\')
			continue;
		if (s.len == 0)
			return false;
		s.ptr++;
		s.len--;
	}
	return true;
}

/* ---- pattern to regular expression ---- */

/* The expression being written; sized for the worst pattern at birth. */
struct regex {
	uint32_t *text;
	size_t len;
};

#define GROWTH_MAX 5 /* "*" becomes "[^/]*" */

static void put(struct regex *re, const char *text)
{
	while (*text)
		re->text[re->len++] = (unsigned char)*text++;
}

static bool next_is(struct slice s, char c)
{
	return s.len && s.ptr[0] == c;
}

/* Behind the first of two stars; returns the kind it makes the pattern. */
static enum match_kind put_stars(struct regex *re, struct slice *s,
				 enum match_kind kind, bool is_first)
{
	s->ptr++;
	s->len--;
	if (next_is(*s, '/')) {
		s->ptr++;
		s->len--;
	}
	if (s->len) {
		put(re, "(.*/)?");
		kind = MATCH_REGEX;
	} else if (kind == MATCH_EXACT) {
		kind = MATCH_PREFIX;
	} else {
		put(re, ".*");
		kind = MATCH_REGEX;
	}
	return is_first ? MATCH_SUFFIX : kind;
}

static void put_rune(struct regex *re, uint32_t rune)
{
	re->text[re->len++] = rune;
}

/* Docker means to escape "{", "|" and "}", too, but does not. */
static enum match_kind translate(struct slice s, struct regex *re)
{
	enum match_kind kind = MATCH_EXACT;
	bool is_first = true;

	for (; s.len; is_first = false) {
		uint32_t rune = text_next_rune(&s);

		if (rune == '*' && next_is(s, '*')) {
			kind = put_stars(re, &s, kind, is_first);
			continue;
		}
		if (rune < 0x80 && strchr("*?\\[]", (int)rune))
			kind = MATCH_REGEX;
		if (rune == '*') {
			put(re, "[^/]*");
		} else if (rune == '?') {
			put(re, "[^/]");
		} else if (rune == '\\') {
			put_rune(re, rune);
			if (s.len)
				put_rune(re, text_next_rune(&s));
		} else {
			if (rune < 0x80 && strchr(".+()$", (int)rune))
				put_rune(re, '\\');
			put_rune(re, rune);
		}
	}
	return kind;
}

/* ---- the whole ---- */

int pattern_compile(const char *text, struct pattern **ret, struct error *err)
{
	struct slice s = slice_str(text);
	struct regex re = { NULL, 0 };
	auto_free uint32_t *memory = NULL;
	struct pattern *p;
	int r = 0;

	if (!is_well_formed(s))
		return syntax(err);
	memory = xmalloc((GROWTH_MAX * s.len + 1) * sizeof(*memory));
	re.text = memory;
	p = xcalloc(1, sizeof(*p));
	p->kind = translate(s, &re);
	p->text = xstrdup(text);
	p->literal = slice_str(p->text);
	if (p->kind == MATCH_PREFIX) {
		p->literal.len -= 2;
	} else if (p->kind == MATCH_SUFFIX) {
		p->literal.ptr += 2;
		p->literal.len -= 2;
	} else if (p->kind == MATCH_REGEX) {
		r = matcher_compile(re.text, re.len, &p->matcher, err);
	}
	if (r < 0) {
		pattern_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	matcher_free(p->matcher);
	free(p->text);
	free(p);
}

static bool ends_with(struct slice s, struct slice end)
{
	return s.len >= end.len &&
	       memcmp(s.ptr + s.len - end.len, end.ptr, end.len) == 0;
}

bool pattern_match(struct pattern *p, struct slice path, uint64_t *steps)
{
	struct slice l = p->literal;

	(*steps)++;
	switch (p->kind) {
	case MATCH_EXACT:
		return path.len == l.len && memcmp(path.ptr, l.ptr, l.len) == 0;
	case MATCH_PREFIX:
		return path.len >= l.len && memcmp(path.ptr, l.ptr, l.len) == 0;
	case MATCH_SUFFIX:
		/* A slash of its own may also stand for the top. */
		return ends_with(path, l) ||
		       (l.len == path.len + 1 && l.ptr[0] == '/' &&
			memcmp(l.ptr + 1, path.ptr, path.len) == 0);
	case MATCH_REGEX:
		return matcher_match(p->matcher, path, steps);
	}
	return false;
}
