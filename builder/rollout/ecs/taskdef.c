#include "builder/rollout/ecs/taskdef.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VOLUME_PREFIX "slipway-efs-"
#define PORT_MAX      65535

/* Of the answer, but not of the question. */
static const char *const read_only[] = {
	"taskDefinitionArn",  "revision",	 "status",
	"requiresAttributes", "compatibilities", "registeredAt",
	"registeredBy",	      "deregisteredAt",	 "deleteRequestedAt",
};

/* ---- the container that is ours ---- */

static json_t *find_container(const json_t *taskdef, const char *name)
{
	json_t *list = json_object_get(taskdef, "containerDefinitions");
	size_t i;
	json_t *c;

	json_array_foreach(list, i, c)
	{
		if (strcmp(json_get_str(c, "name", ""), name) == 0)
			return c;
	}
	return json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
}

const char *ecs_taskdef_container(const json_t *taskdef, const char *container)
{
	return json_get_str(find_container(taskdef, container), "name", NULL);
}

int ecs_taskdef_port(const json_t *taskdef, const char *container)
{
	const json_t *list = json_object_get(find_container(taskdef, container),
					     "environment");
	size_t i;
	json_t *item;
	int port = 0;
	int end = 0;

	json_array_foreach(list, i, item)
	{
		const char *value = json_get_str(item, "value", "");

		if (strcmp(json_get_str(item, "name", ""), "PORT") == 0 &&
		    sscanf(value, "%5d%n", &port, &end) == 1 && !value[end] &&
		    port > 0 && port <= PORT_MAX)
			return port;
	}
	return 0;
}

const char *ecs_taskdef_image(const json_t *taskdef, const char *container)
{
	return json_get_str(find_container(taskdef, container), "image", NULL);
}

/* ---- lists in which a part is ours ---- */

/* The member as an array; made when it is not there. */
static json_t *list_of(json_t *object, const char *key)
{
	json_t *list = json_object_get(object, key);

	if (json_is_array(list))
		return list;
	list = json_array();
	json_object_set_new(object, key, list);
	return list;
}

/* Remove the objects whose `key` begins with `prefix`. */
static void drop_prefixed(json_t *list, const char *key, const char *prefix)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		const char *value =
			json_get_str(json_array_get(list, i), key, "");

		if (strncmp(value, prefix, strlen(prefix)) == 0)
			json_array_remove(list, i);
	}
}

static bool has_named(const json_t *list, const char *name)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item)
	{
		if (strcmp(json_get_str(item, "name", ""), name) == 0)
			return true;
	}
	return false;
}

/* ---- environment ---- */

/* Variables that people added stay, unless one of ours has their name: a
 * variable may be there once, be it plain or secret. */
static void set_environment(const struct ecs_taskdef *d, json_t *c)
{
	json_t *list = list_of(c, "environment");
	const char *name;
	json_t *value;

	for (size_t i = json_array_size(list); i-- > 0;) {
		const char *old =
			json_get_str(json_array_get(list, i), "name", "");

		if (json_object_get(d->environment, old) ||
		    has_named(d->secrets, old))
			json_array_remove(list, i);
	}
	json_object_foreach((json_t *)d->environment, name, value)
	{
		json_array_append_new(list, json_pack("{s:s, s:O}", "name",
						      name, "value", value));
	}
	json_object_set_new(c, "secrets", json_deep_copy(d->secrets));
}

/* ---- volumes ---- */

static int bad_efs(const struct ecs_taskdef *d, struct error *err)
{
	return err_set(err, ERR_INVALID,
		       "target.%s.efs: expected fs-ID:/mount[:fsap-ID],…",
		       d->target->name);
}

