/*
 * aws_tool - makes calls through builder/aws/aws.h for shell tests.
 *
 *	aws_tool [-k] [-n TIMES] [-t CANCEL_MS] SERVICE OPERATION < INPUT.json
 *
 * Prints the output as JSON.  A failure prints "error CODE MESSAGE" and, when
 * the service answered, "status", "code", "message" and "request_id" lines,
 * and exits with the number of the code.  -n makes the call so often in one
 * session (until one fails, or with -k all of them); -t cancels after so many
 * milliseconds.  SERVICE is an IAM prefix.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/aws/aws.h"

#include <stdio.h>
#include <string.h>

static int64_t cancel_at;
static bool keep_going;

static bool is_canceled(void *ctx)
{
	(void)ctx;
	return cancel_at && clock_ms() >= cancel_at;
}

static int find_service(const char *name)
{
	for (int i = 0; i < AWS_SERVICES_COUNT; i++)
		if (strcmp(aws_service_name(i), name) == 0)
			return i;
	return -1;
}

static int fail(const struct aws *a, int r, const struct error *err)
{
	const struct aws_error *e = a ? aws_last_error(a) : NULL;

	printf("error %s %s\n", err_code_name(err->code), err->msg);
	if (e && e->status)
		printf("status %ld\ncode %s\nmessage %s\nrequest_id %s\n",
		       e->status, e->code, e->message, e->request_id);
	return -r;
}

static int call(struct aws *a, int service, const char *operation,
		const json_t *input)
{
	json_auto_t *output = NULL;
	struct error err;
	int r = aws_call(a, service, operation, input, &output, &err);

	if (r < 0)
		return fail(a, r, &err);
	json_dumpf(output, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
	return 0;
}

static int run(int service, const char *operation, long times)
{
	struct aws_options options = { .is_canceled = is_canceled };
	json_auto_t *input = json_loadf(stdin, 0, NULL);
	struct error err = ERROR_INIT;
	struct aws *a = NULL;
	int r;

	if (!json_is_object(input)) {
		fprintf(stderr, "aws_tool: stdin: expected a JSON object\n");
		return 100;
	}
	r = aws_open(&options, &a, &err);
	if (r < 0)
		return fail(a, r, &err);
	for (; times > 0 && (r == 0 || keep_going); times--)
		r = call(a, service, operation, input);
	aws_close(a);
	return r;
}

int main(int argc, char **argv)
{
	long times = 1;
	int opt;
	int service;

	while ((opt = getopt(argc, argv, "+kn:t:")) != -1) {
		if (opt == 'n')
			times = strtol(optarg, NULL, 10);
		else if (opt == 'k')
			keep_going = true;
		else if (opt == 't')
			cancel_at = clock_ms() + strtol(optarg, NULL, 10);
		else
			return 100;
	}
	if (argc - optind != 2) {
		fprintf(stderr,
			"usage: aws_tool [-k] [-n TIMES] "
			"[-t CANCEL_MS] SERVICE OPERATION < INPUT.json\n");
		return 100;
	}
	service = find_service(argv[optind]);
	if (service < 0) {
		fprintf(stderr, "aws_tool: no service '%s'\n", argv[optind]);
		return 100;
	}
	return run(service, argv[optind + 1], times);
}
