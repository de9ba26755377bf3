#include "builder/aws/aws_ini.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/wipe.h"

#include <stdlib.h>
#include <string.h>

/* What the lines so far mean for the next one. */
struct reader {
	enum aws_ini_file file;
	struct aws_ini ini;
	size_t line;
	enum aws_ini_section section;
	char *name;	      /* of the section; NULL = none began yet */
	char *parent;	      /* key that deeper lines belong to, or NULL */
	size_t parent_indent; /* columns before it */
	bool parent_nests;    /* its value is empty: sub-keys follow */
};

void aws_ini_release(struct aws_ini *ini)
{
	if (!ini)
		return;
	for (size_t i = 0; i < ini->count; i++) {
		free(ini->entries[i].name);
		free(ini->entries[i].key);
		wipe_text(ini->entries[i].value);
	}
	free(ini->entries);
	*ini = (struct aws_ini){ 0 };
}

static int add(struct reader *rd, const char *key, struct slice value,
	       struct error *err)
{
	struct aws_ini *ini = &rd->ini;

	if (ini->count == AWS_INI_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "line %zu: more than %d entries",
			       rd->line, AWS_INI_ENTRIES_MAX);
	if (ini->count == ini->allocated) {
		ini->allocated = ini->allocated ? ini->allocated * 2 : 32;
		ini->entries = xrealloc(ini->entries,
					ini->allocated * sizeof(*ini->entries));
	}
	ini->entries[ini->count++] = (struct aws_ini_entry){
		.section = rd->section,
		.name = xstrdup(rd->name),
		.key = xstrdup(key),
		.value = slice_dup(value),
	};
	return 0;
}

/* ---- sections ---- */

static struct slice unquote(struct slice s)
{
	s = slice_trim(s);
	if (s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') &&
	    s.ptr[s.len - 1] == s.ptr[0])
		return slice_trim((struct slice){ s.ptr + 1, s.len - 2 });
	return s;
}

/* Is it "word name"?  Then *ret_name is the name. */
static bool is_named(struct slice header, const char *word,
		     struct slice *ret_name)
{
	size_t len = strlen(word);

	if (header.len <= len || !slice_starts(header, word) ||
	    (header.ptr[len] != ' ' && header.ptr[len] != '\t'))
		return false;
	*ret_name =
		unquote((struct slice){ header.ptr + len, header.len - len });
	return true;
}

static enum aws_ini_section
classify(struct slice header, enum aws_ini_file file, struct slice *ret_name)
{
	*ret_name = header;
	if (file == AWS_INI_CREDENTIALS)
		return is_named(header, "profile", ret_name) ? AWS_INI_OTHER
							     : AWS_INI_PROFILE;
	if (slice_eq(header, "default") ||
	    is_named(header, "profile", ret_name))
		return AWS_INI_PROFILE;
	if (is_named(header, "services", ret_name))
		return AWS_INI_SERVICES;
	return AWS_INI_OTHER;
}

static int begin_section(struct reader *rd, struct slice line,
			 struct error *err)
{
	const char *end = memchr(line.ptr, ']', line.len);
	struct slice name;

	if (!end)
		return err_set(err, ERR_INVALID, "line %zu: '[' without ']'",
			       rd->line);
	line = slice_trim(
		(struct slice){ line.ptr + 1, (size_t)(end - line.ptr) - 1 });
	rd->section = classify(line, rd->file, &name);
	if (name.len == 0)
		return err_set(err, ERR_INVALID,
			       "line %zu: a section without a name", rd->line);
	free(rd->name);
	rd->name = slice_dup(name);
	free(TAKE_PTR(rd->parent));
	return rd->section == AWS_INI_OTHER
		       ? 0
		       : add(rd, "", (struct slice){ "", 0 }, err);
}

/* ---- settings ---- */

/* Split at the first "=" or ":", as Python's configparser does. */
static int split(const struct reader *rd, struct slice line, char **ret_key,
		 struct slice *ret_value, struct error *err)
{
	struct slice key = { line.ptr, 0 };

