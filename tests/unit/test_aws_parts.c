/* builder/aws/ecr.h, cloudwatch_logs.h, secrets.h against scripted replies:
 * what the double of AWS does not do at will. */
#include "tests/unit/aws_script.h"

#include "builder/aws/cloudwatch_logs.h"
#include "builder/aws/ecr.h"
#include "builder/aws/secrets.h"

#define D(c) "sha256:" c c c c c c c c
#define DA   D("aaaaaaaa")
#define DB   D("bbbbbbbb")
#define DC   D("cccccccc")

static void script_ended(void)
{
	if (script->operation)
		fail_msg("%s was not called", script->operation);
}

/* ---- ECR ---- */

static void a_race_for_the_repository_is_won_either_way(void **state)
{
	static const struct step steps[] = {
		{ "DescribeRepositories", "{'repositoryNames': ['a/b']}",
		  "RepositoryNotFoundException" },
		{ "CreateRepository",
		  "{'repositoryName': 'a/b', 'imageTagMutability': "
		  "'IMMUTABLE', 'tags': [{'Key': 'a', 'Value': 'b'}]}",
		  "RepositoryAlreadyExistsException" },
		{ "DescribeRepositories", NULL,
		  "{'repositories': [{'repositoryUri': 'host/a/b', "
		  "'repositoryArn': 'arn'}]}" },
		{ "ListTagsForResource", "{'resourceArn': 'arn'}",
		  "{'tags': [{'Key': 'a', 'Value': 'c'}]}" },
		{ NULL, NULL, NULL },
	};
	json_auto_t *tags = doc("[{'Key': 'a', 'Value': 'b'}]");
	json_auto_t *theirs = doc("[{'Key': 'a', 'Value': 'c'}]");
	struct ecr_repository repository;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(
		ecr_ensure_repository(client, "a/b", tags, &repository, &err),
		0);
	assert_string_equal(repository.uri, "host/a/b");
	assert_true(json_equal(repository.tags, theirs));
	ecr_repository_release(&repository);
	script_ended();
}

static void login_of(const char *token, int expected)
{
	auto_free char *text =
		xasprintf("{'authorizationData': [{'authorizationToken': '%s',"
			  "'expiresAt': 1.8e9, 'proxyEndpoint': 'http://h'}]}",
			  token);
	json_auto_t *reply = doc(text);
	struct ecr_login login;
	struct error err = ERROR_INIT;

	assert_int_equal(ecr_login_from_json(reply, &login, &err), expected);
	if (expected == 0) {
		assert_string_equal(login.username, "AWS");
		assert_string_equal(login.password, "secret:1");
		assert_string_equal(login.registry, "http://h");
		assert_int_equal(login.expires, 1800000000);
	} else if (*token) {
		assert_null(strstr(err.msg, token));
	}
	ecr_login_release(&login);
}

static void a_token_is_user_and_password(void **state)
{
	(void)state;
	login_of("QVdTOnNlY3JldDox", 0);	  /* AWS:secret:1 */
	login_of("QVdT", -ERR_PROTO);		  /* AWS */
	login_of("QVdTOg==", -ERR_PROTO);	  /* AWS: */
	login_of("OnNlY3JldA==", -ERR_PROTO);	  /* :secret */
	login_of("QVdTOgBzZWNyZXQ=", -ERR_PROTO); /* a NUL in it */
	login_of("QVdTOnNlY3JldDo", -ERR_PROTO);
	login_of("====", -ERR_PROTO);
	login_of("", -ERR_PROTO);
}

static void only_digests_are_digests(void **state)
{
	(void)state;
	assert_true(ecr_is_digest(DA));
	assert_false(ecr_is_digest("sha256:aa"));
	assert_false(ecr_is_digest("sha512:" DA));
	assert_false(ecr_is_digest(D("AAAAAAAA")));
	assert_false(ecr_is_digest(DA "a"));
}

