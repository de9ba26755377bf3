/* Any bytes as what credentials are made of: a document, a credential_process
 * line, a URL, a time.  What is taken keeps the promises of its header. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/aws_time.h"
#include "builder/aws/aws_url.h"
#include "builder/aws/aws_words.h"
#include "builder/aws/credentials_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_document(struct slice text)
{
	static const struct credentials_form form = { .token = "Token" };
	struct credentials c = { 0 };
	struct error err = ERROR_INIT;

	if (credentials_parse(text, &form, "place", &c, &err) == 0 &&
	    (!*c.access_key || strpbrk(c.access_key, "\r\n") ||
	     !*c.secret_key || (c.session_token && !*c.session_token)))
		abort();
	credentials_release(&c);
}

static void try_words(const char *text)
{
	char **words = NULL;
	size_t total = 0;
	size_t n = 0;
	struct error err = ERROR_INIT;

	if (aws_words_split(text, &words, &err) < 0)
		return;
	for (; words[n]; n++)
		total += strlen(words[n]);
	if (n == 0 || n > AWS_WORDS_MAX || total > strlen(text))
		abort();
	aws_words_free(words);
}

/* The origin of a URL is a URL of the same parts. */
static void try_url(const char *text)
{
	struct aws_url u = { 0 };
	struct aws_url again = { 0 };
	auto_free char *origin = NULL;
	struct error err = ERROR_INIT;

	if (aws_url_parse(text, &u, &err) < 0)
		return;
	origin = aws_url_origin(&u);
	if (aws_url_parse(origin, &again, &err) < 0 ||
	    strcmp(u.host, again.host) != 0 || u.port != again.port ||
	    aws_url_may_give_credentials(&u) !=
		    aws_url_may_give_credentials(&again))
		abort();
	aws_url_release(&u);
	aws_url_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = { (const char *)data, size };
	auto_free char *text = slice_dup(bytes);
	int64_t when;

	try_document(bytes);
	try_words(text);
	try_url(text);
	if (aws_time_parse(text, &when) && when < -86400)
		abort();
	return 0;
}
