/* Penalties of source addresses, with a clock of the test's own. */
#include "receiver/penalty.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW INT64_C(1000000)

static struct source v4(const char *text)
{
	struct sockaddr_storage addr = { .ss_family = AF_INET };

	inet_pton(AF_INET, text, &((struct sockaddr_in *)&addr)->sin_addr);
	return source_of(&addr);
}

static struct source v6(const char *text)
{
	struct sockaddr_storage addr = { .ss_family = AF_INET6 };

	inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&addr)->sin6_addr);
	return source_of(&addr);
}

static int setup(void **state)
{
	struct penalties *p = malloc(sizeof(*p));

	penalties_init(p, 42);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void test_nobody_starts_with_a_penalty(void **state)
{
	struct source a = v4("192.0.2.1");

	assert_int_equal(penalty_left(*state, &a, NOW), 0);
}

static void test_a_few_failures_are_borne(void **state)
{
	struct source a = v4("192.0.2.1");

	/* Fifty failed logins within a minute, as a test suite may do. */
	for (int i = 0; i < 50; i++) {
		penalty_add(*state, &a, PENALTY_DENIED_MS, NOW + i * 1200);
		assert_int_equal(penalty_left(*state, &a, NOW + i * 1200), 0);
	}
}

static void test_two_failures_a_second_are_borne_for_ever(void **state)
{
	struct source a = v4("192.0.2.1");

	for (int i = 0; i < 10000; i++)
		penalty_add(*state, &a, PENALTY_DENIED_MS, NOW + i * 500);
	assert_int_equal(penalty_left(*state, &a, NOW + 10000 * 500), 0);
}

static void test_a_flood_is_refused_until_it_ran_down(void **state)
{
	struct source a = v4("192.0.2.1");
	struct source b = v4("192.0.2.2");

	for (int i = 0; i < PENALTY_THRESHOLD_MS / PENALTY_DENIED_MS; i++)
		penalty_add(*state, &a, PENALTY_DENIED_MS, NOW);
	assert_int_equal(penalty_left(*state, &a, NOW), PENALTY_THRESHOLD_MS);
	assert_int_equal(penalty_left(*state, &b, NOW), 0);
	assert_int_equal(
		penalty_left(*state, &a, NOW + PENALTY_THRESHOLD_MS - 1), 1);
	assert_int_equal(penalty_left(*state, &a, NOW + PENALTY_THRESHOLD_MS),
			 0);
}

static void test_it_starts_anew_after_it_ran_down(void **state)
{
	struct source a = v4("192.0.2.1");
	int64_t later = NOW + PENALTY_MAX_MS + 1;

	penalty_add(*state, &a, PENALTY_CRASH_MS, NOW);
	assert_true(penalty_left(*state, &a, NOW) > 0);
	penalty_add(*state, &a, PENALTY_DENIED_MS, later);
	assert_int_equal(penalty_left(*state, &a, later), 0);
}

static void test_the_sum_is_capped(void **state)
{
	struct source a = v4("192.0.2.1");

	for (int i = 0; i < 1000; i++)
		penalty_add(*state, &a, PENALTY_CRASH_MS, NOW);
	assert_int_equal(penalty_left(*state, &a, NOW), PENALTY_MAX_MS);
}

static void test_ipv6_counts_by_64_bits(void **state)
{
	struct source a = v6("2001:db8:1:2:3:4:5:6");
	struct source b = v6("2001:db8:1:2:ffff::1");
	struct source c = v6("2001:db8:1:3::1");

	penalty_add(*state, &a, PENALTY_CRASH_MS, NOW);
	assert_true(penalty_left(*state, &b, NOW) > 0);
	assert_int_equal(penalty_left(*state, &c, NOW), 0);
}

static void test_mapped_ipv4_is_ipv4(void **state)
{
	struct source a = v6("::ffff:192.0.2.1");
	struct source b = v4("192.0.2.1");
	struct source c = v6("::ffff:192.0.2.2");

	(void)state;
	assert_true(source_eq(&a, &b));
	assert_false(source_eq(&a, &c));
}

static void test_a_socket_without_address_has_no_penalty(void **state)
{
	struct sockaddr_storage unix_peer = { .ss_family = AF_UNIX };
	struct source a = source_of(&unix_peer);

	penalty_add(*state, &a, PENALTY_MAX_MS, NOW);
	assert_int_equal(penalty_left(*state, &a, NOW), 0);
}

static void test_a_flood_of_sources_does_not_free_the_worst(void **state)
{
	struct source worst = v4("192.0.2.1");
	struct penalties *p = *state;

	penalty_add(p, &worst, PENALTY_CRASH_MS, NOW);
	for (uint32_t i = 0; i < 200000; i++) {
		struct sockaddr_storage addr = { .ss_family = AF_INET };
		struct source s;

		((struct sockaddr_in *)&addr)->sin_addr.s_addr =
			htonl(0x0a000000 + i);
		s = source_of(&addr);
		penalty_add(p, &s, PENALTY_NO_LOGIN_MS, NOW + 1);
	}
	assert_true(penalty_left(p, &worst, NOW + 1) > 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_starts_with_a_penalty),
		TEST(test_a_few_failures_are_borne),
		TEST(test_two_failures_a_second_are_borne_for_ever),
		TEST(test_a_flood_is_refused_until_it_ran_down),
		TEST(test_it_starts_anew_after_it_ran_down),
		TEST(test_the_sum_is_capped),
		TEST(test_ipv6_counts_by_64_bits),
		TEST(test_mapped_ipv4_is_ipv4),
		TEST(test_a_socket_without_address_has_no_penalty),
		TEST(test_a_flood_of_sources_does_not_free_the_worst),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
