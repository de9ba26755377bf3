#include "builder/engine/trace.h"

#include "base/error.h"
#include "builder/engine/trace.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* ---- base64 (RFC 4648, with padding) ---- */

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

static int decode_base64(struct slice text, struct buf *out, struct error *err)
{
	uint32_t bits = 0;
	int have = 0;

	while (text.len && text.ptr[text.len - 1] == '=')
		text.len--;
	for (size_t i = 0; i < text.len; i++) {
		int v = sextet(text.ptr[i]);

		if (v < 0)
			return err_set(err, ERR_PROTO,
				       "build trace: not base64");
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_addc(out, (char)(bits >> have & 0xff));
		}
	}
	return 0;
}

/* ---- protobuf, with a bound on what it may allocate ---- */

/*
 * An empty submessage takes 2 bytes on the wire and some hundred in memory:
 * without a bound a line of 4 MB could ask for gigabytes.
 */
struct allowance {
	size_t left;
	bool is_used_up;
};

static void *bounded_alloc(void *ctx, size_t size)
{
	struct allowance *a = ctx;

	if (size > a->left) {
		a->is_used_up = true;
		return NULL;
	}
	a->left -= size;
	return malloc(size ? size : 1);
}

static void bounded_free(void *ctx, void *p)
{
	(void)ctx;
	free(p);
}

static Slipway__Trace__StatusResponse *unpack(struct slice data,
					      struct allowance *allowance)
{
	ProtobufCAllocator allocator = { bounded_alloc, bounded_free,
					 allowance };

	return slipway__trace__status_response__unpack(
		&allocator, data.len, (const uint8_t *)data.ptr);
}

/* ---- messages to structs ---- */

#define NS_PER_S 1000000000

static int64_t to_ns(const Slipway__Trace__Timestamp *t)
{
	int64_t ns;

	if (!t || t->seconds < 0 || t->seconds > INT64_MAX / NS_PER_S - 1 ||
	    t->nanos < 0 || t->nanos >= NS_PER_S)
		return 0;
	ns = t->seconds * NS_PER_S + t->nanos;
	return ns ? ns : 1;
}

static struct slice to_slice(ProtobufCBinaryData data)
{
	return (struct slice){ data.data ? (const char *)data.data : "",
			       data.len };
}

static void read_vertices(const Slipway__Trace__StatusResponse *m,
			  struct trace *t)
{
	t->vertices = xcalloc(m->n_vertexes, sizeof(*t->vertices));
	t->vertices_count = m->n_vertexes;
	for (size_t i = 0; i < m->n_vertexes; i++) {
		const Slipway__Trace__Vertex *v = m->vertexes[i];

		t->vertices[i] = (struct trace_vertex){
			.digest = v->digest,
			.name = v->name,
			.error = v->error,
			.is_cached = v->cached,
			.is_member = v->progressgroup != NULL,
			.started_ns = to_ns(v->started),
			.completed_ns = to_ns(v->completed),
		};
	}
}

static void read_statuses(const Slipway__Trace__StatusResponse *m,
			  struct trace *t)
{
	t->statuses = xcalloc(m->n_statuses, sizeof(*t->statuses));
	t->statuses_count = m->n_statuses;
	for (size_t i = 0; i < m->n_statuses; i++) {
		const Slipway__Trace__VertexStatus *s = m->statuses[i];

		t->statuses[i] = (struct trace_status){
			.id = s->id,
			.vertex = s->vertex,
			.current = s->current,
			.total = s->total,
			.started_ns = to_ns(s->started),
			.completed_ns = to_ns(s->completed),
		};
	}
}

static void read_texts(const Slipway__Trace__StatusResponse *m, struct trace *t)
{
	t->logs = xcalloc(m->n_logs, sizeof(*t->logs));
	t->logs_count = m->n_logs;
	for (size_t i = 0; i < m->n_logs; i++)
		t->logs[i] = (struct trace_log){ m->logs[i]->vertex,
						 to_slice(m->logs[i]->msg) };
	t->warnings = xcalloc(m->n_warnings, sizeof(*t->warnings));
	t->warnings_count = m->n_warnings;
	for (size_t i = 0; i < m->n_warnings; i++)
		t->warnings[i] = (struct trace_warning){
			m->warnings[i]->vertex, to_slice(m->warnings[i]->short_)
		};
}

void trace_release(struct trace *t)
{
	ProtobufCAllocator allocator = { bounded_alloc, bounded_free, NULL };

	if (!t)
		return;
	if (t->message)
		slipway__trace__status_response__free_unpacked(t->message,
							       &allocator);
	free(t->vertices);
	free(t->statuses);
	free(t->logs);
	free(t->warnings);
	memset(t, 0, sizeof(*t));
}

int trace_decode(struct slice base64, struct trace *ret, struct error *err)
{
	auto_buf struct buf data = BUF_INIT(TRACE_BYTES_MAX);
	Slipway__Trace__StatusResponse *m;
	struct allowance allowance = { TRACE_MEMORY_MAX, false };
	int r;

	if (base64.len > TRACE_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "build trace: line too long");
	r = decode_base64(base64, &data, err);
	if (r < 0)
		return r;
	m = unpack(buf_slice(&data), &allowance);
	if (!m && allowance.is_used_up)
		return err_set(err, ERR_LIMIT, "build trace: too many parts");
	if (!m)
		return err_set(err, ERR_PROTO, "build trace: not readable");
	ret->message = m;
	read_vertices(m, ret);
	read_statuses(m, ret);
	read_texts(m, ret);
	return 0;
}
