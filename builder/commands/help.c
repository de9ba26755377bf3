#include "builder/commands/command.h"

#include "base/buf.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/commands.h"

#include <string.h>

#ifndef SLIPWAY_VERSION
#define SLIPWAY_VERSION "unknown"
#endif

#define LINE_MAX_BYTES 1024

static int command_width(void)
{
	size_t widest = 0;

	for (size_t i = 0; i < commands_count; i++) {
		size_t len = strlen(commands[i].name);

		if (len > widest)
			widest = len;
	}
	return (int)widest;
}

static void print_overview(struct call *c)
{
	const char *group = "";
	int to = command_width();

	call_printf(c, "Slipway %s: git push deploys.  Commands:\n",
		    SLIPWAY_VERSION);
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *command = &commands[i];

		if (command->needs_admin && !c->is_admin)
			continue;
		if (strcmp(group, command->group) != 0) {
			group = command->group;
			call_printf(c, "\n%s:\n", group);
		}
		call_printf(c, "  %-*s  %s\n", to, command->name,
			    command->help);
	}
	call_printf(c, "\n'help COMMAND' tells more.  APP may also be given "
		       "as -a APP.\n");
}

static void print_options(struct call *c, const struct option_spec *options,
			  bool has_app, bool has_json)
{
	for (const struct option_spec *o = options; o && o->name; o++) {
		auto_buf struct buf left = BUF_INIT(LINE_MAX_BYTES);

		if ((strcmp(o->name, "app") == 0 && !has_app) ||
		    (strcmp(o->name, "json") == 0 && !has_json))
			continue;
		if (o->letter)
			buf_addf(&left, "-%c, ", o->letter);
		else
			buf_adds(&left, "    ");
		buf_addf(&left, "--%s%s%s", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		call_printf(c, "  %-24s  %s\n", buf_str(&left), o->help);
	}
}

static void print_command(struct call *c, const struct command *command)
{
	auto_buf struct buf usage = BUF_INIT(LINE_MAX_BYTES);

	command_usage(command, &usage);
	call_printf(c, "%s\n\n%s\n", buf_str(&usage), command->help);
	if (command->detail)
		call_printf(c, "\n%s\n", command->detail);
	call_printf(c, "\nOptions:\n");
	print_options(c, command->options, true, true);
	print_options(c, common_options, command->takes_app, command->has_json);
	if (command->takes_app)
		call_printf(c, "\nNeeds the role %s on the app.\n",
			    role_name(command->role));
	if (command->needs_admin)
		call_printf(c, "\nFor administrators.\n");
	for (size_t i = 0; i < COMMAND_ALIASES && command->aliases[i]; i++)
		call_printf(c, "%s%s",
			    i ? ", " : "\nAlso: ", command->aliases[i]);
	if (command->aliases[0])
		call_printf(c, "\n");
}

int cmd_help(struct call *c, struct error *err)
{
	const char *name = call_word(c, 0);
	const struct command *command;

	/* "CMD --help" comes here with the command it is about. */
	if (c->command->run != cmd_help) {
		print_command(c, c->command);
		return 0;
	}
	if (!name) {
		print_overview(c);
		return 0;
	}
	command = command_find(name);
	if (!command) {
		const struct command *near = command_nearest(name, NULL);

		c->status = COMMAND_UNKNOWN;
		if (near)
			return err_set(err, ERR_NOTFOUND,
				       "unknown command '%.40s': did you mean "
				       "'%s'?",
				       name, near->name);
		return err_set(err, ERR_NOTFOUND, "unknown command '%.40s'",
			       name);
	}
	print_command(c, command);
	return 0;
}

int cmd_version(struct call *c, struct error *err)
{
	(void)err;
	if (!call_json(c, json_pack("{s:s}", "version", SLIPWAY_VERSION)))
		call_printf(c, "slipway %s\n", SLIPWAY_VERSION);
	return 0;
}
