#include "receiver/exec_line.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GIT_PROTOCOL_MAX 200

static const struct {
	const char *name; /* without "git-" */
	enum exec_kind kind;
} services[] = {
	{ "receive-pack", EXEC_RECEIVE_PACK },
	{ "upload-pack", EXEC_UPLOAD_PACK },
	{ "upload-archive", EXEC_UPLOAD_ARCHIVE },
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int check_line(struct slice line, struct error *err)
{
	auto_buf struct buf clean = BUF_INIT(EXEC_LINE_MAX * 3);

	if (line.len > EXEC_LINE_MAX)
		return err_set(err, ERR_LIMIT,
			       "the command line is longer than %d bytes",
			       EXEC_LINE_MAX);
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return err_set(err, ERR_INVALID,
				       "the command line holds a control "
				       "character");
	}
	text_add_utf8(&clean, line);
	if (clean.len != line.len ||
	    (line.len && memcmp(clean.data, line.ptr, line.len) != 0))
		return err_set(err, ERR_INVALID,
			       "the command line is not valid UTF-8");
	return 0;
}

/* The part of a word up to the next blank or quote; a backslash quotes. */
static int take_plain(struct slice *rest, struct buf *word, struct error *err)
{
	while (rest->len && !is_blank(*rest->ptr) && *rest->ptr != '\'' &&
	       *rest->ptr != '"') {
		if (*rest->ptr == '\\') {
			rest->ptr++;
			if (--rest->len == 0)
				return err_set(err, ERR_INVALID,
					       "the command line ends in a "
					       "backslash");
		}
		buf_addc(word, *rest->ptr++);
		rest->len--;
	}
	return 0;
}

/* A quoted part; `rest` starts at its opening quote. */
static int take_quoted(struct slice *rest, struct buf *word, struct error *err)
{
	char quote = *rest->ptr++;

	rest->len--;
	while (rest->len && *rest->ptr != quote) {
		/* Inside "", a backslash quotes only these four. */
		if (quote == '"' && *rest->ptr == '\\' && rest->len > 1 &&
		    strchr("\"\\$`", rest->ptr[1])) {
			rest->ptr++;
			rest->len--;
		}
		buf_addc(word, *rest->ptr++);
		rest->len--;
	}
	if (rest->len == 0)
		return err_set(err, ERR_INVALID,
			       "the command line has an unfinished %c quote",
			       quote);
	rest->ptr++;
	rest->len--;
	return 0;
}

/* The next word; 1, 0 at the end of the line, -code. */
static int take_word(struct slice *rest, struct buf *word, struct error *err)
{
	int r = 0;

	while (rest->len && is_blank(*rest->ptr)) {
		rest->ptr++;
		rest->len--;
	}
	if (rest->len == 0)
		return 0;
	while (rest->len && !is_blank(*rest->ptr) && r == 0) {
		if (*rest->ptr == '\'' || *rest->ptr == '"')
			r = take_quoted(rest, word, err);
		else
			r = take_plain(rest, word, err);
	}
	return r < 0 ? r : 1;
}

static int split(struct slice rest, struct exec_line *e, struct error *err)
{
	for (;;) {
		auto_buf struct buf word = BUF_INIT(EXEC_LINE_MAX);
		int r = take_word(&rest, &word, err);

		if (r <= 0)
			return r;
		if (e->argc == EXEC_WORDS_MAX)
			return err_set(err, ERR_LIMIT,
				       "the command line has more than %d "
				       "words",
				       EXEC_WORDS_MAX);
		e->argv[e->argc++] = buf_detach(&word);
	}
}

static bool is_app_name(struct slice s)
{
	if (s.len == 0 || s.len > EXEC_APP_MAX || *s.ptr == '.' ||
	    *s.ptr == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) &&
		    !strchr("._-", s.ptr[i]))
			return false;
	return true;
}

static void drop_start(struct slice *s, const char *prefix)
{
	if (!slice_starts(*s, prefix))
		return;
	s->ptr += strlen(prefix);
	s->len -= strlen(prefix);
}

static void drop_end(struct slice *s, const char *suffix)
{
	size_t len = strlen(suffix);

	if (s->len > len && memcmp(s->ptr + s->len - len, suffix, len) == 0)
		s->len -= len;
}

static int read_app(const char *path, struct exec_line *e, struct error *err)
{
	struct slice s = slice_str(path);

	drop_start(&s, "/");
	drop_start(&s, "~/");
	drop_end(&s, "/");
	drop_end(&s, ".git");
	if (!is_app_name(s))
		return err_set(err, ERR_INVALID, "'%s' is not an app's name",
			       path);
	memcpy(e->app, s.ptr, s.len);
	e->app[s.len] = '\0';
	return 0;
}

static enum exec_kind service_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (strcmp(name, services[i].name) == 0)
			return services[i].kind;
	return EXEC_COMMAND;
}

static int recognise(struct exec_line *e, struct error *err)
{
	size_t at = 1; /* where the app is */

	e->kind = EXEC_COMMAND;
	if (e->argc == 0) {
		e->kind = EXEC_NOTHING;
		return 0;
	}
	if (strncmp(e->argv[0], "git-", 4) == 0) {
		e->kind = service_kind(e->argv[0] + 4);
	} else if (strcmp(e->argv[0], "git") == 0 && e->argc > 1) {
		e->kind = service_kind(e->argv[1]);
		at = 2;
	}
	if (e->kind == EXEC_COMMAND)
		return 0;
	if (e->argc != at + 1)
		return err_set(err, ERR_INVALID, "%s takes the name of one app",
			       e->argv[at - 1]);
	return read_app(e->argv[at], e, err);
}

int exec_line_parse(struct slice line, struct exec_line *ret, struct error *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->argv = xcalloc(EXEC_WORDS_MAX + 1, sizeof(*ret->argv));
	r = check_line(line, err);
	if (r == 0)
		r = split(line, ret, err);
	if (r == 0)
		r = recognise(ret, err);
	return r;
}

void exec_line_release(struct exec_line *e)
{
	if (!e || !e->argv)
		return;
	for (size_t i = 0; i < e->argc; i++)
		free(e->argv[i]);
	free(e->argv);
	memset(e, 0, sizeof(*e));
}

bool exec_git_protocol_ok(const char *value)
{
	const char *p = value;

	if (strlen(value) > GIT_PROTOCOL_MAX)
		return false;
	for (;;) {
		if (strncmp(p, "version=", 8) != 0)
			return false;
		p += 8;
		if (!isdigit((unsigned char)*p))
			return false;
		while (isdigit((unsigned char)*p))
			p++;
		if (*p == '\0')
			return true;
		if (*p++ != ':')
			return false;
	}
}
