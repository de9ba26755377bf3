#include "builder/engine/engine_json.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "builder/engine/container.h"
#include "builder/engine/image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_MINOR_MIN 40
#define API_MINOR_MAX 44

bool engine_api_version(const char *offered, char *out, size_t size)
{
	char *end = NULL;
	long minor;

	if (strncmp(offered, "1.", 2) != 0 || offered[2] < '0' ||
	    offered[2] > '9') {
		/* A major version after 1 speaks 1.44 too, or says so. */
		if (offered[0] < '2' || offered[0] > '9')
			return false;
		snprintf(out, size, "1.%d", API_MINOR_MAX);
		return true;
	}
	minor = strtol(offered + 2, &end, 10);
	if (*end || minor < API_MINOR_MIN)
		return false;
	snprintf(out, size, "1.%ld",
		 minor < API_MINOR_MAX ? minor : (long)API_MINOR_MAX);
	return true;
}

/* ---- members of any type to what we want ---- */

/* A bounded copy of a string member; "" when absent. */
static char *dup_string(const json_t *value)
{
	size_t len = json_string_length(value);

	if (!json_is_string(value))
		return xstrdup("");
	len = len < ENGINE_TEXT_MAX ? len : ENGINE_TEXT_MAX;
	return slice_dup((struct slice){ json_string_value(value), len });
}

static int int_of(const json_t *value)
{
	json_int_t n = json_integer_value(value);

	if (n > INT_MAX)
		return INT_MAX;
	return n < INT_MIN ? INT_MIN : (int)n;
}

static void copy_string(const json_t *value, char *out, size_t size)
{
	const char *s = json_string_value(value);

	snprintf(out, size, "%s", s ? s : "");
}

/* A decimal number in a string (labels); 0 when it is none. */
static int64_t number_of(const json_t *value)
{
	const char *s = json_string_value(value);
	char *end = NULL;
	long long n;

	if (!s || *s < '0' || *s > '9')
		return 0;
	errno = 0;
	n = strtoll(s, &end, 10);
	return *end || errno ? 0 : n;
}

/* ---- a list of strings that grows ---- */

struct strings {
	char **items; /* NULL-ended */
	size_t count;
};

static void strings_add(struct strings *s, char *text)
{
	s->items = xrealloc(s->items, (s->count + 2) * sizeof(*s->items));
	s->items[s->count++] = text;
	s->items[s->count] = NULL;
}

static char **strings_take(struct strings *s)
{
	return s->items ? s->items : xcalloc(1, sizeof(*s->items));
}

/* ---- containers ---- */

/* The last health check's output, as bounded lines. */
static char *health_log(const json_t *health)
{
	json_t *log = json_object_get(health, "Log");
	json_t *last;

	if (json_array_size(log) == 0)
		return NULL;
	last = json_array_get(log, json_array_size(log) - 1);
	last = json_object_get(last, "Output");
	return json_string_length(last) ? dup_string(last) : NULL;
}

static void read_state(const json_t *state, struct container_state *ret)
{
	json_t *health = json_object_get(state, "Health");
	json_t *text = json_object_get(state, "Error");

	/* Podman once called it "Healthcheck". */
	if (!health)
		health = json_object_get(state, "Healthcheck");
	ret->is_running = json_is_true(json_object_get(state, "Running"));
	ret->is_restarting = json_is_true(json_object_get(state, "Restarting"));
	ret->is_oom_killed = json_is_true(json_object_get(state, "OOMKilled"));
	ret->exit_code = int_of(json_object_get(state, "ExitCode"));
	copy_string(json_object_get(state, "StartedAt"), ret->started,
		    sizeof(ret->started));
	copy_string(json_object_get(health, "Status"), ret->health,
		    sizeof(ret->health));
	if (strcmp(ret->health, "none") == 0)
		ret->health[0] = '\0';
	ret->health_log = health_log(health);
	ret->error = json_string_length(text) ? dup_string(text) : NULL;
}

void container_state_from_json(const json_t *doc, const char *network,
			       struct container_state *ret)
{
	memset(ret, 0, sizeof(*ret));
	read_state(json_object_get(doc, "State"), ret);
	ret->restarts = int_of(json_object_get(doc, "RestartCount"));
	/* A dead container's address may be another's by now. */
	if (ret->is_running && !ret->is_restarting)
		copy_string(json_at(doc, "NetworkSettings", "Networks", network,
				    "IPAddress", NULL),
			    ret->ip, sizeof(ret->ip));
}

bool container_has_tty(const json_t *doc)
{
	return json_is_true(json_at(doc, "Config", "Tty", NULL));
}

