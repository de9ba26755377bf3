/*
 * builder/commands/command.h - the table of commands and their handlers.
 *
 * A handler returns 0 (the command exits with c->status) or -code with *err,
 * which is shown to the person.
 */
#ifndef BUILDER_COMMANDS_COMMAND_H
#define BUILDER_COMMANDS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "builder/commands/args.h"
#include "builder/store/store.h"

struct buf;
struct call;
struct error;

#define COMMAND_ALIASES 3

struct command {
	const char *name;
	const char *aliases[COMMAND_ALIASES]; /* NULL = no more */
	const char *group;		      /* heading in `help` */
	const char *synopsis;		      /* after the name: "APP [ID]" */
	const char *help;		      /* one line */
	const char *detail;		      /* more lines; may be NULL */
	const struct option_spec *options; /* beside the common ones; or NULL */
	bool takes_app;			   /* first word or -a */
	bool is_probe;	  /* a missing app is status 1 without a word */
	enum role role;	  /* least role on the app */
	bool needs_admin; /* only for administrators */
	bool has_json;	  /* --json means something */
	size_t min_words; /* after the app */
	size_t max_words;
	int (*run)(struct call *c, struct error *err);
};

extern const struct command commands[];
extern const size_t commands_count;
extern const struct option_spec common_options[];

/* By name or alias; NULL. */
const struct command *command_find(const char *name) __attribute__((nonnull));

/* The command that `name`, followed by `next` (may be NULL), was meant to be;
 * NULL when nothing is near. */
const struct command *command_nearest(const char *name, const char *next)
	__attribute__((nonnull(1)));

/* Append "usage: apps:info APP". */
void command_usage(const struct command *command, struct buf *out)
	__attribute__((nonnull));

/* apps.c */
int cmd_apps_list(struct call *c, struct error *err);
int cmd_apps_create(struct call *c, struct error *err);
int cmd_apps_info(struct call *c, struct error *err);
int cmd_apps_exists(struct call *c, struct error *err);
/* apps_change.c */
int cmd_apps_rename(struct call *c, struct error *err);
int cmd_apps_destroy(struct call *c, struct error *err);
/* apps_set.c */
int cmd_apps_set(struct call *c, struct error *err);
/* target_choice.c */
int cmd_targets_list(struct call *c, struct error *err);
/* git.c */
int cmd_git_set(struct call *c, struct error *err);
int cmd_git_report(struct call *c, struct error *err);
/* builds.c */
int cmd_builds_list(struct call *c, struct error *err);
int cmd_builds_info(struct call *c, struct error *err);
int cmd_builds_output(struct call *c, struct error *err);
/* releases.c */
int cmd_releases_list(struct call *c, struct error *err);
int cmd_releases_info(struct call *c, struct error *err);
/* processes.c */
int cmd_ps(struct call *c, struct error *err);
int cmd_logs(struct call *c, struct error *err);
/* config.c */
int cmd_config(struct call *c, struct error *err);
int cmd_config_get(struct call *c, struct error *err);
/* config_change.c */
int cmd_config_set(struct call *c, struct error *err);
int cmd_config_unset(struct call *c, struct error *err);
/* access.c */
int cmd_access_list(struct call *c, struct error *err);
int cmd_access_add(struct call *c, struct error *err);
int cmd_access_remove(struct call *c, struct error *err);
/* keys.c */
int cmd_keys_list(struct call *c, struct error *err);
int cmd_keys_add(struct call *c, struct error *err);
int cmd_keys_remove(struct call *c, struct error *err);
/* users.c */
int cmd_users_list(struct call *c, struct error *err);
int cmd_users_add(struct call *c, struct error *err);
int cmd_users_remove(struct call *c, struct error *err);
int cmd_users_set_admin(struct call *c, struct error *err);
int cmd_whoami(struct call *c, struct error *err);
/* help.c */
int cmd_help(struct call *c, struct error *err);
int cmd_version(struct call *c, struct error *err);

#endif
