#include "builder/source/dockerignore.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/source/path.h"
#include "builder/source/pattern.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading a line ---- */

/* White space as Unicode sees it; Docker trims that. */
static bool is_space(uint32_t rune)
{
	return (rune >= '\t' && rune <= '\r') || rune == ' ' || rune == 0x85 ||
	       rune == 0xa0 || rune == 0x1680 ||
	       (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 ||
	       rune == 0x2029 || rune == 0x202f || rune == 0x205f ||
	       rune == 0x3000;
}

/* From the first to the last character that is not white space. */
static struct slice trim(struct slice s)
{
	const char *first = NULL;
	const char *end = s.ptr;

	while (s.len) {
		const char *at = s.ptr;

		if (is_space(text_next_rune(&s)))
			continue;
		if (!first)
			first = at;
		end = s.ptr;
	}
	return (struct slice){ first ? first : end,
			       first ? (size_t)(end - first) : 0 };
}

/*
 * A pattern as Docker's file reader hands it on (ignorefile.ReadAll): cleaned,
 * without one leading slash, and with the "!" back in front.
 */
static char *read_pattern(struct slice line)
{
	bool is_negated = line.ptr[0] == '!';
	auto_free char *cleaned = NULL;
	const char *text = "";

	if (is_negated)
		line = trim((struct slice){ line.ptr + 1, line.len - 1 });
	if (line.len) {
		cleaned = path_clean(line);
		text = cleaned;
		if (text[0] == '/' && text[1])
			text++;
	}
	return xasprintf("%s%s", is_negated ? "!" : "", text);
}

/*
 * A pattern as Docker's matcher reads it (patternmatcher.New), which trims,
 * cleans and looks for "!" once more.
 */
static int add_rule(struct dockerignore *d, const char *text, struct error *err)
{
	struct slice trimmed = trim(slice_str(text));
	auto_free char *cleaned = NULL;
	struct dockerignore_rule rule = { NULL, false };
	int r;

	if (trimmed.len == 0)
		return 0;
	cleaned = path_clean(trimmed);
	rule.is_negated = cleaned[0] == '!';
	if (rule.is_negated && cleaned[1] == '\0')
		return err_set(err, ERR_INVALID, "\"!\" without a pattern");
	if (d->count == DOCKERIGNORE_PATTERNS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d patterns",
			       DOCKERIGNORE_PATTERNS_MAX);
	r = pattern_compile(cleaned + rule.is_negated, &rule.pattern, err);
	if (r < 0)
		return r;
	/* Doubled at powers of two. */
	if ((d->count & (d->count - 1)) == 0)
		d->rules = xrealloc(d->rules, (d->count ? 2 * d->count : 1) *
						      sizeof(*d->rules));
	d->rules[d->count++] = rule;
	d->has_negation |= rule.is_negated;
	return 0;
}

static int parse_line(struct dockerignore *d, struct slice line,
		      struct error *err)
{
	auto_free char *pattern = NULL;

	if (line.len > DOCKERIGNORE_LINE_MAX)
		return err_set(err, ERR_LIMIT, "longer than %d bytes",
			       DOCKERIGNORE_LINE_MAX);
	if (memchr(line.ptr, '\0', line.len))
		return err_set(err, ERR_INVALID,
			       "holds a NUL byte; is the file UTF-16?");
	if (slice_starts(line, "#"))
		return 0;
	line = trim(line);
	if (line.len == 0)
		return 0;
	pattern = read_pattern(line);
	return add_rule(d, pattern, err);
}

/* ---- the file ---- */

#define SHOWN_MAX 200

static int at_line(struct error *err, int r, int number, struct slice line)
{
	line = trim(line);
	if (memchr(line.ptr, '\0', line.len) || line.len == 0)
		return err_wrap(err, r, "line %d", number);
	return err_wrap(err, r, "line %d: '%.*s'", number,
			line.len > SHOWN_MAX ? SHOWN_MAX : (int)line.len,
			line.ptr);
}

int dockerignore_parse(struct slice text, struct dockerignore *ret,
		       struct error *err)
{
	struct dockerignore d = { NULL, 0, false, 0 };
	struct slice line;
	int number = 0;

	if (slice_starts(text, "\xef\xbb\xbf")) {
		text.ptr += 3;
		text.len -= 3;
	}
	while (slice_line(&text, &line)) {
		int r = parse_line(&d, line, err);

		number++;
		if (r < 0) {
			dockerignore_release(&d);
			return at_line(err, r, number, line);
		}
	}
	*ret = d;
	return 0;
}

void dockerignore_release(struct dockerignore *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++)
		pattern_free(d->rules[i].pattern);
	free(d->rules);
	memset(d, 0, sizeof(*d));
}

/* ---- matching ---- */

int dockerignore_excludes(struct dockerignore *d, struct slice path,
			  const bool *parent, bool *own, struct error *err)
{
	bool is_excluded = false;

	for (size_t i = 0; i < d->count; i++) {
		const struct dockerignore_rule *rule = &d->rules[i];
		bool hit = parent && parent[i];

		/* A rule that could change nothing is not tried. */
		if (!hit && rule->is_negated == is_excluded)
			hit = pattern_match(rule->pattern, path, &d->steps);
		if (own)
			own[i] = hit;
		if (hit)
			is_excluded = !rule->is_negated;
	}
	if (d->steps > DOCKERIGNORE_STEPS_MAX)
		return err_set(err, ERR_LIMIT,
			       "the patterns are too costly to apply to so "
			       "many files");
	return is_excluded;
}
