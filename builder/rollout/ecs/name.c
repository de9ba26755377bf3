#include "builder/rollout/ecs/name.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/json.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define GROUP_NAME_MAX 32
#define HASH_SHOWN     8
#define TOKEN_BYTES    16
#define TEXT_MAX       8192

/* The first `count` bytes of the SHA-256 of `text` as hex. */
static void add_hash(struct buf *out, const char *text, size_t count)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (!EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL))
		return;
	for (size_t i = 0; i < count && i < len; i++)
		buf_addf(out, "%02x", digest[i]);
}

char *ecs_service_name(const struct config_target *t, const char *app,
		       const char *type)
{
	return xasprintf("%s%s-%s", t->name_prefix, app, type);
}

char *ecs_group_name(const struct config_target *t, const char *app,
		     const char *type)
{
	auto_free char *name = ecs_service_name(t, app, type);
	auto_buf struct buf out = BUF_INIT(GROUP_NAME_MAX);

	if (strlen(name) <= GROUP_NAME_MAX)
		return TAKE_PTR(name);
	buf_add(&out, name, GROUP_NAME_MAX - HASH_SHOWN - 1);
	buf_addc(&out, '-');
	add_hash(&out, name, HASH_SHOWN / 2);
	return buf_detach(&out);
}

char *ecs_host(const struct config_target *t, const char *app)
{
	return *t->domain ? xasprintf("%s.%s", app, t->domain) : xstrdup("");
}

char *ecs_repository(const struct config_target *t, const char *app)
{
	return xasprintf("%s/%s", t->repository_prefix, app);
}

char *ecs_log_group(const struct config_target *t, const char *app)
{
	return xasprintf("%s/%s", t->log_group, app);
}

char *ecs_secret_name(const struct config_target *t, const char *app)
{
	return xasprintf("%s/%s", t->secret_prefix, app);
}

char *ecs_secret_prefix(const char *owner, int64_t app_id)
{
	return xasprintf("slipway-%s-%" PRId64 "-", owner, app_id);
}

char *ecs_token(const char *const *words)
{
	auto_buf struct buf text = BUF_INIT(TEXT_MAX);
	auto_buf struct buf out = BUF_INIT(2 * TOKEN_BYTES);

	for (; *words; words++)
		buf_addf(&text, "%s\n", *words);
	add_hash(&out, buf_str(&text), TOKEN_BYTES);
	return buf_detach(&out);
}

const char *ecs_task_id(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash ? slash + 1 : arn;
}

const char *ecs_short_name(const char *arn)
{
	return ecs_task_id(arn);
}

/* ---- tags ---- */

static void add_tag(json_t *tags, const char *key, const char *value)
{
	json_array_append_new(
		tags, json_pack("{s:s, s:s}", "key", key, "value", value));
}

static void add_number(json_t *tags, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	add_tag(tags, key, text);
}

json_t *ecs_tags(const char *owner, int64_t app_id, const char *process,
		 int64_t version)
{
	json_t *tags = json_array();

	add_tag(tags, ECS_TAG_OWNER, owner);
	add_number(tags, ECS_TAG_APP, app_id);
	if (process)
		add_tag(tags, ECS_TAG_PROCESS, process);
	if (version)
		add_number(tags, ECS_TAG_RELEASE, version);
	return tags;
}

json_t *ecs_tags_spelt(const char *owner, int64_t app_id, const char *process)
{
	json_auto_t *tags = ecs_tags(owner, app_id, process, 0);
	json_t *list = json_array();
	size_t i;
	json_t *tag;

	json_array_foreach(tags, i, tag)
	{
		json_array_append_new(
			list, json_pack("{s:O, s:O}", "Key",
					json_object_get(tag, "key"), "Value",
					json_object_get(tag, "value")));
	}
	return list;
}

json_t *ecs_tags_object(const char *owner, int64_t app_id)
{
	json_auto_t *tags = ecs_tags(owner, app_id, NULL, 0);
	json_t *object = json_object();
	size_t i;
	json_t *tag;

	json_array_foreach(tags, i, tag)
	{
		json_object_set(object, json_get_str(tag, "key", ""),
				json_object_get(tag, "value"));
	}
	return object;
}

const char *ecs_tag(const json_t *tags, const char *key)
{
	size_t i;
	json_t *tag;

	if (json_is_object(tags))
		return json_get_str(tags, key, NULL);
	json_array_foreach(tags, i, tag)
	{
		const char *name = json_get_str(tag, "key", NULL);

		if (!name)
			name = json_get_str(tag, "Key", "");
		if (strcmp(name, key) == 0)
			return json_get_str(tag, "value",
					    json_get_str(tag, "Value", NULL));
	}
	return NULL;
}

int64_t ecs_tag_release(const json_t *tags)
{
	const char *text = ecs_tag(tags, ECS_TAG_RELEASE);
	int64_t version = 0;
	int end = 0;

	if (!text || sscanf(text, "%18" SCNd64 "%n", &version, &end) != 1 ||
	    text[end] != '\0' || version < 0)
		return 0;
	return version;
}

enum ecs_owned ecs_owned(const json_t *tags, const char *owner, int64_t app_id)
{
	const char *has_owner = ecs_tag(tags, ECS_TAG_OWNER);
	const char *has_app = ecs_tag(tags, ECS_TAG_APP);
	char number[24];

	if (!has_owner || !has_app)
		return has_owner || has_app ? ECS_ANOTHERS : ECS_NOBODYS;
	snprintf(number, sizeof(number), "%" PRId64, app_id);
	if (strcmp(has_owner, owner) == 0 &&
	    (!app_id || strcmp(has_app, number) == 0))
		return ECS_OURS;
	return ECS_ANOTHERS;
}
