/* builder/rollout/router/: haproxy.cfg, HAProxy's replies, and the changes
 * planned from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/rollout/router/haproxy.h"
#include "builder/rollout/router/haproxy_client.h"
#include "builder/rollout/router/haproxy_plan.h"

#define CONFIG_MAX (1 << 20)

#define SERVERS_HEAD                                                           \
	"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state "            \
	"srv_admin_state srv_uweight srv_port\n"

/* ---- haproxy.cfg ---- */

static int make_config(const char *data, const char *listen, bool as_root,
		       struct buf *out, struct error *err)
{
	struct config cfg;
	int r;

	config_init(&cfg);
	assert_int_equal(config_set(&cfg, "slipway.data", data, err), 0);
	assert_int_equal(config_set(&cfg, "router.listen", listen, err), 0);
	assert_int_equal(config_set(&cfg, "router.max-apps", "3", err), 0);
	r = router_haproxy_config(&cfg, as_root, out, err);
	config_release(&cfg);
	return r;
}

static void assert_has(const struct buf *text, const char *piece)
{
	if (!strstr(buf_str(text), piece))
		fail_msg("'%s' is not in:\n%s", piece, buf_str(text));
}

static void assert_lacks(const struct buf *text, const char *piece)
{
	if (strstr(buf_str(text), piece))
		fail_msg("'%s' is in:\n%s", piece, buf_str(text));
}

static void the_configuration_has_a_pool_and_a_socket(void **state)
{
	auto_buf struct buf out = BUF_INIT(CONFIG_MAX);
	struct error err;

	(void)state;
	assert_int_equal(
		make_config("/srv/s", "127.0.0.1:8080", false, &out, &err), 0);
	assert_has(&out, "\tstats socket \"/srv/s/router/haproxy.sock\" mode "
			 "600 level admin\n");
	assert_has(&out, "\tbind \"127.0.0.1:8080\"\n");
	assert_has(&out, "backend p3\n\tserver-template s 1-16 127.0.0.1:1 "
			 "disabled\n");
	assert_lacks(&out, "backend p4");
	assert_has(&out, "\toption redispatch\n");
	assert_has(&out, "\toption idle-close-on-response\n");
	assert_has(&out, "\ttimeout tunnel 1h\n");
	assert_lacks(&out, "chroot");
	assert_lacks(&out, "\tuser ");
}

static void as_root_it_drops_and_leaves_the_socket_to_the_builder(void **state)
{
	auto_buf struct buf out = BUF_INIT(CONFIG_MAX);
	struct error err;

	(void)state;
	assert_int_equal(make_config("/srv/s", ":80", true, &out, &err), 0);
	assert_has(&out, "mode 600 level admin user \"slipway\"\n");
	assert_has(&out, "\tuser haproxy\n\tgroup haproxy\n"
			 "\tchroot \"/srv/s/router/empty\"\n");
}

static void addresses_are_written_as_haproxy_reads_them(void **state)
{
	auto_buf struct buf v6 = BUF_INIT(CONFIG_MAX);
	auto_buf struct buf any = BUF_INIT(CONFIG_MAX);
	struct error err;

	(void)state;
	assert_int_equal(make_config("/s", "[::1]:81", false, &v6, &err), 0);
	assert_has(&v6, "\tbind \"::1:81\"\n");
	assert_int_equal(make_config("/s", ":82", false, &any, &err), 0);
	if (!strstr(buf_str(&any), "\tbind \"0.0.0.0:82\"\n"))
		assert_has(&any, "\tbind \":::82\" v4v6\n");
}

static void special_characters_of_a_path_are_quoted(void **state)
{
	auto_buf struct buf out = BUF_INIT(CONFIG_MAX);
	struct error err;

	(void)state;
	assert_int_equal(
		make_config("/s/a b\"c$d\\e#'", ":80", false, &out, &err), 0);
	assert_has(&out, "\"/s/a b\\\"c\\$d\\\\e#'/router/haproxy.sock\"");
}

