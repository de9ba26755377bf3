/* builder/aws/aws_environment.h, aws_endpoint.h, aws_url.h: where services are
 * called, and which settings decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/aws_endpoint.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_url.h"

/* ---- hosts ---- */

struct expected {
	enum aws_service service;
	const char *region;
	bool fips;
	bool dual;
	const char *host;
};

#define US  "us-east-1"
#define CN  "cn-north-1"
#define GOV "us-gov-west-1"

/* As the endpoint rules of @aws-sdk 3.1169 and botocore 1.29 give them. */
static const struct expected hosts[] = {
	{ AWS_ECR, US, 0, 0, "api.ecr.us-east-1.amazonaws.com" },
	{ AWS_ECR, US, 1, 0, "api.ecr-fips.us-east-1.amazonaws.com" },
	{ AWS_ECR, US, 0, 1, "ecr.us-east-1.api.aws" },
	{ AWS_ECR, US, 1, 1, "ecr-fips.us-east-1.api.aws" },
	{ AWS_ECR, CN, 0, 0, "api.ecr.cn-north-1.amazonaws.com.cn" },
	{ AWS_ECR, CN, 0, 1, "ecr.cn-north-1.api.amazonwebservices.com.cn" },
	{ AWS_ECR, GOV, 0, 0, "api.ecr.us-gov-west-1.amazonaws.com" },
	{ AWS_ECR, GOV, 1, 0, "api.ecr-fips.us-gov-west-1.amazonaws.com" },
	{ AWS_ECS, US, 0, 0, "ecs.us-east-1.amazonaws.com" },
	{ AWS_ECS, US, 1, 0, "ecs-fips.us-east-1.amazonaws.com" },
	{ AWS_ECS, US, 0, 1, "ecs.us-east-1.api.aws" },
	{ AWS_ECS, US, 1, 1, "ecs-fips.us-east-1.api.aws" },
	{ AWS_ECS, CN, 0, 0, "ecs.cn-north-1.amazonaws.com.cn" },
	{ AWS_ECS, CN, 1, 0, "ecs-fips.cn-north-1.amazonaws.com.cn" },
	{ AWS_ECS, GOV, 0, 0, "ecs.us-gov-west-1.amazonaws.com" },
	{ AWS_ECS, GOV, 1, 0, "ecs-fips.us-gov-west-1.amazonaws.com" },
	{ AWS_LOGS, US, 0, 0, "logs.us-east-1.amazonaws.com" },
	{ AWS_LOGS, US, 1, 0, "logs-fips.us-east-1.amazonaws.com" },
	{ AWS_LOGS, US, 0, 1, "logs.us-east-1.api.aws" },
	{ AWS_LOGS, US, 1, 1, "logs-fips.us-east-1.api.aws" },
	{ AWS_LOGS, CN, 0, 0, "logs.cn-north-1.amazonaws.com.cn" },
	{ AWS_LOGS, GOV, 1, 0, "logs.us-gov-west-1.amazonaws.com" },
	{ AWS_LOGS, GOV, 1, 1, "logs-fips.us-gov-west-1.api.aws" },
	{ AWS_SECRETS_MANAGER, US, 0, 0,
	  "secretsmanager.us-east-1.amazonaws.com" },
	{ AWS_SECRETS_MANAGER, US, 1, 0,
	  "secretsmanager-fips.us-east-1.amazonaws.com" },
	{ AWS_SECRETS_MANAGER, US, 0, 1, "secretsmanager.us-east-1.api.aws" },
	{ AWS_SECRETS_MANAGER, CN, 0, 0,
	  "secretsmanager.cn-north-1.amazonaws.com.cn" },
	{ AWS_SECRETS_MANAGER, GOV, 1, 0,
	  "secretsmanager-fips.us-gov-west-1.amazonaws.com" },
	{ AWS_SSM, US, 0, 0, "ssm.us-east-1.amazonaws.com" },
	{ AWS_SSM, US, 1, 0, "ssm-fips.us-east-1.amazonaws.com" },
	{ AWS_SSM, US, 0, 1, "ssm.us-east-1.api.aws" },
	{ AWS_SSM, CN, 0, 0, "ssm.cn-north-1.amazonaws.com.cn" },
	{ AWS_SSM, GOV, 1, 0, "ssm.us-gov-west-1.amazonaws.com" },
	{ AWS_STS, US, 0, 0, "sts.us-east-1.amazonaws.com" },
	{ AWS_STS, US, 1, 0, "sts-fips.us-east-1.amazonaws.com" },
	{ AWS_STS, US, 0, 1, "sts.us-east-1.api.aws" },
	{ AWS_STS, CN, 0, 0, "sts.cn-north-1.amazonaws.com.cn" },
	{ AWS_STS, GOV, 1, 0, "sts.us-gov-west-1.amazonaws.com" },
	{ AWS_ELB, US, 0, 0, "elasticloadbalancing.us-east-1.amazonaws.com" },
	{ AWS_ELB, US, 1, 0,
	  "elasticloadbalancing-fips.us-east-1.amazonaws.com" },
	{ AWS_ELB, US, 0, 1, "elasticloadbalancing.us-east-1.api.aws" },
	{ AWS_ELB, CN, 0, 1,
	  "elasticloadbalancing.cn-north-1.api.amazonwebservices.com.cn" },
	{ AWS_ELB, GOV, 1, 0,
	  "elasticloadbalancing.us-gov-west-1.amazonaws.com" },
	{ AWS_ECS, "us-iso-east-1", 0, 0, "ecs.us-iso-east-1.c2s.ic.gov" },
	{ AWS_ECS, "us-isob-east-1", 1, 0,
	  "ecs-fips.us-isob-east-1.sc2s.sgov.gov" },
	{ AWS_STS, "eusc-de-east-1", 0, 0, "sts.eusc-de-east-1.amazonaws.eu" },
};