/* One of "fs-ID:/mount[:fsap-ID]"; `text` is cut into its parts. */
static int add_volume(const struct ecs_taskdef *d, json_t *def, json_t *c,
		      char *text, int number, struct error *err)
{
	char *mount = strchr(text, ':');
	char *point = mount ? strchr(mount + 1, ':') : NULL;
	json_t *access = json_pack("{s:s}", "iam", "ENABLED");
	char name[32];

	if (point) {
		*point++ = '\0';
		json_object_set_new(access, "accessPointId",
				    json_string(point));
	}
	if (!mount || mount[1] != '/' || strncmp(text, "fs-", 3) != 0 ||
	    (point && strncmp(point, "fsap-", 5) != 0)) {
		json_decref(access);
		return bad_efs(d, err);
	}
	*mount++ = '\0';
	snprintf(name, sizeof(name), VOLUME_PREFIX "%d", number);
	json_array_append_new(list_of(def, "volumes"),
			      json_pack("{s:s, s:{s:s, s:s, s:o}}", "name",
					name, "efsVolumeConfiguration",
					"fileSystemId", text,
					"transitEncryption", "ENABLED",
					"authorizationConfig", access));
	json_array_append_new(list_of(c, "mountPoints"),
			      json_pack("{s:s, s:s, s:b}", "sourceVolume", name,
					"containerPath", mount, "readOnly", 0));
	return 0;
}

static int set_volumes(const struct ecs_taskdef *d, json_t *def, json_t *c,
		       struct error *err)
{
	auto_free char *text = xstrdup(d->target->efs);
	char *rest = text;
	int number = 0;
	char *part;