static bool is_version(const char *tag)
{
	return *tag == 'v';
}

static const char *const kept[] = { DC, NULL };
static const struct ecr_retention rule = { .keep = kept,
					   .min_age_s = 60,
					   .is_ours = is_version,
					   .with_untagged = true };

static void an_index_goes_before_its_parts(void **state)
{
	static const struct step steps[] = {
		{ "DescribeImages", "{'nextToken': null}",
		  "{'imageDetails': ["
		  "{'imageDigest': '" DA "', 'imagePushedAt': 1000},"
		  "{'imageDigest': '" DB "', 'imagePushedAt': 1000}],"
		  "'nextToken': 'n'}" },
		{ "DescribeImages", "{'nextToken': 'n'}",
		  "{'imageDetails': ["
		  "{'imageDigest': '" DC "', 'imagePushedAt': 1000},"
		  "{'imageDigest': '" D(
			  "dddddddd") "'},"
				      "{'imageDigest': '" D(
					      "eeeeeeee") "',"
							  " 'imagePushedAt': "
							  "9e11}]}" },
		{ "BatchDeleteImage",
		  "{'imageIds': [{'imageDigest': '" DA "'},"
		  "{'imageDigest': '" DB "'}]}",
		  "{'imageIds': [{'imageDigest': '" DB "'}], 'failures': ["
		  "{'imageId': {'imageDigest': '" DA "'}, 'failureCode':"
		  "'ImageReferencedByManifestList'}]}" },
		{ "BatchDeleteImage",
		  "{'imageIds': [{'imageDigest': '" DA "'}]}",
		  "{'imageIds': [{'imageDigest': '" DA "'}]}" },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecr_retain(client, "a/b", &rule, &err), 2);
	script_ended();
}

static void parts_of_an_index_that_stays_stay(void **state)
{
	static const struct step steps[] = {
		{ "DescribeImages", NULL,
		  "{'imageDetails': ["
		  "{'imageDigest': '" DA "', 'imagePushedAt': 1000}]}" },
		{ "BatchDeleteImage", NULL,
		  "{'imageIds': [], 'failures': ["
		  "{'imageId': {'imageDigest': '" DA "'}, 'failureCode':"
		  "'ImageReferencedByManifestList'}]}" },
		{ NULL, NULL, NULL },
	};
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(ecr_retain(client, "a/b", &rule, &err), 0);
	script_ended();
}

static void images_of_others_stay(void **state)
{
	static const struct step steps[] = {
		{ "DescribeImages", NULL,
		  "{'imageDetails': ["
		  "{'imageDigest': '" DA "', 'imagePushedAt': 1000,"
		  "'imageTags': ['v1', 'latest']},"
		  "{'imageDigest': '" DB "', 'imagePushedAt': 1000},"
		  "{'imageDigest': '" D("dddddddd") "', 'imagePushedAt': 1000,"
						    "'imageTags': ['v2']}]}" },
		{ "BatchDeleteImage",
		  "{'imageIds': [{'imageDigest': '" D("dddddddd") "'}]}",
		  "{'imageIds': [{'imageDigest': '" D("dddddddd") "'}]}" },
		{ NULL, NULL, NULL },
	};
	struct ecr_retention theirs = rule;
	struct error err;

	(void)state;
	theirs.with_untagged = false;
	script = steps;
	assert_int_equal(ecr_retain(client, "a/b", &theirs, &err), 1);
	script_ended();
}

/* ---- CloudWatch ---- */

static int add_event(void *ctx, const struct cloudwatch_event *event)
{
	struct buf *out = ctx;

	buf_add(out, event->message.ptr, event->message.len);
	buf_addc(out, ' ');
	return 0;
}