static void knows_the_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		const struct expected *x = &hosts[i];
		struct aws_endpoint_rule rule = { x->service, x->region,
						  x->fips, x->dual, NULL };
		auto_free char *url = xasprintf("https://%s", x->host);
		struct aws_endpoint e = { 0 };
		struct error err;

		assert_int_equal(aws_endpoint_resolve(&rule, &e, &err), 0);
		assert_string_equal(e.host, x->host);
		assert_string_equal(e.url, url);
		assert_string_equal(e.region, x->region);
		aws_endpoint_release(&e);
	}
}

static void signs_by_these_names(void **state)
{
	static const char *const names[] = {
		[AWS_ECR] = "ecr",
		[AWS_ECS] = "ecs",
		[AWS_LOGS] = "logs",
		[AWS_SECRETS_MANAGER] = "secretsmanager",
		[AWS_SSM] = "ssm",
		[AWS_STS] = "sts",
		[AWS_ELB] = "elasticloadbalancing",
	};

	(void)state;
	for (int i = 0; i < AWS_SERVICES_COUNT; i++) {
		struct aws_endpoint_rule rule = { i, US, true, true,
						  "http://localhost:4566/" };
		struct aws_endpoint e = { 0 };
		struct error err;

		assert_int_equal(aws_endpoint_resolve(&rule, &e, &err), 0);
		assert_string_equal(e.sign_name, names[i]);
		assert_string_equal(e.url, "http://localhost:4566");
		assert_string_equal(e.host, "localhost:4566");
		aws_endpoint_release(&e);
	}
}

static void not_every_partition_has_dual_stack(void **state)
{
	struct aws_endpoint_rule rule = { AWS_ECS, "us-iso-east-1", false, true,
					  NULL };
	struct aws_endpoint e = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(aws_endpoint_resolve(&rule, &e, &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "dual-stack"));
}

