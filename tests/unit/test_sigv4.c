/*
 * builder/aws/sigv4.h: what is signed and sent, case by case.
 *
 * Each case says what the canonical request must be, written down by the
 * specification's rules; the signature is then made from that text here, with
 * code of the test's own.  tests/e2e/aws_signer.sh compares with botocore.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/credentials.h"
#include "builder/aws/sigv4.h"

#define ACCESS "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define HOST   "ecs.us-east-1.amazonaws.com"
#define TIME   1795342500 /* 2026-11-22T10:15:00Z */
#define DATE   "20261122T101500Z"
#define TAIL   "x-amz-date:" DATE "\n"
#define HOSTS  "host:" HOST "\n" TAIL
#define NAMES  "host;x-amz-date"

struct vector {
	const char *what;
	const char *method; /* NULL: GET */
	const char *path;   /* NULL: "/" */
	struct sigv4_pair query[8];
	struct sigv4_pair headers[8];
	const char *body;
	const char *token;
	const char *host; /* NULL: HOST */

	/* Expected; NULL as in the plainest request. */
	const char *sent;	/* target */
	const char *canon_path; /* NULL: "/" */
	const char *canon_query;
	const char *canon_headers;
	const char *names;
};

static const struct vector vectors[] = {
	{ .what = "the plainest request" },
	{ "POST with a body", .method = "POST", .body = "{\"cluster\":\"x\"}" },
	{ "POST without a body", .method = "POST" },
	{ "a body of UTF-8", .method = "POST", .body = "{\"a\":\"\xc3\xa9\"}" },
	{ "PUT", .method = "PUT", .path = "/latest/api/token",
	  .canon_path = "/latest/api/token", .sent = "/latest/api/token" },
	{ "an empty path", .path = "" },

	/* Paths: sent encoded once, signed encoded twice. */
	{ "a plain path", .path = "/v2/_x-y.z~", .sent = "/v2/_x-y.z~",
	  .canon_path = "/v2/_x-y.z~" },
	{ "a space in a path", .path = "/a b", .sent = "/a%20b",
	  .canon_path = "/a%2520b" },
	{ "an ARN in a path", .path = "/arn:aws:ecs",
	  .sent = "/arn%3Aaws%3Aecs", .canon_path = "/arn%253Aaws%253Aecs" },
	{ "UTF-8 in a path", .path = "/\xe1\x88\xb4", .sent = "/%E1%88%B4",
	  .canon_path = "/%25E1%2588%25B4" },
	{ "a percent sign in a path", .path = "/100%25", .sent = "/100%2525",
	  .canon_path = "/100%252525" },
	{ "sub-delimiters in a path", .path = "/!$&'()*+,;=@",
	  .sent = "/%21%24%26%27%28%29%2A%2B%2C%3B%3D%40",
	  .canon_path = "/%2521%2524%2526%2527%2528%2529%252A%252B%252C%253B"
			"%253D%2540" },
	{ "a slash at the end", .path = "/a/", .sent = "/a/",
	  .canon_path = "/a/" },
	{ "slashes doubled", .path = "//a///b//", .sent = "/a/b/",
	  .canon_path = "/a/b/" },
	{ "a dot segment", .path = "/./a/./b", .sent = "/a/b",
	  .canon_path = "/a/b" },
	{ "dot segments that lead up", .path = "/a/b/../../c", .sent = "/c",
	  .canon_path = "/c" },
	{ "dot segments over the top", .path = "/../..", .sent = "/" },
	{ "dots that are no dot segment", .path = "/a/...", .sent = "/a/...",
	  .canon_path = "/a/..." },

	/* Queries: sorted and encoded, and sent as signed. */
	{ "one parameter", .query = { { "a", "b" } }, .sent = "/?a=b",
	  .canon_query = "a=b" },
	{ "parameters are sorted by name",
	  .query = { { "b", "2" }, { "a", "1" }, { "C", "3" } },
	  .sent = "/?C=3&a=1&b=2", .canon_query = "C=3&a=1&b=2" },
	{ "the same name is sorted by value",
	  .query = { { "a", "z" }, { "a", "b" }, { "a", "" } },
	  .sent = "/?a=&a=b&a=z", .canon_query = "a=&a=b&a=z" },
	{ "a name is sorted before a longer one",
	  .query = { { "a-b", "1" }, { "a", "2" }, { "ab", "0" } },
	  .sent = "/?a=2&a-b=1&ab=0", .canon_query = "a=2&a-b=1&ab=0" },
	{ "names are sorted as they are encoded",
	  .query = { { "a", "1" }, { "\xc3\xa9", "2" }, { "A", "3" } },
	  .sent = "/?%C3%A9=2&A=3&a=1", .canon_query = "%C3%A9=2&A=3&a=1" },
	{ "an empty value keeps its =", .query = { { "acl", "" } },
	  .sent = "/?acl=", .canon_query = "acl=" },
	{ "a space is %20, a plus %2B", .query = { { "a b", "c+d e" } },
	  .sent = "/?a%20b=c%2Bd%20e", .canon_query = "a%20b=c%2Bd%20e" },
	{ "reserved characters of a query",
	  .query = { { "q", "/?:@!$&'()*,;=%#[]" } },
	  .sent = "/?q=%2F%3F%3A%40%21%24%26%27%28%29%2A%2C%3B%3D%25%23%5B%5D",
	  .canon_query = "q=%2F%3F%3A%40%21%24%26%27%28%29%2A%2C%3B%3D%25%23%5B"
			 "%5D" },
	{ "unreserved characters of a query", .query = { { "-._~", "~_.-" } },
	  .sent = "/?-._~=~_.-", .canon_query = "-._~=~_.-" },
	{ "UTF-8 in a query", .query = { { "n", "\xe1\x88\xb4" } },
	  .sent = "/?n=%E1%88%B4", .canon_query = "n=%E1%88%B4" },
	{ "a path and a query", .path = "/x y", .query = { { "a", "1" } },
	  .sent = "/x%20y?a=1", .canon_path = "/x%2520y",
	  .canon_query = "a=1" },

	/* Headers: lower case, sorted, folded, merged. */
	{ "the headers of a JSON service", .method = "POST", .body = "{}",
	  .headers = { { "X-Amz-Target", "S.Op" },
		       { "Content-Type", "application/x-amz-json-1.1" } },
	  .canon_headers = "content-type:application/x-amz-json-1.1\n" HOSTS
			   "x-amz-target:S.Op\n",
	  .names = "content-type;host;x-amz-date;x-amz-target" },
	{ "the headers of a query service", .method = "POST",
	  .body = "Action=GetCallerIdentity&Version=2011-06-15",
	  .headers = { { "content-type", "application/x-www-form-urlencoded; "
					 "charset=utf-8" } },
	  .canon_headers = "content-type:application/x-www-form-urlencoded; "
			   "charset=utf-8\n" HOSTS,
	  .names = "content-type;host;x-amz-date" },
	{ "spaces around and inside a value",
	  .headers = { { "My-Header", "  a   b \t c  " } },
	  .canon_headers = "host:" HOST "\nmy-header:a b c\n" TAIL,
	  .names = "host;my-header;x-amz-date" },
	{ "quotes do not protect spaces",
	  .headers = { { "My-Header", "\"a   b\"" } },
	  .canon_headers = "host:" HOST "\nmy-header:\"a b\"\n" TAIL,
	  .names = "host;my-header;x-amz-date" },
	{ "an empty value", .headers = { { "My-Header", " " } },
	  .canon_headers = "host:" HOST "\nmy-header:\n" TAIL,
	  .names = "host;my-header;x-amz-date" },
	{ "equal names are merged in their order",
	  .headers = { { "my-header", "z" },
		       { "MY-HEADER", "  a " },
		       { "My-Header", "m" } },
	  .canon_headers = "host:" HOST "\nmy-header:z,a,m\n" TAIL,
	  .names = "host;my-header;x-amz-date" },
	{ "a name that begins another comes first",
	  .headers = { { "x-amz-date-2", "b" }, { "x-amz", "a" } },
	  .canon_headers = "host:" HOST "\nx-amz:a\n" TAIL "x-amz-date-2:b\n",
	  .names = "host;x-amz;x-amz-date;x-amz-date-2" },
	{ "headers on both sides of host",
	  .headers = { { "Zz", "1" }, { "Accept", "2" } },
	  .canon_headers = "accept:2\n" HOSTS "zz:1\n",
	  .names = "accept;host;x-amz-date;zz" },

	/* Tokens and hosts. */
	{ "a session token is signed", .token = "AQoDYXdzEPT//////////wEXAM==",
	  .canon_headers =
		  HOSTS "x-amz-security-token:AQoDYXdzEPT//////////wEXAM==\n",
	  .names = NAMES ";x-amz-security-token" },
	{ "a session token beside a target", .token = "T",
	  .headers = { { "X-Amz-Target", "S.Op" } },
	  .canon_headers = HOSTS "x-amz-security-token:T\n"
				 "x-amz-target:S.Op\n",
	  .names = NAMES ";x-amz-security-token;x-amz-target" },
	{ "an unusual port is part of the host", .host = "127.0.0.1:4566",
	  .canon_headers = "host:127.0.0.1:4566\n" TAIL },
	{ "an address of IPv6", .host = "[::1]:80",
	  .canon_headers = "host:[::1]:80\n" TAIL },
};

