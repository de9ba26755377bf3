/* builder/engine/engine_json.h, build_request.h: what engines answer, and
 * what they are asked. */
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
#include "builder/engine/build.h"
#include "builder/engine/build_request.h"
#include "builder/engine/container.h"
#include "builder/engine/engine.h"
#include "builder/engine/engine_json.h"
#include "builder/engine/grpc_calls.h"
#include "builder/engine/image.h"

static json_t *doc(const char *text)
{
	json_error_t e;
	json_t *d = json_loads(text, JSON_DECODE_ANY, &e);

	if (!d)
		fail_msg("bad test document: %s", e.text);
	return d;
}

/* ---- version ---- */

static void expect_version(const char *offered, const char *expected)
{
	char out[16] = "";

	assert_int_equal(engine_api_version(offered, out, sizeof(out)),
			 expected != NULL);
	if (expected)
		assert_string_equal(out, expected);
}

static void the_lower_version_counts(void **state)
{
	(void)state;
	expect_version("1.41", "1.41");
	expect_version("1.44", "1.44");
	expect_version("1.55", "1.44");
	expect_version("1.40", "1.40");
	expect_version("1.39", NULL);
	expect_version("1.9", NULL);
	expect_version("1.", NULL);
	expect_version("1.41x", NULL);
	expect_version("1.-1", NULL);
	expect_version("", NULL);
	expect_version("nonsense", NULL);
	expect_version("2.0", "1.44");
}

/* ---- containers ---- */

static void a_running_container_has_its_address(void **state)
{
	json_auto_t *d =
		doc("{\"State\":{\"Status\":\"running\",\"Running\":true,"
		    "\"Restarting\":false,\"ExitCode\":0,\"Error\":\"\","
		    "\"StartedAt\":\"2026-11-23T00:08:02.631716947Z\","
		    "\"Health\":{\"Status\":\"unhealthy\",\"Log\":["
		    "{\"Output\":\"old\"},{\"Output\":\"refused\"}]}},"
		    "\"RestartCount\":3,\"Config\":{\"Tty\":true},"
		    "\"NetworkSettings\":{\"IPAddress\":\"172.17.0.2\","
		    "\"Networks\":{\"a\":{\"IPAddress\":\"10.0.0.2\"},"
		    "\"b\":{\"IPAddress\":\"10.0.0.3\"}}}}");
	struct container_state s;

	(void)state;
	container_state_from_json(d, "b", &s);
	assert_true(s.is_running);
	assert_false(s.is_restarting);
	assert_int_equal(s.restarts, 3);
	assert_string_equal(s.health, "unhealthy");
	assert_string_equal(s.health_log, "refused");
	assert_null(s.error);
	assert_string_equal(s.ip, "10.0.0.3");
	assert_string_equal(s.started, "2026-11-23T00:08:02.631716947Z");
	assert_true(container_has_tty(d));
	container_state_release(&s);
}

static void a_dead_container_has_none(void **state)
{
	json_auto_t *d =
		doc("{\"State\":{\"Running\":false,\"OOMKilled\":true,"
		    "\"ExitCode\":137,\"Error\":\"exec: no such file\","
		    "\"Health\":{\"Status\":\"none\"}},"
		    "\"NetworkSettings\":{\"Networks\":{\"a\":"
		    "{\"IPAddress\":\"10.0.0.2\"}}}}");
	struct container_state s;

	(void)state;
	container_state_from_json(d, "a", &s);
	assert_false(s.is_running);
	assert_true(s.is_oom_killed);
	assert_int_equal(s.exit_code, 137);
	assert_string_equal(s.error, "exec: no such file");
	assert_string_equal(s.ip, "");
	assert_string_equal(s.health, "");
	assert_null(s.health_log);
	assert_false(container_has_tty(d));
	container_state_release(&s);
}