static void history_goes_back_over_empty_pages(void **state)
{
	static const struct step steps[] = {
		{ "GetLogEvents",
		  "{'startFromHead': false, 'limit': 3, 'nextToken': null}",
		  "{'events': [{'message': 'd\\n', 'timestamp': 4}],"
		  "'nextBackwardToken': 'b1', 'nextForwardToken': 'f'}" },
		{ "GetLogEvents", "{'nextToken': 'b1'}",
		  "{'events': [], 'nextBackwardToken': 'b2'}" },
		{ "GetLogEvents", "{'nextToken': 'b2'}",
		  "{'events': [{'message': 'a', 'timestamp': 1},"
		  "{'message': 'b', 'timestamp': 2},"
		  "{'message': 'c', 'timestamp': 3}],"
		  "'nextBackwardToken': 'b3'}" },
		{ NULL, NULL, NULL },
	};
	auto_buf struct buf out = BUF_INIT(100);
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(
		cloudwatch_history(client, "g", "s", 3, add_event, &out, &err),
		3);
	assert_string_equal(buf_str(&out), "b c d ");
	script_ended();
}

static void a_stream_goes_on_from_its_token(void **state)
{
	static const struct step steps[] = {
		{ "GetLogEvents", NULL, "ResourceNotFoundException" },
		{ "GetLogEvents", "{'startFromHead': true, 'nextToken': null}",
		  "{'events': [{'message': 'a', 'timestamp': 1}],"
		  "'nextForwardToken': 'f1'}" },
		{ "GetLogEvents", "{'startFromHead': true, 'nextToken': 'f1'}",
		  "{'events': [], 'nextForwardToken': 'f2'}" },
		{ "GetLogEvents", "{'nextToken': 'f2'}",
		  "{'events': [], 'nextForwardToken': 'f2'}" },
		{ "GetLogEvents", "{'nextToken': 'f2'}",
		  "{'events': [{'message': 'b', 'timestamp': 2}],"
		  "'nextForwardToken': 'f3'}" },
		{ "GetLogEvents", "{'nextToken': 'f3'}",
		  "{'events': [], 'nextForwardToken': 'f3'}" },
		{ NULL, NULL, NULL },
	};
	auto_buf struct buf out = BUF_INIT(100);
	struct cloudwatch_stream s;
	struct error err;

	(void)state;
	script = steps;
	cloudwatch_stream_init(&s, client, "g", "s");
	assert_int_equal(cloudwatch_stream_poll(&s, add_event, &out, &err), 0);
	assert_int_equal(cloudwatch_stream_poll(&s, add_event, &out, &err), 1);
	assert_int_equal(cloudwatch_stream_poll(&s, add_event, &out, &err), 1);
	assert_string_equal(buf_str(&out), "a b ");
	cloudwatch_stream_release(&s);
	script_ended();
}

static void a_search_gives_each_event_once(void **state)
{
	static const struct step steps[] = {
		{ "FilterLogEvents",
		  "{'logStreamNamePrefix': 'web/', 'startTime': 5,"
		  "'endTime': 9}",
		  "{'events': [], 'nextToken': 'n'}" },
		{ "FilterLogEvents", "{'nextToken': 'n'}",
		  "{'events': [{'message': 'x1', 'eventId': '1'},"
		  "{'message': 'y', 'eventId': '2'},"
		  "{'message': 'x1', 'eventId': '1'},"
		  "{'message': 'x1', 'eventId': '3'}, {}, 7]}" },
		{ NULL, NULL, NULL },
	};
	const struct cloudwatch_query query = { "g", "web/", "x", 5, 10 };
	auto_buf struct buf out = BUF_INIT(100);
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(
		cloudwatch_search(client, &query, 0, add_event, &out, &err), 1);
	assert_string_equal(buf_str(&out), "x1 x1 ");
	script_ended();
}

static void pattern_is(const char *text, const char *expected)
{
	auto_buf struct buf out = BUF_INIT(2000);

	assert_int_equal(cloudwatch_pattern(text, &out), expected != NULL);
	if (expected)
		assert_string_equal(buf_str(&out), expected);
}

