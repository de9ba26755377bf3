#include "builder/source/matcher.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <string.h>

#define WORD_BITS    64
#define RUNE_MAX     0x10ffff
#define RUNE_INVALID 0xfffd
#define LITERAL_MAX  256 /* bytes compared before the real matching */
#define NO_RUNE	     (-1)

enum step_kind {
	STEP_RUNE,	  /* this character */
	STEP_ANY,	  /* any but a line feed */
	STEP_CLASS,	  /* one of, or none of, the ranges */
	STEP_BEGIN,	  /* nothing, but only at the start */
	STEP_END,	  /* nothing, but only at the end */
	STEP_EDGE,	  /* nothing, but only at the edge of a word */
	STEP_NO_EDGE,	  /* nothing, but not there */
	STEP_TRY_FOLDERS, /* nothing; the next step may be left out */
	STEP_FOLDERS,	  /* anything without line feeds, to a "/" */
	STEP_ACCEPT,	  /* a match, at the end of the subject */
	STEP_ACCEPT_HERE, /* a match, wherever */
};

struct range {
	uint32_t low;
	uint32_t high;
};

struct step {
	enum step_kind kind;
	bool is_repeated; /* any number of times, none included */
	bool is_negated;
	uint32_t rune;
	struct range *ranges;
	size_t ranges_count;
};

struct matcher {
	struct step *steps;
	size_t count;
	size_t cap;
	/*
	 * First steps of the alternatives.  As the anchors bind closer than
	 * "|", only the first has to start at the start and only the last has
	 * to end at the end.
	 */
	size_t *starts;
	size_t starts_count;
	/* Bytes that a match starts and ends with: most paths fail here. */
	struct buf head;
	struct buf tail;
	/* Sets of steps that are next, a bit each. */
	uint64_t *now;
	uint64_t *then;
	size_t words;
};

/* The expression still to be read. */
struct input {
	const uint32_t *p;
	const uint32_t *end;
	bool no_names; /* no ":]" comes any more: do not look again */
};

/* ---- named sets of ASCII characters: pairs of first and last ---- */

struct named_class {
	const char *name;
	const char *pairs;
	size_t len;
};

#define NAMED(name, pairs)                                                     \
	{                                                                      \
		(name), (pairs), sizeof(pairs) - 1                             \
	}

static const struct named_class posix_classes[] = {
	NAMED("alnum", "09AZaz"),
	NAMED("alpha", "AZaz"),
	NAMED("ascii", "\0\177"),
	NAMED("blank", "\t\t  "),
	NAMED("cntrl", "\0\037\177\177"),
	NAMED("digit", "09"),
	NAMED("graph", "!~"),
	NAMED("lower", "az"),
	NAMED("print", " ~"),
	NAMED("punct", "!/:@[`{~"),
	NAMED("space", "\t\r  "),
	NAMED("upper", "AZ"),
	NAMED("word", "09AZ__az"),
	NAMED("xdigit", "09AFaf"),
};

static const struct named_class perl_classes[] = {
	NAMED("d", "09"),
	NAMED("s", "\t\n\f\r  "),
	NAMED("w", "09AZ__az"),
};

static int syntax(struct error *err)
{
	return err_set(err, ERR_INVALID, "syntax error in pattern");
}

static struct step *add_step(struct matcher *m, enum step_kind kind)
{
	struct step *s;

	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 16;
		m->steps = xrealloc(m->steps, m->cap * sizeof(*m->steps));
	}
	s = &m->steps[m->count++];
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	return s;
}

static void add_rune(struct matcher *m, uint32_t rune)
{
	add_step(m, STEP_RUNE)->rune = rune;
}

static void add_range(struct step *s, uint32_t low, uint32_t high)
{
	/* Doubled at powers of two. */
	if ((s->ranges_count & (s->ranges_count - 1)) == 0)
		s->ranges = xrealloc(
			s->ranges, (s->ranges_count ? 2 * s->ranges_count : 1) *
					   sizeof(*s->ranges));
	s->ranges[s->ranges_count++] = (struct range){ low, high };
}

