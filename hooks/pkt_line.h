/*
 * hooks/pkt_line.h - git's pkt-line framing (gitprotocol-common(5)).
 *
 * Runs in the proc-receive hook.  Pure: no I/O.
 */
#ifndef HOOKS_PKT_LINE_H
#define HOOKS_PKT_LINE_H

#include "base/buf.h"

struct error;

#define PKT_MAX 65520 /* whole packet, its four digits included */

struct pkt {
	bool is_flush;
	struct slice data; /* without a final LF; borrowed */
};

/*
 * Look at the front of `in`.  Returns the number of bytes that the first
 * packet takes (then *ret is set), 0 when it is not whole yet, or -ERR_PROTO
 * (bad digits, too long, or a delimiter packet, which has no place here).
 */
int pkt_parse(struct slice in, struct pkt *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append a packet; text over the limit is cut. */
void pkt_add(struct buf *out, const void *data, size_t len)
	__attribute__((nonnull));
void pkt_addf(struct buf *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
void pkt_add_flush(struct buf *out) __attribute__((nonnull));

#endif