static void read_container(const json_t *item, struct container *c)
{
	json_t *labels = json_object_get(item, "Labels");
	json_t *name = json_array_get(json_object_get(item, "Names"), 0);
	json_t *created = json_object_get(item, "Created");
	char *text = dup_string(name);
	bool has_slash = text[0] == '/';

	c->id = dup_string(json_object_get(item, "Id"));
	c->name = xstrdup(text + has_slash);
	free(text);
	/* "Image" is what was asked for, ImageID what it was then. */
	c->image = dup_string(json_object_get(item, "ImageID"));
	c->state = dup_string(json_object_get(item, "State"));
	c->status = dup_string(json_object_get(item, "Status"));
	c->created = json_integer_value(created);
	c->process = dup_string(json_object_get(labels, LABEL_PROCESS));
	c->app_id = number_of(json_object_get(labels, LABEL_APP));
	c->version = number_of(json_object_get(labels, LABEL_VERSION));
	c->index = (int)(number_of(json_object_get(labels, LABEL_INDEX)) &
			 INT_MAX);
}

int container_list_from_json(const json_t *doc, struct container **ret)
{
	size_t count = json_array_size(doc);
	struct container *list;
	size_t used = 0;

	count = count < ENGINE_ITEMS_MAX ? count : ENGINE_ITEMS_MAX;
	list = xcalloc(count ? count : 1, sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		json_t *item = json_array_get(doc, i);

		if (json_string_length(json_object_get(item, "Id")))
			read_container(item, &list[used++]);
	}
	*ret = list;
	return (int)used;
}

/* ---- images ---- */

static bool has_healthcheck(const json_t *config)
{
	json_t *test = json_at(config, "Healthcheck", "Test", NULL);
	const char *kind = json_string_value(json_array_get(test, 0));

	return kind && kind[0] && strcmp(kind, "NONE") != 0;
}

/* The port of "5000/tcp" or "5000"; 0 for others. */
static int tcp_port(const char *key)
{
	char *end = NULL;
	long port;

	if (*key < '0' || *key > '9')
		return 0;
	port = strtol(key, &end, 10);
	if (*end && strcmp(end, "/tcp") != 0)
		return 0;
	return port > 0 && port < 65536 ? (int)port : 0;
}

void image_info_from_json(const json_t *doc, struct image_info *ret)
{
	json_t *config = json_object_get(doc, "Config");
	const char *key;
	json_t *value;

	memset(ret, 0, sizeof(*ret));
	ret->id = dup_string(json_object_get(doc, "Id"));
	ret->architecture = dup_string(json_object_get(doc, "Architecture"));
	ret->size = json_integer_value(json_object_get(doc, "Size"));
	ret->has_healthcheck = has_healthcheck(config);
	ret->has_command =
		json_array_size(json_object_get(config, "Cmd")) > 0 ||
		json_array_size(json_object_get(config, "Entrypoint")) > 0;
	json_object_foreach(json_object_get(config, "ExposedPorts"), key, value)
	{
		int port = tcp_port(key);

		if (!port)
			continue;
		ret->exposed_count++;
		ret->exposed_port = port;
	}
	if (ret->exposed_count != 1)
		ret->exposed_port = 0;
}

/* "repo:tag" of `name` when it is one of `repo`; else NULL. */
static const char *tag_of(const char *name, const char *repo)
{
	size_t len = strlen(repo);

	/* Podman gives names without a registry this one. */
	if (strncmp(name, "localhost/", 10) == 0 &&
	    strncmp(repo, "localhost/", 10) != 0)
		name += 10;
	if (strncmp(name, repo, len) != 0 || name[len] != ':')
		return NULL;
	return strchr(name + len + 1, '/') ? NULL : name;
}

char **image_tags_from_json(const json_t *doc, const char *repo)
{
	struct strings tags = { NULL, 0 };
	size_t i;
	size_t j;
	json_t *image;
	json_t *name;

	json_array_foreach(doc, i, image)
	{
		json_array_foreach(json_object_get(image, "RepoTags"), j, name)
		{
			const char *text = json_string_value(name);
			const char *tag = text ? tag_of(text, repo) : NULL;

			if (tag && tags.count < ENGINE_ITEMS_MAX)
				strings_add(&tags, xstrdup(tag));
		}
	}
	return strings_take(&tags);
}

/* ---- networks ---- */

char **network_subnets_from_json(const json_t *doc)
{
	struct strings subnets = { NULL, 0 };
	size_t i;
	size_t j;
	json_t *network;
	json_t *config;

	json_array_foreach(doc, i, network)
	{
		json_t *list = json_at(network, "IPAM", "Config", NULL);

		json_array_foreach(list, j, config)
		{
			const char *subnet =
				json_get_str(config, "Subnet", NULL);

			if (subnet && *subnet && !strchr(subnet, ':') &&
			    subnets.count < ENGINE_ITEMS_MAX)
				strings_add(&subnets, xstrdup(subnet));
		}
	}
	return strings_take(&subnets);
}