static void a_path_too_long_for_a_socket_is_refused_by_name(void **state)
{
	auto_buf struct buf out = BUF_INIT(CONFIG_MAX);
	char path[128] = "/";
	struct error err;

	(void)state;
	memset(path + 1, 'x', 90);
	assert_int_equal(make_config(path, ":80", false, &out, &err),
			 -ERR_INVALID);
	assert_non_null(strstr(err.msg, "slipway.data"));
}

/* ---- replies ---- */

static int check(const char *reply, struct error *err)
{
	return haproxy_reply_check(slice_str(reply), err);
}

static void errors_are_told_from_news(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(check("", &err), 0);
	assert_int_equal(check("\n\n\n", &err), 0);
	assert_int_equal(check("\n[4]: no need to change the addr, port "
			       "changed from '1' to '19001' by 'stats socket "
			       "command'\n\n",
			       &err),
			 0);
	assert_int_equal(check("\n\n[3]: No such server.\n\n", &err),
			 -ERR_PEER);
	assert_string_equal(err.msg, "router: No such server.");
	assert_int_equal(check("[4]: Invalid addr 'bad' by 'stats socket "
			       "command'\n",
			       &err),
			 -ERR_PEER);
	assert_int_equal(
		check("[6]: Unknown command, but maybe …\n  help\n", &err),
		-ERR_PEER);
}

static void map_entries_are_read(void **state)
{
	struct slice rest = slice_str("0x561434d808d0 shop.localhost p3\n"
				      "0x561434d809c0 APP7 p3\n"
				      "0x1\n0x2 key\n0x3 key \nnonsense\n\n");
	struct haproxy_entry e;

	(void)state;
	assert_true(haproxy_next_entry(&rest, &e));
	assert_true(slice_eq(e.key, "shop.localhost"));
	assert_true(slice_eq(e.value, "p3"));
	assert_true(haproxy_next_entry(&rest, &e));
	assert_true(slice_eq(e.key, "APP7"));
	assert_false(haproxy_next_entry(&rest, &e));
}

static void states_of_servers_are_read(void **state)
{
	static const char reply[] = SERVERS_HEAD
		"5 p3 1 s1 10.1.2.3 2 4 1 5000\n"  /* ready */
		"5 p3 2 s2 127.0.0.1 0 5 1 1\n"	   /* disabled */
		"5 p3 3 s3 10.1.2.4 3 12 1 5000\n" /* drain */
		"5 p3 4 s4 fd00::1 0 13 1 80\n\n"; /* drain and maint */
	struct haproxy_server s[HAPROXY_SLOTS];
	struct error err;

	(void)state;
	assert_int_equal(
		haproxy_parse_servers(slice_str(reply), s, HAPROXY_SLOTS, &err),
		4);
	assert_string_equal(s[0].ip, "10.1.2.3");
	assert_int_equal(s[0].port, 5000);
	assert_int_equal(s[0].slot, 1);
	assert_false(s[0].is_maint || s[0].is_draining);
	assert_true(s[1].is_maint);
	assert_true(s[2].is_draining && !s[2].is_maint);
	assert_true(s[3].is_maint && !s[3].is_draining);
	assert_string_equal(s[3].ip, "fd00::1");
}

static void a_state_that_is_not_known_is_an_error(void **state)
{
	static const char *const bad[] = {
		"",
		"Can't find backend.\n\n",
		"1\n# be_id be_name\n",
		SERVERS_HEAD "5 p3 1 s17 10.1.2.3 2 4 1 5000\n",
		SERVERS_HEAD "5 p3 1 x1 10.1.2.3 2 4 1 5000\n",
		SERVERS_HEAD "5 p3 1 s1 10.1.2.3 2 -1 1 5000\n",
		SERVERS_HEAD "5 p3 1 s1\n",
		SERVERS_HEAD "5 p3 1 s1 10.1.2.3 2 99999999999999 1 5000\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct haproxy_server s[HAPROXY_SLOTS];
		struct error err;

		assert_int_equal(haproxy_parse_servers(slice_str(bad[i]), s,
						       HAPROXY_SLOTS, &err),
				 -ERR_PROTO);
	}
}

