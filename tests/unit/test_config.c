/* base/config.h, base/config_values.h: settings; and their man page. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/target_sizes.h"

#define MAN_PAGE "docs/man/slipway.conf.5"
#define MAN_MAX	 (1 << 20)

static void reads_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = { { "0", 0 },	   { "90", 90000 },
		     { "250ms", 250 },	   { "15m", 900000 },
		     { "1h30m", 5400000 }, { "2d", 172800000 } };
	static const char *const bad[] = { "",
					   "m",
					   "-1",
					   "1x",
					   "1 m",
					   "1h ",
					   "1.5s",
					   "9999999999999999999",
					   "9223372036854775807h" };
	struct error err;
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(config_parse_duration(good[i].text, &ms, &err),
				 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_parse_duration(bad[i], &ms, &err),
				 -ERR_INVALID);
}

static void reads_sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = { { "0", 0 },
		     { "4096", 4096 },
		     { "64k", 65536 },
		     { "512M", 536870912 },
		     { "2g", INT64_C(2147483648) },
		     { "1tb", INT64_C(1099511627776) } };
	static const char *const bad[] = { "",	   "g",
					   "-1",   "1x",
					   "1 g",  "1gg",
					   "1.5g", "9223372036854775807t" };
	struct error err;
	int64_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(config_parse_size(good[i].text, &n, &err), 0);
		assert_int_equal(n, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_parse_size(bad[i], &n, &err),
				 -ERR_INVALID);
}

static void reads_cpus(void **state)
{
	static const char *const bad[] = { "",	  "x",	  "-1",	   ".5",
					   "1,5", "2000", "0.1234" };
	struct error err;
	int64_t n;

	(void)state;
	assert_int_equal(config_parse_cpus("0.5", &n, &err), 0);
	assert_int_equal(n, 500);
	assert_int_equal(config_parse_cpus("2", &n, &err), 0);
	assert_int_equal(n, 2000);
	assert_int_equal(config_parse_cpus("1.125", &n, &err), 0);
	assert_int_equal(n, 1125);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_parse_cpus(bad[i], &n, &err),
				 -ERR_INVALID);
}

static void assert_listen(const char *text, const char *host, int port)
{
	auto_free char *got = NULL;
	struct error err;
	int got_port = -1;

	assert_int_equal(config_parse_listen(text, &got, &got_port, &err), 0);
	assert_string_equal(got, host);
	assert_int_equal(got_port, port);
}

static void reads_addresses(void **state)
{
	static const char *const bad[] = { "",	    "2222", "host",   "host:",
					   ":x",    ":-1",  ":65536", "::1:22",
					   "a b:1", ":22 " };
	struct error err;
	char *host = NULL;
	int port;

	(void)state;
	assert_listen(":2222", "", 2222);
	assert_listen("127.0.0.1:0", "127.0.0.1", 0);
	assert_listen("[::1]:65535", "::1", 65535);
	assert_listen("deploy.example.com:22", "deploy.example.com", 22);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(
			config_parse_listen(bad[i], &host, &port, &err),
			-ERR_INVALID);
	assert_null(host);
}

static void knows_prefixes(void **state)
{
	static const char *const bad[] = { "",
					   "10.0.0.0",
					   "10.0.0.0/7",
					   "10.0.0.0/27",
					   "10.0.0/16",
					   "10.0.0.256/16",
					   "10.0.0.0/16x",
					   "a.b.c.d/16",
					   "10.0.0.0.0/16" };

	(void)state;
	assert_true(config_is_prefix("10.213.0.0/16"));
	assert_true(config_is_prefix("192.168.7.0/26"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(config_is_prefix(bad[i]));
}

static void assert_refused(const char *option, const char *why)
{
	struct config c;
	struct error err;

	config_init(&c);
	assert_int_equal(config_set_option(&c, option, &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, why));
	config_release(&c);
}

static void names_what_is_wrong(void **state)
{
	(void)state;
	assert_refused("ssh.listn=:1", "did you mean 'ssh.listen'");
	assert_refused("nothing.like.it=1", "unknown key");
	assert_refused("ssh.listen", "expected section.key=value");
	assert_refused("ssh.listen=2222", "ssh.listen: '2222'");
	assert_refused("ssh.max-startups=0", "outside the allowed range");
	assert_refused("ssh.max-startups=ten", "a whole number");
	assert_refused("build.timeout=soon", "build.timeout: 'soon'");
	assert_refused("build.cancel-on-disconnect=maybe", "true or false");
	assert_refused("build.builder=kaniko", "auto, buildkit or classic");
	assert_refused("slipway.data=relative", "an absolute path");
	assert_refused("slipway.log-level=loud", "error, warn, info or debug");
	assert_refused("network.pool=10.0.0.0/30", "an IPv4 prefix");
	assert_refused("router.domain=", "is empty");
	assert_refused("router.domain=a\nb", "a line break");
	assert_refused("registry.r.example:5000.token=x", "unknown key");
	assert_refused("registry.=x", "unknown key");
	assert_refused("registry.username=x", "unknown key");
	assert_refused("target.x.type=moon", "'moon' is not docker");
}

static void first_address_replaces_the_default(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	config_init(&c);
	assert_int_equal(c.ssh_listen_count, 1);
	assert_int_equal(config_set(&c, "ssh.listen", ":1", &err), 0);
	assert_int_equal(config_set(&c, "ssh.listen", ":2", &err), 0);
	assert_int_equal(c.ssh_listen_count, 2);
	assert_string_equal(c.ssh_listen[0], ":1");
	for (int i = 2; i < CONFIG_LIST_MAX; i++)
		assert_int_equal(config_set(&c, "ssh.listen", ":3", &err), 0);
	assert_int_equal(config_set(&c, "ssh.listen", ":4", &err), -ERR_LIMIT);
	config_release(&c);
}

static void bounds_named_sections(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	config_init(&c);
	for (int i = 0; i <= CONFIG_SUBS_MAX; i++) {
		auto_free char *key = xasprintf("registry.r%d.username", i);

		assert_int_equal(config_set(&c, key, "u", &err),
				 i < CONFIG_SUBS_MAX ? 0 : -ERR_LIMIT);
	}
	config_release(&c);
}

static void checks_keys_together(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	config_init(&c);
	assert_int_equal(config_check(&c, &err), 0);
	assert_int_equal(config_set(&c, "registry.r:5000.username", "u", &err),
			 0);
	assert_int_equal(config_check(&c, &err), -ERR_INVALID);
	assert_int_equal(
		config_set(&c, "registry.r:5000.password-file", "/p", &err), 0);
	assert_int_equal(config_check(&c, &err), 0);
	assert_int_equal(config_set(&c, "deploy.target", "prod", &err), 0);
	assert_int_equal(config_check(&c, &err), -ERR_INVALID);
	assert_int_equal(config_set(&c, "target.prod.type", "docker", &err), 0);
	assert_int_equal(config_check(&c, &err), 0);
	assert_int_equal(config_set(&c, "build.engine", "ssh://x", &err), 0);
	assert_int_equal(config_check(&c, &err), -ERR_INVALID);
	config_release(&c);
}

static void ecs_target_with(const char *option, const char *complaint)
{
	static const char *const options[] = {
		"target.prod.type=ecs",
		"target.prod.subnets=subnet-1",
		"target.prod.security-groups=sg-1",
		"target.prod.execution-role=role",
	};
	struct config c;
	struct error err = ERROR_INIT;
	int r;

	config_init(&c);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		assert_int_equal(config_set_option(&c, options[i], &err), 0);
	assert_int_equal(config_set_option(&c, option, &err), 0);
	r = config_check(&c, &err);
	if (r != (complaint ? -ERR_INVALID : 0) ||
	    (complaint && !strstr(err.msg, complaint)))
		fail_msg("%s: %d %s", option, r, err.msg);
	config_release(&c);
}

static void what_aws_would_refuse_is_found_before(void **state)
{
	(void)state;
	ecs_target_with("target.prod.efs=", NULL);
	ecs_target_with("target.prod.efs=fs-1:/data, fs-2:/b:fsap-3", NULL);
	ecs_target_with("target.prod.efs=fs-1", "target.prod.efs");
	ecs_target_with("target.prod.efs=fs-1:data", "target.prod.efs");
	ecs_target_with("target.prod.efs=1:/data", "target.prod.efs");
	ecs_target_with("target.prod.efs=fs-1:/a:ap", "target.prod.efs");
	ecs_target_with("target.prod.efs=fs-1:/a,x", "target.prod.efs");
	ecs_target_with("target.prod.name-prefix=acme-", NULL);
	ecs_target_with("target.prod.name-prefix=-acme", "name-prefix");
	ecs_target_with("target.prod.name-prefix=a_b", "name-prefix");
	ecs_target_with("target.prod.subnets=1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g",
			NULL);
	ecs_target_with("target.prod.subnets=1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h",
			"subnets");
	ecs_target_with("target.prod.security-groups=1,2,3,4,5,6",
			"security-groups");
	ecs_target_with("target.prod.capacity=ec2", NULL);
	ecs_target_with("target.prod.sizes=worker=1024:2048, a-b/web=512:1024",
			NULL);
	ecs_target_with("target.prod.sizes=worker=1024", "target.prod.sizes");
	ecs_target_with("target.prod.sizes=worker=64:512", "worker=64:512");
	ecs_target_with("target.prod.sizes=worker=256:512x", "sizes");
	ecs_target_with("target.prod.sizes=worker=256:", "sizes");
	ecs_target_with("target.prod.sizes=/web=256:512", "sizes");
	ecs_target_with("target.prod.sizes=web/=256:512", "sizes");
	ecs_target_with("target.prod.sizes=web", "sizes");
}

static void expect_size(const char *sizes, const char *app, const char *type,
			int64_t want_cpu, int64_t want_memory)
{
	int64_t cpu = 256;
	int64_t memory = 512;

	target_sizes_find(sizes, app, type, &cpu, &memory);
	assert_int_equal(cpu, want_cpu);
	assert_int_equal(memory, want_memory);
}

static void an_apps_size_counts_more_than_its_types(void **state)
{
	static const char sizes[] =
		"shop/web=512:1024 web=1024:2048,worker=2048:4096";

	(void)state;
	expect_size("", "shop", "web", 256, 512);
	expect_size(sizes, "shop", "web", 512, 1024);
	expect_size(sizes, "blog", "web", 1024, 2048);
	expect_size(sizes, "blog", "worker", 2048, 4096);
	expect_size(sizes, "blog", "clock", 256, 512);
	expect_size("web=1024:2048,shop/web=512:1024", "shop", "web", 512,
		    1024);
}

static void assert_same_dump(const struct config *a, const struct config *b)
{
	auto_buf struct buf x = BUF_INIT(1 << 20);
	auto_buf struct buf y = BUF_INIT(1 << 20);

	config_dump(a, &x);
	config_dump(b, &y);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
}

static void children_read_what_was_dumped(void **state)
{
	static const char *const options[] = {
		"ssh.listen=127.0.0.1:2022",
		"ssh.listen=[::1]:2022",
		"ssh.idle-timeout=1h1m1s1ms",
		"git.max-pack=3g",
		"run.cpus=0.25",
		"build.cancel-on-disconnect=yes",
		"router.domain=a=b",
		"registry.r.example.com:5000.username=me",
		"registry.r.example.com:5000.password-file=/x y",
		"target.local.type=docker",
	};
	struct config a;
	struct config b;
	struct error err;
	auto_close int fd = -1;

	(void)state;
	config_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		assert_int_equal(config_set_option(&a, options[i], &err), 0);
	fd = config_memfd(&a, &err);
	assert_true(fd >= 0);
	/* Several children share one offset: twice must work. */
	for (int i = 0; i < 2; i++) {
		config_init(&b);
		assert_int_equal(config_read_fd(&b, fd, &err), 0);
		assert_same_dump(&a, &b);
		assert_int_equal(b.run_milli_cpus, 250);
		assert_int_equal(b.ssh_idle_timeout_ms, 3661001);
		assert_string_equal(b.registries[0].host, "r.example.com:5000");
		config_release(&b);
	}
	config_release(&a);
}

