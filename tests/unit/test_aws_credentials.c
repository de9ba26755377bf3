/* builder/aws/credentials.h and what it is made of: words, times, documents,
 * refresh, and the chain as far as it needs no network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_time.h"
#include "builder/aws/aws_words.h"
#include "builder/aws/credentials.h"
#include "builder/aws/credentials_private.h"
#include "builder/aws/credentials_refresh.h"

/* ---- words ---- */

/* `expected`: the words with "|" between. */
static void splits(const char *line, const char *expected)
{
	auto_buf struct buf joined = BUF_INIT(1 << 16);
	struct error err = ERROR_INIT;
	char **words = NULL;

	if (aws_words_split(line, &words, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; words[i]; i++)
		buf_addf(&joined, "%s%s", i ? "|" : "", words[i]);
	assert_string_equal(buf_str(&joined), expected);
	aws_words_free(words);
}

static void splits_words_as_a_shell_does(void **state)
{
	(void)state;
	splits("/bin/a", "/bin/a");
	splits("  a \t b\n\tc  ", "a|b|c");
	splits("a 'b c' \"d e\"", "a|b c|d e");
	splits("a'b'\"c\"d", "abcd");
	splits("a '' \"\"", "a||");
	splits("a\\ b \\\"c\\' \\\\", "a b|\"c'|\\");
	splits("\"a\\\"b\" \"c\\\\d\" \"e\\nf\" \"'\"", "a\"b|c\\d|e\\nf|'");
	splits("'a\\' b", "a\\|b");
	splits("a $HOME `id` $(id) * ~ ; & | > x", "a|$HOME|`id`|$(id)|*|~|;|&"
						   "|||>|x");
}

static void refuses_lines_that_do_not_end(void **state)
{
	static const char *const bad[] = { "",		"  \n",	 "a 'b",
					   "a \"b\\\"", "a b\\", "'" };
	auto_buf struct buf many = BUF_INIT(1 << 16);
	struct error err = ERROR_INIT;
	char **words = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(aws_words_split(bad[i], &words, &err),
				 -ERR_INVALID);
	for (int i = 0; i <= AWS_WORDS_MAX; i++)
		buf_adds(&many, "a ");
	assert_int_equal(aws_words_split(buf_str(&many), &words, &err),
			 -ERR_LIMIT);
	assert_null(words);
}

/* ---- times ---- */

static void reads_times(void **state)
{
	static const struct {
		const char *text;
		int64_t unix_s; /* -1 = not a time */
	} table[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-22T10:15:00Z", 1795342500 },
		{ "2026-11-22T10:15:00.123456Z", 1795342500 },
		{ "2026-11-22T11:15:00+01:00", 1795342500 },
		{ "2026-11-22t04:45:00-05:30z", -1 },
		{ "2026-11-22 04:45:00-05:30", 1795342500 },
		{ "2028-02-29T00:00:00z", 1835395200 },
		{ "", -1 },
		{ "2026-11-22", -1 },
		{ "2026-11-22T10:15:00", -1 },
		{ "2026-11-22T10:15:00.Z", -1 },
		{ "2026-13-22T10:15:00Z", -1 },
		{ "2026-11-00T10:15:00Z", -1 },
		{ "2026-11-22T24:15:00Z", -1 },
		{ "2026-11-22T10:60:00Z", -1 },
		{ "2026-11-22T10:15:00Zx", -1 },
		{ "2026-11-22T10:15:00+0100", -1 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "99999-11-22T10:15:00Z", -1 },
		{ "1795342500", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int64_t found = -1;
		bool is_time = aws_time_parse(table[i].text, &found);

		if (is_time != (table[i].unix_s >= 0) ||
		    found != table[i].unix_s)
			fail_msg("'%s': %lld", table[i].text, (long long)found);
	}
}

/* ---- refresh ---- */

#define NOW	1000000
#define MINUTES 60

static void refreshes_before_they_expire(void **state)
{
	int64_t expires = NOW + 60 * MINUTES;
	struct refresh_plan p = refresh_plan_make(expires, false, NOW, 0);

	(void)state;
	assert_int_equal(refresh_decide(&p, NOW), REFRESH_NO);
	assert_int_equal(refresh_decide(&p, expires - 15 * MINUTES - 1),
			 REFRESH_NO);
	assert_int_equal(refresh_decide(&p, expires - 15 * MINUTES),
			 REFRESH_TRY);
	assert_int_equal(refresh_decide(&p, expires - 10 * MINUTES - 1),
			 REFRESH_TRY);
	assert_int_equal(refresh_decide(&p, expires - 10 * MINUTES),
			 REFRESH_MUST);
	assert_int_equal(refresh_decide(&p, expires + 1), REFRESH_MUST);
}

static void does_not_try_at_every_call(void **state)
{
	int64_t expires = NOW + 60 * MINUTES;
	struct refresh_plan p = refresh_plan_make(expires, false, NOW, 0);
	int64_t now = expires - 14 * MINUTES;

	(void)state;
	refresh_postpone(&p, now);
	assert_int_equal(refresh_decide(&p, now + 1), REFRESH_NO);
	assert_int_equal(refresh_decide(&p, now + 30), REFRESH_TRY);
	refresh_postpone(&p, expires - 10 * MINUTES - 1);
	assert_int_equal(refresh_decide(&p, expires - 10 * MINUTES),
			 REFRESH_MUST);
}

static void never_refreshes_what_never_expires(void **state)
{
	struct refresh_plan p = refresh_plan_make(0, false, NOW, 0);

	(void)state;
	assert_int_equal(refresh_decide(&p, NOW * 1000LL), REFRESH_NO);
	refresh_postpone(&p, NOW);
	assert_int_equal(refresh_decide(&p, NOW * 1000LL), REFRESH_NO);
}

static void short_lives_are_used_half(void **state)
{
	int64_t expires = NOW + 15 * MINUTES;
	struct refresh_plan p = refresh_plan_make(expires, false, NOW, 0);

	(void)state;
	assert_int_equal(refresh_decide(&p, NOW), REFRESH_NO);
	assert_int_equal(refresh_decide(&p, NOW + 7 * MINUTES), REFRESH_NO);
	assert_int_equal(refresh_decide(&p, NOW + 8 * MINUTES), REFRESH_TRY);
	assert_int_equal(refresh_decide(&p, expires - 5 * MINUTES),
			 REFRESH_MUST);
}

static void stale_ones_are_kept_for_a_while(void **state)
{
	int64_t expired = NOW - 5 * MINUTES;
	struct refresh_plan p = refresh_plan_make(expired, true, NOW, 0);

	(void)state;
	assert_int_equal(refresh_decide(&p, NOW + 17 * MINUTES - 1),
			 REFRESH_NO);
	assert_int_equal(refresh_decide(&p, NOW + 17 * MINUTES), REFRESH_TRY);
	p = refresh_plan_make(expired, true, NOW, 1);
	assert_int_equal(refresh_decide(&p, NOW + 25 * MINUTES - 1),
			 REFRESH_NO);
	assert_int_equal(refresh_decide(&p, NOW + 25 * MINUTES), REFRESH_TRY);
	p = refresh_plan_make(NOW + 14 * MINUTES, true, NOW, 0);
	assert_int_equal(refresh_decide(&p, NOW + 16 * MINUTES), REFRESH_NO);
	p = refresh_plan_make(expired, false, NOW, 0);
	assert_int_equal(refresh_decide(&p, NOW + 59), REFRESH_NO);
	assert_int_equal(refresh_decide(&p, NOW + 60), REFRESH_TRY);
	p = refresh_plan_make(NOW + 60 * MINUTES, true, NOW, 0);
	assert_int_equal(refresh_decide(&p, NOW + 50 * MINUTES), REFRESH_MUST);
}

/* ---- documents ---- */

static int document(const char *text, const struct credentials_form *form,
		    struct credentials *ret, struct error *err)
{
	return credentials_parse(slice_str(text), form, "the place", ret, err);
}

static void reads_documents(void **state)
{
	static const struct credentials_form form = { .token = "Token",
						      .must_expire = true,
						      .has_code = true,
						      .source = "here" };
	struct credentials c = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(
		document("{\"Code\": \"Success\", \"AccessKeyId\": \"AK\","
			 "\"SecretAccessKey\": \"SK\", \"Token\": \"T\","
			 "\"Expiration\": \"2026-11-22T10:15:00Z\","
			 "\"Other\": [1]}",
			 &form, &c, &err),
		0);
	assert_string_equal(c.access_key, "AK");
	assert_string_equal(c.secret_key, "SK");
	assert_string_equal(c.session_token, "T");
	assert_string_equal(c.source, "here");
	assert_int_equal(c.expires, 1795342500);
	credentials_release(&c);
	assert_null(c.access_key);
}

static void malformed_documents_are_not_quoted(void **state)
{
	static const struct credentials_form form = { .token = "Token",
						      .version = 1,
						      .must_expire = true,
						      .has_code = true };
	static const struct {
		const char *text;
		int code;
		const char *message;
	} table[] = {
		{ "HUSH", ERR_INVALID, "the place: not a JSON object" },
		{ "[\"HUSH\"]", ERR_INVALID, "not a JSON object" },
		{ "{\"Version\": 1, \"x\": HUSH}", ERR_INVALID, "not a JSON" },
		{ "{\"x\": \"HUSH\"}", ERR_INVALID, "Version is not 1" },
		{ "{\"Version\": \"1\"}", ERR_INVALID, "Version is not 1" },
		{ "{\"Version\": 2}", ERR_INVALID, "Version is not 1" },
		{ "{\"Version\": 1, \"Code\": \"Failed\"}", ERR_DENIED,
		  "code Failed" },
		{ "{\"Version\": 1, \"Code\": \"a HUSH\"}", ERR_DENIED,
		  "code a" },
		{ "{\"Version\": 1}", ERR_INVALID, "no Expiration" },
		{ "{\"Version\": 1, \"Expiration\": \"HUSH\"}", ERR_INVALID,
		  "Expiration is not a time" },
		{ "{\"Version\": 1, \"Expiration\": \"2026-11-22T10:15:00Z\"}",
		  ERR_INVALID, "no access key" },
		{ "{\"Version\": 1, \"Expiration\": \"2026-11-22T10:15:00Z\","
		  "\"AccessKeyId\": \"HUSH\", \"SecretAccessKey\": 5}",
		  ERR_INVALID, "no secret access key" },
		{ "{\"Version\": 1, \"Expiration\": \"2026-11-22T10:15:00Z\","
		  "\"AccessKeyId\": \"HUSH\\r\\nX: y\","
		  "\"SecretAccessKey\": \"s\"}",
		  ERR_INVALID, "characters that none has" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct credentials c = { 0 };
		struct error err = ERROR_INIT;

		assert_int_equal(document(table[i].text, &form, &c, &err),
				 -table[i].code);
		if (!strstr(err.msg, table[i].message))
			fail_msg("%s: %s", table[i].text, err.msg);
		assert_null(strstr(err.msg, "HUSH"));
		assert_null(c.access_key);
	}
}

static void container_url_is(const char *relative, const char *full,
			     const char *expected)
{
	auto_free char *url = NULL;
	struct error err = ERROR_INIT;
	int r = credentials_container_url(relative, full, &url, &err);

	assert_int_equal(r, expected ? 1 : -ERR_INVALID);
	if (expected)
		assert_string_equal(url, expected);
}

static void container_urls(void **state)
{
	char *url = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(credentials_container_url(NULL, NULL, &url, &err), 0);
	container_url_is("/v2/credentials/id", NULL,
			 "http://169.254.170.2/v2/credentials/id");
	container_url_is("/v2?id=1", "http://localhost/",
			 "http://169.254.170.2/v2?id=1");
	container_url_is(NULL, "http://169.254.170.23/v1/credentials",
			 "http://169.254.170.23/v1/credentials");
	container_url_is(NULL, "https://anywhere.example/x",
			 "https://anywhere.example/x");
	container_url_is(NULL, "http://anywhere.example/x", NULL);
	container_url_is("@evil.example/", NULL, NULL);
	container_url_is(".evil.example/", NULL, NULL);
	container_url_is("/a b", NULL, NULL);
	container_url_is(NULL, "/v2", NULL);
}

/* ---- the chain ---- */

static char folder[] = "/tmp/test_aws_credentials.XXXXXX";

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
	setenv("AWS_REGION", "us-east-1", 1);
	return 0;
}

static int get(const char *profile, char **ret_text, struct error *err)
{
	const struct aws_options options = { .profile = profile };
	const struct credentials *found = NULL;
	struct aws_environment *e = NULL;
	struct credential_chain *c;
	int r = aws_environment_read(&options, &e, err);

	if (r < 0)
		return r;
	c = credential_chain_new(e);
	r = credential_chain_get(c, false, &found, err);
	if (r == 0)
		*ret_text = xasprintf(
			"%s %s %s %s %lld", found->source, found->access_key,
			found->secret_key,
			found->session_token ? found->session_token : "-",
			(long long)found->expires);
	credential_chain_free(c);
	aws_environment_free(e);
	return r;
}

static void gives(const char *profile, const char *expected)
{
	auto_free char *text = NULL;
	struct error err = ERROR_INIT;

	if (get(profile, &text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text, expected);
}

static void fails(const char *profile, int code, const char *message)
{
	auto_free char *text = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(get(profile, &text, &err), -code);
	if (!strstr(err.msg, message))
		fail_msg("'%s' is not in '%s'", message, err.msg);
	assert_null(strstr(err.msg, "HUSH"));
}

static void finds_nothing(void **state)
{
	(void)state;
	fails(NULL, ERR_DENIED,
	      "no AWS credentials: none in the environment "
	      "and profile 'default'");
}

static void the_environment_comes_first(void **state)
{
	(void)state;
	write_file("credentials", "[default]\naws_access_key_id = F\n"
				  "aws_secret_access_key = S\n");
	gives(NULL, "credentials file F S - 0");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	fails(NULL, ERR_INVALID, "no secret access key");
	setenv("AWS_SECRET_ACCESS_KEY", "HUSH", 1);
	gives(NULL, "environment E HUSH - 0");
	setenv("AWS_SESSION_TOKEN", "T", 1);
	gives(NULL, "environment E HUSH T 0");
	setenv("AWS_PROFILE", "default", 1);
	gives(NULL, "environment E HUSH T 0");
	gives("default", "credentials file F S - 0");
	setenv("AWS_SECRET_ACCESS_KEY", "HUSH\nX", 1);
	fails(NULL, ERR_INVALID, "characters that none has");
}

static void keys_come_from_one_section(void **state)
{
	(void)state;
	write_file("config", "[default]\naws_access_key_id = C\n"
			     "aws_secret_access_key = S2\n"
			     "aws_session_token = T2\n");
	gives(NULL, "config file C S2 T2 0");
	write_file("credentials", "[default]\naws_access_key_id = F\n"
				  "aws_secret_access_key = S\n");
	gives(NULL, "credentials file F S - 0");
	write_file("credentials", "[default]\naws_access_key_id = F\n");
	fails(NULL, ERR_INVALID,
	      "profile 'default' in the credentials file: no secret");
}

static void give_process(const char *line)
{
	auto_free char *text =
		xasprintf("[default]\ncredential_process = %s\n", line);

	write_file("config", text);
}

static void asks_a_process(void **state)
{
	(void)state;
	write_file("keys", "{\"Version\": 1, \"AccessKeyId\": \"P\","
			   "\"SecretAccessKey\": \"S\"}");
	write_file("full", "{\"Version\": 1, \"AccessKeyId\": \"P\","
			   "\"SecretAccessKey\": \"S\","
			   "\"SessionToken\": \"T\","
			   "\"Expiration\": \"2026-11-22T11:15:00+01:00\"}");
	setenv("DIR", folder, 1);
	give_process("/bin/sh -c 'cat \"${AWS_CONFIG_FILE%/*}\"/keys'");
	gives(NULL, "credential process P S - 0");
	give_process("/bin/sh -c 'cat \"${AWS_CONFIG_FILE%/*}\"/full'");
	gives(NULL, "credential process P S T 1795342500");
	/* Its environment is ours as far as it is about AWS. */
	give_process("/bin/sh -c 'test -z \"$DIR\" && "
		     "cat \"${AWS_CONFIG_FILE%/*}\"/keys'");
	gives(NULL, "credential process P S - 0");
	/* Between the two files. */
	write_file("credentials", "[default]\naws_access_key_id = F\n"
				  "aws_secret_access_key = S\n");
	gives(NULL, "credentials file F S - 0");
}

static void processes_that_fail(void **state)
{
	(void)state;
	give_process("/bin/sh -c 'echo HUSH; echo HUSH >&2; exit 3'");
	fails(NULL, ERR_DENIED,
	      "credential_process of profile 'default': exit code 3");
	give_process("/bin/echo HUSH");
	fails(NULL, ERR_INVALID, "credential_process of profile 'default': ");
	give_process("/bin/echo 'HUSH");
	fails(NULL, ERR_INVALID, "a quote is not closed");
	give_process("/no/such/program HUSH");
	fails(NULL, ERR_SYS, "/no/such/program");
	give_process("/usr/bin/head -c 70000 /dev/zero");
	fails(NULL, ERR_INVALID, "printed over");
	/* No shell: what follows is arguments. */
	give_process("/bin/echo {} ; exit 0");
	fails(NULL, ERR_INVALID, "not a JSON object");
}

static void roles_that_cannot_be(void **state)
{
	(void)state;
	write_file("config",
		   "[profile none]\nrole_arn = r\n"
		   "[profile both]\nrole_arn = r\nsource_profile = none\n"
		   "credential_source = Environment\n"
		   "[profile self]\nrole_arn = r\nsource_profile = self\n"
		   "[profile a]\nrole_arn = r\nsource_profile = b\n"
		   "[profile b]\nrole_arn = r\nsource_profile = a\n"
		   "[profile lost]\nrole_arn = r\nsource_profile = x\n"
		   "[profile mfa]\nrole_arn = r\nsource_profile = none\n"
		   "mfa_serial = m\n"
		   "[profile bare]\nregion = us-east-1\n"
		   "[profile dry]\nrole_arn = r\nsource_profile = bare\n"
		   "[profile odd]\nrole_arn = r\ncredential_source = Odd\n"
		   "[profile env]\nrole_arn = r\n"
		   "credential_source = Environment\n"
		   "[profile long]\nrole_arn = r\nduration_seconds = 899\n"
		   "[profile web]\nweb_identity_token_file = /no/such\n"
		   "[profile token]\nweb_identity_token_file = /no/such\n"
		   "role_arn = r\n");
	fails("none", ERR_INVALID, "needs source_profile or");
	fails("both", ERR_INVALID, "not both");
	fails("self", ERR_INVALID, "circle");
	fails("a", ERR_INVALID, "circle");
	fails("lost", ERR_INVALID, "'x' of profile 'lost' does not exist");
	fails("mfa", ERR_INVALID, "MFA");
	fails("dry", ERR_DENIED, "'bare' has no credentials");
	fails("odd", ERR_INVALID, "must be Environment");
	fails("env", ERR_DENIED, "Environment of profile 'env' has none");
	fails("long", ERR_INVALID, "duration_seconds");
	fails("web", ERR_INVALID, "without a role");
	fails("token", ERR_INVALID, "'/no/such': no such file");
}

static void long_trails_end(void **state)
{
	auto_buf struct buf text = BUF_INIT(4096);

	(void)state;
	for (int i = 0; i < 12; i++)
		buf_addf(&text,
			 "[profile p%d]\nrole_arn = r\nsource_profile = p%d\n",
			 i, i + 1);
	buf_adds(&text, "[profile p12]\n");
	write_file("config", buf_str(&text));
	fails("p0", ERR_LIMIT, "point at each other");
}

static void container_settings_that_make_no_sense(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/", 1);
	fails(NULL, ERR_INVALID, "FULL_URI must be https");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "HUSH\r\nX: y", 1);
	fails(NULL, ERR_INVALID, "line break");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/no/such", 1);
	fails(NULL, ERR_INVALID, "'/no/such': no such file");
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "/config", "/credentials", "/keys",
					     "/full", "" };

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
		cmocka_unit_test(splits_words_as_a_shell_does),
		cmocka_unit_test(refuses_lines_that_do_not_end),
		cmocka_unit_test(reads_times),
		cmocka_unit_test(refreshes_before_they_expire),
		cmocka_unit_test(does_not_try_at_every_call),
		cmocka_unit_test(never_refreshes_what_never_expires),
		cmocka_unit_test(short_lives_are_used_half),
		cmocka_unit_test(stale_ones_are_kept_for_a_while),
		cmocka_unit_test(reads_documents),
		cmocka_unit_test(malformed_documents_are_not_quoted),
		cmocka_unit_test(container_urls),
		IN_CLEAN_ENVIRONMENT(finds_nothing),
		IN_CLEAN_ENVIRONMENT(the_environment_comes_first),
		IN_CLEAN_ENVIRONMENT(keys_come_from_one_section),
		IN_CLEAN_ENVIRONMENT(asks_a_process),
		IN_CLEAN_ENVIRONMENT(processes_that_fail),
		IN_CLEAN_ENVIRONMENT(roles_that_cannot_be),
		IN_CLEAN_ENVIRONMENT(long_trails_end),
		IN_CLEAN_ENVIRONMENT(container_settings_that_make_no_sense),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
