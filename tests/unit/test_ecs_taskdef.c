/* builder/rollout/ecs/taskdef.h and ecs/name.h: what is asked of ECS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/taskdef.h"

#define IMAGE                                                                  \
	"123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway/shop@sha256:aa"

struct fixture {
	struct config_target target;
	struct ecs_taskdef d;
	json_t *environment;
	json_t *secrets;
	json_t *tags;
};

static void set(struct fixture *f, const char *key, const char *value)
{
	struct error err;

	if (config_target_set(&f->target, key, value, &err) < 0)
		fail_msg("%s", err.msg);
}

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	config_target_init(&f->target, "prod");
	set(f, "type", "ecs");
	set(f, "execution-role", "arn:aws:iam::123456789012:role/execution");
	f->environment = json_pack("{s:s, s:s}", "PORT", "5000",
				   "SLIPWAY_RELEASE", "v7");
	f->secrets = json_pack("[{s:s, s:s}]", "name", "KEY", "valueFrom",
			       "arn:aws:x:KEY::1");
	f->tags = ecs_tags("0123456789abcdef", 3, "web", 7);
	f->d = (struct ecs_taskdef){ .target = &f->target,
				     .family = "shop-web",
				     .container = "web",
				     .image = IMAGE,
				     .environment = f->environment,
				     .secrets = f->secrets,
				     .cpu = 256,
				     .memory = 512,
				     .port = 5000,
				     .stop_timeout_s = 10,
				     .region = "us-east-1",
				     .log_group = "/slipway/shop",
				     .tags = f->tags };
}

static void teardown(struct fixture *f)
{
	json_decref(f->environment);
	json_decref(f->secrets);
	json_decref(f->tags);
	config_target_release(&f->target);
}

static json_t *make(struct fixture *f, const char *base)
{
	json_auto_t *doc = NULL;
	json_t *made = NULL;
	struct error err;

	if (base && json_parse(slice_str(base), "base", &doc, &err) < 0)
		fail_msg("%s", err.msg);
	if (ecs_taskdef_make(&f->d, doc, &made, &err) < 0)
		fail_msg("%s", err.msg);
	return made;
}

static void expect(const json_t *got, const char *want)
{
	auto_free char *text = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS |
						       JSON_ENCODE_ANY);

	assert_string_equal(text ? text : "(nothing)", want);
}

static json_t *container(const json_t *def, size_t i)
{
	return json_array_get(json_object_get(def, "containerDefinitions"), i);
}

static void a_first_definition_comes_from_the_settings(void **state)
{
	static const char *const command[] = { "/bin/sh", "-c", "run", NULL };
	struct fixture f;
	json_t *def;

	(void)state;
	setup(&f);
	f.d.command = command;
	def = make(&f, NULL);
	assert_string_equal(json_get_str(def, "family", ""), "shop-web");
	assert_string_equal(json_get_str(def, "cpu", ""), "256");
	assert_string_equal(json_get_str(def, "memory", ""), "512");
	assert_string_equal(json_get_str(def, "networkMode", ""), "awsvpc");
	assert_null(json_object_get(def, "taskRoleArn"));
	expect(json_object_get(def, "requiresCompatibilities"),
	       "[\"FARGATE\"]");
	expect(json_object_get(def, "runtimePlatform"),
	       "{\"cpuArchitecture\":\"X86_64\","
	       "\"operatingSystemFamily\":\"LINUX\"}");
	expect(container(def, 0),
	       "{\"command\":[\"/bin/sh\",\"-c\",\"run\"],\"environment\":["
	       "{\"name\":\"PORT\",\"value\":\"5000\"},"
	       "{\"name\":\"SLIPWAY_RELEASE\",\"value\":\"v7\"}],"
	       "\"essential\":true,\"image\":\"" IMAGE "\","
	       "\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{"
	       "\"awslogs-group\":\"/slipway/shop\","
	       "\"awslogs-region\":\"us-east-1\","
	       "\"awslogs-stream-prefix\":\"web\",\"mode\":\"blocking\"}},"
	       "\"name\":\"web\",\"portMappings\":[{\"containerPort\":5000,"
	       "\"protocol\":\"tcp\"}],\"secrets\":[{\"name\":\"KEY\","
	       "\"valueFrom\":\"arn:aws:x:KEY::1\"}],\"stopTimeout\":10}");
	assert_string_equal(
		ecs_tag(json_object_get(def, "tags"), ECS_TAG_PROCESS), "web");
	json_decref(def);
	teardown(&f);
}

/* A described definition with all that ECS adds and people added. */
#define DESCRIBED                                                              \
	"{\"taskDefinition\": {\"taskDefinitionArn\": \"arn:aws:ecs:us-east-1" \
	":123456789012:task-definition/shop-web:6\", \"revision\": 6, "        \
	"\"status\": \"ACTIVE\", \"requiresAttributes\": [{\"name\": \"x\"}]," \
	"\"compatibilities\": [\"EC2\", \"FARGATE\"], \"registeredAt\": "      \
	"1.7E9,"                                                               \
	"\"registeredBy\": \"arn:aws:iam::1:root\", \"family\": \"shop-web\"," \
	"\"cpu\": \"1024\", \"memory\": \"2048\", \"pidMode\": \"task\","      \
	"\"neverHeardOf\": {\"a\": [1, {\"b\": null}]},"                       \
	"\"runtimePlatform\": {\"operatingSystemFamily\": \"LINUX\"},"         \
	"\"volumes\": [{\"name\": \"own\"}, {\"name\": \"slipway-efs-1\"}],"   \
	"\"containerDefinitions\": ["                                          \
	"{\"name\": \"proxy\", \"image\": \"envoy:1\"},"                       \
	"{\"name\": \"web\", \"image\": \"old\", \"command\": [\"old\"],"      \
	"\"environment\": [{\"name\": \"PORT\", \"value\": \"1\"},"            \
	"{\"name\": \"TZ\", \"value\": \"UTC\"},"                              \
	"{\"name\": \"KEY\", \"value\": \"in the clear\"}],"                   \
	"\"secrets\": [{\"name\": \"OLD\", \"valueFrom\": \"arn\"}],"          \
	"\"mountPoints\": [{\"sourceVolume\": \"own\", \"containerPath\": "    \
	"\"/own\"}, {\"sourceVolume\": \"slipway-efs-1\"}],"                   \
	"\"ulimits\": [{\"name\": \"nofile\", \"softLimit\": 9, "              \
	"\"hardLimit\": 9}], \"versionConsistency\": \"disabled\"}]},"         \
	"\"tags\": [{\"key\": \"cost\", \"value\": \"7\"},"                    \
	"{\"key\": \"slipway:release\", \"value\": \"6\"},"                    \
	"{\"key\": \"aws:cloudformation:stack\", \"value\": \"s\"}]}"