static void to_hex(const unsigned char *hash, char out[65])
{
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static void sha(const char *text, char out[65])
{
	unsigned char hash[32];

	SHA256((const unsigned char *)text, strlen(text), hash);
	to_hex(hash, out);
}

static void chain(unsigned char key[32], size_t len, const unsigned char *first,
		  const char *text)
{
	unsigned int n = 32;

	HMAC(EVP_sha256(), first ? first : key, (int)len,
	     (const unsigned char *)text, strlen(text), key, &n);
}

static void expected_signature(const char *canonical, char out[65])
{
	unsigned char key[32];
	char hash[65];
	auto_free char *text = NULL;

	sha(canonical, hash);
	text = xasprintf("AWS4-HMAC-SHA256\n" DATE
			 "\n20261122/us-east-1/ecs/aws4_request\n%s",
			 hash);
	chain(key, strlen("AWS4" SECRET), (const unsigned char *)"AWS4" SECRET,
	      "20261122");
	chain(key, 32, NULL, "us-east-1");
	chain(key, 32, NULL, "ecs");
	chain(key, 32, NULL, "aws4_request");
	chain(key, 32, NULL, text);
	to_hex(key, out);
}

static size_t count_pairs(const struct sigv4_pair *pairs)
{
	size_t n = 0;

	while (n < 8 && pairs[n].name)
		n++;
	return n;
}

static struct sigv4_request request_of(const struct vector *v)
{
	return (struct sigv4_request){
		.method = v->method ? v->method : "GET",
		.path = v->path ? v->path : "/",
		.query = v->query,
		.query_count = count_pairs(v->query),
		.headers = v->headers,
		.headers_count = count_pairs(v->headers),
		.body = slice_str(v->body ? v->body : ""),
		.host = v->host ? v->host : HOST,
		.region = "us-east-1",
		.service = "ecs",
		.time = TIME,
	};
}

static struct credentials keys_with(const char *token)
{
	return (struct credentials){ .access_key = (char *)ACCESS,
				     .secret_key = (char *)SECRET,
				     .session_token = (char *)token };
}

static void check_vector(const struct vector *v)
{
	struct sigv4_request q = request_of(v);
	struct credentials keys = keys_with(v->token);
	struct sigv4_signature s;
	struct error err = ERROR_INIT;
	auto_free char *canonical = NULL;
	auto_free char *wanted = NULL;
	char body[65];
	char signature[65];

	sha(v->body ? v->body : "", body);
	canonical = xasprintf("%s\n%s\n%s\n%s\n%s\n%s", q.method,
			      v->canon_path ? v->canon_path : "/",
			      v->canon_query ? v->canon_query : "",
			      v->canon_headers ? v->canon_headers : HOSTS,
			      v->names ? v->names : NAMES, body);
	expected_signature(canonical, signature);
	wanted = xasprintf("AWS4-HMAC-SHA256 Credential=" ACCESS
			   "/20261122/us-east-1/ecs/aws4_request, "
			   "SignedHeaders=%s, Signature=%s",
			   v->names ? v->names : NAMES, signature);
	if (sigv4_sign(&q, &keys, &s, &err) != 0)
		fail_msg("%s: %s", v->what, err.msg);
	assert_string_equal(s.date, DATE);
	if (strcmp(s.target, v->sent ? v->sent : "/") != 0)
		fail_msg("%s: sends %s", v->what, s.target);
	if (strcmp(s.authorization, wanted) != 0)
		fail_msg("%s:\n%s\nis not\n%s\nof\n%s", v->what,
			 s.authorization, wanted, canonical);
	sigv4_signature_release(&s);
}

static void requests_are_signed_as_the_specification_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		check_vector(&vectors[i]);
}

