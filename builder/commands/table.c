/* The table of commands (command.h). */
#include "builder/commands/command.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "builder/commands/args.h"

#include <string.h>

#define G_APPS	  "Apps"
#define G_DEPLOYS "Builds and releases"
#define G_RUNNING "What runs"
#define G_CONFIG  "Config vars"
#define G_ACCESS  "Users, keys and access"
#define G_OTHER	  "Other"

#define NAMES_MAX 128

const struct option_spec common_options[] = {
	{ 'a', "app", "APP", "the app, in place of the first word" },
	{ 0, "json", NULL, "print JSON" },
	{ 'q', "quiet", NULL, "no headings and notes" },
	{ 'h', "help", NULL, "describe the command" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec create_options[] = {
	{ 0, "target", "TARGET", "where it is to run (targets:list)" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec destroy_options[] = {
	{ 0, "confirm", "APP", "the app's name again, instead of being asked" },
	{ 'f', "force", NULL, "do not ask" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec git_set_options[] = {
	{ 0, "unset", NULL, "back to main or master" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec list_options[] = {
	{ 'n', "num", "N", "how many (20)" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec logs_options[] = {
	{ 't', "tail", NULL, "go on with what comes" },
	{ 'n', "num", "N", "start with the last N lines (100)" },
	{ 'p', "ps", "PROCESS",
	  "only this one: web, web.1, on ECS web.1f0c22ab" },
	{ 0, "since", "TIME", "from then on: 10m (ago), 2026-11-22T10:15:00Z" },
	{ 0, "grep", "TEXT", "only lines with this text" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec config_options[] = {
	{ 's', "shell", NULL, "as NAME='value' lines" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec config_change_options[] = {
	{ 0, "no-restart", NULL, "store only; the next release has it" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec access_options[] = {
	{ 'p', "permissions", "ROLE", "the role" },
	{ 0, NULL, NULL, NULL },
};

static const struct option_spec user_options[] = {
	{ 0, "admin", NULL, "administrator of everything" },
	{ 0, NULL, NULL, NULL },
};

const struct command commands[] = {
	{ .name = "apps:list",
	  .aliases = { "apps" },
	  .group = G_APPS,
	  .synopsis = "",
	  .help = "the apps you may see",
	  .has_json = true,
	  .run = cmd_apps_list },
	{ .name = "apps:create",
	  .aliases = { "create" },
	  .group = G_APPS,
	  .synopsis = "NAME",
	  .help = "make an app (so does the first push to it)",
	  .options = create_options,
	  .has_json = true,
	  .min_words = 1,
	  .max_words = 1,
	  .run = cmd_apps_create },
	{ .name = "apps:info",
	  .aliases = { "apps:report", "info" },
	  .group = G_APPS,
	  .synopsis = "APP",
	  .help = "its address, repository and state",
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .run = cmd_apps_info },
	{ .name = "apps:exists",
	  .group = G_APPS,
	  .synopsis = "APP",
	  .help = "exit with 0 when you may see such an app, else 1",
	  .takes_app = true,
	  .is_probe = true,
	  .role = ROLE_VIEW,
	  .run = cmd_apps_exists },
	{ .name = "apps:rename",
	  .aliases = { "rename" },
	  .group = G_APPS,
	  .synopsis = "APP NEW-NAME",
	  .help = "give it another name and address",
	  .takes_app = true,
	  .role = ROLE_ADMIN,
	  .has_json = true,
	  .min_words = 1,
	  .max_words = 1,
	  .run = cmd_apps_rename },
	{ .name = "apps:destroy",
	  .aliases = { "apps:delete", "destroy" },
	  .group = G_APPS,
	  .synopsis = "APP",
	  .help = "stop it and remove all of it, its repository too",
	  .detail = "Asks for the app's name unless --confirm APP or --force "
		    "is given.\nThere is no way back.",
	  .options = destroy_options,
	  .takes_app = true,
	  .role = ROLE_ADMIN,
	  .run = cmd_apps_destroy },
	{ .name = "apps:set",
	  .group = G_APPS,
	  .synopsis = "APP target TARGET",
	  .help = "choose where it runs, while no release is live",
	  .detail = "What runs does not move: make another app with "
		    "apps:create --target, push\nto it, and destroy this "
		    "one.",
	  .takes_app = true,
	  .role = ROLE_OPERATE,
	  .has_json = true,
	  .min_words = 2,
	  .max_words = 2,
	  .run = cmd_apps_set },
	{ .name = "targets:list",
	  .aliases = { "targets" },
	  .group = G_APPS,
	  .synopsis = "",
	  .help = "where apps can run",
	  .has_json = true,
	  .run = cmd_targets_list },
	{ .name = "git:set",
	  .group = G_APPS,
	  .synopsis = "APP deploy-branch [BRANCH]",
	  .help = "which branch a push to deploys",
	  .detail = "Without a branch, or with --unset: main or master, "
		    "whichever is pushed.",
	  .options = git_set_options,
	  .takes_app = true,
	  .role = ROLE_OPERATE,
	  .has_json = true,
	  .min_words = 1,
	  .max_words = 2,
	  .run = cmd_git_set },
	{ .name = "git:report",
	  .aliases = { "git" },
	  .group = G_APPS,
	  .synopsis = "APP",
	  .help = "its repository and deploy branch",
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .run = cmd_git_report },

	{ .name = "builds:list",
	  .aliases = { "builds" },
	  .group = G_DEPLOYS,
	  .synopsis = "APP",
	  .help = "its builds, newest first",
	  .options = list_options,
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .run = cmd_builds_list },
	{ .name = "builds:info",
	  .group = G_DEPLOYS,
	  .synopsis = "APP [ID|current]",
	  .help = "one build and its steps",
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .max_words = 1,
	  .run = cmd_builds_info },
	{ .name = "builds:output",
	  .group = G_DEPLOYS,
	  .synopsis = "APP [ID|current]",
	  .help = "what the push printed; follows a build that runs",
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .max_words = 1,
	  .run = cmd_builds_output },
	{ .name = "releases:list",
	  .aliases = { "releases" },
	  .group = G_DEPLOYS,
	  .synopsis = "APP",
	  .help = "its releases, newest first",
	  .options = list_options,
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .run = cmd_releases_list },
	{ .name = "releases:info",
	  .group = G_DEPLOYS,
	  .synopsis = "APP [vN]",
	  .help = "one release; the live one when none is named",
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .max_words = 1,
	  .run = cmd_releases_info },

	{ .name = "ps",
	  .aliases = { "ps:list", "ps:report" },
	  .group = G_RUNNING,
	  .synopsis = "APP",
	  .help = "its processes",
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .run = cmd_ps },
	{ .name = "logs",
	  .group = G_RUNNING,
	  .synopsis = "APP",
	  .help = "what its processes print",
	  .options = logs_options,
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .run = cmd_logs },

	{ .name = "config",
	  .aliases = { "config:show", "config:list" },
	  .group = G_CONFIG,
	  .synopsis = "APP",
	  .help = "its config vars: what its processes have as environment",
	  .options = config_options,
	  .takes_app = true,
	  .role = ROLE_OPERATE,
	  .has_json = true,
	  .run = cmd_config },
	{ .name = "config:get",
	  .group = G_CONFIG,
	  .synopsis = "APP NAME",
	  .help = "the value of one",
	  .takes_app = true,
	  .role = ROLE_OPERATE,
	  .min_words = 1,
	  .max_words = 1,
	  .run = cmd_config_get },
	{ .name = "config:set",
	  .aliases = { "config:add" },
	  .group = G_CONFIG,
	  .synopsis = "APP NAME=VALUE ... | NAME",
	  .help = "set config vars and release the app with them",
	  .detail = "The value of a NAME alone is read from standard input, "
		    "without its last line\nend: a secret then is in no "
		    "command line.  When the release fails, the vars\nstay "
		    "stored and the release before goes on running.",
	  .options = config_change_options,
	  .takes_app = true,
	  .role = ROLE_OPERATE,
	  .has_json = true,
	  .min_words = 1,
	  .max_words = ARGS_MAX,
	  .run = cmd_config_set },
	{ .name = "config:unset",
	  .aliases = { "config:remove" },
	  .group = G_CONFIG,
	  .synopsis = "APP NAME ...",
	  .help = "remove config vars and release the app without them",
	  .options = config_change_options,
	  .takes_app = true,
	  .role = ROLE_OPERATE,
	  .has_json = true,
	  .min_words = 1,
	  .max_words = ARGS_MAX,
	  .run = cmd_config_unset },

	{ .name = "access:list",
	  .aliases = { "access" },
	  .group = G_ACCESS,
	  .synopsis = "APP",
	  .help = "who may do what with the app",
	  .takes_app = true,
	  .role = ROLE_VIEW,
	  .has_json = true,
	  .run = cmd_access_list },
	{ .name = "access:add",
	  .group = G_ACCESS,
	  .synopsis = "APP USER ROLE",
	  .help = "give a user a role on the app, or another one",
	  .detail = "Roles, each including the ones before it:\n"
		    "  view     see it, its builds and logs; clone it\n"
		    "  deploy   push to it\n"
		    "  operate  change how it runs\n"
		    "  admin    give access, rename and destroy it",
	  .options = access_options,
	  .takes_app = true,
	  .role = ROLE_ADMIN,
	  .min_words = 1,
	  .max_words = 2,
	  .run = cmd_access_add },
	{ .name = "access:remove",
	  .group = G_ACCESS,
	  .synopsis = "APP USER",
	  .help = "take a user's role on the app away",
	  .takes_app = true,
	  .role = ROLE_ADMIN,
	  .min_words = 1,
	  .max_words = 1,
	  .run = cmd_access_remove },
	{ .name = "keys:list",
	  .aliases = { "keys", "ssh-keys:list" },
	  .group = G_ACCESS,
	  .synopsis = "[USER]",
	  .help = "public keys: yours, or those of all for an administrator",
	  .has_json = true,
	  .max_words = 1,
	  .run = cmd_keys_list },
	{ .name = "keys:add",
	  .aliases = { "ssh-keys:add" },
	  .group = G_ACCESS,
	  .synopsis = "[USER] [NAME] < id_ed25519.pub",
	  .help = "let a public key log in as the user",
	  .detail = "The key is read from standard input, or given as words "
		    "after the name.\nOne word is the name for a key of "
		    "yours; for an administrator it is the user\nwhen there "
		    "is one of that name.  Without a name it is the key's "
		    "comment.\nPrints the fingerprint.",
	  .has_json = true,
	  .max_words = ARGS_MAX,
	  .run = cmd_keys_add },
	{ .name = "keys:remove",
	  .aliases = { "ssh-keys:remove" },
	  .group = G_ACCESS,
	  .synopsis = "[USER] NAME|FINGERPRINT",
	  .help = "refuse a public key from now on",
	  .min_words = 1,
	  .max_words = 2,
	  .run = cmd_keys_remove },
	{ .name = "users:list",
	  .aliases = { "users" },
	  .group = G_ACCESS,
	  .synopsis = "",
	  .help = "the users",
	  .needs_admin = true,
	  .has_json = true,
	  .run = cmd_users_list },
	{ .name = "users:add",
	  .aliases = { "users:create" },
	  .group = G_ACCESS,
	  .synopsis = "NAME",
	  .help = "make a user",
	  .options = user_options,
	  .needs_admin = true,
	  .min_words = 1,
	  .max_words = 1,
	  .run = cmd_users_add },
	{ .name = "users:remove",
	  .aliases = { "users:destroy" },
	  .group = G_ACCESS,
	  .synopsis = "NAME",
	  .help = "remove a user, with keys and roles; apps stay",
	  .needs_admin = true,
	  .min_words = 1,
	  .max_words = 1,
	  .run = cmd_users_remove },
	{ .name = "users:set-admin",
	  .group = G_ACCESS,
	  .synopsis = "NAME on|off",
	  .help = "make a user an administrator, or no longer",
	  .needs_admin = true,
	  .min_words = 2,
	  .max_words = 2,
	  .run = cmd_users_set_admin },

	{ .name = "whoami",
	  .group = G_OTHER,
	  .synopsis = "",
	  .help = "which user you are here",
	  .has_json = true,
	  .run = cmd_whoami },
	{ .name = "version",
	  .aliases = { "--version" },
	  .group = G_OTHER,
	  .synopsis = "",
	  .help = "the version of Slipway",
	  .has_json = true,
	  .run = cmd_version },
	{ .name = "help",
	  .aliases = { "--help", "-h" },
	  .group = G_OTHER,
	  .synopsis = "[COMMAND]",
	  .help = "this list, or more about one command",
	  .max_words = 1,
	  .run = cmd_help },
};

const size_t commands_count = ARRAY_SIZE(commands);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < commands_count; i++) {
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
		for (size_t a = 0; a < COMMAND_ALIASES; a++)
			if (commands[i].aliases[a] &&
			    strcmp(name, commands[i].aliases[a]) == 0)
				return &commands[i];
	}
	return NULL;
}

const struct command *command_nearest(const char *name, const char *next)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	const struct command *found = NULL;
	const char *nearest;
	size_t n = 0;

	/* "apps list", as other systems write it */
	if (next) {
		auto_free char *joined = xasprintf("%s:%s", name, next);

		found = command_find(joined);
	}
	if (found)
		return found;
	for (size_t i = 0; i < commands_count; i++) {
		if (n < NAMES_MAX)
			names[n++] = commands[i].name;
		for (size_t a = 0; a < COMMAND_ALIASES; a++)
			if (commands[i].aliases[a] && n < NAMES_MAX)
				names[n++] = commands[i].aliases[a];
	}
	nearest = text_nearest(name, names);
	return nearest ? command_find(nearest) : NULL;
}

void command_usage(const struct command *command, struct buf *out)
{
	buf_addf(out, "usage: %s", command->name);
	for (const struct option_spec *o = command->options; o && o->name;
	     o++) {
		buf_adds(out, " [");
		if (o->letter)
			buf_addf(out, "-%c", o->letter);
		else
			buf_addf(out, "--%s", o->name);
		buf_addf(out, "%s%s]", o->value ? " " : "",
			 o->value ? o->value : "");
	}
	if (command->synopsis[0])
		buf_addf(out, " %s", command->synopsis);
}
