/* builder/rollout/docker/probe.h, the probe behind the gate; log_stamp.h and
 * release_plan.h of builder/rollout/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/rollout/docker/probe.h"
#include "builder/rollout/log_stamp.h"
#include "builder/rollout/release_plan.h"

/* ---- status line ---- */

static int status_of(const char *head)
{
	return probe_status(slice_str(head));
}

static void the_status_is_read(void **state)
{
	(void)state;
	assert_int_equal(status_of("HTTP/1.1 200 OK\r\n"), 200);
	assert_int_equal(status_of("HTTP/1.0 503\r\n"), 503);
	assert_int_equal(status_of("HTTP/1.1 404\n"), 404);
	assert_int_equal(status_of("HTTP/1.1 599 x"), 599);
}

static void a_part_of_it_needs_more(void **state)
{
	static const char line[] = "HTTP/1.1 200";

	(void)state;
	for (size_t len = 0; len <= strlen(line); len++)
		assert_int_equal(probe_status((struct slice){ line, len }), 0);
}

static void what_is_not_http_is_told(void **state)
{
	static const char *const others[] = {
		"220 smtp ready\r\n", "-ERR unknown\r\n", "HTTP/2 200 \r\n",
		"HTTP/1.1  200 OK",   "HTTP/1.1 2000 ",	  "HTTP/1.1 099 x",
		"HTTP/1.1 600 x",     "http/1.1 200 OK",  "\x15\x03\x01",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(status_of(others[i]), -1);
	assert_int_equal(probe_status((struct slice){ "HTTP/1.1 200\0x", 14 }),
			 -1);
}

/* ---- probe ---- */

/* A server for one connection: reads a bit, says `answer`, waits, closes. */
struct server {
	int fd;
	int port;
	const char *answer;
	int before_ms; /* silence before it */
	int stay_ms;   /* and after it */
	pthread_t thread;
};

static void *serve(void *ctx)
{
	struct server *s = ctx;
	int fd = accept(s->fd, NULL, NULL);
	char chunk[2048];

	if (fd < 0)
		return NULL;
	if (recv(fd, chunk, sizeof(chunk), 0) < 0)
		s->answer = NULL;
	poll(NULL, 0, s->before_ms);
	if (s->answer)
		(void)!send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
	poll(NULL, 0, s->stay_ms);
	close(fd);
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	assert_int_equal(listen(s->fd, 4), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&addr, &len), 0);
	s->port = ntohs(addr.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static bool after(void *ctx)
{
	return clock_ms() > *(int64_t *)ctx;
}

static struct probe_result probe_of(const char *answer, int before_ms,
				    int timeout_ms)
{
	struct server s = { .answer = answer, .before_ms = before_ms };
	struct probe_result result;
	struct error err;

	server_start(&s);
	assert_int_equal(probe_http("127.0.0.1", s.port, "a.localhost",
				    timeout_ms, never, NULL, &result, &err),
			 0);
	server_stop(&s);
	return result;
}

static void an_answer_is_judged(void **state)
{
	struct probe_result r;

	(void)state;
	r = probe_of("HTTP/1.1 204 No Content\r\n\r\n", 0, 5000);
	assert_int_equal(r.outcome, PROBE_HTTP);
	assert_int_equal(r.status, 204);
	r = probe_of("HTTP/1.1 503", 0, 5000);
	assert_int_equal(r.outcome, PROBE_OTHER); /* cut short */
	r = probe_of("+OK hello\r\n", 0, 5000);
	assert_int_equal(r.outcome, PROBE_OTHER);
	r = probe_of("", 0, 5000);
	assert_int_equal(r.outcome, PROBE_CLOSED);
}

static void silence_ends_at_the_timeout(void **state)
{
	struct probe_result r = probe_of("HTTP/1.1 200 OK\r\n", 600, 300);

	(void)state;
	assert_int_equal(r.outcome, PROBE_SILENT);
	assert_in_range(r.ms, 290, 590);
}

static void nobody_there_is_refused_at_once(void **state)
{
	struct server s = { .answer = NULL };
	struct probe_result result;
	struct error err;

	(void)state;
	/* A port that was free a moment ago. */
	server_start(&s);
	assert_int_equal(probe_http("127.0.0.1", s.port, "h", 1000, never, NULL,
				    &result, &err),
			 0);
	server_stop(&s);
	assert_int_equal(probe_http("127.0.0.1", s.port, "h", 5000, never, NULL,
				    &result, &err),
			 0);
	assert_int_equal(result.outcome, PROBE_REFUSED);
	assert_true(result.ms < 1000);
}

static void a_cancel_is_seen_soon(void **state)
{
	struct server s = { .answer = "x", .before_ms = 1500 };
	int64_t began = clock_ms();
	int64_t when = began + 100;
	struct probe_result result;
	struct error err;

	(void)state;
	server_start(&s);
	assert_int_equal(probe_http("127.0.0.1", s.port, "h", 10000, after,
				    &when, &result, &err),
			 -ERR_CANCELED);
	assert_true(clock_ms() - began < 600);
	server_stop(&s);
}

static void a_name_is_no_address(void **state)
{
	struct probe_result result;
	struct error err;

	(void)state;
	assert_int_equal(probe_http("localhost", 80, "h", 100, never, NULL,
				    &result, &err),
			 -ERR_INVALID);
}

/* ---- /proc/net/tcp ---- */

static void listeners_are_read(void **state)
{
	struct slice rest = slice_str(
		"  sl  local_address rem_address   st tx_queue rx_queue\n"
		"   0: 00000000:1388 00000000:0000 0A 00000000:00000000\n"
		"   1: 0100007F:0BB8 00000000:0000 0A 00000000:00000000\n"
		"   2: 0100007F:0BB8 0100007F:C350 01 00000000:00000000\n"
		"   3: 00000000000000000000000001000000:0050 "
		"00000000000000000000000000000000:0000 0A\n"
		"   4: 0000000000000000FFFF00000100007F:0051 "
		"00000000000000000000000000000000:0000 0A\n"
		"   5: 00000000000000000000000000000000:1F90 "
		"00000000000000000000000000000000:0000 0A\n"
		"   6: junk 0 0A\n   7: 00000000:xx 0:0 0A\n   8\n");
	static const struct listener want[] = { { false, 5000 },
						{ true, 3000 },
						{ true, 80 },
						{ true, 81 },
						{ false, 8080 } };
	struct listener l;

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(probe_next_listener(&rest, &l));
		assert_int_equal(l.port, want[i].port);
		assert_int_equal(l.is_loopback, want[i].is_loopback);
	}
	assert_false(probe_next_listener(&rest, &l));
}

/* ---- logs ---- */

static void stamps_are_taken_off(void **state)
{
	struct slice line =
		slice_str("2026-11-22T10:15:00.123456789Z text 2026");
	struct slice offset = slice_str("2026-11-22T12:15:00.5+02:00 x");
	struct slice bare = slice_str("2026-11-22T10:15:00Z");
	struct slice none = slice_str("2026-11-22 text");
	struct log_stamp a;
	struct log_stamp b;

	(void)state;
	assert_true(log_stamp_take(&line, &a));
	assert_true(slice_eq(line, "text 2026"));
	assert_int_equal(a.s, 1795342500);
	assert_int_equal(a.ns, 123456789);
	assert_true(log_stamp_take(&offset, &b));
	assert_int_equal(b.s, a.s);
	assert_int_equal(b.ns, 500000000);
	assert_true(log_stamp_compare(a, b) < 0);
	assert_true(log_stamp_take(&bare, &b));
	assert_int_equal(bare.len, 0);
	assert_false(log_stamp_take(&none, &b));
	assert_true(slice_eq(none, "2026-11-22 text"));
}

static void lines_are_seen_once(void **state)
{
	static const struct log_stamp t[] = { { 1, 0 }, { 1, 5 }, { 2, 0 } };
	struct log_cursor c = { .at_last = 0 };

	(void)state;
	log_cursor_begin(&c);
	assert_true(log_cursor_is_new(&c, t[0]));
	assert_true(log_cursor_is_new(&c, t[1]));
	assert_true(log_cursor_is_new(&c, t[1]));
	/* Read again from t[1]: two known ones, one more of that time. */
	log_cursor_begin(&c);
	assert_false(log_cursor_is_new(&c, t[0]));
	assert_false(log_cursor_is_new(&c, t[1]));
	assert_false(log_cursor_is_new(&c, t[1]));
	assert_true(log_cursor_is_new(&c, t[1]));
	log_cursor_begin(&c);
	assert_false(log_cursor_is_new(&c, t[1]));
	assert_false(log_cursor_is_new(&c, t[1]));
	assert_false(log_cursor_is_new(&c, t[1]));
	assert_true(log_cursor_is_new(&c, t[2]));
	log_cursor_begin(&c);
	assert_false(log_cursor_is_new(&c, t[2]));
}

static void a_pile_is_bounded_and_sorted(void **state)
{
	struct log_pile p = { .max_lines = 100, .max_bytes = 1000 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_pile_add(&p, (struct log_stamp){ i ^ 1, 0 },
			     xasprintf("line %d", i ^ 1));
	assert_int_equal(p.end - p.first, 100);
	log_pile_sort(&p);
	for (int i = 0; i < 100; i++) {
		char *want = xasprintf("line %d", 900 + i);

		assert_string_equal(p.entries[p.first + (size_t)i].text, want);
		free(want);
	}
	p.max_bytes = 10;
	log_pile_add(&p, (struct log_stamp){ 2000, 0 },
		     xstrdup("longer than ten"));
	assert_int_equal(p.end - p.first, 1);
	log_pile_release(&p);
}

/* ---- plans ---- */

static void processes_are_read(void **state)
{
	struct release_plan plan;
	struct error err;

	(void)state;
	assert_int_equal(
		release_plan_parse("[{\"type\":\"web\",\"command\":null,"
				   "\"count\":2},{\"type\":\"worker\","
				   "\"command\":[\"sh\",\"-c\",\"x\"],"
				   "\"count\":1}]",
				   &plan, &err),
		0);
	assert_int_equal(plan.types_count, 2);
	assert_int_equal(release_plan_type(&plan, "web")->count, 2);
	assert_null(release_plan_type(&plan, "web")->command);
	assert_string_equal(release_plan_type(&plan, "worker")->command[2],
			    "x");
	assert_null(release_plan_type(&plan, "worker")->command[3]);
	assert_null(release_plan_type(&plan, "clock"));
	release_plan_release(&plan);
}

static void bad_plans_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[1]",
		"[{\"type\":\"web\"}]",
		"[{\"type\":\"a b\",\"count\":1}]",
		"[{\"type\":\"\",\"count\":1}]",
		"[{\"type\":\"web\",\"count\":9}]",
		"[{\"type\":\"w\",\"count\":65}]",
		"[{\"type\":\"w\",\"count\":-1}]",
		"[{\"type\":\"w\",\"command\":[],\"count\":1}]",
		"[{\"type\":\"w\",\"command\":[1],\"count\":1}]",
		"[{\"type\":\"w\",\"command\":[\"a\\u0000b\"],\"count\":1}]",
		"[{\"type\":\"w\",\"count\":1},{\"type\":\"w\",\"count\":1}]",
		"[{\"type\":\"v\",\"count\":40},{\"type\":\"w\",\"count\":40}]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct release_plan plan;
		struct error err;

		assert_true(release_plan_parse(bad[i], &plan, &err) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_is_read),
		cmocka_unit_test(a_part_of_it_needs_more),
		cmocka_unit_test(what_is_not_http_is_told),
		cmocka_unit_test(an_answer_is_judged),
		cmocka_unit_test(silence_ends_at_the_timeout),
		cmocka_unit_test(nobody_there_is_refused_at_once),
		cmocka_unit_test(a_cancel_is_seen_soon),
		cmocka_unit_test(a_name_is_no_address),
		cmocka_unit_test(listeners_are_read),
		cmocka_unit_test(stamps_are_taken_off),
		cmocka_unit_test(lines_are_seen_once),
		cmocka_unit_test(a_pile_is_bounded_and_sorted),
		cmocka_unit_test(processes_are_read),
		cmocka_unit_test(bad_plans_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
