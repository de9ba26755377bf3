/*
 * engine_tool - drives builder/engine/ from shell tests.
 *
 *	engine_tool URL COMMAND ARGUMENT…
 *
 * Prints what the functions return, one "key value" line each.  A failure
 * prints "error CODE MESSAGE" and exits with the code's number.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "builder/engine/build.h"
#include "builder/engine/container.h"
#include "builder/engine/engine.h"
#include "builder/engine/image.h"
#include "builder/engine/network.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OWNER "slipway-engine-test"

typedef int (*command_fn)(struct engine *e, char **argv, struct error *err);

static int do_ping(struct engine *e, char **argv, struct error *err)
{
	const struct engine_info *info = engine_info(e);

	(void)argv;
	(void)err;
	printf("api %s\nserver %s\npodman %d\nbuildkit %d\n", info->api,
	       info->server, info->is_podman, info->has_buildkit);
	return 0;
}

static int do_disk(struct engine *e, char **argv, struct error *err)
{
	int64_t bytes = 0;
	int r = engine_disk_free(e, &bytes, err);

	(void)argv;
	if (r == 0)
		printf("free %" PRId64 "\n", bytes);
	return r;
}

static int do_get(struct engine *e, char **argv, struct error *err)
{
	json_auto_t *doc = NULL;
	int r = engine_call(e, "GET", argv[0], NULL, 20000, &doc, err);

	if (r == 0 && doc)
		json_dumpf(doc, stdout, JSON_INDENT(1));
	return r;
}

/* NAME IMAGE NETWORK [COMMAND…] */
static int do_create(struct engine *e, char **argv, struct error *err)
{
	static const char *const env[] = { "SLIPWAY_TEST=yes", "A=b c", NULL };
	json_auto_t *labels = json_pack(
		"{s:s, s:s, s:s, s:s, s:s}", LABEL_OWNER, OWNER, LABEL_APP, "7",
		LABEL_PROCESS, "web", LABEL_VERSION, "12", LABEL_INDEX, "1");
	struct container_spec spec = {
		.name = argv[0],
		.image = argv[1],
		.network = argv[2],
		.command = argv[3] ? (const char *const *)argv + 3 : NULL,
		.env = env,
		.labels = labels,
		.hostname = "web-1",
		.network_alias = "web",
		.memory = 64 * 1024 * 1024,
		.milli_cpus = 500,
		.pids = 50,
		.log_size = 1024 * 1024,
		.log_files = 2,
		.stop_timeout_s = 2,
	};
	auto_free char *id = NULL;
	int r = container_create(e, &spec, &id, err);

	if (r == 0)
		printf("id %s\n", id);
	return r;
}

static int do_start(struct engine *e, char **argv, struct error *err)
{
	return container_start(e, argv[0], err);
}

static int do_stop(struct engine *e, char **argv, struct error *err)
{
	return container_stop(e, argv[0], 1, err);
}

static int do_remove(struct engine *e, char **argv, struct error *err)
{
	return container_remove(e, argv[0], err);
}

/* ID always|no */
static int do_restart(struct engine *e, char **argv, struct error *err)
{
	return container_set_restart(e, argv[0], strcmp(argv[1], "always") == 0,
				     err);
}

/* ID NETWORK */
static int do_inspect(struct engine *e, char **argv, struct error *err)
{
	struct container_state s;
	int r = container_inspect(e, argv[0], argv[1], &s, err);

	if (r < 0)
		return r;
	printf("running %d\nrestarting %d\noom %d\nexit %d\nrestarts %d\n"
	       "health %s\nerror %s\nip %s\nstarted %s\n",
	       s.is_running, s.is_restarting, s.is_oom_killed, s.exit_code,
	       s.restarts, s.health, s.error ? s.error : "", s.ip, s.started);
	container_state_release(&s);
	return 0;
}

static int do_list(struct engine *e, char **argv, struct error *err)
{
	struct container *list = NULL;
	int count = container_list(e, OWNER, 7, &list, err);

	(void)argv;
	for (int i = 0; i < count; i++) {
		struct container *c = &list[i];

		printf("container %s %s %" PRId64 " %s %" PRId64 " %d %s\n",
		       c->id, c->name, c->app_id, c->process, c->version,
		       c->index, c->state);
		container_release(c);
	}
	free(list);
	return count < 0 ? count : 0;
}

static int print_log(void *ctx, bool is_stderr, struct slice line)
{
	int *left = ctx;

	printf("%s %.*s\n", is_stderr ? "err" : "out", (int)line.len, line.ptr);
	fflush(stdout);
	return --*left == 0;
}

