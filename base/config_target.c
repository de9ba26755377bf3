#include "base/config_target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_keys.h"
#include "base/error.h"
#include "base/log.h"
#include "base/target_sizes.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS  ", "
#define SUBNETS_MAX 16
#define GROUPS_MAX  5
#define PREFIX_MAX  64
#define NAME_CHARS                                                             \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

#define KEY(key_name, key_kind, member, text, low, high)                       \
	CONFIG_KEY(struct config_target, key_name, key_kind, member, text,     \
		   low, high)
#define CHOICE(key_name, member, text, words)                                  \
	CONFIG_CHOICE(struct config_target, key_name, member, text, words)

static const struct config_key keys[] = {
	CHOICE("type", type, "docker", "docker|ecs"),
	KEY("region", KIND_OPTIONAL, region, "", 0, 0),
	KEY("profile", KIND_OPTIONAL, profile, "", 0, 0),
	KEY("endpoint-url", KIND_OPTIONAL, endpoint_url, "", 0, 0),
	KEY("cluster", KIND_STRING, cluster, "default", 0, 0),
	KEY("subnets", KIND_OPTIONAL, subnets, "", 0, 0),
	KEY("security-groups", KIND_OPTIONAL, security_groups, "", 0, 0),
	KEY("assign-public-ip", KIND_BOOL, assign_public_ip, "false", 0, 0),
	KEY("capacity", KIND_STRING, capacity, "fargate", 0, 0),
	KEY("name-prefix", KIND_OPTIONAL, name_prefix, "", 0, 0),
	CHOICE("architecture", architecture, "x86_64", "x86_64|arm64"),
	KEY("cpu", KIND_COUNT, cpu, "256", TARGET_CPU_MIN, TARGET_CPU_MAX),
	KEY("memory", KIND_COUNT, memory, "512", TARGET_MEMORY_MIN,
	    TARGET_MEMORY_MAX),
	KEY("sizes", KIND_OPTIONAL, sizes, "", 0, 0),
	KEY("execution-role", KIND_OPTIONAL, execution_role, "", 0, 0),
	KEY("task-role", KIND_OPTIONAL, task_role, "", 0, 0),
	KEY("port", KIND_COUNT, port, "5000", 1, 65535),
	KEY("efs", KIND_OPTIONAL, efs, "", 0, 0),
	KEY("listener", KIND_OPTIONAL, listener, "", 0, 0),
	KEY("vpc", KIND_OPTIONAL, vpc, "", 0, 0),
	KEY("domain", KIND_OPTIONAL, domain, "", 0, 0),
	CHOICE("scheme", scheme, "https", "http|https"),
	KEY("health-path", KIND_PATH, health_path, "/", 0, 0),
	KEY("health-grace", KIND_DURATION, health_grace_ms, "60s", 0, HOUR),
	KEY("deregistration-delay", KIND_DURATION, deregistration_delay_ms,
	    "10s", 0, HOUR),
	KEY("repository-prefix", KIND_STRING, repository_prefix, "slipway", 0,
	    0),
	KEY("log-group", KIND_PATH, log_group, "/slipway", 0, 0),
	KEY("log-retention", KIND_COUNT, log_retention, "30", 1, 3653),
	KEY("secret-prefix", KIND_STRING, secret_prefix, "slipway", 0, 0),
	KEY("rollout-timeout", KIND_DURATION, rollout_timeout_ms, "10m",
	    10 * SECOND, 3 * HOUR),
	KEY("rollout-attempts", KIND_COUNT, rollout_attempts, "3", 1, 100),
};

void config_target_init(struct config_target *t, const char *name)
{
	memset(t, 0, sizeof(*t));
	t->name = xstrdup(name);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct error err;

		if (config_key_set(&keys[i], t, keys[i].name, keys[i].fallback,
				   &err) < 0)
			log_error("default of target: %s", err.msg);
	}
}

void config_target_release(struct config_target *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		config_key_release(&keys[i], t);
	free(t->name);
	t->name = NULL;
}