	while (key.len < line.len && line.ptr[key.len] != '=' &&
	       line.ptr[key.len] != ':')
		key.len++;
	if (key.len == line.len || slice_trim(key).len == 0)
		return err_set(err, ERR_INVALID,
			       "line %zu: expected 'key = value'", rd->line);
	*ret_value = slice_trim((struct slice){ line.ptr + key.len + 1,
						line.len - key.len - 1 });
	*ret_key = slice_dup(slice_trim(key));
	for (char *p = *ret_key; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return 0;
}

/* A deeper line continues the value before it. */
static int continue_value(struct reader *rd, struct slice line,
			  struct error *err)
{
	struct aws_ini_entry *e = &rd->ini.entries[rd->ini.count - 1];
	char *whole;

	if (strlen(e->value) + 1 + line.len > AWS_INI_VALUE_MAX)
		return err_set(err, ERR_LIMIT,
			       "line %zu: the value is over %d bytes", rd->line,
			       AWS_INI_VALUE_MAX);
	whole = xasprintf("%s\n%.*s", e->value, (int)line.len, line.ptr);
	wipe_text(e->value);
	e->value = whole;
	return 0;
}

static int read_nested(struct reader *rd, struct slice line, struct error *err)
{
	auto_free char *key = NULL;
	auto_free char *whole = NULL;
	struct slice value;
	int r;

	if (!rd->parent_nests)
		return continue_value(rd, line, err);
	r = split(rd, line, &key, &value, err);
	if (r < 0)
		return r;
	whole = xasprintf("%s.%s", rd->parent, key);
	return add(rd, whole, value, err);
}

static int read_setting(struct reader *rd, struct slice line, size_t indent,
			struct error *err)
{
	auto_free char *key = NULL;
	struct slice value;
	int r;

	if (!rd->name)
		return err_set(err, ERR_INVALID,
			       "line %zu: expected a [section] first",
			       rd->line);
	if (rd->section == AWS_INI_OTHER)
		return 0;
	if (rd->parent && indent > rd->parent_indent)
		return read_nested(rd, line, err);
	r = split(rd, line, &key, &value, err);
	if (r < 0)
		return r;
	r = add(rd, key, value, err);
	free(rd->parent);
	rd->parent = TAKE_PTR(key);
	rd->parent_indent = indent;
	rd->parent_nests = value.len == 0;
	return r;
}

static int read_line(struct reader *rd, struct slice line, struct error *err)
{
	struct slice text = slice_trim(line);

	if (text.len == 0 || *text.ptr == '#' || *text.ptr == ';')
		return 0;
	if (memchr(text.ptr, '\0', text.len))
		return err_set(err, ERR_INVALID, "line %zu: a NUL byte",
			       rd->line);
	if (*line.ptr == '[')
		return begin_section(rd, text, err);
	return read_setting(rd, text, (size_t)(text.ptr - line.ptr), err);
}

int aws_ini_parse(struct slice text, enum aws_ini_file file,
		  struct aws_ini *ret, struct error *err)
{
	struct reader rd = { .file = file };
	struct slice line;
	int r = 0;

	/* Editors of Windows put a byte order mark there. */
	if (slice_starts(text, "\xef\xbb\xbf")) {
		text.ptr += 3;
		text.len -= 3;
	}
	while (r == 0 && slice_line(&text, &line)) {
		rd.line++;
		r = read_line(&rd, line, err);
	}
	free(rd.name);
	free(rd.parent);
	if (r < 0) {
		aws_ini_release(&rd.ini);
		return r;
	}
	aws_ini_release(ret);
	*ret = rd.ini;
	return 0;
}

const char *aws_ini_get(const struct aws_ini *ini, enum aws_ini_section section,
			const char *name, const char *key)
{
	for (size_t i = ini->count; i > 0; i--) {
		const struct aws_ini_entry *e = &ini->entries[i - 1];

		if (e->section == section && strcmp(e->name, name) == 0 &&
		    strcmp(e->key, key) == 0)
			return e->value;
	}
	return NULL;
}

bool aws_ini_has(const struct aws_ini *ini, enum aws_ini_section section,
		 const char *name)
{
	return aws_ini_get(ini, section, name, "") != NULL;
}