/* Add a named set, or all that is not in it. */
static void add_named(struct step *s, const struct named_class *c,
		      bool is_negated)
{
	const unsigned char *pairs = (const unsigned char *)c->pairs;
	uint32_t low = 0;

	for (size_t i = 0; i < c->len; i += 2) {
		if (!is_negated)
			add_range(s, pairs[i], pairs[i + 1]);
		else if (pairs[i] > low)
			add_range(s, low, pairs[i] - 1u);
		low = pairs[i + 1] + 1u;
	}
	if (is_negated)
		add_range(s, low, RUNE_MAX);
}

/* ---- reading an expression ---- */

static bool has(const struct input *in, size_t at, uint32_t rune)
{
	return (size_t)(in->end - in->p) > at && in->p[at] == rune;
}

static bool is_octal(const struct input *in, size_t at)
{
	return (size_t)(in->end - in->p) > at && in->p[at] >= '0' &&
	       in->p[at] <= '7';
}

static int hex_value(const struct input *in, size_t at)
{
	uint32_t c = (size_t)(in->end - in->p) > at ? in->p[at] : 0;

	if (c >= '0' && c <= '9')
		return (int)c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

static bool is_alnum(uint32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z');
}

static int read_octal(struct input *in, uint32_t *ret, struct error *err)
{
	uint32_t rune = 0;

	/* "\1" alone would be a reference backwards, which there is not. */
	if (in->p[0] != '0' && !is_octal(in, 1))
		return syntax(err);
	for (int i = 0; i < 3 && is_octal(in, 0); i++)
		rune = rune * 8 + (*in->p++ - '0');
	*ret = rune;
	return 0;
}

/* What stands behind a backslash, as one character. */
static int read_escape(struct input *in, uint32_t *ret, struct error *err)
{
	static const char letters[] = "afnrtv";
	static const char controls[] = "\a\f\n\r\t\v";
	const char *letter;
	uint32_t c;

	if (in->p == in->end)
		return syntax(err);
	c = in->p[0];
	if (is_octal(in, 0))
		return read_octal(in, ret, err);
	if (c == 'x') {
		if (hex_value(in, 1) < 0 || hex_value(in, 2) < 0)
			return syntax(err);
		*ret = (uint32_t)(hex_value(in, 1) * 16 + hex_value(in, 2));
		in->p += 3;
		return 0;
	}
	letter = c && c < 0x80 ? strchr(letters, (int)c) : NULL;
	if (letter)
		*ret = (uint32_t)controls[letter - letters];
	else if (c < 0x80 && !is_alnum(c))
		*ret = c;
	else
		return syntax(err);
	in->p++;
	return 0;
}

/* "\d", "\D" and the like at the front, added to the class. */
static bool read_perl_class(struct input *in, struct step *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(perl_classes); i++) {
		uint32_t c = (unsigned char)perl_classes[i].name[0];

		if (!has(in, 0, '\\') || !(has(in, 1, c) || has(in, 1, c - 32)))
			continue;
		add_named(s, &perl_classes[i], in->p[1] != c);
		in->p += 2;
		return true;
	}
	return false;
}

static bool name_is(const struct input *in, const char *name, size_t len)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (in->p[i] != (unsigned char)name[i])
			return false;
	return true;
}

/* "[:alpha:]" inside of a class.  1, 0 when there is none, -ERR_INVALID. */
static int read_posix_class(struct input *in, struct step *s, struct error *err)
{
	struct input name = *in;
	bool is_negated;
	size_t len = 0;

	if (in->no_names || !has(in, 0, '[') || !has(in, 1, ':'))
		return 0;
	name.p += 2;
	while (!has(&name, len, ':') || !has(&name, len + 1, ']')) {
		in->no_names = ++len > (size_t)(name.end - name.p);
		if (in->no_names)
			return 0;
	}
	in->p = name.p + len + 2;
	is_negated = has(&name, 0, '^');
	if (is_negated) {
		name.p++;
		len--;
	}
	for (size_t i = 0; i < ARRAY_SIZE(posix_classes); i++) {
		if (!name_is(&name, posix_classes[i].name, len))
			continue;
		add_named(s, &posix_classes[i], is_negated);
		return 1;
	}
	return syntax(err);
}