static void what_people_added_survives_a_release(void **state)
{
	static const char *const gone[] = {
		"taskDefinitionArn",  "revision",	 "status",
		"requiresAttributes", "compatibilities", "registeredAt",
		"registeredBy",	      "deregisteredAt"
	};
	struct fixture f;
	json_t *def;
	json_t *c;

	(void)state;
	setup(&f);
	def = make(&f, DESCRIBED);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		assert_null(json_object_get(def, gone[i]));
	expect(json_object_get(def, "neverHeardOf"),
	       "{\"a\":[1,{\"b\":null}]}");
	assert_string_equal(json_get_str(def, "pidMode", ""), "task");
	assert_string_equal(json_get_str(def, "cpu", ""), "256");
	expect(container(def, 0), "{\"image\":\"envoy:1\",\"name\":\"proxy\"}");
	c = container(def, 1);
	assert_string_equal(json_get_str(c, "image", ""), IMAGE);
	assert_string_equal(json_get_str(c, "versionConsistency", ""),
			    "disabled");
	assert_null(json_object_get(c, "command"));
	expect(json_object_get(c, "environment"),
	       "[{\"name\":\"TZ\",\"value\":\"UTC\"},"
	       "{\"name\":\"PORT\",\"value\":\"5000\"},"
	       "{\"name\":\"SLIPWAY_RELEASE\",\"value\":\"v7\"}]");
	expect(json_object_get(c, "secrets"),
	       "[{\"name\":\"KEY\",\"valueFrom\":\"arn:aws:x:KEY::1\"}]");
	expect(json_object_get(c, "mountPoints"),
	       "[{\"containerPath\":\"/own\",\"sourceVolume\":\"own\"}]");
	expect(json_object_get(def, "volumes"), "[{\"name\":\"own\"}]");
	assert_string_equal(ecs_tag(json_object_get(def, "tags"), "cost"), "7");
	assert_int_equal(ecs_tag_release(json_object_get(def, "tags")), 7);
	assert_int_equal(json_array_size(json_object_get(def, "tags")), 5);
	json_decref(def);
	teardown(&f);
}

