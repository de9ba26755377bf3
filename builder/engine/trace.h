/*
 * builder/engine/trace.h - what BuildKit reports about a build: vertices
 * (steps), their progress, output and warnings.
 *
 * Pure: a fuzz target.  Decodes one "moby.buildkit.trace" line, base64 over
 * protobuf (moby/buildkit api/services/control, StatusResponse).
 */
#ifndef BUILDER_ENGINE_TRACE_H
#define BUILDER_ENGINE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct error;

#define TRACE_BYTES_MAX	 (4 * 1024 * 1024)  /* base64 text of one line */
#define TRACE_MEMORY_MAX (64 * 1024 * 1024) /* of one decoded line */

/* Times are nanoseconds since the epoch by the engine's clock; 0 = not yet. */
struct trace_vertex {
	const char *digest; /* its identity */
	const char *name;   /* "[2/4] RUN npm ci" */
	const char *error;  /* "" = none */
	bool is_cached;
	bool is_member; /* of a progress group: not shown */
	int64_t started_ns;
	int64_t completed_ns;
};

struct trace_status {
	const char *id;	    /* "sha256:…", "extracting sha256:…" */
	const char *vertex; /* digest of its vertex */
	int64_t current;
	int64_t total; /* 0 = not known */
	int64_t started_ns;
	int64_t completed_ns;
};

struct trace_log {
	const char *vertex;
	struct slice text; /* raw output, in pieces of any size */
};

struct trace_warning {
	const char *vertex;
	struct slice text;
};

/* Texts are borrowed from `message`. */
struct trace {
	struct trace_vertex *vertices;
	size_t vertices_count;
	struct trace_status *statuses;
	size_t statuses_count;
	struct trace_log *logs;
	size_t logs_count;
	struct trace_warning *warnings;
	size_t warnings_count;
	void *message; /* decoded protobuf */
};

#define auto_trace __attribute__((cleanup(trace_release)))

void trace_release(struct trace *t);

/*
 * Decode one line's base64 text into *ret, which must be zero; release it.
 *
 * 0; -ERR_PROTO not base64 or not such a message; -ERR_LIMIT longer than
 * TRACE_BYTES_MAX or bigger than TRACE_MEMORY_MAX when decoded.
 */
int trace_decode(struct slice base64, struct trace *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
