/*
 * builder/engine/base64url.h - base64url with padding (RFC 4648, section 5),
 * as the engine wants credentials in headers.
 *
 * Pure.
 */
#ifndef BUILDER_ENGINE_BASE64URL_H
#define BUILDER_ENGINE_BASE64URL_H

#include "base/buf.h"

void base64url_add(struct buf *out, struct slice s) __attribute__((nonnull));

#endif