static void a_clone_of_a_clone_is_the_same(void **state)
{
	auto_free char *text = NULL;
	json_auto_t *wrapped = NULL;
	struct fixture f;
	json_t *first;
	json_t *second;

	(void)state;
	setup(&f);
	set(&f, "efs", "fs-1:/data:fsap-2,fs-3:/more");
	first = make(&f, DESCRIBED);
	wrapped = json_pack("{s:O, s:O}", "taskDefinition", first, "tags",
			    json_object_get(first, "tags"));
	text = json_dumps(wrapped, 0);
	second = make(&f, text);
	assert_true(
		json_equal(json_object_get(first, "containerDefinitions"),
			   json_object_get(second, "containerDefinitions")));
	assert_true(json_equal(json_object_get(first, "volumes"),
			       json_object_get(second, "volumes")));
	json_decref(first);
	json_decref(second);
	teardown(&f);
}

static void how_lines_are_cut_is_peoples(void **state)
{
	struct fixture f;
	json_t *def;

	(void)state;
	setup(&f);
	def = make(&f, "{\"taskDefinition\": {\"family\": \"f\","
		       "\"containerDefinitions\": [{\"name\": \"web\","
		       "\"logConfiguration\": {\"logDriver\": \"awslogs\","
		       "\"options\": {\"awslogs-group\": \"/old\","
		       "\"awslogs-multiline-pattern\": \"^[0-9]\","
		       "\"mode\": \"non-blocking\","
		       "\"max-buffer-size\": \"4m\"}}}]}}");
	expect(json_at(container(def, 0), "logConfiguration", "options", NULL),
	       "{\"awslogs-group\":\"/slipway/shop\","
	       "\"awslogs-multiline-pattern\":\"^[0-9]\","
	       "\"awslogs-region\":\"us-east-1\","
	       "\"awslogs-stream-prefix\":\"web\","
	       "\"max-buffer-size\":\"4m\",\"mode\":\"non-blocking\"}");
	json_decref(def);
	teardown(&f);
}

static void one_that_is_too_large_is_not_sent(void **state)
{
	auto_free char *arn = xcalloc(1, 1001);
	struct fixture f;
	json_t *made = NULL;
	struct error err;

	(void)state;
	setup(&f);
	memset(arn, 'a', 1000);
	for (int i = 0; i < 70; i++)
		json_array_append_new(
			f.secrets,
			json_pack("{s:s, s:s}", "name", "K", "valueFrom", arn));
	assert_int_equal(ecs_taskdef_make(&f.d, NULL, &made, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "71 config vars"));
	teardown(&f);
}

static void expect_port(const char *value, int want)
{
	auto_free char *text =
		xasprintf("{\"containerDefinitions\": [{\"name\": \"web\", "
			  "\"environment\": [{\"name\": \"PORT\", \"value\": "
			  "\"%s\"}]}]}",
			  value);
	json_auto_t *def = NULL;
	struct error err;

	assert_int_equal(json_parse(slice_str(text), "d", &def, &err), 0);
	assert_int_equal(ecs_taskdef_port(def, "web"), want);
}

static void a_port_is_what_port_says(void **state)
{
	(void)state;
	expect_port("3000", 3000);
	expect_port("65535", 65535);
	expect_port("65536", 0);
	expect_port("-1", 0);
	expect_port("3000x", 0);
	expect_port("300000", 0);
	expect_port("", 0);
	assert_int_equal(ecs_taskdef_port(NULL, "web"), 0);
}