/* ID TAIL FOLLOW MAX-LINES TIMEOUT-MS */
static int do_logs(struct engine *e, char **argv, struct error *err)
{
	struct log_options options = {
		.tail = (int)strtol(argv[1], NULL, 10),
		.follow = strcmp(argv[2], "1") == 0,
		.timeout_ms = (int)strtol(argv[4], NULL, 10),
	};
	int left = (int)strtol(argv[3], NULL, 10);

	return container_logs(e, argv[0], &options, print_log, &left, err);
}

static void print_strings(const char *key, char **list)
{
	for (char **p = list; p && *p; p++) {
		printf("%s %s\n", key, *p);
		free(*p);
	}
	free(list);
}

static int do_subnets(struct engine *e, char **argv, struct error *err)
{
	char **list = NULL;
	int r = network_subnets(e, &list, err);

	(void)argv;
	print_strings("subnet", list);
	return r;
}

static int do_network_exists(struct engine *e, char **argv, struct error *err)
{
	int r = network_exists(e, argv[0], err);

	if (r >= 0)
		printf("exists %d\n", r);
	return r < 0 ? r : 0;
}

/* NAME SUBNET */
static int do_network_create(struct engine *e, char **argv, struct error *err)
{
	return network_create(e, argv[0], argv[1], OWNER, err);
}

static int do_network_remove(struct engine *e, char **argv, struct error *err)
{
	return network_remove(e, argv[0], err);
}

static int do_image(struct engine *e, char **argv, struct error *err)
{
	struct image_info info;
	int r = image_inspect(e, argv[0], &info, err);

	if (r < 0)
		return r;
	printf("id %s\nsize %" PRId64 "\nhealthcheck %d\nexposed %d\nport %d\n"
	       "command %d\n",
	       info.id, info.size, info.has_healthcheck, info.exposed_count,
	       info.exposed_port, info.has_command);
	image_info_release(&info);
	return 0;
}

static int do_tag(struct engine *e, char **argv, struct error *err)
{
	return image_tag(e, argv[0], argv[1], argv[2], err);
}

static int do_untag(struct engine *e, char **argv, struct error *err)
{
	return image_untag(e, argv[0], err);
}

static int do_tags(struct engine *e, char **argv, struct error *err)
{
	char **list = NULL;
	int r = image_tags(e, argv[0], &list, err);

	print_strings("tag", list);
	return r;
}

/* ---- build TAG TAR [KEY=VALUE]… ---- */

#define LISTS_MAX 4
#define SHOWN_MAX 400

struct building {
	int fd;
	struct build_spec spec;
	struct build_credential credentials[LISTS_MAX];
	struct build_secret secrets[LISTS_MAX];
	int64_t cancel_ms; /* by the clock; 0 = never */
	bool fails_read;
	bool is_quiet;
	size_t lines;
	size_t longest;
};

static ssize_t on_read(void *ctx, char *data, size_t size)
{
	struct building *b = ctx;

	return b->fails_read ? -1 : read(b->fd, data, size);
}

static void on_line(void *ctx, struct slice line)
{
	struct building *b = ctx;
	auto_buf struct buf text = BUF_INIT(SHOWN_MAX + 16);

	b->lines++;
	b->longest = line.len > b->longest ? line.len : b->longest;
	if (b->is_quiet)
		return;
	text_add_line(&text, line, SHOWN_MAX);
	printf("| %s\n", buf_str(&text));
	fflush(stdout);
}

static bool on_is_canceled(void *ctx)
{
	struct building *b = ctx;

	return b->cancel_ms && clock_ms() >= b->cancel_ms;
}

static void on_step(void *ctx, const char *name)
{
	struct building *b = ctx;

	if (!b->is_quiet)
		printf("step %s\n", name);
}

/* "HOST,USER,PASSWORD" */
static void add_credential(struct building *b, char *text)
{
	struct build_credential *c =
		&b->credentials[b->spec.credentials_count++];

	c->host = text;
	text = strchr(text, ',');
	*text++ = '\0';
	c->username = text;
	text = strchr(text, ',');
	*text++ = '\0';
	c->password = text;
}

/* "ID,TEXT" */
static void add_secret(struct building *b, char *text)
{
	struct build_secret *secret = &b->secrets[b->spec.secrets_count++];

	secret->id = text;
	text = strchr(text, ',');
	*text++ = '\0';
	secret->data = slice_str(text);
}

static void set_builder(struct building *b, const char *name)
{
	b->spec.builder = BUILDER_AUTO;
	if (strcmp(name, "buildkit") == 0)
		b->spec.builder = BUILDER_BUILDKIT;
	else if (strcmp(name, "classic") == 0)
		b->spec.builder = BUILDER_CLASSIC;
}

/* "K=V" */
static void add_arg(json_t *args, char *text)
{
	char *value = strchr(text, '=');

	*value++ = '\0';
	json_object_set_new(args, text, json_string(value));
}