/* The man page says "Cm KEY Pq KIND; DEFAULT" for each key. */
static void assert_documented(const char *page, const char *key,
			      const char *kind, const char *fallback)
{
	auto_free char *item = xasprintf("\n.It Cm %s Pq ", key);
	const char *at = strstr(page, item);
	auto_free char *line = NULL;

	if (!at)
		fail_msg("%s: %s is missing", MAN_PAGE, key);
	line = slice_dup((struct slice){ at + 1, strcspn(at + 1, "\n") });
	/* Their words are spelled out in the page. */
	if (strcmp(kind, "level") && !strstr(line, kind))
		fail_msg("%s: '%s' should say '%s'", MAN_PAGE, line, kind);
	if (fallback[0] != '{') {
		auto_free char *end = xasprintf("; %s", fallback);
		size_t len = strlen(line);

		if (len < strlen(end) ||
		    strcmp(line + len - strlen(end), end) != 0)
			fail_msg("%s: '%s' should end with '%s'", MAN_PAGE,
				 line, end);
	}
}

static void every_key_is_in_the_man_page(void **state)
{
	auto_buf struct buf page = BUF_INIT(MAN_MAX);
	auto_close int fd = open(MAN_PAGE, O_RDONLY | O_CLOEXEC);
	struct error err;
	const char *key;
	const char *kind;
	const char *fallback;
	size_t count = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(&page, fd, &err), 0);
	while (config_describe(count, &key, &kind, &fallback)) {
		assert_documented(buf_str(&page), key, kind, fallback);
		count++;
	}
	assert_true(count > 30);
	for (size_t i = 0; config_target_describe(i, &key, &kind, &fallback);
	     i++) {
		auto_free char *name = xasprintf("target.NAME.%s", key);

		assert_documented(buf_str(&page), name, kind, fallback);
	}
}

