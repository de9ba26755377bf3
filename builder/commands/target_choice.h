/*
 * builder/commands/target_choice.h - is there a target of this name?
 *
 * Pure.
 */
#ifndef BUILDER_COMMANDS_TARGET_CHOICE_H
#define BUILDER_COMMANDS_TARGET_CHOICE_H

struct config;
struct error;

/* 0, or -ERR_NOTFOUND with the nearest one. */
int target_choice_check(const struct config *cfg, const char *name,
			struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
