/*
 * aws_parts_tool - ECR, CloudWatch Logs and Secrets Manager through our own
 * modules, for shell tests.
 *
 *	aws_parts_tool publish REPOSITORY IMAGE VERSION
 *	aws_parts_tool retain REPOSITORY AGE_S [DIGEST…]
 *	aws_parts_tool delete-repository REPOSITORY
 *	aws_parts_tool group GROUP DAYS
 *	aws_parts_tool history GROUP STREAM LINES
 *	aws_parts_tool drain GROUP STREAM QUIET_MS TOTAL_MS
 *	aws_parts_tool logs GROUP [-t] [-n N] [-p PROCESS] [-s UNIX_S]
 *			[-g TEXT] [-d FOLDER] [-e CLUSTER,SERVICE…]
 *	aws_parts_tool secret NAME LABEL < VARS.json
 *	aws_parts_tool secret-retain NAME PREFIX [LABEL…]
 *	aws_parts_tool secret-delete NAME
 *
 * Transcript lines go to standard output as they are.  A failure prints
 * "error CODE MESSAGE" and exits with the number of the code.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/aws/aws.h"
#include "builder/aws/cloudwatch_logs.h"
#include "builder/aws/ecr.h"
#include "builder/aws/secrets.h"
#include "builder/engine/engine.h"
#include "builder/rollout/ecs/logs.h"
#include "builder/rollout/ecs/publish.h"
#include "builder/rollout/target.h"

#include <stdio.h>
#include <string.h>

#define USAGE 100

static int64_t number(const char *text)
{
	return strtoll(text, NULL, 10);
}

/* ---- ECR ---- */

static void on_text(void *ctx, const char *line)
{
	(void)ctx;
	if (line)
		printf("%s\n", line);
	fflush(stdout);
}

static bool is_canceled(void *ctx)
{
	int64_t *until = ctx;

	return *until && clock_ms() >= *until;
}

static int publish(struct aws *a, char **argv, struct error *err)
{
	const char *socket = getenv("DOCKER_SOCKET") ?: "/var/run/docker.sock";
	const char *cancel = getenv("CANCEL_MS");
	auto_free char *url = xasprintf("unix://%s", socket);
	auto_free char *image = NULL;
	int64_t until = cancel ? clock_ms() + number(cancel) : 0;
	const struct target_report report = { .detail = on_text,
					      .busy = on_text,
					      .progress = on_text,
					      .is_canceled = is_canceled,
					      .ctx = &until };
	json_auto_t *tags = json_array();
	struct ecr_repository repository = { NULL, NULL };
	struct ecs_publication what = { .repository = argv[0],
					.image = argv[1],
					.version = number(argv[2]) };
	struct engine *engine = NULL;
	int r = engine_open(url, &engine, err);

	if (r == 0)
		r = ecr_ensure_repository(a, argv[0], tags, &repository, err);
	what.uri = repository.uri;
	if (r == 0)
		r = ecs_publish(a, engine, &what, &report, &image, err);
	ecr_repository_release(&repository);
	if (r == 0)
		printf("image %s\n", image);
	engine_close(engine);
	return r;
}

static int retain(struct aws *a, char **argv, struct error *err)
{
	const struct ecr_retention rule = {
		.keep = (const char *const *)argv + 2,
		.min_age_s = number(argv[1]),
		.is_ours = ecs_is_image_tag,
		.with_untagged = true,
	};
	int r = ecr_retain(a, argv[0], &rule, err);

	if (r >= 0)
		printf("deleted %d\n", r);
	return r;
}

/* ---- logs ---- */

static int ensure_group(struct aws *a, char **argv, struct error *err)
{
	json_auto_t *tags = json_pack("{s:s}", "made-by", "tests");

	return cloudwatch_ensure_group(a, argv[0], number(argv[1]), tags, err);
}

static int on_event(void *ctx, const struct cloudwatch_event *e)
{
	(void)ctx;
	printf("%.*s\n", (int)e->message.len, e->message.ptr);
	return 0;
}

static int on_line(void *ctx, struct slice line)
{
	(void)ctx;
	printf("%.*s\n", (int)line.len, line.ptr);
	return fflush(stdout) != 0;
}

