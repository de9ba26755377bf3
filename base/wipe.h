/*
 * base/wipe.h - secrets are not left in freed memory.
 *
 * In every process that holds any.  Of JSON: json_wipe() in base/json.h.
 */
#ifndef BASE_WIPE_H
#define BASE_WIPE_H

struct buf;

/* Overwrites all that is allocated, then releases it. */
void wipe_buf(struct buf *b) __attribute__((nonnull));
#define auto_wiped __attribute__((cleanup(wipe_buf)))

/* Overwrites the text up to its NUL, then frees it.  Accepts NULL. */
void wipe_text(char *text);

#endif