static int read_class_rune(struct input *in, uint32_t *ret, struct error *err)
{
	if (in->p == in->end)
		return syntax(err);
	if (*in->p == '\\') {
		in->p++;
		return read_escape(in, ret, err);
	}
	*ret = *in->p++;
	return 0;
}

static int read_range(struct input *in, struct step *s, struct error *err)
{
	uint32_t low;
	uint32_t high;
	int r = read_class_rune(in, &low, err);

	if (r < 0)
		return r;
	high = low;
	if (has(in, 0, '-') && in->end - in->p > 1 && in->p[1] != ']') {
		in->p++;
		r = read_class_rune(in, &high, err);
		if (r < 0)
			return r;
		if (high < low)
			return syntax(err);
	}
	add_range(s, low, high);
	return 0;
}

/* Behind "[". */
static int read_class(struct input *in, struct matcher *m, struct error *err)
{
	struct step *s = add_step(m, STEP_CLASS);
	bool is_first = true;

	if (has(in, 0, '^')) {
		s->is_negated = true;
		in->p++;
	}
	while (is_first || !has(in, 0, ']')) {
		int r = read_posix_class(in, s, err);

		is_first = false;
		if (r == 0 && !read_perl_class(in, s))
			r = read_range(in, s, err);
		if (r < 0)
			return r;
	}
	in->p++;
	return 0;
}

/* "\Q": what follows, up to "\E", stands for itself. */
static void read_quoted(struct input *in, struct matcher *m)
{
	while (in->p < in->end && !(has(in, 0, '\\') && has(in, 1, 'E')))
		add_rune(m, *in->p++);
	if (in->p < in->end)
		in->p += 2;
	else
		add_rune(m, '$'); /* Docker's anchor is quoted, too */
}

/* At a backslash, outside of classes. */
static int read_backslash(struct input *in, struct matcher *m,
			  struct error *err)
{
	uint32_t c = in->end - in->p > 1 ? in->p[1] : 0;
	struct step class = { .kind = STEP_CLASS };
	uint32_t rune;
	int r;

	if (read_perl_class(in, &class)) {
		*add_step(m, STEP_CLASS) = class;
		return 0;
	}
	in->p++;
	if (c == 'A' || c == 'z' || c == 'b' || c == 'B' || c == 'Q')
		in->p++;
	switch (c) {
	case 'A':
		add_step(m, STEP_BEGIN);
		return 0;
	case 'z':
		add_step(m, STEP_END);
		return 0;
	case 'b':
		add_step(m, STEP_EDGE);
		return 0;
	case 'B':
		add_step(m, STEP_NO_EDGE);
		return 0;
	case 'Q':
		read_quoted(in, m);
		return 0;
	default:
		r = read_escape(in, &rune, err);
		if (r == 0)
			add_rune(m, rune);
		return r;
	}
}

static bool is_group(const struct input *in)
{
	static const char group[] = "(.*/)?";

	for (size_t i = 0; i < sizeof(group) - 1; i++)
		if (!has(in, i, (unsigned char)group[i]))
			return false;
	return true;
}

static void begin_alternative(struct matcher *m)
{
	if ((m->starts_count & (m->starts_count - 1)) == 0)
		m->starts = xrealloc(
			m->starts, (m->starts_count ? 2 * m->starts_count : 1) *
					   sizeof(*m->starts));
	m->starts[m->starts_count++] = m->count;
}

/* At "{": is it a count, as in "x{2,3}"? */
static bool is_count(struct input in)
{
	size_t digits = 0;

	while (++in.p < in.end && *in.p != '}') {
		if (*in.p != ',' && (*in.p < '0' || *in.p > '9'))
			return false;
		digits += *in.p != ',';
	}
	return in.p < in.end && digits > 0;
}

