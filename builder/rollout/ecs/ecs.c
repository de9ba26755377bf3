/*
 * What the operations of the ECS target have in common.
 */
#include "builder/rollout/ecs/ecs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/target_sizes.h"
#include "builder/aws/aws.h"
#include "builder/engine/image.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/taskdef.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS	       200 /* for a cancel */
#define LINE_MAX_BYTES 2048
#define STOP_S_MAX     120 /* what Fargate takes */

struct ecs *ecs_of(struct target *t)
{
	return (struct ecs *)t; /* base is its first member */
}

bool ecs_is_canceled(const struct ecs *e)
{
	/* Asked in any case: it also lets "still running" be said. */
	return e->report && e->report->is_canceled(e->report->ctx) &&
	       !e->is_going_back;
}

bool ecs_pause(const struct ecs *e, int ms)
{
	int64_t end = clock_ms() + ms;

	for (;;) {
		int64_t left = end - clock_ms();

		if (ecs_is_canceled(e))
			return true;
		if (left <= 0)
			return false;
		poll(NULL, 0, left < LOOK_MS ? (int)left : LOOK_MS);
	}
}

bool ecs_is_passing(int r)
{
	return r == -ERR_SYS || r == -ERR_TIMEOUT || r == -ERR_LIMIT ||
	       r == -ERR_PROTO;
}

/* ---- transcript ---- */

static void tell(const struct ecs *e, void (*say)(void *ctx, const char *line),
		 const char *fmt, va_list ap)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);

	buf_vaddf(&line, fmt, ap);
	say(e->report->ctx, buf_str(&line));
}

void ecs_detail(const struct ecs *e, const char *fmt, ...)
{
	va_list ap;

	if (!e->report)
		return;
	va_start(ap, fmt);
	tell(e, e->report->detail, fmt, ap);
	va_end(ap);
}

void ecs_complain(const struct ecs *e, const char *fmt, ...)
{
	va_list ap;

	if (!e->report)
		return;
	va_start(ap, fmt);
	tell(e, e->report->error, fmt, ap);
	va_end(ap);
}

/* ---- calls ---- */

/* What AWS says when a key of the target is wrong. */
static const struct {
	const char *text;
	const char *keys;
} blamed[] = {
	{ "Cluster not found", "cluster" },
	{ "No Fargate configuration exists", "cpu, .memory and .sizes" },
	{ "Error retrieving subnet information", "subnets" },
	{ "Error retrieving security group information", "security-groups" },
	{ "One or more listeners not found", "listener" },
	{ "Role is not valid", "execution-role and .task-role" },
	{ "does not support launch_type", "capacity" },
	{ "The specified capacity provider", "capacity" },
};

static int explain(const struct ecs *e, int r, struct error *err)
{
	const char *message = aws_last_error(e->aws)->message;

	for (size_t i = 0; r == -ERR_PEER && i < ARRAY_SIZE(blamed); i++)
		if (strstr(message, blamed[i].text))
			return err_wrap(err, r, "see target.%s.%s",
					e->section->name, blamed[i].keys);
	return r;
}

int ecs_call(struct ecs *e, const char *operation, const json_t *input,
	     json_t **ret, struct error *err)
{
	return explain(e, aws_call(e->aws, AWS_ECS, operation, input, ret, err),
		       err);
}

int ecs_call_elb(struct ecs *e, const char *operation, const json_t *input,
		 json_t **ret, struct error *err)
{
	return explain(e, aws_call(e->aws, AWS_ELB, operation, input, ret, err),
		       err);
}

/* ---- what is ours ---- */

int ecs_owns(const struct ecs *e, const json_t *tags, const char *what,
	     const char *name, const char *key, struct error *err)
{
	enum ecs_owned owned = ecs_owned(tags, e->owner, 0);

	if (owned != ECS_ANOTHERS)
		return owned == ECS_OURS;
	return err_set(err, ERR_EXISTS,
		       "%s '%s' belongs to another installation: its tags say "
		       "so (choose another target.%s.%s)",
		       what, name, e->section->name, key);
}

int ecs_app_owns(const struct ecs *e, const struct app *app, const json_t *tags,
		 const char *what, const char *name, struct error *err)
{
	enum ecs_owned owned = ecs_owned(tags, e->owner, app->id);

	if (owned != ECS_ANOTHERS)
		return owned == ECS_OURS;
	return err_set(err, ERR_EXISTS,
		       "%s %s belongs to another app: its tags say so (choose "
		       "another target.%s.name-prefix)",
		       what, name, e->section->name);
}

/* ---- task definitions ---- */

