/*
 * builder/aws/percent.h - percent-encoding as AWS signs and reads it.
 *
 * Pure.  Source: RFC 3986, section 2.1 and 2.3; the SigV4 specification asks
 * for upper-case digits and no "+".
 */
#ifndef BUILDER_AWS_PERCENT_H
#define BUILDER_AWS_PERCENT_H

#include "base/buf.h"

/* Append `s` with all but letters, digits, "-._~" and `also` encoded. */
void percent_encode(struct buf *out, struct slice s, const char *also)
	__attribute__((nonnull));

#endif
