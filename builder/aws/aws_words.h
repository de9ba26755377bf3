/*
 * builder/aws/aws_words.h - split a credential_process line into words as a
 * shell would, without a shell.
 *
 * Internal to builder/aws/.  Pure.  Source: the POSIX mode of Python's shlex,
 * which botocore uses: white space separates; '…' is literal; in "…" a
 * backslash quotes " and \; outside it quotes any character.  Nothing is
 * expanded: $, * and ; are themselves.
 */
#ifndef BUILDER_AWS_AWS_WORDS_H
#define BUILDER_AWS_AWS_WORDS_H

struct error;

#define AWS_WORDS_MAX 256

/* *ret_words, NULL-ended, is freed by aws_words_free().  0, or -ERR_INVALID
 * (an open quote, no word at all), -ERR_LIMIT. */
int aws_words_split(const char *line, char ***ret_words, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void aws_words_free(char **words);

#endif