static void sessions_and_queue_are_summed(void **state)
{
	static const char reply[] = "# pxname,svname,qcur,qmax,scur,smax,\n"
				    "p3,s1,0,0,2,9,\np3,s16,3,3,4,4,\n\n";
	int sessions[HAPROXY_SLOTS + 1];
	struct error err;

	(void)state;
	assert_int_equal(
		haproxy_parse_sessions(slice_str(reply), sessions, &err), 0);
	assert_int_equal(sessions[1], 2);
	assert_int_equal(sessions[2], 0);
	assert_int_equal(sessions[16], 7);
	assert_int_equal(haproxy_parse_sessions(slice_str("No such proxy.\n"),
						sessions, &err),
			 -ERR_PROTO);
}

static void the_pid_is_read(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(haproxy_parse_pid(slice_str("Name: HAProxy\n"
						     "Pid: 9465\nUptime: 0\n"),
					   &err),
			 9465);
	assert_int_equal(haproxy_parse_pid(slice_str("Pid: x\n"), &err),
			 -ERR_PROTO);
}

/* ---- plans ---- */

static void free_slots(struct haproxy_server s[HAPROXY_SLOTS])
{
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		s[i] = (struct haproxy_server){ .slot = i + 1,
						.ip = "127.0.0.1",
						.port = 1,
						.is_maint = true };
}

static void occupy(struct haproxy_server *s, const char *ip, bool drains)
{
	s->is_maint = false;
	s->is_draining = drains;
	s->port = 5000;
	memset(s->ip, 0, sizeof(s->ip));
	memcpy(s->ip, ip, strlen(ip));
}

static struct router_route route_to(const char *a, const char *b)
{
	struct router_route r = { .app_id = 7 };

	for (const char *ip = a; ip; ip = ip == a ? b : NULL) {
		struct router_endpoint *e = &r.endpoints[r.endpoints_count++];

		memcpy(e->ip, ip, strlen(ip));
		e->port = 5000;
	}
	return r;
}

static void new_ones_are_ready_before_old_ones_drain(void **state)
{
	struct router_route route = route_to("10.0.0.3", "10.0.0.4");
	auto_buf struct buf out = BUF_INIT(4096);
	struct haproxy_server s[HAPROXY_SLOTS];
	struct error err;

	(void)state;
	free_slots(s);
	occupy(&s[0], "10.0.0.2", false);
	assert_false(haproxy_plan_is_done(s, &route));
	assert_int_equal(haproxy_plan_servers(3, s, &route, &out, &err), 0);
	assert_string_equal(buf_str(&out),
			    "set server p3/s2 addr 10.0.0.3 port 5000;"
			    "set server p3/s2 state ready;"
			    "set server p3/s3 addr 10.0.0.4 port 5000;"
			    "set server p3/s3 state ready;"
			    "set server p3/s1 state drain;");
}

static void what_is_there_already_stays(void **state)
{
	struct router_route route = route_to("10.0.0.2", "10.0.0.3");
	auto_buf struct buf out = BUF_INIT(4096);
	struct haproxy_server s[HAPROXY_SLOTS];
	struct error err;

	(void)state;
	free_slots(s);
	occupy(&s[4], "10.0.0.2", false);
	occupy(&s[5], "10.0.0.3", true);
	assert_int_equal(haproxy_plan_servers(3, s, &route, &out, &err), 0);
	assert_string_equal(buf_str(&out), "set server p3/s6 state ready;");
	s[5].is_draining = false;
	buf_reset(&out);
	assert_int_equal(haproxy_plan_servers(3, s, &route, &out, &err), 0);
	assert_string_equal(buf_str(&out), "");
	assert_true(haproxy_plan_is_done(s, &route));
}

