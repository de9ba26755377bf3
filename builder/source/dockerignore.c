#include "builder/source/dockerignore.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* Parts of a pattern that is matched step by step. */
enum token_kind {
	TOKEN_RUNE,	/* this character */
	TOKEN_ONE,	/* "?": any character but "/" */
	TOKEN_SEGMENT,	/* "*": any run without "/" */
	TOKEN_CLASS,	/* "[…]" */
	TOKEN_FOLDERS,	/* "**" with more behind: nothing, or up to a "/" */
	TOKEN_ANYTHING, /* "**" at the end */
};

struct range {
	uint32_t low;
	uint32_t high;
};

struct token {
	enum token_kind kind;
	uint32_t rune;
	bool is_negated; /* class */
	struct range *ranges;
	size_t ranges_count;
};

enum match_kind { MATCH_EXACT, MATCH_PREFIX, MATCH_SUFFIX, MATCH_TOKENS };

struct dockerignore_pattern {
	bool is_negated;
	enum match_kind kind;
	char *text; /* cleaned */
	struct token *tokens;
	size_t tokens_count;
};

/* One character at *p as Unicode; a byte that is not UTF-8 stands for itself
 * beyond all of Unicode. */
static uint32_t next_rune(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;
	uint32_t rune;

	if (len == 1) {
		(*p)++;
		return s[0];
	}
	rune = len ? s[0] & (0x7fu >> len) : 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			len = 0;
			break;
		}
		rune = rune << 6 | (s[i] & 0x3f);
	}
	if (len == 0) {
		(*p)++;
		return 0x110000 + s[0];
	}
	*p += len;
	return rune;
}

/* ---- reading the file ---- */

/* Unicode white space in UTF-8 at s: its length, or 0. */
static size_t space_length(struct slice s)
{
	static const char *const wide[] = {
		"\xc2\x85",	"\xc2\xa0",	"\xe1\x9a\x80", "\xe2\x80\x80",
		"\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84",
		"\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
		"\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
		"\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
	};

	if (s.len && isspace((unsigned char)s.ptr[0]))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
		if (slice_starts(s, wide[i]))
			return strlen(wide[i]);
	return 0;
}

static struct slice trim(struct slice s)
{
	size_t n;

	while ((n = space_length(s)) > 0) {
		s.ptr += n;
		s.len -= n;
	}
	for (size_t len = 1; len <= 3 && len <= s.len; len++) {
		struct slice end = { s.ptr + s.len - len, len };

		if (space_length(end) == len) {
			s.len -= len;
			len = 0;
		}
	}
	return s;
}