/* Made with Python's hashlib and hmac alone: neither code above is judge. */
static void a_signature_known_from_elsewhere(void **state)
{
	struct vector v = { .token = "TOKEN" };
	struct sigv4_request q = request_of(&v);
	struct credentials keys = keys_with(v.token);
	struct sigv4_signature s;
	struct error err;

	(void)state;
	assert_int_equal(sigv4_sign(&q, &keys, &s, &err), 0);
	assert_non_null(strstr(s.authorization,
			       "Signature=d9f57693031fffc205c699dd07fe363f"
			       "1cabeb8a098347ec442354eabf09506b"));
	sigv4_signature_release(&s);
}

static void a_body_may_hold_nul(void **state)
{
	struct vector v = { .method = "POST" };
	struct sigv4_request q = request_of(&v);
	struct credentials keys = keys_with(NULL);
	struct sigv4_signature a;
	struct sigv4_signature b;
	struct error err;

	(void)state;
	q.body = (struct slice){ "a\0b", 3 };
	assert_int_equal(sigv4_sign(&q, &keys, &a, &err), 0);
	q.body = (struct slice){ "a\0c", 3 };
	assert_int_equal(sigv4_sign(&q, &keys, &b, &err), 0);
	assert_string_not_equal(a.authorization, b.authorization);
	sigv4_signature_release(&a);
	sigv4_signature_release(&b);
}

