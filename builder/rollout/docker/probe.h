/*
 * builder/rollout/docker/probe.h - does something answer at an address, and is
 * it HTTP?
 *
 * Runs in workers.  probe_http() blocks until its timeout and reads a few
 * bytes only; the readers are pure.
 */
#ifndef BUILDER_ROLLOUT_DOCKER_PROBE_H
#define BUILDER_ROLLOUT_DOCKER_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct error;

enum probe_outcome {
	PROBE_REFUSED, /* nobody takes the connection */
	PROBE_SILENT,  /* taken, but no answer in time */
	PROBE_CLOSED,  /* taken and closed without a byte */
	PROBE_OTHER,   /* an answer that is not HTTP */
	PROBE_HTTP,
};

struct probe_result {
	enum probe_outcome outcome;
	int status; /* with PROBE_HTTP */
	int64_t ms; /* until the first line was there */
};

/*
 * Connect to ip:port and ask for / as HTTP/1.1 (RFC 9112) would, with this
 * Host.  is_canceled is asked at least every 200 ms.
 *
 * 0; -ERR_CANCELED; -ERR_INVALID (address); -ERR_SYS (no socket).
 */
int probe_http(const char *ip, int port, const char *host, int timeout_ms,
	       bool (*is_canceled)(void *ctx), void *ctx,
	       struct probe_result *ret, struct error *err)
	__attribute__((nonnull(1, 3, 5, 7, 8), warn_unused_result));

/* Status of the answer that starts with `head`: 100 to 599; 0 when more of it
 * is needed; -1 when it is not HTTP/1. */
int probe_status(struct slice head) __attribute__((warn_unused_result));

/* A socket that listens, from /proc/PID/net/tcp or tcp6 (proc(5)). */
struct listener {
	bool is_loopback; /* reachable from the same machine only */
	int port;
};

/* The next one of the file's text; false at its end. */
bool probe_next_listener(struct slice *rest, struct listener *ret)
	__attribute__((nonnull));

#endif
