/*
 * aws_credentials_tool - shows what builder/aws/credentials.h finds, for shell
 * tests; never a secret.
 *
 *	aws_credentials_tool [-p PROFILE] [STEP…]
 *
 * Steps, in one session: get, force, region, endpoint:N (of enum aws_service),
 * wait:SECONDS.  Credentials print as "SOURCE|KEY|token or -|EXPIRES", a
 *failure as "error CODE MESSAGE"; the last step's outcome is the exit code.
 */
#include "base/error.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/credentials.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const struct error *err)
{
	printf("error %s %s\n", err_code_name(err->code), err->msg);
	fflush(stdout);
	return 1;
}

static int get(struct credential_chain *chain, bool force)
{
	const struct credentials *c = NULL;
	struct error err = ERROR_INIT;

	if (credential_chain_get(chain, force, &c, &err) < 0)
		return fail(&err);
	printf("%s|%s|%s|%" PRId64 "\n", c->source, c->access_key,
	       c->session_token ? "token" : "-", c->expires);
	fflush(stdout);
	return 0;
}

static int endpoint(const struct aws_environment *e, const char *number)
{
	struct aws_endpoint found = { 0 };
	struct error err = ERROR_INIT;
	int service = (int)strtol(number, NULL, 10);

	if (service < 0 || service >= AWS_SERVICES_COUNT)
		return 1;
	if (aws_environment_endpoint(e, service, &found, &err) < 0)
		return fail(&err);
	printf("%s %s %s\n", found.url, found.region, found.sign_name);
	aws_endpoint_release(&found);
	return 0;
}

static int step(const struct aws_environment *e, struct credential_chain *chain,
		const char *what)
{
	if (strcmp(what, "get") == 0 || strcmp(what, "force") == 0)
		return get(chain, *what == 'f');
	if (strncmp(what, "endpoint:", 9) == 0)
		return endpoint(e, what + 9);
	if (strncmp(what, "wait:", 5) == 0) {
		sleep((unsigned int)strtoul(what + 5, NULL, 10));
		return 0;
	}
	if (strcmp(what, "region") != 0)
		return 1;
	printf("%s\n", aws_environment_region(e));
	return 0;
}

int main(int argc, char **argv)
{
	struct aws_options options = { 0 };
	struct aws_environment *e = NULL;
	struct credential_chain *chain;
	struct error err = ERROR_INIT;
	int result = 0;

	if (argc > 2 && strcmp(argv[1], "-p") == 0) {
		options.profile = argv[2];
		argv += 2;
	}
	if (aws_environment_read(&options, &e, &err) < 0)
		return fail(&err);
	chain = credential_chain_new(e);
	for (argv++; *argv; argv++)
		result = step(e, chain, *argv);
	credential_chain_free(chain);
	aws_environment_free(e);
	return result;
}
