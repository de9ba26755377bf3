/*
 * builder/commands/call.h - one command being run: who called it with what,
 * and the ways to answer.
 *
 * Output is collected and sent when it is much or when call_flush() is
 * called.  A client that went away (or does not read for SEND_TIMEOUT_MS) is
 * remembered: what is printed after that is dropped, and call_flush() fails.
 */
#ifndef BUILDER_COMMANDS_CALL_H
#define BUILDER_COMMANDS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "base/buf.h"
#include "builder/commands/args.h"
#include "builder/store/store.h"

struct column;
struct command;
struct config;
struct error;

#define SEND_TIMEOUT_MS	 60000
#define INPUT_TIMEOUT_MS 120000 /* between two pieces of input */
#define INPUT_TOTAL_MS	 600000 /* for all of it */

struct call {
	const struct config *cfg;
	struct store *store;
	int fd;		  /* the client; borrowed */
	const char *user; /* NULL = the local administrator */
	bool is_admin;	  /* of everything */
	bool has_tty;
	const struct command *command;
	struct args args; /* without the app */
	struct app app;	  /* when the command takes one */
	enum role role;	  /* on it */
	struct buf out;
	bool is_gone;	     /* the client */
	bool hides_input;    /* what is typed over SSH is not shown */
	int64_t input_until; /* clock_ms() that input must end by; 0 = unset */
	int status; /* to exit with; on a failure 0 means COMMAND_FAILED */
};

void call_release(struct call *c);

/* The option's value, "" for a flag, NULL when not given. */
const char *call_option(const struct call *c, const char *name)
	__attribute__((nonnull));
/* Positional number i after the app, or NULL. */
const char *call_word(const struct call *c, size_t i) __attribute__((nonnull));

/* To standard output. */
void call_printf(struct call *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
/* One line to standard error, without control characters; not with --quiet. */
void call_note(struct call *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
/* As call_note, but also with --quiet. */
void call_error(struct call *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
/* As call_error, without an end of line. */
void call_prompt(struct call *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
/* A piece of a transcript, which is clean, to standard error as it is. */
int call_pass(struct call *c, struct slice text, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* 0, or -code when the client does not take it. */
int call_flush(struct call *c, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Print an array, or an object, as --json or as text; takes it over. */
void call_list(struct call *c, json_t *rows, const struct column *columns)
	__attribute__((nonnull));
void call_fields(struct call *c, json_t *object, const struct column *columns)
	__attribute__((nonnull));
/* With --json print the object and return true; takes it over. */
bool call_json(struct call *c, json_t *object) __attribute__((nonnull));

/* Wrong usage: exit with COMMAND_USAGE and the synopsis. */
int call_usage(struct call *c, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull));

/*
 * All of the client's input, or its first line (without the line end), into
 * `ret`, whose maximum bounds it.
 *
 * 0; -ERR_LIMIT; -ERR_TIMEOUT; -ERR_CANCELED when the person pressed ^C;
 * -ERR_PEER when the client went away.
 */
int call_read_all(struct call *c, struct buf *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int call_read_line(struct call *c, struct buf *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Has the client gone, waiting up to wait_ms for that? */
bool call_wait_gone(struct call *c, int wait_ms) __attribute__((nonnull));

#endif
