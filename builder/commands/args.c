#include "builder/commands/args.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

#define NAMES_MAX 32

struct parser {
	const char *const *argv;
	size_t argc;
	size_t at; /* next of argv */
	const struct option_spec *tables[2];
	struct args *args;
};

static const struct option_spec *find(const struct parser *p, const char *name,
				      size_t len, char letter)
{
	for (size_t t = 0; t < 2; t++) {
		const struct option_spec *o = p->tables[t];

		for (; o && o->name; o++) {
			if (letter ? o->letter == letter
				   : strlen(o->name) == len &&
					     memcmp(o->name, name, len) == 0)
				return o;
		}
	}
	return NULL;
}

static int unknown_option(const struct parser *p, const char *name,
			  struct error *err)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	const char *nearest;
	size_t n = 0;

	for (size_t t = 0; t < 2; t++)
		for (const struct option_spec *o = p->tables[t];
		     o && o->name && n < NAMES_MAX; o++)
			names[n++] = o->name;
	nearest = text_nearest(name, names);
	if (nearest)
		return err_set(err, ERR_INVALID,
			       "unknown option '--%.40s': did you mean "
			       "'--%s'?",
			       name, nearest);
	return err_set(err, ERR_INVALID, "unknown option '--%.40s'", name);
}

static int add_option(struct parser *p, const struct option_spec *spec,
		      const char *value, struct error *err)
{
	struct args *a = p->args;

	if (a->options_count == OPTIONS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d options",
			       OPTIONS_MAX);
	a->options[a->options_count].spec = spec;
	a->options[a->options_count].value = value;
	a->options_count++;
	return 0;
}

static int next_value(struct parser *p, const struct option_spec *spec,
		      struct error *err)
{
	if (p->at == p->argc)
		return err_set(err, ERR_INVALID, "--%s needs a value: %s",
			       spec->name, spec->value);
	return add_option(p, spec, p->argv[p->at++], err);
}

/* "--name" or "--name=value" */
static int long_option(struct parser *p, const char *word, struct error *err)
{
	const char *name = word + 2;
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_spec *spec = find(p, name, len, 0);

	if (!spec)
		return unknown_option(p, name, err);
	if (!spec->value && equals)
		return err_set(err, ERR_INVALID, "--%s takes no value",
			       spec->name);
	if (equals)
		return add_option(p, spec, equals + 1, err);
	return spec->value ? next_value(p, spec, err)
			   : add_option(p, spec, "", err);
}

/* "-t", "-n5", "-tn5", "-n" "5" */
static int short_options(struct parser *p, const char *word, struct error *err)
{
	for (const char *c = word + 1; *c; c++) {
		const struct option_spec *spec = find(p, NULL, 0, *c);
		int r;

		if (!spec)
			return err_set(err, ERR_INVALID, "unknown option '-%c'",
				       *c);
		if (spec->value)
			return c[1] ? add_option(p, spec, c + 1, err)
				    : next_value(p, spec, err);
		r = add_option(p, spec, "", err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_word(struct args *a, const char *word, struct error *err)
{
	if (a->count == ARGS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d words", ARGS_MAX);
	a->words[a->count++] = word;
	return 0;
}

int args_parse(const char *const *argv, size_t argc,
	       const struct option_spec *common, const struct option_spec *own,
	       struct args *ret, struct error *err)
{
	struct parser p = { argv, argc, 0, { own, common }, ret };
	bool is_ended = false;

	memset(ret, 0, sizeof(*ret));
	while (p.at < argc) {
		const char *word = argv[p.at++];
		int r;

		if (is_ended || word[0] != '-' || !word[1])
			r = add_word(ret, word, err);
		else if (strcmp(word, "--") == 0)
			r = 0, is_ended = true;
		else if (word[1] == '-')
			r = long_option(&p, word, err);
		else
			r = short_options(&p, word, err);
		if (r < 0)
			return r;
	}
	return 0;
}

const char *args_option(const struct args *a, const char *name)
{
	for (size_t i = a->options_count; i > 0; i--)
		if (strcmp(a->options[i - 1].spec->name, name) == 0)
			return a->options[i - 1].value;
	return NULL;
}

const char *args_shift(struct args *a)
{
	const char *first;

	if (a->count == 0)
		return NULL;
	first = a->words[0];
	a->count--;
	memmove(a->words, a->words + 1, a->count * sizeof(a->words[0]));
	return first;
}

int args_number(const char *text, const char *what, int64_t min, int64_t max,
		int64_t *ret, struct error *err)
{
	size_t len = strlen(text);
	int64_t n = 0;

	if (len >= 1 && len <= 18 && strspn(text, "0123456789") == len) {
		for (const char *p = text; *p; p++)
			n = n * 10 + (*p - '0');
		if (n >= min && n <= max) {
			*ret = n;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
		       "%s: '%.24s' is not a number from %lld to %lld", what,
		       text, (long long)min, (long long)max);
}