static int unknown_key(const char *name, const char *key, struct error *err)
{
	const char *names[ARRAY_SIZE(keys) + 1];
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	names[ARRAY_SIZE(keys)] = NULL;
	near = text_nearest(key, names);
	if (near)
		return err_set(err, ERR_INVALID,
			       "target.%s: unknown key '%s' (did you mean "
			       "'%s'?)",
			       name, key, near);
	return err_set(err, ERR_INVALID, "target.%s: unknown key '%s'", name,
		       key);
}

int config_target_set(struct config_target *t, const char *key,
		      const char *value, struct error *err)
{
	auto_free char *name = xasprintf("target.%s.%s", t->name, key);

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcasecmp(keys[i].name, key) == 0)
			return config_key_set(&keys[i], t, name, value, err);
	return unknown_key(t->name, key, err);
}

static int needs(const struct config_target *t, const char *key,
		 struct error *err)
{
	return err_set(err, ERR_INVALID, "target.%s: type ecs needs %s",
		       t->name, key);
}

static int bad(const struct config_target *t, const char *key, const char *rule,
	       struct error *err)
{
	return err_set(err, ERR_INVALID, "target.%s.%s: %s", t->name, key,
		       rule);
}

static size_t count_words(const char *list)
{
	size_t count = 0;

	while (*(list += strspn(list, SEPARATORS))) {
		list += strcspn(list, SEPARATORS);
		count++;
	}
	return count;
}

/* "fs-ID:/mount[:fsap-ID]" */
static bool is_file_system(const char *word, size_t len)
{
	const char *mount = memchr(word, ':', len);
	const char *point = NULL;

	if (strncmp(word, "fs-", 3) != 0 || !mount || mount[1] != '/')
		return false;
	point = memchr(mount + 1, ':', len - (size_t)(mount + 1 - word));
	return !point || strncmp(point, ":fsap-", 6) == 0;
}

static int check_efs(const struct config_target *t, struct error *err)
{
	const char *word = t->efs;

	while (*(word += strspn(word, SEPARATORS))) {
		size_t len = strcspn(word, SEPARATORS);

		if (!is_file_system(word, len))
			return bad(t, "efs",
				   "expected fs-ID:/mount[:fsap-ID],…", err);
		word += len;
	}
	return 0;
}

/* What AWS would refuse in the middle of the first deploy. */
static int check_limits(const struct config_target *t, struct error *err)
{
	int r;

	if (count_words(t->subnets) > SUBNETS_MAX)
		return bad(t, "subnets", "ECS takes up to 16", err);
	if (count_words(t->security_groups) > GROUPS_MAX)
		return bad(t, "security-groups", "ECS takes up to 5", err);
	if (strlen(t->name_prefix) > PREFIX_MAX || *t->name_prefix == '-' ||
	    strspn(t->name_prefix, NAME_CHARS) != strlen(t->name_prefix))
		return bad(t, "name-prefix",
			   "up to 64 letters, digits and '-', not starting "
			   "with '-'",
			   err);
	if (t->assign_public_ip && strcmp(t->capacity, "ec2") == 0)
		return bad(t, "assign-public-ip",
			   "tasks with capacity = ec2 cannot have one", err);
	r = target_sizes_check(t->sizes, err);
	if (r < 0)
		return err_wrap(err, r, "target.%s.sizes", t->name);
	return check_efs(t, err);
}

int config_target_check(const struct config_target *t, struct error *err)
{
	if (strcmp(t->type, TARGET_TYPE_ECS) != 0)
		return 0;
	if (!*t->subnets)
		return needs(t, "subnets", err);
	if (!*t->security_groups)
		return needs(t, "security-groups", err);
	if (!*t->execution_role)
		return needs(t, "execution-role", err);
	if (*t->listener && (!*t->vpc || !*t->domain))
		return err_set(err, ERR_INVALID,
			       "target.%s: a listener needs vpc and domain",
			       t->name);
	return check_limits(t, err);
}

void config_target_dump(const struct config_target *t, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		auto_free char *name =
			xasprintf("target.%s.%s", t->name, keys[i].name);

		config_key_dump(&keys[i], t, name, out);
	}
}

bool config_target_describe(size_t i, const char **ret_key,
			    const char **ret_kind, const char **ret_default)
{
	if (i >= ARRAY_SIZE(keys))
		return false;
	*ret_key = keys[i].name;
	*ret_kind = config_kind_name(keys[i].kind);
	*ret_default = keys[i].fallback;
	return true;
}