static void with_all_slots_taken_a_draining_one_is_given_up(void **state)
{
	struct router_route route = route_to("10.0.1.1", NULL);
	auto_buf struct buf out = BUF_INIT(4096);
	struct haproxy_server s[HAPROXY_SLOTS];
	struct error err;

	(void)state;
	free_slots(s);
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		occupy(&s[i], "10.0.0.2", true);
	assert_int_equal(haproxy_plan_servers(3, s, &route, &out, &err), 0);
	assert_string_equal(buf_str(&out),
			    "set server p3/s1 state maint;"
			    "set server p3/s1 addr 10.0.1.1 port 5000;"
			    "set server p3/s1 state ready;");
	for (int i = 0; i < HAPROXY_SLOTS; i++)
		occupy(&s[i], "10.0.0.2", false);
	assert_int_equal(haproxy_plan_servers(3, s, &route, &out, &err),
			 -ERR_LIMIT);
}

static const char map[] = "0x1 shop.localhost p3\n0x2 APP7 p3\n"
			  "0x3 blog.localhost p1\n0x4 APP12 p1\n\n";

static void backends_are_found_by_app(void **state)
{
	int64_t ids[4];

	(void)state;
	assert_int_equal(haproxy_plan_find(slice_str(map), 7), 3);
	assert_int_equal(haproxy_plan_find(slice_str(map), 12), 1);
	assert_int_equal(haproxy_plan_find(slice_str(map), 1), 0);
	assert_int_equal(haproxy_plan_find(slice_str(map), 0), 0);
	assert_int_equal(haproxy_plan_free(slice_str(map), 3), 2);
	assert_int_equal(haproxy_plan_free(slice_str(map), 1), 0);
	assert_int_equal(haproxy_plan_apps(slice_str(map), ids, 4), 2);
	assert_int_equal(ids[0], 7);
	assert_int_equal(ids[1], 12);
	assert_int_equal(haproxy_plan_apps(slice_str(map), ids, 1), 1);
}

static void hosts_are_added_before_others_go(void **state)
{
	auto_buf struct buf out = BUF_INIT(4096);

	(void)state;
	haproxy_plan_hosts(slice_str(map), 3, "store.localhost", &out);
	assert_string_equal(buf_str(&out),
			    "add map /dev/null store.localhost p3;"
			    "del map /dev/null shop.localhost;");
	buf_reset(&out);
	haproxy_plan_hosts(slice_str(map), 3, "shop.localhost", &out);
	assert_string_equal(buf_str(&out), "");
	haproxy_plan_hosts(slice_str(map), 3, "blog.localhost", &out);
	assert_string_equal(buf_str(&out),
			    "set map /dev/null blog.localhost p3;"
			    "del map /dev/null shop.localhost;");
	buf_reset(&out);
	haproxy_plan_hosts(slice_str(map), 3, NULL, &out);
	assert_string_equal(buf_str(&out), "del map /dev/null shop.localhost;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configuration_has_a_pool_and_a_socket),
		cmocka_unit_test(
			as_root_it_drops_and_leaves_the_socket_to_the_builder),
		cmocka_unit_test(addresses_are_written_as_haproxy_reads_them),
		cmocka_unit_test(special_characters_of_a_path_are_quoted),
		cmocka_unit_test(
			a_path_too_long_for_a_socket_is_refused_by_name),
		cmocka_unit_test(errors_are_told_from_news),
		cmocka_unit_test(map_entries_are_read),
		cmocka_unit_test(states_of_servers_are_read),
		cmocka_unit_test(a_state_that_is_not_known_is_an_error),
		cmocka_unit_test(sessions_and_queue_are_summed),
		cmocka_unit_test(the_pid_is_read),
		cmocka_unit_test(new_ones_are_ready_before_old_ones_drain),
		cmocka_unit_test(what_is_there_already_stays),
		cmocka_unit_test(
			with_all_slots_taken_a_draining_one_is_given_up),
		cmocka_unit_test(backends_are_found_by_app),
		cmocka_unit_test(hosts_are_added_before_others_go),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
