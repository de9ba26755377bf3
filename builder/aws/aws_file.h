/*
 * builder/aws/aws_file.h - read a file that may hold secrets.
 *
 * Internal to builder/aws/.  Blocks on disk only.
 */
#ifndef BUILDER_AWS_AWS_FILE_H
#define BUILDER_AWS_AWS_FILE_H

struct buf;
struct error;

/*
 * Read all of the file into `ret`, an empty buffer; its maximum is allocated
 * at once, since growing would leave copies that nobody wipes.
 *
 * 1; 0 there is no such file; -ERR_SYS, -ERR_LIMIT, -ERR_INVALID (neither
 * file nor device) without the path.
 */
int aws_file_read(const char *path, struct buf *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