/* Lexical path cleaning as Go's path.Clean: no "//", ".", inner "..". */
static char *clean(struct slice s)
{
	char *out = xmalloc(s.len + 2);
	bool rooted = s.len && s.ptr[0] == '/';
	size_t n = 0;
	size_t floor = 0; /* out[..floor] is "../" kept, or the root */
	size_t i = 0;

	if (rooted) {
		out[n++] = '/';
		floor = 1;
	}
	while (i < s.len) {
		size_t len = 0;

		while (i < s.len && s.ptr[i] == '/')
			i++;
		while (i + len < s.len && s.ptr[i + len] != '/')
			len++;
		if (len == 0 || (len == 1 && s.ptr[i] == '.')) {
			i += len;
			continue;
		}
		if (len == 2 && memcmp(s.ptr + i, "..", 2) == 0) {
			i += 2;
			if (n > floor) {
				do {
					n--;
				} while (n > floor && out[n] != '/');
				continue;
			}
			if (rooted)
				continue;
			if (n)
				out[n++] = '/';
			out[n++] = '.';
			out[n++] = '.';
			floor = n;
			continue;
		}
		if (n > (rooted ? 1u : 0u))
			out[n++] = '/';
		memcpy(out + n, s.ptr + i, len);
		n += len;
		i += len;
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	return out;
}

/* ---- compiling ---- */

static int syntax(struct error *err)
{
	return err_set(err, ERR_INVALID, "syntax error in pattern");
}

static struct token *add_token(struct dockerignore_pattern *p,
			       enum token_kind kind)
{
	struct token *t;

	p->tokens =
		xrealloc(p->tokens, (p->tokens_count + 1) * sizeof(*p->tokens));
	t = &p->tokens[p->tokens_count++];
	memset(t, 0, sizeof(*t));
	t->kind = kind;
	return t;
}

/* One end of a range in a class; false when it is malformed. */
static bool class_rune(const char **s, uint32_t *ret)
{
	if (**s == '-' || **s == ']' || !**s)
		return false;
	if (**s == '\\') {
		(*s)++;
		if (!**s)
			return false;
	}
	*ret = next_rune(s);
	return true;
}

/* *s stands behind "[". */
static int compile_class(const char **s, struct token *t, struct error *err)
{
	if (**s == '^') {
		t->is_negated = true;
		(*s)++;
	}
	do {
		struct range r;

		if (!class_rune(s, &r.low))
			return syntax(err);
		r.high = r.low;
		if (**s == '-') {
			(*s)++;
			if (!class_rune(s, &r.high) || r.high < r.low)
				return syntax(err);
		}
		t->ranges =
			xrealloc(t->ranges, (t->ranges_count + 1) * sizeof(r));
		t->ranges[t->ranges_count++] = r;
	} while (**s != ']');
	(*s)++;
	return 0;
}

static void compile_stars(const char **s, struct dockerignore_pattern *p,
			  bool is_first)
{
	(*s)++; /* behind "**" */
	if (**s == '/')
		(*s)++;
	if (**s) {
		add_token(p, TOKEN_FOLDERS);
		p->kind = MATCH_TOKENS;
	} else if (p->kind == MATCH_EXACT) {
		p->kind = MATCH_PREFIX;
	} else {
		add_token(p, TOKEN_ANYTHING);
		p->kind = MATCH_TOKENS;
	}
	if (is_first)
		p->kind = MATCH_SUFFIX;
}

/*
 * Docker hands an escaped letter or digit to its regular expressions, where
 * it is a control character or a class: "\a" does not match "a".  No file of
 * a build is named so: such a pattern matches nothing here.
 */
static void compile_escape(const char **s, struct dockerignore_pattern *p)
{
	if (isalnum((unsigned char)**s)) {
		add_token(p, TOKEN_CLASS); /* of nothing */
		(*s)++;
		return;
	}
	add_token(p, TOKEN_RUNE)->rune = next_rune(s);
}

static int compile(struct dockerignore_pattern *p, struct error *err)
{
	const char *s = p->text;

	p->kind = MATCH_EXACT;
	while (*s) {
		bool is_first = s == p->text;
		uint32_t rune = next_rune(&s);
		int r;

		if (rune == '*' && *s == '*') {
			compile_stars(&s, p, is_first);
			continue;
		}
		if (rune == '*' || rune == '?' || rune == '[')
			p->kind = MATCH_TOKENS;
		if (rune == '*') {
			add_token(p, TOKEN_SEGMENT);
		} else if (rune == '?') {
			add_token(p, TOKEN_ONE);
		} else if (rune == '[') {
			r = compile_class(&s, add_token(p, TOKEN_CLASS), err);
			if (r < 0)
				return r;
		} else if (rune == '\\') {
			p->kind = MATCH_TOKENS;
			if (!*s)
				return syntax(err);
			compile_escape(&s, p);
		} else {
			add_token(p, TOKEN_RUNE)->rune = rune;
		}
	}
	return 0;
}

static void pattern_release(struct dockerignore_pattern *p)
{
	for (size_t i = 0; i < p->tokens_count; i++)
		free(p->tokens[i].ranges);
	free(p->tokens);
	free(p->text);
}

void dockerignore_release(struct dockerignore *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++)
		pattern_release(&d->patterns[i]);
	free(d->patterns);
	memset(d, 0, sizeof(*d));
}

/* ---- matching ---- */

static bool class_has(const struct token *t, uint32_t rune)
{
	for (size_t i = 0; i < t->ranges_count; i++)
		if (rune >= t->ranges[i].low && rune <= t->ranges[i].high)
			return !t->is_negated;
	return t->is_negated;
}

/*
 * The set of places in the pattern where a match may stand, advanced one
 * character of the path at a time.  Place 2i is before token i; 2i+1 is
 * within TOKEN_FOLDERS i, which has eaten something.
 */
struct places {
	bool *now;
	bool *next;
	size_t count; /* of tokens */
};

/* Add what can be reached without eating a character. */
static void reach(const struct dockerignore_pattern *p, bool *set)
{
	for (size_t i = 0; i < p->tokens_count; i++) {
		enum token_kind kind = p->tokens[i].kind;

		if (set[2 * i] &&
		    (kind == TOKEN_SEGMENT || kind == TOKEN_FOLDERS ||
		     kind == TOKEN_ANYTHING))
			set[2 * (i + 1)] = true;
	}
}

