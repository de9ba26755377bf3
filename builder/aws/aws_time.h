/*
 * builder/aws/aws_time.h - the times in credential documents.
 *
 * Internal to builder/aws/.  Pure.  Source: RFC 3339, section 5.6.
 */
#ifndef BUILDER_AWS_AWS_TIME_H
#define BUILDER_AWS_AWS_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-11-22T10:15:00Z", also with a fraction (dropped) or "+01:00", as
 * unix seconds; false for anything else, and before 1970. */
bool aws_time_parse(const char *text, int64_t *ret_unix_s)
	__attribute__((nonnull));

#endif