static void anything_else_is_an_empty_state(void **state)
{
	static const char *const odd[] = {
		"{}",
		"[]",
		"5",
		"null",
		"{\"State\":[],\"NetworkSettings\":4}",
		"{\"State\":{\"Running\":\"yes\",\"ExitCode\":\"1\","
		"\"Error\":[],\"Health\":[1],\"StartedAt\":5}}",
		"{\"State\":{\"Health\":{\"Log\":[5],\"Status\":7}}}",
		"{\"State\":{\"Health\":{\"Log\":[]}},"
		"\"NetworkSettings\":{\"Networks\":[]}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_auto_t *d = doc(odd[i]);
		struct container_state s;

		container_state_from_json(d, "a", &s);
		assert_false(s.is_running);
		assert_int_equal(s.exit_code, 0);
		assert_string_equal(s.ip, "");
		assert_string_equal(s.health, "");
		container_state_release(&s);
	}
}

static void long_texts_are_cut(void **state)
{
	json_auto_t *d = NULL;
	auto_buf struct buf text = BUF_INIT(100000);
	struct container_state s;

	(void)state;
	while (text.len < 50000)
		buf_addc(&text, 'x');
	d = json_pack("{s:{s:b, s:s, s:s, s:{s:s, s:[{s:s}]}}}", "State",
		      "Running", 1, "Error", buf_str(&text), "StartedAt",
		      buf_str(&text), "Health", "Status", buf_str(&text), "Log",
		      "Output", buf_str(&text));
	container_state_from_json(d, "a", &s);
	assert_int_equal(strlen(s.error), ENGINE_TEXT_MAX);
	assert_int_equal(strlen(s.health_log), ENGINE_TEXT_MAX);
	assert_int_equal(strlen(s.health), sizeof(s.health) - 1);
	assert_int_equal(strlen(s.started), sizeof(s.started) - 1);
	container_state_release(&s);
}

static void huge_numbers_stay_in_range(void **state)
{
	json_auto_t *d = doc("{\"State\":{\"ExitCode\":9000000000000000000},"
			     "\"RestartCount\":-9000000000000000000}");
	struct container_state s;

	(void)state;
	container_state_from_json(d, "a", &s);
	assert_int_equal(s.exit_code, INT32_MAX);
	assert_int_equal(s.restarts, INT32_MIN);
	container_state_release(&s);
}

static void containers_are_listed(void **state)
{
	json_auto_t *d = doc(
		"[{\"Id\":\"abc\",\"Names\":[\"/slipway-7-web-12-1\"],"
		"\"Image\":\"x\",\"ImageID\":\"sha256:1\",\"Created\":99,"
		"\"State\":\"running\",\"Status\":\"Up 5 minutes\","
		"\"Labels\":{\"slipway.app\":\"7\",\"slipway.process\":\"web\","
		"\"slipway.release\":\"12\",\"slipway.index\":\"1\"}},"
		"5,{\"Names\":[\"no id\"]},"
		"{\"Id\":\"def\",\"Names\":[],\"Labels\":{\"slipway.app\":"
		"\"7x\",\"slipway.release\":\"99999999999999999999\","
		"\"slipway.index\":-1}}]");
	struct container *list = NULL;

	(void)state;
	assert_int_equal(container_list_from_json(d, &list), 2);
	assert_string_equal(list[0].id, "abc");
	assert_string_equal(list[0].name, "slipway-7-web-12-1");
	assert_string_equal(list[0].image, "sha256:1");
	assert_string_equal(list[0].process, "web");
	assert_string_equal(list[0].state, "running");
	assert_int_equal(list[0].app_id, 7);
	assert_int_equal(list[0].version, 12);
	assert_int_equal(list[0].index, 1);
	assert_int_equal(list[0].created, 99);
	assert_string_equal(list[1].name, "");
	assert_int_equal(list[1].app_id, 0);
	assert_int_equal(list[1].version, 0);
	assert_int_equal(list[1].index, 0);
	container_release(&list[0]);
	container_release(&list[1]);
	free(list);
}

static void no_list_is_an_empty_one(void **state)
{
	json_auto_t *d = doc("{\"message\":\"x\"}");
	struct container *list = NULL;

	(void)state;
	assert_int_equal(container_list_from_json(d, &list), 0);
	free(list);
	assert_int_equal(container_list_from_json(NULL, &list), 0);
	free(list);
}

/* ---- images and networks ---- */