static void eat(const struct dockerignore_pattern *p, struct places *s,
		uint32_t rune)
{
	memset(s->next, 0, (2 * s->count + 2) * sizeof(bool));
	for (size_t i = 0; i < s->count; i++) {
		const struct token *t = &p->tokens[i];

		if (s->now[2 * i + 1] ||
		    (s->now[2 * i] && t->kind == TOKEN_FOLDERS)) {
			s->next[2 * i + 1] = true;
			if (rune == '/')
				s->next[2 * (i + 1)] = true;
		}
		if (!s->now[2 * i])
			continue;
		if (t->kind == TOKEN_ANYTHING ||
		    (t->kind == TOKEN_SEGMENT && rune != '/'))
			s->next[2 * i] = true;
		else if ((t->kind == TOKEN_RUNE && t->rune == rune) ||
			 (t->kind == TOKEN_ONE && rune != '/') ||
			 (t->kind == TOKEN_CLASS && class_has(t, rune)))
			s->next[2 * (i + 1)] = true;
	}
}

static bool match_tokens(const struct dockerignore_pattern *p, const char *path)
{
	size_t size = 2 * p->tokens_count + 2;
	auto_free bool *memory = xcalloc(2 * size, sizeof(bool));
	struct places s = { memory, memory + size, p->tokens_count };

	s.now[0] = true;
	reach(p, s.now);
	while (*path) {
		bool *t;

		eat(p, &s, next_rune(&path));
		reach(p, s.next);
		t = s.now;
		s.now = s.next;
		s.next = t;
	}
	return s.now[2 * p->tokens_count];
}

static bool match_suffix(const char *suffix, const char *path)
{
	size_t len = strlen(path);
	size_t want = strlen(suffix);

	if (len >= want && strcmp(path + len - want, suffix) == 0)
		return true;
	return suffix[0] == '/' && strcmp(path, suffix + 1) == 0;
}

static bool match(const struct dockerignore_pattern *p, const char *path)
{
	switch (p->kind) {
	case MATCH_EXACT:
		return strcmp(p->text, path) == 0;
	case MATCH_PREFIX:
		return strncmp(p->text, path, strlen(p->text) - 2) == 0;
	case MATCH_SUFFIX:
		return match_suffix(p->text + 2, path);
	case MATCH_TOKENS:
		return match_tokens(p, path);
	}
	return false;
}

bool dockerignore_excludes(const struct dockerignore *d, const char *path,
			   const bool *parent, bool *own)
{
	bool excluded = false;

	for (size_t i = 0; i < d->count; i++) {
		const struct dockerignore_pattern *p = &d->patterns[i];
		bool hit = parent && parent[i];

		/* A pattern that could change nothing need not be tried. */
		if (!hit && p->is_negated == excluded)
			hit = match(p, path);
		if (own)
			own[i] = hit;
		if (hit)
			excluded = !p->is_negated;
	}
	return excluded;
}

/* ---- the file ---- */

/* One line to a pattern.  1 = there is one, 0 = nothing, -ERR_INVALID. */
static int parse_line(struct slice line, struct dockerignore_pattern *p,
		      struct error *err)
{
	int r;

	memset(p, 0, sizeof(*p));
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len && line.ptr[0] == '#')
		return 0;
	line = trim(line);
	if (line.len == 0)
		return 0;
	if (line.ptr[0] == '!') {
		p->is_negated = true;
		line = trim((struct slice){ line.ptr + 1, line.len - 1 });
		if (line.len == 0)
			return err_set(err, ERR_INVALID,
				       "illegal exclusion pattern: \"!\"");
	}
	p->text = clean(line);
	if (p->text[0] == '/' && p->text[1])
		memmove(p->text, p->text + 1, strlen(p->text));
	r = compile(p, err);
	if (r < 0)
		pattern_release(p);
	return r < 0 ? r : 1;
}

int dockerignore_parse(struct slice text, struct dockerignore *ret,
		       struct error *err)
{
	struct dockerignore d = { NULL, 0, false };
	struct slice line;
	int number = 0;
	int r = 0;

	if (slice_starts(text, "\xef\xbb\xbf")) {
		text.ptr += 3;
		text.len -= 3;
	}
	while (r >= 0 && slice_line(&text, &line)) {
		struct dockerignore_pattern p;

		number++;
		if (line.len > DOCKERIGNORE_LINE_MAX)
			r = err_set(err, ERR_LIMIT, "longer than %d bytes",
				    DOCKERIGNORE_LINE_MAX);
		else if (d.count == DOCKERIGNORE_PATTERNS_MAX)
			r = err_set(err, ERR_LIMIT, "more than %d patterns",
				    DOCKERIGNORE_PATTERNS_MAX);
		else if (memchr(line.ptr, '\0', line.len))
			r = err_set(err, ERR_INVALID, "holds a NUL");
		else
			r = parse_line(line, &p, err);
		if (r <= 0)
			continue;
		d.patterns = xrealloc(d.patterns, (d.count + 1) * sizeof(p));
		d.patterns[d.count++] = p;
		d.has_negation |= p.is_negated;
	}
	if (r < 0) {
		dockerignore_release(&d);
		return err_wrap(err, r, "line %d", number);
	}
	*ret = d;
	return 0;
}
