/*
 * receiver/exec_line.h - the command line of an SSH exec request: split once
 * into words with the quoting rules of a POSIX shell, and recognised.
 *
 * Runs in the session.  Pure; a fuzz target.  Nothing is expanded and no
 * character is an operator: `$`, `;`, `|`, `*` and the like stand for
 * themselves, because no shell ever sees the line.
 */
#ifndef RECEIVER_EXEC_LINE_H
#define RECEIVER_EXEC_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct error;

#define EXEC_LINE_MAX  65536 /* bytes of a line */
#define EXEC_WORDS_MAX 256
#define EXEC_APP_MAX   64 /* bytes of an app's name as typed */

enum exec_kind {
	EXEC_NOTHING, /* only blanks */
	EXEC_RECEIVE_PACK,
	EXEC_UPLOAD_PACK,
	EXEC_UPLOAD_ARCHIVE,
	EXEC_COMMAND, /* for the builder */
};

struct exec_line {
	enum exec_kind kind;
	char **argv; /* NULL-ended */
	size_t argc;
	char app[EXEC_APP_MAX + 1]; /* of the git services */
};

/*
 * Split and recognise `line`.  `git-receive-pack APP` and `git receive-pack
 * APP` (and the two other services) become git services; APP may be written
 * shop, /shop, shop.git, ~/shop, with a slash at its end.  Everything else is
 * a command.  *ret is overwritten; release it.
 *
 * 0; -ERR_INVALID: unfinished quotes, control characters, invalid UTF-8, a
 * git service without exactly one app, or a path that is no app's name;
 * -ERR_LIMIT: too long, too many words.
 */
int exec_line_parse(struct slice line, struct exec_line *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

void exec_line_release(struct exec_line *e);

/* Is it a value of GIT_PROTOCOL worth passing on: "version=2", a list with
 * colons, at most 200 bytes? */
bool exec_git_protocol_ok(const char *value) __attribute__((nonnull));

#endif
