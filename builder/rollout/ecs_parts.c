/*
 * What the operations of the ECS target have in common.
 */
#include "builder/rollout/ecs_target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/aws/secrets.h"
#include "builder/engine/image.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_taskdef.h"
#include "builder/store/config_vars.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS	       200 /* for a cancel */
#define LINE_MAX_BYTES 2048
#define REGISTER_TRIES 5
#define REGISTER_MS    1000
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

void ecs_detail(const struct ecs *e, const char *fmt, ...)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&line, fmt, ap);
	va_end(ap);
	if (e->report)
		e->report->detail(e->report->ctx, buf_str(&line));
}

void ecs_complain(const struct ecs *e, const char *fmt, ...)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&line, fmt, ap);
	va_end(ap);
	if (e->report)
		e->report->error(e->report->ctx, buf_str(&line));
}

/* ---- config vars ---- */

static int publish_vars(struct ecs *e, const struct app *app,
			const struct release *release, const json_t *vars,
			struct error *err)
{
	auto_free char *name = ecs_secret_name(e->section, app->name);
	auto_free char *prefix = ecs_secret_prefix(e->owner, app->id);
	auto_free char *label =
		xasprintf("%s%" PRId64, prefix, release->config_version);
	struct secret_version version = { NULL, NULL };
	json_t *secrets = NULL;
	int r = secrets_publish(e->aws, name, label, vars, &version, err);

	if (r == 0)
		r = secrets_for_container(vars, &version, &secrets, err);
	secret_version_release(&version);
	if (r < 0)
		return err_wrap(err, r, "config vars");
	json_decref(e->secrets);
	e->secrets = secrets;
	e->prepared = release->version;
	return 0;
}

int ecs_prepare(struct ecs *e, const struct app *app,
		const struct release *release, struct error *err)
{
	json_t *vars = NULL;
	int r;

	if (e->prepared == release->version)
		return 0;
	r = store_config_get(e->store, app->id, release->config_version, &vars,
			     err);
	/* Not for the caller to take for a missing release. */
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_BUG,
			       "the config vars of v%" PRId64 " are gone",
			       release->version);
	if (r == 0)
		r = publish_vars(e, app, release, vars, err);
	config_vars_wipe(vars);
	return r;
}

/* ---- task definitions ---- */

int ecs_port(struct ecs *e, const struct release *release)
{
	struct image_info image = { .id = NULL };
	struct error ignored;
	int port = (int)e->section->port;

	/* An old image may be gone from the engine: then it is the key's. */
	if (image_inspect(e->engine, release->image, &image, &ignored) == 0 &&
	    image.exposed_port)
		port = image.exposed_port;
	image_info_release(&image);
	return port;
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

/* Two that register a revision of one family at a time: one is refused. */
static int call_register(struct ecs *e, const json_t *input, json_t **ret,
			 struct error *err)
{
	int r = -ERR_PEER;

	for (int i = 0; i < REGISTER_TRIES; i++) {
		r = aws_call(e->aws, AWS_ECS, "RegisterTaskDefinition", input,
			     ret, err);
		if (r != -ERR_PEER || !strstr(aws_last_error(e->aws)->message,
					      "Too many concurrent attempts"))
			return r;
		if (ecs_pause(e, REGISTER_MS))
			return err_set(err, ERR_CANCELED, "canceled");
	}
	return r;
}

static int take_arn(const json_t *reply, const char *container, char **ret_arn,
		    char **ret_container, struct error *err)
{
	const json_t *def = json_object_get(reply, "taskDefinition");
	const char *arn = json_get_str(def, "taskDefinitionArn", NULL);

	if (!arn)
		return err_set(err, ERR_PROTO,
			       "ecs RegisterTaskDefinition: a reply without "
			       "taskDefinitionArn");
	*ret_arn = xstrdup(arn);
	if (ret_container) {
		const char *name = ecs_taskdef_container(def, container);

		*ret_container = xstrdup(name ? name : container);
	}
	return 0;
}

int ecs_register(struct ecs *e, const struct app *app,
		 const struct release *release, const struct process_plan *p,
		 const json_t *base, char **ret_arn, char **ret_container,
		 struct error *err)
{
	bool is_web = strcmp(p->type, PLAN_WEB) == 0;
	int port = is_web ? ecs_port(e, release) : 0;
	int64_t stop_s = (e->cfg->deploy_stop_timeout_ms + 999) / 1000;
	auto_free char *family =
		ecs_service_name(e->section, app->name, p->type);
	auto_free char *group = ecs_log_group(e->section, app->name);
	json_auto_t *environment =
		make_environment(app, release, p->type, port);
	json_auto_t *tags =
		ecs_tags(e->owner, app->id, p->type, release->version);
	json_auto_t *input = NULL;
	json_auto_t *reply = NULL;
	const struct ecs_taskdef d = {
		.target = e->section,
		.family = family,
		.container = p->type,
		.image = release->published,
		.command = (const char *const *)p->command,
		.environment = environment,
		.secrets = e->secrets,
		.port = port,
		.stop_timeout_s =
			(int)(stop_s < STOP_S_MAX ? stop_s : STOP_S_MAX),
		.region = aws_region(e->aws),
		.log_group = group,
		.tags = tags,
	};
	int r = ecs_taskdef_make(&d, base, &input, err);

	if (r == 0)
		r = call_register(e, input, &reply, err);
	if (r == 0)
		r = take_arn(reply, p->type, ret_arn, ret_container, err);
	return r;
}

int ecs_describe_taskdef(struct ecs *e, const char *name, json_t **ret,
			 struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:[s]}", "taskDefinition", name,
				       "include", "TAGS");
	int r = aws_call(e->aws, AWS_ECS, "DescribeTaskDefinition", input, ret,
			 err);

	/* There is no code of its own for it. */
	if (r == -ERR_PEER && aws_failed_with(e->aws, "ClientException") &&
	    strstr(aws_last_error(e->aws)->message, "Unable to describe"))
		return err_set(err, ERR_NOTFOUND, "no task definition %s",
			       name);
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
