/* builder/engine/push_reply.h: what an engine answers to a push. */
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
#include "builder/engine/push_reply.h"

#define REFERS "{\"status\":\"The push refers to repository [r]\"}\r\n"
#define DIGEST                                                                 \
	"{\"progressDetail\":{},\"aux\":{\"Tag\":\"v1\",\"Digest\":"           \
	"\"sha256:aa\",\"Size\":525}}\r\n"

static int result_of(const char *text, size_t piece, char **ret_digest,
		     struct error *err)
{
	struct push_reply p;
	struct slice rest = slice_str(text);
	int r;

	push_reply_init(&p);
	while (rest.len) {
		size_t len = rest.len < piece ? rest.len : piece;

		push_reply_feed(&p, (struct slice){ rest.ptr, len });
		rest.ptr += len;
		rest.len -= len;
	}
	push_reply_end(&p);
	r = push_reply_result(&p, ret_digest, err);
	push_reply_release(&p);
	return r;
}

static void the_digest_is_in_the_stream(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 200; piece += 13) {
		auto_free char *digest = NULL;
		struct error err;

		assert_int_equal(result_of(REFERS DIGEST, piece, &digest, &err),
				 0);
		assert_string_equal(digest, "sha256:aa");
	}
}

static void fails(const char *message, int expected)
{
	auto_free char *text =
		xasprintf(REFERS "{\"errorDetail\":{\"message\":\"%s\"},"
				 "\"error\":\"%s\"}",
			  message, message);
	char *digest = NULL;
	struct error err;

	assert_int_equal(result_of(text, 100, &digest, &err), expected);
	assert_null(digest);
	assert_string_equal(err.msg, message);
}

static void causes_are_told_apart(void **state)
{
	(void)state;
	fails("denied: Your authorization token has expired. Reauthenticate "
	      "and try again.",
	      -ERR_DENIED);
	fails("unauthorized: authentication required", -ERR_DENIED);
	fails("no basic auth credentials", -ERR_DENIED);
	fails("error parsing HTTP 403 response body: unexpected end of JSON",
	      -ERR_DENIED);
	fails("unexpected status from HEAD request to u: 403 Forbidden",
	      -ERR_DENIED);
	fails("tag invalid: The image tag 'x' already exists in the 'r' "
	      "repository and cannot be overwritten because the repository is "
	      "immutable.",
	      -ERR_EXISTS);
	fails("An image does not exist locally with the tag: r", -ERR_NOTFOUND);
	fails("name unknown: The repository with name 'r' does not exist",
	      -ERR_PEER);
	fails("received unexpected HTTP status: 503 Service Unavailable",
	      -ERR_PEER);
}

static void an_error_counts_more_than_a_digest(void **state)
{
	char *digest = NULL;
	struct error err;

	(void)state;
	assert_int_equal(
		result_of(DIGEST "{\"error\":\"late\"}\n", 7, &digest, &err),
		-ERR_PEER);
	assert_null(digest);
	assert_int_equal(result_of(REFERS, 7, &digest, &err), -ERR_PROTO);
	assert_int_equal(result_of("", 7, &digest, &err), -ERR_PROTO);
}

static void what_is_done_is_counted(void **state)
{
	static const char text[] =
		"{\"id\":\"a\",\"status\":\"Preparing\"}\n"
		"{\"id\":\"b\",\"status\":\"Waiting\"}\n"
		"{\"id\":\"c\",\"status\":\"Mounted from x\"}\n"
		"{\"id\":\"a\",\"status\":\"Pushing\",\"progressDetail\":"
		"{\"current\":1500000,\"total\":9}}\n"
		"{\"id\":\"b\",\"status\":\"Layer already exists\"}\n";
	auto_buf struct buf out = BUF_INIT(128);
	struct push_reply p;

	(void)state;
	push_reply_init(&p);
	push_reply_feed(&p, slice_str(text));
	push_reply_state(&p, &out);
	assert_string_equal(buf_str(&out), "2 of 3 layers, 1.5 MB");
	push_reply_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_is_in_the_stream),
		cmocka_unit_test(causes_are_told_apart),
		cmocka_unit_test(an_error_counts_more_than_a_digest),
		cmocka_unit_test(what_is_done_is_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("push reply", tests, NULL, NULL);
}
