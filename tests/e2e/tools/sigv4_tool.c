/*
 * sigv4_tool - signs what it is told, for comparison with other signers.
 *
 * Reads one JSON object per line: method, path, query and headers (lists of
 * pairs), body, host, region, service, time, access_key, secret_key, token
 * (optional).  Answers each with a line {"target", "authorization", "date"},
 * or {"error"}.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/credentials.h"
#include "builder/aws/sigv4.h"

#include <stdio.h>
#include <string.h>

#define PAIRS_MAX 64

static size_t read_pairs(const json_t *list, struct sigv4_pair *pairs)
{
	size_t n = 0;
	size_t i;
	const json_t *item;

	json_array_foreach(list, i, item)
	{
		if (n == PAIRS_MAX)
			break;
		pairs[n].name = json_string_value(json_array_get(item, 0));
		pairs[n].value = json_string_value(json_array_get(item, 1));
		if (pairs[n].name && pairs[n].value)
			n++;
	}
	return n;
}

static json_t *sign(const json_t *doc)
{
	struct sigv4_pair query[PAIRS_MAX];
	struct sigv4_pair headers[PAIRS_MAX];
	struct credentials keys = {
		.access_key = (char *)json_get_str(doc, "access_key", ""),
		.secret_key = (char *)json_get_str(doc, "secret_key", ""),
		.session_token = (char *)json_get_str(doc, "token", NULL),
	};
	struct sigv4_request q = {
		.method = json_get_str(doc, "method", ""),
		.path = json_get_str(doc, "path", ""),
		.query = query,
		.query_count = read_pairs(json_object_get(doc, "query"), query),
		.headers = headers,
		.headers_count =
			read_pairs(json_object_get(doc, "headers"), headers),
		.body = slice_str(json_get_str(doc, "body", "")),
		.host = json_get_str(doc, "host", ""),
		.region = json_get_str(doc, "region", ""),
		.service = json_get_str(doc, "service", ""),
		.time = json_integer_value(json_object_get(doc, "time")),
	};
	struct sigv4_signature s;
	struct error err;
	json_t *answer;

	if (sigv4_sign(&q, &keys, &s, &err) < 0)
		return json_pack("{s:s}", "error", err.msg);
	answer = json_pack("{s:s, s:s, s:s}", "target", s.target,
			   "authorization", s.authorization, "date", s.date);
	sigv4_signature_release(&s);
	return answer;
}

int main(void)
{
	auto_free char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		json_auto_t *doc = json_loads(line, 0, NULL);
		json_auto_t *answer = sign(doc);

		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	}
	return 0;
}