int ecs_port(struct ecs *e, const struct release *release, const json_t *base)
{
	struct image_info image = { .id = NULL };
	struct error ignored;
	int port = 0;

	if (image_inspect(e->engine, release->image, &image, &ignored) == 0)
		port = image.exposed_port;
	else if (base)
		port = ecs_taskdef_port(json_object_get(base, "taskDefinition"),
					PLAN_WEB);
	image_info_release(&image);
	return port ? port : (int)e->section->port;
}

static json_t *make_environment(const struct app *app,
				const struct release *release, const char *type,
				int port)
{
	char number[32];
	json_t *env = json_object();

	if (port) {
		snprintf(number, sizeof(number), "%d", port);
		json_object_set_new(env, "PORT", json_string(number));
	}
	snprintf(number, sizeof(number), "v%" PRId64, release->version);
	json_object_set_new(env, "SLIPWAY_APP", json_string(app->name));
	json_object_set_new(env, "SLIPWAY_RELEASE", json_string(number));
	json_object_set_new(env, "SLIPWAY_COMMIT",
			    json_string(release->commit));
	json_object_set_new(env, "SLIPWAY_PROCESS", json_string(type));
	return env;
}

static int take_arn(const json_t *reply, const char *container, char **ret_arn,
		    char **ret_container, struct error *err)
{
	const json_t *def = json_object_get(reply, "taskDefinition");
	const char *arn = json_get_str(def, "taskDefinitionArn", NULL);
	const char *name = def ? ecs_taskdef_container(def, container) : NULL;

	if (!arn)
		return err_set(err, ERR_PROTO,
			       "ecs RegisterTaskDefinition: a reply without "
			       "taskDefinitionArn");
	*ret_arn = xstrdup(arn);
	*ret_container = xstrdup(name ? name : container);
	return 0;
}

int ecs_register(struct ecs *e, const struct ecs_registration *what,
		 char **ret_arn, char **ret_container, struct error *err)
{
	const struct app *app = what->app;
	const char *type = what->p->type;
	int64_t version = what->release->version;
	int64_t stop_s = (e->cfg->deploy_stop_timeout_ms + 999) / 1000;
	auto_free char *family = ecs_service_name(e->section, app->name, type);
	auto_free char *group = ecs_log_group(e->section, app->name);
	json_auto_t *environment =
		make_environment(app, what->release, type, what->port);
	json_auto_t *tags = ecs_tags(e->owner, app->id, type, version);
	json_auto_t *input = NULL;
	json_auto_t *reply = NULL;
	struct ecs_taskdef d = {
		.target = e->section,
		.family = family,
		.container = type,
		.image = what->release->published,
		.command = (const char *const *)what->p->command,
		.environment = environment,
		.secrets = e->secrets,
		.cpu = e->section->cpu,
		.memory = e->section->memory,
		.port = what->port,
		.stop_timeout_s =
			(int)(stop_s < STOP_S_MAX ? stop_s : STOP_S_MAX),
		.region = aws_region(e->aws),
		.log_group = group,
		.tags = tags,
	};
	int r;

	target_sizes_find(e->section->sizes, app->name, type, &d.cpu,
			  &d.memory);
	r = ecs_taskdef_make(&d, what->base, &input, err);
	if (r == 0)
		r = ecs_call(e, "RegisterTaskDefinition", input, &reply, err);
	if (r == 0)
		r = take_arn(reply, type, ret_arn, ret_container, err);
	return r;
}

/* ---- where tasks run ---- */

static json_t *words(const char *text)
{
	auto_free char *copy = xstrdup(text);
	json_t *list = json_array();
	char *rest = copy;
	char *word;

	while ((word = strsep(&rest, ", ")))
		if (*word)
			json_array_append_new(list, json_string(word));
	return list;
}

json_t *ecs_network(const struct ecs *e)
{
	return json_pack("{s:o, s:o, s:s}", "subnets",
			 words(e->section->subnets), "securityGroups",
			 words(e->section->security_groups), "assignPublicIp",
			 e->section->assign_public_ip ? "ENABLED" : "DISABLED");
}

void ecs_set_capacity(const struct ecs *e, json_t *input)
{
	const char *capacity = e->section->capacity;

	if (strcmp(capacity, "fargate") == 0) {
		json_object_set_new(input, "launchType",
				    json_string("FARGATE"));
		return;
	}
	if (strcmp(capacity, "ec2") == 0) {
		json_object_set_new(input, "launchType", json_string("EC2"));
		return;
	}
	if (strcmp(capacity, "fargate-spot") == 0)
		capacity = "FARGATE_SPOT";
	json_object_set_new(input, "capacityProviderStrategy",
			    json_pack("[{s:s, s:i}]", "capacityProvider",
				      capacity, "weight", 1));
}
