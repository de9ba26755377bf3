/* builder/engine/trace.h: BuildKit's trace, base64 over protobuf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/engine/trace.h"
#include "builder/engine/trace.pb-c.h"

/* Sent by Engine 20.10.24 for a RUN that failed. */
#define REAL_LOG                                                               \
	"Gl4KR3NoYTI1NjoyZDdiNzRiNmM0MGVmNjk3NjU2ZDVmNzQ0Y2NiY2E0ZTQ1NWJjYzU5" \
	"OGIzNmQzZWZiZjk4ZWNkYzA5MjI2OTQ0EgsIlYiO2AYQ47eWFRgCIgR0d28K"
#define REAL_VERTEX                                                            \
	"CqoCCkdzaGEyNTY6MmQ3Yjc0YjZjNDBlZjY5NzY1NmQ1Zjc0NGNjYmNhNGU0NTViY2M1" \
	"OThiMzZkM2VmYmY5OGVjZGMwOTIyNjk0NBJHc2hhMjU2OmM0MmIxYWNmNmM4N2Q3ODQx" \
	"NTg2NDQ1ZmNlY2ZmMWFkOGE2MzcyNTgxZjA3MzE0Mjg2NWRlZGViYzdhYmRlODQaKFsy" \
	"LzJdIFJVTiBlY2hvIG9uZTsgZWNobyB0d28gPiYyOyBleGl0IDcqDAiUiI7YBhD+rOjz" \
	"AjILCJWIjtgGEN+bvSU6UWV4ZWN1dG9yIGZhaWxlZCBydW5uaW5nIFsvYmluL3NoIC1j" \
	"IGVjaG8gb25lOyBlY2hvIHR3byA+JjI7IGV4aXQgN106IGV4aXQgY29kZTogNw=="
#define REAL_DIGEST                                                            \
	"sha256:"                                                              \
	"2d7b74b6c40ef697656d5f744ccbca4e455bcc598b36d3efbf98ecdc092269"       \
	"44"

static char *base64(const uint8_t *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
				     "ghijklmnopqrstuvwxyz0123456789+/";
	struct buf b = BUF_INIT(1 << 28);

	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)data[i] << 16;

		v |= have > 1 ? (uint32_t)data[i + 1] << 8 : 0;
		v |= have > 2 ? data[i + 2] : 0;
		buf_addc(&b, digits[v >> 18]);
		buf_addc(&b, digits[v >> 12 & 63]);
		buf_addc(&b, have > 1 ? digits[v >> 6 & 63] : '=');
		buf_addc(&b, have > 2 ? digits[v & 63] : '=');
	}
	return buf_detach(&b);
}

static char *encode(const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	auto_free uint8_t *data = xmalloc(len);

	protobuf_c_message_pack(m, data);
	return base64(data, len);
}

static void reads_a_real_log(void **state)
{
	auto_trace struct trace t = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(trace_decode(slice_str(REAL_LOG), &t, &err), 0);
	assert_int_equal(t.vertices_count, 0);
	assert_int_equal(t.logs_count, 1);
	assert_string_equal(t.logs[0].vertex, REAL_DIGEST);
	assert_true(slice_eq(t.logs[0].text, "two\n"));
}

static void reads_a_real_failed_vertex(void **state)
{
	auto_trace struct trace t = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(trace_decode(slice_str(REAL_VERTEX), &t, &err), 0);
	assert_int_equal(t.vertices_count, 1);
	assert_string_equal(t.vertices[0].digest, REAL_DIGEST);
	assert_string_equal(t.vertices[0].name,
			    "[2/2] RUN echo one; echo two >&2; exit 7");
	assert_string_equal(t.vertices[0].error,
			    "executor failed running [/bin/sh -c echo one; "
			    "echo two >&2; exit 7]: exit code: 7");
	assert_false(t.vertices[0].is_cached);
	assert_true(t.vertices[0].started_ns > 0);
	/* 1.1 s or less by its two stamps */
	assert_in_range(t.vertices[0].completed_ns - t.vertices[0].started_ns,
			1, 1100000000);
}

