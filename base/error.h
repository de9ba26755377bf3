/*
 * base/error.h - the one error type.
 *
 * Runs in every process.  A struct error lives on the caller's stack, is the
 * last parameter, and is written only on failure.  A function that can fail
 * returns 0 (or a count) or -code.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

/* Few codes: those that callers branch on. */
enum err_code {
	ERR_SYS = 1,  /* a system call failed; err->sys is its errno */
	ERR_INVALID,  /* bad input: names what and where */
	ERR_NOTFOUND, /* no such thing, or not for you to see */
	ERR_EXISTS,   /* the name is taken */
	ERR_DENIED,   /* known, but not allowed */
	ERR_LIMIT,    /* a bound of ours was reached */
	ERR_TIMEOUT,  /* took longer than allowed */
	ERR_PROTO,    /* the other side broke its protocol */
	ERR_PEER,     /* the other side answered: no, or went away */
	ERR_CANCELED, /* somebody asked for the end */
	ERR_BUG,      /* cannot happen */
};

#define ERR_MSG_MAX 512

struct error {
	enum err_code code;
	int sys;	       /* errno with ERR_SYS, else 0 */
	char msg[ERR_MSG_MAX]; /* one line, always terminated */
};

#define ERROR_INIT                                                             \
	{                                                                      \
		0                                                              \
	}

/* Fill in *err and return -code. */
int err_set(struct error *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull));

/* As err_set with ERR_SYS; ": strerror(sys)" is appended. */
int err_errno(struct error *err, int sys, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull));

/* Put "context: " in front of the message of a failure `r` and return r. */
int err_wrap(struct error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull));

/*
 * The text of *err that a pusher may see: paths below `hide` (the data
 * folder; may be NULL) are shortened to their last part and control
 * characters are masked.  Writes at most `size` bytes to `out`, terminated,
 * and returns it.
 */
const char *err_public(const struct error *err, const char *hide, char *out,
		       size_t size) __attribute__((nonnull(1, 3)));

/* A short word for the code, as used on the wire: "notfound". */
const char *err_code_name(enum err_code code);

/* The code of such a word; ERR_PEER for one that is not known. */
enum err_code err_code_from_name(const char *name) __attribute__((nonnull));

#endif
