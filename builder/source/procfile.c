#include "builder/source/procfile.h"

#include "base/buf.h"
#include "base/error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES	  63
#define COMMAND_MAX_BYTES 8192

void procfile_release(struct procfile *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++) {
		free(p->entries[i].name);
		free(p->entries[i].command);
	}
	free(p->entries);
	memset(p, 0, sizeof(*p));
}

static bool is_name(struct slice s)
{
	if (s.len == 0 || s.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && s.ptr[i] != '_' &&
		    s.ptr[i] != '-') /* ASCII: no program sets a locale */
			return false;
	return true;
}

static int add_entry(struct procfile *p, struct slice name,
		     struct slice command, struct error *err)
{
	struct procfile_entry e;

	if (!is_name(name))
		return err_set(err, ERR_INVALID,
			       "'%.*s' is not a process name (letters, "
			       "digits, - and _)",
			       name.len > 64 ? 64 : (int)name.len, name.ptr);
	if (command.len == 0)
		return err_set(err, ERR_INVALID, "'%.*s' has no command",
			       (int)name.len, name.ptr);
	if (command.len > COMMAND_MAX_BYTES)
		return err_set(err, ERR_LIMIT,
			       "the command is longer than %d bytes",
			       COMMAND_MAX_BYTES);
	if (memchr(command.ptr, '\0', command.len))
		return err_set(err, ERR_INVALID, "the command holds a NUL");
	for (size_t i = 0; i < p->count; i++)
		if (slice_eq(name, p->entries[i].name))
			return err_set(err, ERR_INVALID,
				       "'%.*s' is there "
				       "twice",
				       (int)name.len, name.ptr);
	if (p->count == PROCFILE_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d processes",
			       PROCFILE_ENTRIES_MAX);
	e.name = slice_dup(name);
	e.command = slice_dup(command);
	p->entries = xrealloc(p->entries, (p->count + 1) * sizeof(e));
	p->entries[p->count++] = e;
	return 0;
}

static int parse_line(struct procfile *p, struct slice line, struct error *err)
{
	const char *colon;
	struct slice name;
	struct slice command;

	line = slice_trim(line);
	if (line.len == 0 || line.ptr[0] == '#')
		return 0;
	colon = memchr(line.ptr, ':', line.len);
	if (!colon)
		return err_set(err, ERR_INVALID, "expected NAME: COMMAND");
	name = (struct slice){ line.ptr, (size_t)(colon - line.ptr) };
	command = (struct slice){ colon + 1, line.len - name.len - 1 };
	return add_entry(p, slice_trim(name), slice_trim(command), err);
}

int procfile_parse(struct slice text, struct procfile *ret, struct error *err)
{
	struct procfile p = { NULL, 0 };
	struct slice line;
	int number = 0;

	if (slice_starts(text, "\xef\xbb\xbf")) { /* byte order mark */
		text.ptr += 3;
		text.len -= 3;
	}
	while (slice_line(&text, &line)) {
		int r;

		number++;
		r = parse_line(&p, line, err);
		if (r < 0) {
			procfile_release(&p);
			return err_wrap(err, r, "line %d", number);
		}
	}
	*ret = p;
	return 0;
}