static void the_man_page_has_no_other_keys(void **state)
{
	auto_buf struct buf page = BUF_INIT(MAN_MAX);
	auto_close int fd = open(MAN_PAGE, O_RDONLY | O_CLOEXEC);
	struct slice rest;
	struct slice line;
	struct error err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(&page, fd, &err), 0);
	rest = buf_slice(&page);
	while (slice_line(&rest, &line)) {
		auto_free char *text = slice_dup(line);
		char key[100];
		bool known = false;
		const char *name;
		const char *kind;
		const char *fallback;

		if (sscanf(text, ".It Cm %99s", key) != 1 ||
		    !strchr(key, '.') || strncmp(key, "registry.", 9) == 0 ||
		    strncmp(key, "target.", 7) == 0)
			continue;
		for (size_t i = 0; config_describe(i, &name, &kind, &fallback);
		     i++)
			known |= strcmp(name, key) == 0;
		if (!known)
			fail_msg("%s: there is no key %s", MAN_PAGE, key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(reads_sizes),
		cmocka_unit_test(reads_cpus),
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(knows_prefixes),
		cmocka_unit_test(names_what_is_wrong),
		cmocka_unit_test(first_address_replaces_the_default),
		cmocka_unit_test(bounds_named_sections),
		cmocka_unit_test(checks_keys_together),
		cmocka_unit_test(what_aws_would_refuse_is_found_before),
		cmocka_unit_test(an_apps_size_counts_more_than_its_types),
		cmocka_unit_test(children_read_what_was_dumped),
		cmocka_unit_test(every_key_is_in_the_man_page),
		cmocka_unit_test(the_man_page_has_no_other_keys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
