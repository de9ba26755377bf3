/* docs/man/slipway.1 against the table of commands. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/commands/command.h"

#define PAGE	 "docs/man/slipway.1"
#define PAGE_MAX (1 << 20)
#define ITEM	 ".It Ic "

static struct buf page = BUF_INIT(PAGE_MAX);

static int read_page(void **state)
{
	auto_close int fd = open(PAGE, O_RDONLY | O_CLOEXEC);
	struct error err;

	(void)state;
	return fd < 0 ? -1 : buf_read_fd(&page, fd, &err);
}

static int free_page(void **state)
{
	(void)state;
	buf_release(&page);
	return 0;
}

/* Does the text have this word between blanks, commas or ends of lines? */
static bool has_word(struct slice text, const char *word)
{
	size_t len = strlen(word);
	const char *end = text.ptr + text.len;
	const char *p = text.ptr;

	while ((p = memmem(p, (size_t)(end - p), word, len))) {
		bool begins = p == text.ptr || strchr(" .\n", p[-1]);
		bool ends = p + len == end || strchr(" \n", p[len]);

		if (begins && ends)
			return true;
		p += len;
	}
	return false;
}

/* The item of a command, up to the next; false when there is none. */
static bool find_item(const char *name, struct slice *ret)
{
	auto_free char *head = xasprintf("\n" ITEM "%s", name);
	const char *text = buf_str(&page);
	const char *p = text;

	while ((p = strstr(p, head))) {
		const char *body = p + strlen(head);
		const char *next = strstr(body, "\n.It ");
		const char *list = strstr(body, "\n.El");

		p = body;
		if (*body != ' ' && *body != '\n')
			continue;
		if (!next || (list && list < next))
			next = list;
		assert_non_null(next);
		*ret = (struct slice){ body, (size_t)(next - body) };
		return true;
	}
	return false;
}

static void check_option(const struct command *c, struct slice item,
			 const struct option_spec *o)
{
	auto_free char *name = xasprintf("Fl -%s", o->name);
	auto_free char *letter = xasprintf("Fl %c", o->letter);

	if (!has_word(item, name))
		fail_msg("%s: --%s of %s is missing", PAGE, o->name, c->name);
	if (o->letter && !has_word(item, letter))
		fail_msg("%s: -%c of %s is missing", PAGE, o->letter, c->name);
}

static void every_command_is_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *c = &commands[i];
		struct slice item;

		if (!find_item(c->name, &item))
			fail_msg("%s: %s is missing", PAGE, c->name);
		for (const struct option_spec *o = c->options; o && o->name;
		     o++)
			check_option(c, item, o);
		for (size_t a = 0; a < COMMAND_ALIASES && c->aliases[a]; a++) {
			/* "--help" is ".Fl -help", "-h" after it "h". */
			const char *alias = c->aliases[a];

			alias += alias[0] == '-' ? 1 : 0;
			if (!has_word(item, alias))
				fail_msg("%s: %s, which is %s, is missing",
					 PAGE, c->aliases[a], c->name);
		}
		if (c->needs_admin &&
		    !memmem(item.ptr, item.len, "For administrators.", 19))
			fail_msg("%s: %s is for administrators", PAGE, c->name);
	}
}

static void nothing_else_is_there(void **state)
{
	struct slice rest = buf_slice(&page);
	struct slice line;
	size_t found = 0;

	(void)state;
	while (slice_line(&rest, &line)) {
		char name[64];
		size_t len = 0;

		if (!slice_starts(line, ITEM))
			continue;
		line.ptr += strlen(ITEM);
		line.len -= strlen(ITEM);
		while (len < line.len && line.ptr[len] != ' ')
			len++;
		snprintf(name, sizeof(name), "%.*s", (int)len, line.ptr);
		if (!command_find(name))
			fail_msg("%s: there is no command %s", PAGE, name);
		found++;
	}
	assert_int_equal(found, commands_count);
}

static void common_options_are_there(void **state)
{
	const char *head = strstr(buf_str(&page), "\n.Sh COMMANDS");
	const char *end = head ? strstr(head, "\n.Ss ") : NULL;
	const struct command all = { .name = "every command" };

	(void)state;
	assert_non_null(end);
	for (const struct option_spec *o = common_options; o->name; o++)
		check_option(&all, (struct slice){ head, (size_t)(end - head) },
			     o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_there),
		cmocka_unit_test(nothing_else_is_there),
		cmocka_unit_test(common_options_are_there),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, read_page, free_page);
}