static void
the_container_is_the_one_of_the_process_or_the_only_one(void **state)
{
	json_auto_t *two = json_pack(
		"{s:{s:s, s:[{s:s}, {s:s}]}}", "taskDefinition", "family", "f",
		"containerDefinitions", "name", "a", "name", "b");
	json_t *made = NULL;
	struct error err;
	struct fixture f;
	json_t *def;

	(void)state;
	setup(&f);
	assert_int_equal(ecs_taskdef_make(&f.d, two, &made, &err),
			 -ERR_INVALID);
	assert_non_null(strstr(err.msg, "'web'"));
	def = make(&f, "{\"taskDefinition\": {\"containerDefinitions\": "
		       "[{\"name\": \"app\"}]}}");
	assert_string_equal(ecs_taskdef_container(def, "web"), "app");
	assert_string_equal(ecs_taskdef_image(def, "web"), IMAGE);
	json_decref(def);
	teardown(&f);
}

static void file_systems_become_volumes_and_mounts(void **state)
{
	static const char *const bad[] = { "fs-1",	 "fs-1:data",
					   "x:/data",	 "fs-1:/data:x",
					   "fs-1:/a,nn", ":/data" };
	json_t *made = NULL;
	struct error err;
	struct fixture f;
	json_t *def;

	(void)state;
	setup(&f);
	set(&f, "efs", "fs-1:/data:fsap-2, fs-3:/more");
	def = make(&f, NULL);
	expect(json_object_get(def, "volumes"),
	       "[{\"efsVolumeConfiguration\":{\"authorizationConfig\":{"
	       "\"accessPointId\":\"fsap-2\",\"iam\":\"ENABLED\"},"
	       "\"fileSystemId\":\"fs-1\",\"transitEncryption\":\"ENABLED\"},"
	       "\"name\":\"slipway-efs-1\"},"
	       "{\"efsVolumeConfiguration\":{\"authorizationConfig\":{"
	       "\"iam\":\"ENABLED\"},\"fileSystemId\":\"fs-3\","
	       "\"transitEncryption\":\"ENABLED\"},"
	       "\"name\":\"slipway-efs-2\"}]");
	expect(json_object_get(container(def, 0), "mountPoints"),
	       "[{\"containerPath\":\"/data\",\"readOnly\":false,"
	       "\"sourceVolume\":\"slipway-efs-1\"},"
	       "{\"containerPath\":\"/more\",\"readOnly\":false,"
	       "\"sourceVolume\":\"slipway-efs-2\"}]");
	json_decref(def);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set(&f, "efs", bad[i]);
		if (ecs_taskdef_make(&f.d, NULL, &made, &err) != -ERR_INVALID)
			fail_msg("%s was taken", bad[i]);
	}
	teardown(&f);
}

static void architecture_capacity_and_role_are_as_set(void **state)
{
	struct fixture f;
	json_t *def;

	(void)state;
	setup(&f);
	set(&f, "architecture", "arm64");
	set(&f, "capacity", "FARGATE_SPOT");
	def = make(&f, NULL);
	expect(json_object_get(def, "requiresCompatibilities"),
	       "[\"FARGATE\"]");
	json_decref(def);
	set(&f, "capacity", "ec2");
	set(&f, "task-role", "arn:aws:iam::1:role/shop");
	f.d.port = 0;
	def = make(&f, "{\"taskDefinition\": {\"containerDefinitions\": ["
		       "{\"name\": \"web\", \"logConfiguration\": "
		       "{\"logDriver\": \"awsfirelens\"}, \"stopTimeout\": "
		       "90}]}}");
	expect(json_object_get(def, "requiresCompatibilities"), "[\"EC2\"]");
	assert_string_equal(
		json_get_str(json_object_get(def, "runtimePlatform"),
			     "cpuArchitecture", ""),
		"ARM64");
	assert_string_equal(json_get_str(def, "taskRoleArn", ""),
			    "arn:aws:iam::1:role/shop");
	expect(json_object_get(container(def, 0), "logConfiguration"),
	       "{\"logDriver\":\"awsfirelens\"}");
	expect(json_object_get(container(def, 0), "portMappings"), "[]");
	expect(json_object_get(container(def, 0), "stopTimeout"), "90");
	json_decref(def);
	teardown(&f);
}