static void assert_refused(const struct sigv4_request *q,
			   const struct credentials *keys, const char *word)
{
	struct sigv4_signature s;
	struct error err = ERROR_INIT;

	assert_int_equal(sigv4_sign(q, keys, &s, &err), -ERR_INVALID);
	if (!strstr(err.msg, word))
		fail_msg("'%s' is not in '%s'", word, err.msg);
	assert_null(strstr(err.msg, SECRET));
}

static void headers_that_cannot_be_sent_are_refused(void **state)
{
	static const struct sigv4_pair bad[] = {
		{ "X-Name", "a\r\nb: c" },
		{ "X-Name", "\xc3\xa9" },
		{ "X-Name", "a\x7f" },
		{ "X Name", "a" },
		{ "", "a" },
		{ "X-Name:", "a" },
		{ "Host", "elsewhere" },
		{ "x-amz-date", "20200101T000000Z" },
		{ "AUTHORIZATION", "a" },
		{ "X-Amz-Security-Token", "a" },
	};
	struct vector v = { 0 };
	struct sigv4_request q = request_of(&v);
	struct credentials keys = keys_with(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		q.headers = &bad[i];
		q.headers_count = 1;
		assert_refused(&q, &keys, "header");
	}
}

static void malformed_scopes_are_refused(void **state)
{
	struct vector v = { 0 };
	struct sigv4_request q = request_of(&v);
	struct credentials keys = keys_with(NULL);

	(void)state;
	q.region = "";
	assert_refused(&q, &keys, "region");
	q.region = "us-east-1/s3";
	assert_refused(&q, &keys, "region");
	q = request_of(&v);
	q.service = "";
	assert_refused(&q, &keys, "signing name");
	q = request_of(&v);
	q.host = "a\nb";
	assert_refused(&q, &keys, "host");
	q = request_of(&v);
	q.time = INT64_MAX;
	assert_refused(&q, &keys, "time");
}

static void malformed_keys_are_refused_without_showing_them(void **state)
{
	struct vector v = { 0 };
	struct sigv4_request q = request_of(&v);
	struct credentials keys = keys_with("a\nb");

	(void)state;
	assert_refused(&q, &keys, "session token");
	keys = keys_with(NULL);
	keys.access_key = (char *)"AK ID";
	assert_refused(&q, &keys, "access key");
	keys = keys_with(NULL);
	keys.secret_key = (char *)"";
	assert_refused(&q, &keys, "secret key");
}

static void an_endless_path_or_query_is_refused(void **state)
{
	auto_free char *text = xmalloc(200001);
	struct sigv4_pair pair = { "a", text };
	struct vector v = { 0 };
	struct sigv4_request q = request_of(&v);
	struct credentials keys = keys_with(NULL);

	(void)state;
	memset(text, '/', 200000);
	text[200000] = '\0';
	q.query = &pair;
	q.query_count = 1;
	assert_refused(&q, &keys, "longer than");
	memset(text + 1, 'a', 199999);
	q.query_count = 0;
	q.path = text;
	assert_refused(&q, &keys, "longer than");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_signed_as_the_specification_says),
		cmocka_unit_test(a_signature_known_from_elsewhere),
		cmocka_unit_test(a_body_may_hold_nul),
		cmocka_unit_test(headers_that_cannot_be_sent_are_refused),
		cmocka_unit_test(malformed_scopes_are_refused),
		cmocka_unit_test(
			malformed_keys_are_refused_without_showing_them),
		cmocka_unit_test(an_endless_path_or_query_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