static void patterns_are_quoted(void **state)
{
	char longer[600];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	pattern_is("error", "\"error\"");
	pattern_is("a \"b\" \\n { $.x }", "\"a \\\"b\\\" \\\\n { $.x }\"");
	pattern_is("", NULL);
	pattern_is("100%", NULL);
	pattern_is("a\tb", NULL);
	pattern_is(longer, NULL);
}

static void retention_is_rounded_up(void **state)
{
	(void)state;
	assert_int_equal(cloudwatch_retention_days(1), 1);
	assert_int_equal(cloudwatch_retention_days(30), 30);
	assert_int_equal(cloudwatch_retention_days(31), 60);
	assert_int_equal(cloudwatch_retention_days(9999), 3653);
}

static void ids_are_remembered_until_forgotten(void **state)
{
	struct cloudwatch_seen seen = { .slots = NULL };
	struct cloudwatch_event e = { .time_ms = 0 };
	char id[16];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			snprintf(id, sizeof(id), "%d", i);
			e.id = id;
			e.time_ms = i;
			assert_int_equal(cloudwatch_seen_add(&seen, &e),
					 round == 0);
		}
	}
	cloudwatch_seen_forget(&seen, 4000);
	assert_int_equal(seen.count, 1000);
	e.id = "3999";
	assert_true(cloudwatch_seen_add(&seen, &e));
	e.id = "4000";
	assert_false(cloudwatch_seen_add(&seen, &e));
	cloudwatch_seen_release(&seen);
}

/* ---- secrets ---- */

static void reference_is(const char *value, int expected)
{
	struct error err;

	assert_int_equal(secret_is_reference(value, &err), expected);
}

#define ARN "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"

static void references_are_known_by_their_form(void **state)
{
	(void)state;
	reference_is("plain", 0);
	reference_is("", 0);
	reference_is("secretsmanager", 0);
	reference_is("ssmx:y", 0);
	reference_is("secretsmanager:" ARN, 1);
	reference_is("secretsmanager:" ARN ":user", 1);
	reference_is("secretsmanager:" ARN ":user:AWSCURRENT:", 1);
	reference_is("secretsmanager:" ARN ":a:b", -ERR_INVALID);
	reference_is("secretsmanager:db", -ERR_INVALID);
	reference_is("secretsmanager:" ARN " x", -ERR_INVALID);
	reference_is("ssm:/shop/token", 1);
	reference_is("ssm:arn:aws:ssm:us-east-1:1:parameter/x", 1);
	reference_is("ssm:", -ERR_INVALID);
	reference_is("ssm:a b", -ERR_INVALID);
}

static void plain_vars_need_a_version(void **state)
{
	json_auto_t *vars = doc("{'A': 'b'}");
	json_auto_t *bad = doc("{'A': 7}");
	const struct secret_version none = { NULL, NULL };
	json_t *list = NULL;
	struct error err;

	(void)state;
	assert_int_equal(secrets_for_container(vars, &none, &list, &err),
			 -ERR_INVALID);
	assert_int_equal(secrets_for_container(bad, &none, &list, &err),
			 -ERR_INVALID);
	assert_string_equal(err.msg, "A: expected a string");
}

/* Made and marked for deletion by somebody between two calls of ours. */
static void a_name_that_is_being_deleted_comes_back(void **state)
{
	static const struct step steps[] = {
		{ "DescribeSecret", "{'SecretId': 'n'}",
		  "ResourceNotFoundException" },
		{ "CreateSecret", "{'Name': 'n', 'Tags': []}",
		  "InvalidRequestException" },
		{ "RestoreSecret", "{'SecretId': 'n'}", "{}" },
		{ "PutSecretValue", "{'VersionStages': ['AWSCURRENT', 'l']}",
		  "{'ARN': 'arn', 'VersionId': 'v'}" },
		{ NULL, NULL, NULL },
	};
	json_auto_t *vars = doc("{'A': 'b'}");
	json_auto_t *tags = json_array();
	struct secret_version v;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(
		secrets_publish(client, "n", "l", tags, vars, &v, &err), 0);
	assert_string_equal(v.id, "v");
	secret_version_release(&v);
	script_ended();
}