/* ---- names ---- */

static void same(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void names_are_made_of_app_process_and_settings(void **state)
{
	const char *long_app = "an-app-with-the-longest-name-there-is";
	struct fixture f;
	char *a;
	char *b;

	(void)state;
	setup(&f);
	set(&f, "name-prefix", "stage-");
	set(&f, "domain", "apps.example.com");
	same(ecs_service_name(&f.target, "shop", "web"), "stage-shop-web");
	same(ecs_group_name(&f.target, "shop", "web"), "stage-shop-web");
	same(ecs_host(&f.target, "shop"), "shop.apps.example.com");
	same(ecs_repository(&f.target, "shop"), "slipway/shop");
	same(ecs_log_group(&f.target, "shop"), "/slipway/shop");
	same(ecs_secret_name(&f.target, "shop"), "slipway/shop");
	same(ecs_secret_prefix("0123", 7), "slipway-0123-7-");
	a = ecs_group_name(&f.target, long_app, "web");
	b = ecs_group_name(&f.target, long_app, "web2");
	assert_int_equal(strlen(a), 32);
	assert_int_equal(strlen(b), 32);
	assert_string_not_equal(a, b);
	free(a);
	free(b);
	assert_string_equal(ecs_short_name("arn:aws:ecs:r:1:task-definition/"
					   "shop-web:12"),
			    "shop-web:12");
	assert_string_equal(ecs_task_id("arn:aws:ecs:r:1:task/prod/1f0c"),
			    "1f0c");
	teardown(&f);
}

static void a_token_tells_its_parts_apart(void **state)
{
	char *a = ecs_token((const char *const[]){ "a", "b", NULL });
	char *b = ecs_token((const char *const[]){ "ab", NULL });
	char *c = ecs_token((const char *const[]){ "a", "b", NULL });

	(void)state;
	assert_int_equal(strlen(a), 32);
	assert_string_equal(a, c);
	assert_string_not_equal(a, b);
	free(a);
	free(b);
	free(c);
}

static void tags_tell_whose_it_is_and_of_which_release(void **state)
{
	json_auto_t *ours = ecs_tags("0123", 7, "web", 12);
	json_auto_t *elb =
		json_pack("[{s:s, s:s}, {s:s, s:s}]", "Key", ECS_TAG_OWNER,
			  "Value", "0123", "Key", ECS_TAG_APP, "Value", "8");
	json_auto_t *odd = json_pack("[{s:s, s:s}, {}, 7]", "key",
				     ECS_TAG_RELEASE, "value", "12x");

	(void)state;
	assert_int_equal(ecs_owned(ours, "0123", 7), ECS_OURS);
	assert_int_equal(ecs_owned(ours, "0123", 8), ECS_ANOTHERS);
	assert_int_equal(ecs_owned(ours, "4567", 7), ECS_ANOTHERS);
	assert_int_equal(ecs_owned(elb, "0123", 8), ECS_OURS);
	assert_int_equal(ecs_owned(odd, "0123", 7), ECS_NOBODYS);
	assert_int_equal(ecs_owned(NULL, "0123", 7), ECS_NOBODYS);
	assert_int_equal(ecs_tag_release(ours), 12);
	assert_int_equal(ecs_tag_release(odd), 0);
	assert_int_equal(ecs_tag_release(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_definition_comes_from_the_settings),
		cmocka_unit_test(what_people_added_survives_a_release),
		cmocka_unit_test(a_clone_of_a_clone_is_the_same),
		cmocka_unit_test(
			the_container_is_the_one_of_the_process_or_the_only_one),
		cmocka_unit_test(file_systems_become_volumes_and_mounts),
		cmocka_unit_test(architecture_capacity_and_role_are_as_set),
		cmocka_unit_test(names_are_made_of_app_process_and_settings),
		cmocka_unit_test(a_token_tells_its_parts_apart),
		cmocka_unit_test(tags_tell_whose_it_is_and_of_which_release),
		cmocka_unit_test(how_lines_are_cut_is_peoples),
		cmocka_unit_test(one_that_is_too_large_is_not_sent),
		cmocka_unit_test(a_port_is_what_port_says),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
