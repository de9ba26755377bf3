#include "builder/aws/aws_words.h"

#include "base/buf.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t\r\n";

void aws_words_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

/* Copy the quoted part that begins at *p; false when it does not end. */
static bool take_quoted(const char **p, struct buf *word)
{
	char quote = *(*p)++;

	for (; **p && **p != quote; (*p)++) {
		if (quote == '"' && **p == '\\' &&
		    ((*p)[1] == '"' || (*p)[1] == '\\'))
			(*p)++;
		buf_addc(word, **p);
	}
	if (!**p)
		return false;
	(*p)++;
	return true;
}

static int take_word(const char **p, struct buf *word, struct error *err)
{
	while (**p && !strchr(blanks, **p)) {
		if (**p == '\'' || **p == '"') {
			if (!take_quoted(p, word))
				return err_set(err, ERR_INVALID,
					       "a quote is not closed");
			continue;
		}
		if (**p == '\\' && !*++*p)
			return err_set(err, ERR_INVALID,
				       "nothing follows the last backslash");
		buf_addc(word, *(*p)++);
	}
	return 0;
}

int aws_words_split(const char *line, char ***ret_words, struct error *err)
{
	char **words = xcalloc(AWS_WORDS_MAX + 1, sizeof(*words));
	size_t count = 0;
	int r = 0;

	line += strspn(line, blanks);
	while (r == 0 && *line) {
		struct buf word = BUF_INIT(strlen(line));

		if (count == AWS_WORDS_MAX) {
			r = err_set(err, ERR_LIMIT, "more than %d words",
				    AWS_WORDS_MAX);
			break;
		}
		r = take_word(&line, &word, err);
		words[count++] = buf_detach(&word);
		line += strspn(line, blanks);
	}
	if (r == 0 && count == 0)
		r = err_set(err, ERR_INVALID, "no program is named");
	if (r < 0) {
		aws_words_free(words);
		return r;
	}
	*ret_words = words;
	return 0;
}