	drop_prefixed(json_object_get(def, "volumes"), "name", VOLUME_PREFIX);
	drop_prefixed(json_object_get(c, "mountPoints"), "sourceVolume",
		      VOLUME_PREFIX);
	while ((part = strsep(&rest, ", "))) {
		int r;

		if (!*part)
			continue;
		r = add_volume(d, def, c, part, ++number, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the container ---- */

static void set_command(const struct ecs_taskdef *d, json_t *c)
{
	json_t *list;

	if (!d->command) {
		json_object_del(c, "command");
		return;
	}
	list = json_array();
	for (const char *const *p = d->command; *p; p++)
		json_array_append_new(list, json_string(*p));
	json_object_set_new(c, "command", list);
}

static void set_port(const struct ecs_taskdef *d, json_t *c)
{
	json_t *list = list_of(c, "portMappings");
	size_t i;
	json_t *mapping;

	if (!d->port)
		return;
	json_array_foreach(list, i, mapping)
	{
		json_t *port = json_object_get(mapping, "containerPort");

		if (json_integer_value(port) == d->port)
			return;
	}
	json_array_append_new(list, json_pack("{s:i, s:s}", "containerPort",
					      d->port, "protocol", "tcp"));
}

/*
 * Where its lines go is ours to say; how they are cut, people's.  "blocking":
 * ECS's own default loses lines of an app that prints much.  Another driver
 * than awslogs is somebody's wish.
 */
static void set_log(const struct ecs_taskdef *d, json_t *c)
{
	json_t *config = json_object_get(c, "logConfiguration");
	json_t *options;

	if (config &&
	    strcmp(json_get_str(config, "logDriver", ""), "awslogs") != 0)
		return;
	if (!config) {
		config = json_pack("{s:s}", "logDriver", "awslogs");
		json_object_set_new(c, "logConfiguration", config);
	}
	options = json_object_get(config, "options");
	if (!json_is_object(options)) {
		options = json_object();
		json_object_set_new(config, "options", options);
	}
	json_object_set_new(options, "awslogs-group",
			    json_string(d->log_group));
	json_object_set_new(options, "awslogs-region", json_string(d->region));
	json_object_set_new(options, "awslogs-stream-prefix",
			    json_string(d->container));
	if (!json_object_get(options, "mode"))
		json_object_set_new(options, "mode", json_string("blocking"));
}

static void set_container(const struct ecs_taskdef *d, json_t *c)
{
	json_object_set_new(c, "image", json_string(d->image));
	if (!json_object_get(c, "stopTimeout"))
		json_object_set_new(c, "stopTimeout",
				    json_integer(d->stop_timeout_s));
	set_command(d, c);
	set_port(d, c);
	set_environment(d, c);
	set_log(d, c);
}

/* ---- the whole ---- */

static bool is_fargate(const struct config_target *t)
{
	return strncasecmp(t->capacity, "fargate", strlen("fargate")) == 0;
}

static void set_number(json_t *def, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	json_object_set_new(def, key, json_string(text));
}

static void set_task(const struct ecs_taskdef *d, json_t *def)
{
	const struct config_target *t = d->target;
	bool is_arm = strcmp(t->architecture, "arm64") == 0;
	json_t *platform = json_object_get(def, "runtimePlatform");

	set_number(def, "cpu", d->cpu);
	set_number(def, "memory", d->memory);
	json_object_set_new(def, "networkMode", json_string("awsvpc"));
	json_object_set_new(def, "executionRoleArn",
			    json_string(t->execution_role));
	if (*t->task_role)
		json_object_set_new(def, "taskRoleArn",
				    json_string(t->task_role));
	json_object_set_new(
		def, "requiresCompatibilities",
		json_pack("[s]", is_fargate(t) ? "FARGATE" : "EC2"));
	if (!platform) {
		platform = json_pack("{s:s}", "operatingSystemFamily", "LINUX");
		json_object_set_new(def, "runtimePlatform", platform);
	}
	json_object_set_new(platform, "cpuArchitecture",
			    json_string(is_arm ? "ARM64" : "X86_64"));
}

/* Ours, and those that people added. */
static void set_tags(const struct ecs_taskdef *d, const json_t *base,
		     json_t *def)
{
	json_t *tags = json_deep_copy(d->tags);
	size_t i;
	json_t *tag;

	json_array_foreach(json_object_get(base, "tags"), i, tag)
	{
		const char *key = json_get_str(tag, "key", "");

		if (*key && strncmp(key, "slipway:", 8) != 0 &&
		    strncmp(key, "aws:", 4) != 0)
			json_array_append(tags, tag);
	}
	json_object_set_new(def, "tags", tags);
}

static json_t *start_from(const struct ecs_taskdef *d, const json_t *base)
{
	const json_t *old = json_object_get(base, "taskDefinition");
	json_t *def;

	if (!old)
		return json_pack("{s:s, s:[{s:s, s:b}]}", "family", d->family,
				 "containerDefinitions", "name", d->container,
				 "essential", 1);
	def = json_deep_copy(old);
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++)
		json_object_del(def, read_only[i]);
	return def;
}

static int check_size(const struct ecs_taskdef *d, const json_t *def,
		      struct error *err)
{
	size_t size = json_dumpb(def, NULL, 0, JSON_COMPACT);

	if (size <= ECS_TASKDEF_BYTES_MAX)
		return 0;
	return err_set(
		err, ERR_LIMIT,
		"task definition %s has %zu bytes, %zu config vars among "
		"them; ECS takes %d",
		d->family, size, json_array_size(d->secrets),
		ECS_TASKDEF_BYTES_MAX);
}

int ecs_taskdef_make(const struct ecs_taskdef *d, const json_t *base,
		     json_t **ret, struct error *err)
{
	json_auto_t *def = start_from(d, base);
	json_t *c = find_container(def, d->container);
	int r;

	if (!c)
		return err_set(err, ERR_INVALID,
			       "task definition %s: none of its containers is "
			       "called '%s'",
			       json_get_str(def, "family", d->family),
			       d->container);
	set_task(d, def);
	set_container(d, c);
	r = set_volumes(d, def, c, err);
	if (r < 0)
		return r;
	set_tags(d, base, def);
	r = check_size(d, def, err);
	if (r == 0)
		*ret = TAKE_PTR(def);
	return r;
}