static void reads_every_field(void **state)
{
	Slipway__Trace__Timestamp one = SLIPWAY__TRACE__TIMESTAMP__INIT;
	Slipway__Trace__Timestamp two = SLIPWAY__TRACE__TIMESTAMP__INIT;
	Slipway__Trace__ProgressGroup group =
		SLIPWAY__TRACE__PROGRESS_GROUP__INIT;
	Slipway__Trace__Vertex vertex = SLIPWAY__TRACE__VERTEX__INIT;
	Slipway__Trace__VertexStatus status =
		SLIPWAY__TRACE__VERTEX_STATUS__INIT;
	Slipway__Trace__VertexWarning warning =
		SLIPWAY__TRACE__VERTEX_WARNING__INIT;
	Slipway__Trace__StatusResponse m =
		SLIPWAY__TRACE__STATUS_RESPONSE__INIT;
	Slipway__Trace__Vertex *vertices[] = { &vertex };
	Slipway__Trace__VertexStatus *statuses[] = { &status };
	Slipway__Trace__VertexWarning *warnings[] = { &warning };
	auto_trace struct trace t = { 0 };
	auto_free char *text = NULL;
	char digest[] = "d";
	char id[] = "sha256:1";
	struct error err;

	(void)state;
	one.seconds = 5;
	two.seconds = 6;
	two.nanos = 7;
	vertex.digest = digest;
	vertex.cached = 1;
	vertex.started = &one;
	vertex.completed = &two;
	vertex.progressgroup = &group;
	status.id = id;
	status.vertex = digest;
	status.current = 10;
	status.total = -1;
	status.completed = &one;
	warning.vertex = digest;
	warning.short_.data = (uint8_t *)digest;
	warning.short_.len = 1;
	m.n_vertexes = m.n_statuses = m.n_warnings = 1;
	m.vertexes = vertices;
	m.statuses = statuses;
	m.warnings = warnings;
	text = encode(&m.base);
	assert_int_equal(trace_decode(slice_str(text), &t, &err), 0);
	assert_true(t.vertices[0].is_cached);
	assert_true(t.vertices[0].is_member);
	assert_string_equal(t.vertices[0].error, "");
	assert_int_equal(t.vertices[0].started_ns, 5000000000);
	assert_int_equal(t.vertices[0].completed_ns, 6000000007);
	assert_string_equal(t.statuses[0].id, "sha256:1");
	assert_int_equal(t.statuses[0].current, 10);
	assert_int_equal(t.statuses[0].total, -1);
	assert_int_equal(t.statuses[0].started_ns, 0);
	assert_int_equal(t.statuses[0].completed_ns, 5000000000);
	assert_true(slice_eq(t.warnings[0].text, "d"));
}

static void impossible_times_are_none(void **state)
{
	static const struct {
		int64_t seconds;
		int32_t nanos;
	} bad[] = { { -1, 0 },
		    { INT64_MAX, 0 },
		    { INT64_MIN, 5 },
		    { 5, -1 },
		    { 5, 1000000000 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		Slipway__Trace__Timestamp at = SLIPWAY__TRACE__TIMESTAMP__INIT;
		Slipway__Trace__Vertex v = SLIPWAY__TRACE__VERTEX__INIT;
		Slipway__Trace__StatusResponse m =
			SLIPWAY__TRACE__STATUS_RESPONSE__INIT;
		Slipway__Trace__Vertex *vertices[] = { &v };
		auto_trace struct trace t = { 0 };
		auto_free char *text = NULL;
		struct error err;

		at.seconds = bad[i].seconds;
		at.nanos = bad[i].nanos;
		v.started = &at;
		m.n_vertexes = 1;
		m.vertexes = vertices;
		text = encode(&m.base);
		assert_int_equal(trace_decode(slice_str(text), &t, &err), 0);
		assert_int_equal(t.vertices[0].started_ns, 0);
	}
}

static void unknown_fields_are_skipped(void **state)
{
	/* field 1 { digest "d", field 15 varint 1 }, field 9 "zz" */
	static const uint8_t data[] = { 0x0a, 5,    0x0a, 1,   'd', 0x78,
					1,    0x4a, 2,	  'z', 'z' };
	auto_free char *text = base64(data, sizeof(data));
	auto_trace struct trace t = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(trace_decode(slice_str(text), &t, &err), 0);
	assert_int_equal(t.vertices_count, 1);
	assert_string_equal(t.vertices[0].digest, "d");
}

static void an_empty_message_is_fine(void **state)
{
	auto_trace struct trace t = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(trace_decode(slice_str(""), &t, &err), 0);
	assert_int_equal(t.vertices_count + t.logs_count, 0);
}

static void bad_input_is_refused(void **state)
{
	static const char *const bad[] = {
		"!!!!", "Cg==Cg==", "CgQK", "/////w==", "CoCAgIAI",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		auto_trace struct trace t = { 0 };
		struct error err = ERROR_INIT;

		assert_int_equal(trace_decode(slice_str(bad[i]), &t, &err),
				 -ERR_PROTO);
		assert_int_equal(t.vertices_count, 0);
	}
}

/* 2 bytes on the wire are a hundred and more in memory. */
static void memory_is_bounded(void **state)
{
	const size_t len = 2 * 1024 * 1024;
	auto_free uint8_t *data = xcalloc(1, len);
	auto_free char *text = NULL;
	auto_trace struct trace t = { 0 };
	struct error err;

	(void)state;
	for (size_t i = 0; i < len; i += 2)
		data[i] = 0x0a;
	text = base64(data, len);
	assert_int_equal(trace_decode(slice_str(text), &t, &err), -ERR_LIMIT);
	text[64] = '\0';
	assert_int_equal(trace_decode(slice_str(text), &t, &err), 0);
}

static void long_lines_are_refused(void **state)
{
	auto_buf struct buf b = BUF_INIT(TRACE_BYTES_MAX + 100);
	auto_trace struct trace t = { 0 };
	struct error err;

	(void)state;
	while (b.len <= TRACE_BYTES_MAX)
		buf_adds(&b, "AAAAAAAAAAAAAAAA");
	assert_int_equal(trace_decode(buf_slice(&b), &t, &err), -ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_real_log),
		cmocka_unit_test(reads_a_real_failed_vertex),
		cmocka_unit_test(reads_every_field),
		cmocka_unit_test(impossible_times_are_none),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(an_empty_message_is_fine),
		cmocka_unit_test(bad_input_is_refused),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(long_lines_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
