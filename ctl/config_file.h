/*
 * ctl/config_file.h - read slipway.conf (git-config syntax, libgit2).
 *
 * Runs in `slipway` alone; the other programs get the result on an fd.
 */
#ifndef CTL_CONFIG_FILE_H
#define CTL_CONFIG_FILE_H

struct config;
struct error;

/*
 * Set every key of the file at `path`.  Errors name file and line.
 * 0, -ERR_NOTFOUND, -ERR_INVALID
 */
int config_file_read(struct config *c, const char *path, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