static void too_many_labels_are_told_apart(void **state)
{
	static const struct step steps[] = {
		{ "DescribeSecret", NULL, "{'ARN': 'arn'}" },
		{ "PutSecretValue", NULL, "LimitExceededException" },
		{ NULL, NULL, NULL },
	};
	json_auto_t *vars = doc("{'A': 'b'}");
	json_auto_t *tags = json_array();
	struct secret_version v;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(
		secrets_publish(client, "n", "l", tags, vars, &v, &err),
		-ERR_EXISTS);
	assert_int_equal(err.code, ERR_EXISTS);
	script_ended();
}

static void one_that_is_being_deleted_keeps_its_labels(void **state)
{
	static const struct step steps[] = {
		{ "DescribeSecret", NULL,
		  "{'ARN': 'arn', 'DeletedDate': 1.7e9,"
		  "'VersionIdsToStages': {'1': ['ours-1']}}" },
		{ NULL, NULL, NULL },
	};
	static const char *const none[] = { NULL };
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(secrets_retain(client, "n", "ours-", none, &err), 0);
	script_ended();
}

static void tags_of_a_log_group_are_asked_by_its_arn(void **state)
{
	static const struct step steps[] = {
		{ "DescribeLogGroups", "{'logGroupNamePrefix': '/a'}",
		  "{'logGroups': [{'logGroupName': '/a', 'arn': "
		  "'arn:log-group:/a:*'}, {'logGroupName': '/ab', 'arn': "
		  "'b'}]}" },
		{ "ListTagsForResource", "{'resourceArn': 'arn:log-group:/a'}",
		  "{'tags': {'k': 'v'}}" },
		{ "DescribeLogGroups", "{'logGroupNamePrefix': '/a'}",
		  "{'logGroups': [{'logGroupName': '/ab', 'arn': 'b'}]}" },
		{ NULL, NULL, NULL },
	};
	json_t *tags = NULL;
	struct error err;

	(void)state;
	script = steps;
	assert_int_equal(cloudwatch_group_tags(client, "/a", &tags, &err), 0);
	assert_string_equal(json_get_str(tags, "k", ""), "v");
	json_decref(tags);
	assert_int_equal(cloudwatch_group_tags(client, "/a", &tags, &err),
			 -ERR_NOTFOUND);
	script_ended();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_race_for_the_repository_is_won_either_way),
		cmocka_unit_test(a_token_is_user_and_password),
		cmocka_unit_test(only_digests_are_digests),
		cmocka_unit_test(an_index_goes_before_its_parts),
		cmocka_unit_test(parts_of_an_index_that_stays_stay),
		cmocka_unit_test(images_of_others_stay),
		cmocka_unit_test(history_goes_back_over_empty_pages),
		cmocka_unit_test(a_stream_goes_on_from_its_token),
		cmocka_unit_test(a_search_gives_each_event_once),
		cmocka_unit_test(patterns_are_quoted),
		cmocka_unit_test(retention_is_rounded_up),
		cmocka_unit_test(ids_are_remembered_until_forgotten),
		cmocka_unit_test(references_are_known_by_their_form),
		cmocka_unit_test(plain_vars_need_a_version),
		cmocka_unit_test(a_name_that_is_being_deleted_comes_back),
		cmocka_unit_test(too_many_labels_are_told_apart),
		cmocka_unit_test(one_that_is_being_deleted_keeps_its_labels),
		cmocka_unit_test(tags_of_a_log_group_are_asked_by_its_arn),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("aws parts", tests, NULL, NULL);
}