static void regions_have_a_shape(void **state)
{
	static const char *const good[] = { US,
					    CN,
					    GOV,
					    "ap-southeast-7",
					    "eusc-de-east-1",
					    "us-isob-east-1" };
	static const char *const bad[] = {
		"",	      "us",	     "us-1",	  "us-east",
		"us-east-12", "us-east-1a",  "US-EAST-1", "us--east-1",
		"us-east-1/", "evil.com#-1", "u-east-1",  "-us-east-1",
		"us-east--1", "local-host",  "us-e4st-1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(aws_region_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(aws_region_is_valid(bad[i]));
}

/* ---- URLs ---- */

static void takes_urls_apart(void **state)
{
	struct aws_url u = { 0 };
	struct error err;
	char *text;

	(void)state;
	assert_int_equal(
		aws_url_parse("https://Host.Example:8443/a/b?c=d", &u, &err),
		0);
	assert_true(u.is_https);
	assert_string_equal(u.host, "host.example");
	assert_int_equal(u.port, 8443);
	assert_string_equal(u.path, "/a/b?c=d");
	text = aws_url_origin(&u);
	assert_string_equal(text, "https://host.example:8443");
	free(text);
	aws_url_release(&u);
	assert_int_equal(aws_url_parse("http://[FD00:ec2::254]:80", &u, &err),
			 0);
	assert_string_equal(u.host, "[fd00:ec2::254]");
	assert_int_equal(u.port, 0);
	aws_url_release(&u);
}

static void refuses_other_urls(void **state)
{
	static const char *const bad[] = {
		"",
		"localhost:80",
		"ftp://host/",
		"HTTPS://host/",
		"http://",
		"http:///path",
		"http://user:pw@host/",
		"http://host@evil/",
		"http://host:0",
		"http://host:65536",
		"http://host:",
		"http://host:8a",
		"http://host:1:2",
		"http://ho st/",
		"http://host/#x",
		"http://host\\@evil/",
		"http://host/\r\nX: y",
		"http://[::1",
		"http://[]",
		"http://[::1]x",
		"http://::1/",
		"http://[localhost]/",
		"http://h\xc3\xb6st/",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct aws_url u = { 0 };
		struct error err;

		if (aws_url_parse(bad[i], &u, &err) != -ERR_INVALID)
			fail_msg("took '%s'", bad[i]);
		assert_null(u.host);
		assert_null(strstr(err.msg, "pw"));
	}
}

static void knows_who_may_give_credentials(void **state)
{
	static const struct {
		const char *url;
		bool may;
	} table[] = {
		{ "https://anywhere.example/x", true },
		{ "http://anywhere.example/x", false },
		{ "http://localhost/x", true },
		{ "http://LOCALHOST:8080/x", true },
		{ "http://localhost.evil.example/x", false },
		{ "http://127.0.0.1:1/", true },
		{ "http://127.9.9.9/", true },
		{ "http://127.0.0.1.evil.example/", false },
		{ "http://127.1/", false },
		{ "http://2130706433/", false },
		{ "http://0177.0.0.1/", false },
		{ "http://128.0.0.1/", false },
		{ "http://0.0.0.0/", false },
		{ "http://169.254.170.2/v2", true },
		{ "http://169.254.170.23/v1/credentials", true },
		{ "http://169.254.170.3/", false },
		{ "http://169.254.169.254/", false },
		{ "http://[::1]/", true },
		{ "http://[0:0:0:0:0:0:0:1]/", true },
		{ "http://[::2]/", false },
		{ "http://[fd00:ec2::23]/v1", true },
		{ "http://[fd00:EC2:0::23]:80/v1", true },
		{ "http://[fd00:ec2::24]/", false },
		{ "http://[::ffff:127.0.0.1]/", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct aws_url u = { 0 };
		struct error err;

		assert_int_equal(aws_url_parse(table[i].url, &u, &err), 0);
		if (aws_url_may_give_credentials(&u) != table[i].may)
			fail_msg("%s", table[i].url);
		aws_url_release(&u);
	}
}

/* ---- the environment ---- */

static char folder[] = "/tmp/test_aws_environment.XXXXXX";

static void write_file(const char *name, const char *text)
{
	auto_free char *path = xasprintf("%s/%s", folder, name);
	auto_fclose FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

static int clear_environment(void **state)
{
	auto_free char *config = xasprintf("%s/config", folder);
	auto_free char *credentials = xasprintf("%s/credentials", folder);

	(void)state;
	clearenv();
	write_file("config", "");
	write_file("credentials", "");
	setenv("AWS_CONFIG_FILE", config, 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", credentials, 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	return 0;
}

static int read_as(const struct aws_options *options,
		   struct aws_environment **ret, struct error *err)
{
	static const struct aws_options none;

	return aws_environment_read(options ? options : &none, ret, err);
}

static void region_is(const struct aws_options *options, const char *region)
{
	struct aws_environment *e = NULL;
	struct error err = ERROR_INIT;

	if (read_as(options, &e, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(aws_environment_region(e), region);
	aws_environment_free(e);
}

static void fails(const struct aws_options *options, int code,
		  const char *message)
{
	struct aws_environment *e = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(read_as(options, &e, &err), -code);
	if (!strstr(err.msg, message))
		fail_msg("'%s' is not in '%s'", message, err.msg);
}

static void url_is(enum aws_service service, const char *url)
{
	const struct aws_options options = { .region = US };
	struct aws_environment *e = NULL;
	struct aws_endpoint endpoint = { 0 };
	struct error err = ERROR_INIT;

	if (read_as(&options, &e, &err) < 0 ||
	    aws_environment_endpoint(e, service, &endpoint, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(endpoint.url, url);
	aws_endpoint_release(&endpoint);
	aws_environment_free(e);
}

static void regions_in_this_order(void **state)
{
	const struct aws_options options = { .region = "eu-west-3" };
	const struct aws_options ops = { .profile = "ops" };

	(void)state;
	fails(NULL, ERR_NOTFOUND, "AWS_REGION");
	write_file("config", "[default]\nregion = eu-west-1\n"
			     "[profile ops]\nregion = eu-south-1\n"
			     "[profile bad]\nregion = nowhere\n");
	region_is(NULL, "eu-west-1");
	region_is(&ops, "eu-south-1");
	setenv("AWS_PROFILE", "ops", 1);
	region_is(NULL, "eu-south-1");
	setenv("AWS_DEFAULT_REGION", "eu-west-2", 1);
	region_is(NULL, "eu-west-2");
	setenv("AWS_REGION", US, 1);
	region_is(NULL, US);
	setenv("AWS_REGION", "", 1);
	region_is(NULL, "eu-west-2");
	region_is(&options, "eu-west-3");
	unsetenv("AWS_DEFAULT_REGION");
	setenv("AWS_PROFILE", "bad", 1);
	fails(NULL, ERR_INVALID, "'nowhere'");
}

static void settings_that_make_no_sense(void **state)
{
	const struct aws_options missing = { .profile = "missing" };

	(void)state;
	setenv("AWS_REGION", US, 1);
	fails(&missing, ERR_INVALID, "'missing'");
	setenv("AWS_USE_FIPS_ENDPOINT", "yes", 1);
	fails(NULL, ERR_INVALID, "AWS_USE_FIPS_ENDPOINT");
	unsetenv("AWS_USE_FIPS_ENDPOINT");
	write_file("config", "[default]\nregion\n");
	fails(NULL, ERR_INVALID, "/config': line 2");
	setenv("AWS_CONFIG_FILE", folder, 1);
	fails(NULL, ERR_INVALID, folder);
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file", 1);
	region_is(NULL, US);
}

static void finds_files_at_home(void **state)
{
	(void)state;
	write_file("config", "[default]\nregion = eu-west-1\n");
	setenv("HOME", folder, 1);
	setenv("AWS_CONFIG_FILE", "~/config", 1);
	region_is(NULL, "eu-west-1");
	unsetenv("AWS_CONFIG_FILE");
	fails(NULL, ERR_NOTFOUND, "no AWS region");
}

static void settings_of_two_files(void **state)
{
	const struct aws_options ops = { .profile = "ops" };
	struct aws_environment *e = NULL;
	struct error err = ERROR_INIT;
	bool is_explicit = false;

	(void)state;
	write_file("config", "[profile ops]\nregion = eu-west-1\na = config\n"
			     "b = config\n");
	write_file("credentials", "[ops]\na = credentials\nempty =\n");
	assert_int_equal(read_as(&ops, &e, &err), 0);
	assert_string_equal(aws_environment_profile(e, &is_explicit), "ops");
	assert_true(is_explicit);
	assert_true(aws_environment_has_profile(e, "ops"));
	assert_false(aws_environment_has_profile(e, "other"));
	assert_string_equal(aws_environment_setting(e, "ops", "a"),
			    "credentials");
	assert_string_equal(aws_environment_setting(e, "ops", "b"), "config");
	assert_null(aws_environment_setting(e, "ops", "empty"));
	assert_string_equal(
		aws_environment_setting_in(e, AWS_INI_CONFIG, "ops", "a"),
		"config");
	aws_environment_free(e);
}

static void endpoints_in_this_order(void **state)
{
	(void)state;
	url_is(AWS_ECS, "https://ecs.us-east-1.amazonaws.com");
	setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
	url_is(AWS_ECS, "https://ecs-fips.us-east-1.amazonaws.com");
	setenv("AWS_USE_DUALSTACK_ENDPOINT", "TRUE", 1);
	url_is(AWS_ECS, "https://ecs-fips.us-east-1.api.aws");
	write_file("config", "[default]\nendpoint_url = http://profile:1\n"
			     "services = s\n");
	url_is(AWS_ECS, "http://profile:1");
	write_file("config", "[default]\nendpoint_url = http://profile:1\n"
			     "services = s\n"
			     "[services s]\nelastic_load_balancing_v2 =\n"
			     "  endpoint_url = http://services:2\n");
	url_is(AWS_ELB, "http://services:2");
	url_is(AWS_ECS, "http://profile:1");
	setenv("AWS_ENDPOINT_URL", "http://all:3", 1);
	url_is(AWS_ELB, "http://all:3");
	setenv("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "https://elb/", 1);
	url_is(AWS_ELB, "https://elb");
	url_is(AWS_ECS, "http://all:3");
	setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://logs:4", 1);
	url_is(AWS_LOGS, "http://logs:4");
	setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://sm:5", 1);
	url_is(AWS_SECRETS_MANAGER, "http://sm:5");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	url_is(AWS_ELB, "https://elasticloadbalancing-fips.us-east-1.api.aws");
}

static void an_option_beats_them_all(void **state)
{
	const struct aws_options options = { .region = US,
					     .endpoint_url =
						     "http://127.0.0.1:9" };
	struct aws_environment *e = NULL;
	struct aws_endpoint endpoint = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	setenv("AWS_ENDPOINT_URL_STS", "http://sts", 1);
	assert_int_equal(read_as(&options, &e, &err), 0);
	assert_int_equal(aws_environment_endpoint(e, AWS_STS, &endpoint, &err),
			 0);
	assert_string_equal(endpoint.url, "http://127.0.0.1:9");
	aws_endpoint_release(&endpoint);
	aws_environment_free(e);
}

static void says_which_override_is_wrong(void **state)
{
	const struct aws_options options = { .region = US };
	struct aws_environment *e = NULL;
	struct aws_endpoint endpoint = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	setenv("AWS_ENDPOINT_URL_STS", "http://host/path", 1);
	assert_int_equal(read_as(&options, &e, &err), 0);
	assert_int_equal(aws_environment_endpoint(e, AWS_STS, &endpoint, &err),
			 -ERR_INVALID);
	assert_non_null(strstr(err.msg, "AWS_ENDPOINT_URL_STS"));
	aws_environment_free(e);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "/config", "/credentials", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_free char *path = xasprintf("%s%s", folder, names[i]);

		if (remove(path) < 0)
			return -1;
	}
	return 0;
}

#define IN_CLEAN_ENVIRONMENT(f) cmocka_unit_test_setup(f, clear_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_hosts),
		cmocka_unit_test(signs_by_these_names),
		cmocka_unit_test(not_every_partition_has_dual_stack),
		cmocka_unit_test(regions_have_a_shape),
		cmocka_unit_test(takes_urls_apart),
		cmocka_unit_test(refuses_other_urls),
		cmocka_unit_test(knows_who_may_give_credentials),
		IN_CLEAN_ENVIRONMENT(regions_in_this_order),
		IN_CLEAN_ENVIRONMENT(settings_that_make_no_sense),
		IN_CLEAN_ENVIRONMENT(finds_files_at_home),
		IN_CLEAN_ENVIRONMENT(settings_of_two_files),
		IN_CLEAN_ENVIRONMENT(endpoints_in_this_order),
		IN_CLEAN_ENVIRONMENT(an_option_beats_them_all),
		IN_CLEAN_ENVIRONMENT(says_which_override_is_wrong),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