static int set_build_option(struct building *b, char *option, struct error *err)
{
	char *value = strchr(option, '=');
	int64_t number;

	if (!value)
		return err_set(err, ERR_BUG, "build: option '%s'", option);
	*value++ = '\0';
	number = strtoll(value, NULL, 10);
	if (strcmp(option, "dockerfile") == 0)
		b->spec.dockerfile = value;
	else if (strcmp(option, "target") == 0)
		b->spec.stage = value;
	else if (strcmp(option, "builder") == 0)
		set_builder(b, value);
	else if (strcmp(option, "timeout") == 0)
		b->spec.timeout_ms = number;
	else if (strcmp(option, "idle") == 0)
		b->spec.idle_timeout_ms = number;
	else if (strcmp(option, "cancel") == 0)
		b->cancel_ms = clock_ms() + number;
	else if (strcmp(option, "memory") == 0)
		b->spec.memory = number;
	else if (strcmp(option, "nocache") == 0)
		b->spec.no_cache = number;
	else if (strcmp(option, "quiet") == 0)
		b->is_quiet = number;
	else if (strcmp(option, "badread") == 0)
		b->fails_read = number;
	else if (strcmp(option, "arg") == 0)
		add_arg(b->spec.args, value);
	else if (strcmp(option, "cred") == 0)
		add_credential(b, value);
	else if (strcmp(option, "secret") == 0)
		add_secret(b, value);
	else
		return err_set(err, ERR_BUG, "build: option '%s'", option);
	return 0;
}

static void print_result(const struct building *b,
			 const struct build_result *ret)
{
	struct slice rest =
		slice_str(ret->failed_output ? ret->failed_output : "");
	struct rusage usage = { .ru_maxrss = 0 };
	struct slice line;

	getrusage(RUSAGE_SELF, &usage);
	printf("lines %zu\nlongest %zu\npeak-kb %ld\n", b->lines, b->longest,
	       usage.ru_maxrss);
	if (ret->image)
		printf("image %s\nsteps %d\ncached %d\n", ret->image,
		       ret->steps, ret->steps_cached);
	if (ret->failed_step)
		printf("failed-step %s\n", ret->failed_step);
	if (ret->exit_code)
		printf("exit-code %d\n", ret->exit_code);
	while (slice_line(&rest, &line))
		printf("> %.*s\n", (int)line.len, line.ptr);
}

static int do_build(struct engine *e, char **argv, struct error *err)
{
	auto_close int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	json_auto_t *args = json_object();
	json_auto_t *labels = json_pack("{s:s}", LABEL_OWNER, OWNER);
	struct build_result ret = { NULL };
	struct building b = {
		.fd = fd,
		.spec = { .tag = argv[0],
			  .args = args,
			  .labels = labels,
			  .timeout_ms = 120000,
			  .read = on_read,
			  .line = on_line,
			  .is_canceled = on_is_canceled,
			  .step = on_step },
	};
	int r = 0;

	if (fd < 0)
		return err_errno(err, errno, "open '%s'", argv[1]);
	b.spec.ctx = &b;
	b.spec.credentials = b.credentials;
	b.spec.secrets = b.secrets;
	for (char **option = argv + 2; *option && r == 0; option++)
		r = set_build_option(&b, *option, err);
	if (r == 0)
		r = build_run(e, &b.spec, &ret, err);
	print_result(&b, &ret);
	build_result_release(&ret);
	return r;
}

static const struct {
	const char *name;
	int args; /* at least */
	command_fn run;
} commands[] = {
	{ "ping", 0, do_ping },
	{ "disk", 0, do_disk },
	{ "get", 1, do_get },
	{ "create", 3, do_create },
	{ "start", 1, do_start },
	{ "stop", 1, do_stop },
	{ "remove", 1, do_remove },
	{ "restart", 2, do_restart },
	{ "inspect", 2, do_inspect },
	{ "list", 0, do_list },
	{ "logs", 5, do_logs },
	{ "subnets", 0, do_subnets },
	{ "network-exists", 1, do_network_exists },
	{ "network-create", 2, do_network_create },
	{ "network-remove", 1, do_network_remove },
	{ "image", 1, do_image },
	{ "tag", 3, do_tag },
	{ "untag", 1, do_untag },
	{ "tags", 1, do_tags },
	{ "build", 2, do_build },
};

static int run(int argc, char **argv, struct error *err)
{
	struct engine *e = NULL;
	int r = engine_open(argv[1], &e, err);

	if (r < 0)
		return r;
	r = err_set(err, ERR_BUG, "usage: engine_tool URL COMMAND …");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, argv[2]) == 0 &&
		    argc - 3 >= commands[i].args)
			r = commands[i].run(e, argv + 3, err);
	engine_close(e);
	return r;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int r = -ERR_BUG;

	if (argc >= 3)
		r = run(argc, argv, &err);
	if (r == 0)
		return 0;
	printf("error %s %s\n", err_code_name(err.code), err.msg);
	return -r;
}