static int drain(struct aws *a, char **argv, struct error *err)
{
	struct cloudwatch_stream stream;
	int r;

	cloudwatch_stream_init(&stream, a, argv[0], argv[1]);
	r = cloudwatch_stream_drain(&stream, (int)number(argv[2]),
				    (int)number(argv[3]), on_event, NULL, NULL,
				    err);
	cloudwatch_stream_release(&stream);
	return r;
}

static int logs(struct aws *a, int argc, char **argv, struct error *err)
{
	const char *services[17] = { NULL };
	struct ecs_log_source source = {
		.aws = a, .group = argv[0], .cluster = "", .services = services
	};
	struct target_log_options options = { .tail = 100 };
	size_t count = 0;
	int opt;

	optind = 1;
	while ((opt = getopt(argc, argv, "tn:p:s:g:d:e:")) != -1) {
		if (opt == 't')
			options.follow = true;
		else if (opt == 'n')
			options.tail = (int)number(optarg);
		else if (opt == 'p')
			options.process = optarg;
		else if (opt == 's')
			options.since = number(optarg);
		else if (opt == 'g')
			options.grep = optarg;
		else if (opt == 'd')
			source.folder = optarg;
		else if (opt == 'e')
			source.cluster = strsep(&optarg, ",");
		while (opt == 'e' && optarg && count < 16)
			services[count++] = strsep(&optarg, ",");
	}
	return ecs_logs(&source, &options, on_line, NULL, err);
}

/* ---- secrets ---- */

static int secret(struct aws *a, char **argv, struct error *err)
{
	json_auto_t *vars = json_loadf(stdin, 0, NULL);
	json_auto_t *tags = json_array();
	json_auto_t *list = NULL;
	struct secret_version v = { .arn = NULL };
	int r;

	if (!vars)
		return err_set(err, ERR_INVALID, "stdin: expected JSON");
	r = secrets_publish(a, argv[0], argv[1], tags, vars, &v, err);
	if (r == 0)
		r = secrets_for_container(vars, &v, &list, err);
	if (r == 0) {
		printf("arn %s\nversion %s\n", v.arn ?: "-", v.id ?: "-");
		json_dumpf(list, stdout, JSON_COMPACT);
		putchar('\n');
	}
	secret_version_release(&v);
	return r;
}

static int run(struct aws *a, const char *name, int argc, char **argv,
	       struct error *err)
{
	if (strcmp(name, "publish") == 0 && argc == 3)
		return publish(a, argv, err);
	if (strcmp(name, "retain") == 0 && argc >= 2)
		return retain(a, argv, err);
	if (strcmp(name, "delete-repository") == 0 && argc == 1)
		return ecr_delete_repository(a, argv[0], err);
	if (strcmp(name, "group") == 0 && argc == 2)
		return ensure_group(a, argv, err);
	if (strcmp(name, "history") == 0 && argc == 3)
		return cloudwatch_history(a, argv[0], argv[1],
					  (size_t)number(argv[2]), on_event,
					  NULL, err);
	if (strcmp(name, "drain") == 0 && argc == 4)
		return drain(a, argv, err);
	if (strcmp(name, "logs") == 0 && argc >= 1)
		return logs(a, argc, argv, err);
	if (strcmp(name, "secret") == 0 && argc == 2)
		return secret(a, argv, err);
	if (strcmp(name, "secret-retain") == 0 && argc >= 2)
		return secrets_retain(a, argv[0], argv[1],
				      (const char *const *)argv + 2, err);
	if (strcmp(name, "secret-delete") == 0 && argc == 1)
		return secrets_delete(a, argv[0], err);
	fprintf(stderr, "aws_parts_tool: see the head of its source\n");
	exit(USAGE);
}

int main(int argc, char **argv)
{
	struct aws_options options = { .region = NULL };
	struct error err = ERROR_INIT;
	struct aws *a = NULL;
	int r;

	if (argc < 2)
		return USAGE;
	r = aws_open(&options, &a, &err);
	if (r == 0)
		r = run(a, argv[1], argc - 2, argv + 2, &err);
	if (r < 0)
		printf("error %s %s\n", err_code_name(err.code), err.msg);
	aws_close(a);
	return r < 0 ? -r : 0;
}