static void expect_image(const char *text, bool has_healthcheck,
			 int exposed_count, int port, bool has_command)
{
	json_auto_t *d = doc(text);
	struct image_info info;

	image_info_from_json(d, &info);
	assert_int_equal(info.has_healthcheck, has_healthcheck);
	assert_int_equal(info.exposed_count, exposed_count);
	assert_int_equal(info.exposed_port, port);
	assert_int_equal(info.has_command, has_command);
	image_info_release(&info);
}

static void images_are_described(void **state)
{
	json_auto_t *d = doc("{\"Id\":\"sha256:9\",\"Size\":5000000000,"
			     "\"Architecture\":\"arm64\"}");
	struct image_info info;

	(void)state;
	image_info_from_json(d, &info);
	assert_string_equal(info.id, "sha256:9");
	assert_int_equal(info.size, 5000000000);
	assert_string_equal(info.architecture, "arm64");
	image_info_release(&info);
	expect_image("{\"Config\":{\"Cmd\":[\"a\"],\"Healthcheck\":{\"Test\":["
		     "\"CMD\",\"x\"]},\"ExposedPorts\":{\"8080/tcp\":{}}}}",
		     true, 1, 8080, true);
	expect_image("{\"Config\":{\"Entrypoint\":[\"a\"],\"Cmd\":null,"
		     "\"Healthcheck\":{\"Test\":[\"NONE\"]},\"ExposedPorts\":"
		     "{\"80/tcp\":{},\"53/udp\":{},\"443\":{}}}}",
		     false, 2, 0, true);
	expect_image("{\"Config\":{\"ExposedPorts\":{\"70000/tcp\":{},"
		     "\"0/tcp\":{},\"x\":{},\"53/udp\":{},\"-1/tcp\":{}},"
		     "\"Healthcheck\":{\"Test\":[\"\"]}}}",
		     false, 0, 0, false);
	expect_image("{\"Config\":null}", false, 0, 0, false);
	expect_image("[]", false, 0, 0, false);
}

static void free_list(char **list)
{
	for (char **p = list; *p; p++)
		free(*p);
	free(list);
}

static void tags_of_the_repo_are_found(void **state)
{
	json_auto_t *d = doc(
		"[{\"RepoTags\":[\"slipway/7:1\",\"slipway/7:2\","
		"\"slipway/70:1\",\"other/slipway/7:1\",5]},"
		"{\"RepoTags\":null},{},"
		"{\"RepoTags\":[\"localhost/slipway/7:3\",\"slipway/7\"]}]");
	char **tags = image_tags_from_json(d, "slipway/7");

	(void)state;
	assert_string_equal(tags[0], "slipway/7:1");
	assert_string_equal(tags[1], "slipway/7:2");
	assert_string_equal(tags[2], "slipway/7:3");
	assert_null(tags[3]);
	free_list(tags);
	tags = image_tags_from_json(NULL, "x");
	assert_null(tags[0]);
	free_list(tags);
}

static void only_ipv4_prefixes_count(void **state)
{
	json_auto_t *d =
		doc("[{\"IPAM\":{\"Config\":[{\"Subnet\":\"172.17.0.0/16\"},"
		    "{\"Subnet\":\"fd00::/64\"},{\"Subnet\":\"\"},{},7]}},"
		    "{\"IPAM\":{\"Config\":null}},{\"IPAM\":null},4,"
		    "{\"IPAM\":{\"Config\":[{\"Subnet\":\"10.0.0.0/27\"}]}}]");
	char **subnets = network_subnets_from_json(d);

	(void)state;
	assert_string_equal(subnets[0], "172.17.0.0/16");
	assert_string_equal(subnets[1], "10.0.0.0/27");
	assert_null(subnets[2]);
	free_list(subnets);
}

/* ---- what is asked ---- */