static int read_atom(struct input *in, struct matcher *m, struct error *err)
{
	int r = 0;

	switch (*in->p) {
	case '\\':
		return read_backslash(in, m, err);
	case '(':
		if (!is_group(in))
			return syntax(err);
		add_step(m, STEP_TRY_FOLDERS);
		add_step(m, STEP_FOLDERS);
		in->p += 6;
		return 0;
	case '^':
		add_step(m, STEP_BEGIN);
		in->p++;
		return 0;
	case '|':
		add_step(m, STEP_ACCEPT_HERE);
		begin_alternative(m);
		in->p++;
		return 0;
	case '{':
		if (is_count(*in))
			return err_set(err, ERR_INVALID,
				       "counts like {2} are not supported");
		add_rune(m, *in->p++);
		return 0;
	case '[':
		in->p++;
		r = read_class(in, m, err);
		break;
	case '.':
		add_step(m, STEP_ANY);
		in->p++;
		break;
	default:
		add_rune(m, *in->p++);
		return 0;
	}
	if (r == 0 && has(in, 0, '*')) {
		m->steps[m->count - 1].is_repeated = true;
		in->p++;
	}
	return r;
}

/* ---- compiling ---- */

static void add_utf8(struct buf *b, uint32_t rune)
{
	if (rune < 0x80) {
		buf_addc(b, (char)rune);
	} else if (rune < 0x800) {
		buf_addc(b, (char)(0xc0 | rune >> 6));
		buf_addc(b, (char)(0x80 | (rune & 0x3f)));
	} else if (rune < 0x10000) {
		buf_addc(b, (char)(0xe0 | rune >> 12));
		buf_addc(b, (char)(0x80 | (rune >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (rune & 0x3f)));
	} else {
		buf_addc(b, (char)(0xf0 | rune >> 18));
		buf_addc(b, (char)(0x80 | (rune >> 12 & 0x3f)));
		buf_addc(b, (char)(0x80 | (rune >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (rune & 0x3f)));
	}
}

/* Can this step be compared as bytes?  RUNE_INVALID may be any bad byte. */
static bool is_literal(const struct step *s)
{
	return s->kind == STEP_RUNE && s->rune != RUNE_INVALID;
}

static void find_literals(struct matcher *m)
{
	size_t count = m->count - 1; /* but for STEP_ACCEPT */
	size_t first = 0;
	size_t last = count;

	m->head = (struct buf)BUF_INIT(LITERAL_MAX + 4);
	m->tail = (struct buf)BUF_INIT(LITERAL_MAX + 4);
	if (m->starts_count > 1)
		return;
	while (first < count && is_literal(&m->steps[first]) &&
	       m->head.len < LITERAL_MAX)
		add_utf8(&m->head, m->steps[first++].rune);
	while (last > 0 && is_literal(&m->steps[last - 1]) &&
	       count - last < LITERAL_MAX / 4)
		last--;
	while (last < count)
		add_utf8(&m->tail, m->steps[last++].rune);
}

int matcher_compile(const uint32_t *text, size_t len, struct matcher **ret,
		    struct error *err)
{
	struct matcher *m = xcalloc(1, sizeof(*m));
	struct input in = { text, text + len, false };
	int r = 0;

	begin_alternative(m);
	while (r == 0 && in.p < in.end)
		r = read_atom(&in, m, err);
	add_step(m, STEP_ACCEPT);
	if (r < 0) {
		matcher_free(m);
		return r;
	}
	find_literals(m);
	m->words = (m->count + WORD_BITS - 1) / WORD_BITS;
	m->now = xcalloc(m->words, sizeof(*m->now));
	m->then = xcalloc(m->words, sizeof(*m->then));
	*ret = m;
	return 0;
}

void matcher_free(struct matcher *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++)
		free(m->steps[i].ranges);
	free(m->steps);
	free(m->starts);
	buf_release(&m->head);
	buf_release(&m->tail);
	free(m->now);
	free(m->then);
	free(m);
}

/* ---- matching ---- */

static bool literals_fit(const struct matcher *m, struct slice s)
{
	return s.len >= m->head.len && s.len >= m->tail.len &&
	       memcmp(s.ptr, buf_str(&m->head), m->head.len) == 0 &&
	       memcmp(s.ptr + s.len - m->tail.len, buf_str(&m->tail),
		      m->tail.len) == 0;
}

static bool is_word(int64_t rune)
{
	return rune == '_' || (rune >= 0 && is_alnum((uint32_t)rune));
}

/* Steps that take no character: do they hold between these two? */
static bool holds(const struct step *s, int64_t before, int64_t after)
{
	switch (s->kind) {
	case STEP_BEGIN:
		return before == NO_RUNE;
	case STEP_END:
		return after == NO_RUNE;
	case STEP_EDGE:
		return is_word(before) != is_word(after);
	case STEP_NO_EDGE:
		return is_word(before) == is_word(after);
	default:
		return s->is_repeated || s->kind == STEP_TRY_FOLDERS;
	}
}

static bool takes(const struct step *s, uint32_t rune)
{
	switch (s->kind) {
	case STEP_RUNE:
		return s->rune == rune;
	case STEP_ANY:
	case STEP_FOLDERS:
		return rune != '\n';
	case STEP_CLASS:
		for (size_t i = 0; i < s->ranges_count; i++)
			if (rune >= s->ranges[i].low &&
			    rune <= s->ranges[i].high)
				return !s->is_negated;
		return s->is_negated;
	default:
		return false;
	}
}

static void set_bit(uint64_t *set, size_t i)
{
	set[i / WORD_BITS] |= UINT64_C(1) << (i % WORD_BITS);
}

/* What step i leads to when `rune` comes. */
static void take(struct matcher *m, size_t i, uint32_t rune)
{
	const struct step *s = &m->steps[i];

	if (!takes(s, rune))
		return;
	if (s->is_repeated || s->kind == STEP_FOLDERS)
		set_bit(m->then, i);
	if (!s->is_repeated && (s->kind != STEP_FOLDERS || rune == '/'))
		set_bit(m->then, i + 1);
}

/*
 * All that can be next, having read `before`, when `after` comes: fill
 * m->then.  Going on without taking a character leads to later steps only, so
 * one pass in rising order sees everything.  True when that is a match.
 */
static bool advance(struct matcher *m, int64_t before, int64_t after,
		    uint64_t *steps)
{
	for (size_t w = 0; w < m->words; w++) {
		while (m->now[w]) {
			size_t bit = (size_t)__builtin_ctzll(m->now[w]);
			size_t i = w * WORD_BITS + bit;
			const struct step *s = &m->steps[i];

			m->now[w] &= m->now[w] - 1;
			(*steps)++;
			if (s->kind == STEP_ACCEPT_HERE ||
			    (s->kind == STEP_ACCEPT && after == NO_RUNE))
				return true;
			if (holds(s, before, after))
				set_bit(m->now, i + 1);
			if (s->kind == STEP_TRY_FOLDERS)
				set_bit(m->now, i + 2);
			if (after != NO_RUNE)
				take(m, i, (uint32_t)after);
		}
	}
	*steps += m->words;
	return false;
}

static bool is_empty(const uint64_t *set, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if (set[w])
			return false;
	return true;
}

/* The alternatives that may start anywhere: all but the first. */
static void start_anywhere(struct matcher *m)
{
	for (size_t i = 1; i < m->starts_count; i++)
		set_bit(m->now, m->starts[i]);
}

bool matcher_match(struct matcher *m, struct slice subject, uint64_t *steps)
{
	int64_t before = NO_RUNE;

	(*steps)++;
	if (!literals_fit(m, subject))
		return false;
	memset(m->now, 0, m->words * sizeof(*m->now));
	memset(m->then, 0, m->words * sizeof(*m->then));
	set_bit(m->now, 0);
	while (subject.len) {
		uint32_t after = text_next_rune(&subject);
		uint64_t *swap = m->now;

		start_anywhere(m);
		if (advance(m, before, after, steps))
			return true;
		if (m->starts_count == 1 && is_empty(m->then, m->words))
			return false;
		m->now = m->then; /* the old one is empty by now */
		m->then = swap;
		before = after;
	}
	start_anywhere(m);
	return advance(m, before, NO_RUNE, steps);
}