static void the_build_query_is_encoded(void **state)
{
	json_auto_t *args = json_pack("{s:s}", "A", "b c&d=\"é\"");
	json_auto_t *labels = json_object();
	const struct build_spec spec = { .tag = "slipway/7:12",
					 .dockerfile = "a b/Dockerfile",
					 .stage = "prod",
					 .args = args,
					 .labels = labels,
					 .no_cache = true,
					 .memory = 64 };
	auto_buf struct buf path = BUF_INIT(4096);
	struct error err;

	(void)state;
	assert_int_equal(build_request_path(&spec, true, "s1", &path, &err), 0);
	assert_string_equal(
		buf_str(&path),
		"/build?version=2&rm=1&forcerm=1&t=slipway%2F7%3A12"
		"&dockerfile=a%20b%2FDockerfile&target=prod"
		"&buildargs=%7B%22A%22%3A%22b%20c%26d%3D%5C%22%C3%A9%5C%22%22"
		"%7D&nocache=1&memory=64&memswap=64&session=s1");
	buf_reset(&path);
	assert_int_equal(build_request_path(&(struct build_spec){ .tag = "t" },
					    false, "", &path, &err),
			 0);
	assert_string_equal(buf_str(&path),
			    "/build?version=1&rm=1&forcerm=1&t=t");
}

static void too_many_arguments_are_refused(void **state)
{
	json_auto_t *args = json_object();
	const struct build_spec spec = { .tag = "t", .args = args };
	auto_buf struct buf path = BUF_INIT(200);
	struct error err;

	(void)state;
	json_object_set_new(args, "A",
			    json_stringn("%%%%%%%%%%%%%%%%%%%%%%%"
					 "%%%%%%%%%%%%%%%%%%%%%%%"
					 "%%%%%%%%%%%%%%%%%%%%%%%",
					 69));
	assert_int_equal(build_request_path(&spec, true, "", &path, &err),
			 -ERR_LIMIT);
}

static void the_classic_builder_gets_credentials(void **state)
{
	static const struct build_credential list[] = {
		{ "r:5", "u", "p>?" },
	};
	static const struct build_credential hub[] = {
		{ "docker.io", "u", "p" },
	};
	auto_buf struct buf header = BUF_INIT(4096);

	(void)state;
	build_request_credentials(list, 1, &header);
	/* {"r:5":{"username":"u","password":"p>?"}} */
	assert_string_equal(buf_str(&header),
			    "X-Registry-Config: "
			    "eyJyOjUiOnsidXNlcm5hbWUiOiJ1IiwicGFzc3dvcmQiOiJwPj"
			    "8ifX0=");
	buf_reset(&header);
	build_request_credentials(hub, 1, &header);
	/* {"https://index.docker.io/v1/":… */
	assert_non_null(strstr(buf_str(&header),
			       "eyJodHRwczovL2luZGV4LmRvY2tlci5pby92MS8iOn"));
}

static void docker_hub_has_many_names(void **state)
{
	(void)state;
	assert_string_equal(grpc_registry_name("registry-1.docker.io"),
			    "docker.io");
	assert_string_equal(grpc_registry_name("https://index.docker.io/v1/"),
			    "docker.io");
	assert_string_equal(grpc_registry_name("ghcr.io"), "ghcr.io");
}

static void bad_engine_addresses_are_refused(void **state)
{
	static const char *const bad[] = {
		"",	      "unix://",     "unix://relative",
		"tcp://",     "tcp://h/x",   "tcp://u@h:1",
		"http://h:1", "tcp://h:1?x", "docker",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct engine *e = NULL;
		struct error err;

		assert_int_equal(engine_open(bad[i], &e, &err), -ERR_INVALID);
		assert_null(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lower_version_counts),
		cmocka_unit_test(a_running_container_has_its_address),
		cmocka_unit_test(a_dead_container_has_none),
		cmocka_unit_test(anything_else_is_an_empty_state),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(huge_numbers_stay_in_range),
		cmocka_unit_test(containers_are_listed),
		cmocka_unit_test(no_list_is_an_empty_one),
		cmocka_unit_test(images_are_described),
		cmocka_unit_test(tags_of_the_repo_are_found),
		cmocka_unit_test(only_ipv4_prefixes_count),
		cmocka_unit_test(the_build_query_is_encoded),
		cmocka_unit_test(too_many_arguments_are_refused),
		cmocka_unit_test(the_classic_builder_gets_credentials),
		cmocka_unit_test(docker_hub_has_many_names),
		cmocka_unit_test(bad_engine_addresses_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
