/*
 * The tasks of an app's services, as `ps` shows them.
 */
#include "builder/rollout/ecs/ecs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/name.h"
#include "builder/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	  100 /* what one DescribeTasks takes */
#define PAGES_MAX 50

struct listing {
	struct ecs *e;
	json_t *versions; /* release number by task definition */
	struct target_process *all;
	int count;
};

/* The release that a task runs; 0 when its definition does not say. */
static int64_t version_of(struct listing *l, const json_t *task)
{
	const char *arn = json_get_str(task, "taskDefinitionArn", "");
	json_t *known = json_object_get(l->versions, arn);
	json_auto_t *def = NULL;
	struct error ignored;
	int64_t version = 0;

	if (known)
		return json_integer_value(known);
	if (ecs_describe_taskdef(l->e, arn, &def, &ignored) == 0)
		version = ecs_tag_release(json_object_get(def, "tags"));
	json_object_set_new(l->versions, arn, json_integer(version));
	return version;
}

static const char *state_name(const char *status)
{
	static const char *const starting[] = { "PROVISIONING", "PENDING",
						"ACTIVATING" };

	if (strcmp(status, "RUNNING") == 0)
		return "up";
	for (size_t i = 0; i < ARRAY_SIZE(starting); i++)
		if (strcmp(status, starting[i]) == 0)
			return "starting";
	return "down";
}

static const char *address_of(const json_t *task)
{
	const json_t *c =
		json_array_get(json_object_get(task, "containers"), 0);
	const json_t *net =
		json_array_get(json_object_get(c, "networkInterfaces"), 0);

	return json_get_str(net, "privateIpv4Address", "");
}

static void describe(struct listing *l, const char *type, const json_t *task,
		     struct target_process *ret)
{
	const char *id = ecs_task_id(json_get_str(task, "taskArn", ""));
	const char *address = address_of(task);
	const char *health = json_get_str(task, "healthStatus", "UNKNOWN");
	json_t *since = json_object_get(task, "startedAt");

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->type, sizeof(ret->type), "%s", type);
	snprintf(ret->state, sizeof(ret->state), "%s",
		 state_name(json_get_str(task, "lastStatus", "")));
	snprintf(ret->detail, sizeof(ret->detail), "task %.*s%s%.40s%s%.16s",
		 ECS_TASK_SHOWN, id, *address ? ", " : "", address,
		 strcmp(health, "UNKNOWN") ? ", " : "",
		 strcmp(health, "UNKNOWN") ? health : "");
	if (!since)
		since = json_object_get(task, "createdAt");
	if (since)
		text_utc((int64_t)json_number_value(since), ret->since,
			 sizeof(ret->since));
	ret->version = version_of(l, task);
}

static int compare(const void *a, const void *b)
{
	const struct target_process *x = a;
	const struct target_process *y = b;
	int order = strcmp(x->since, y->since);

	return order ? order : strcmp(x->detail, y->detail);
}

/* Tasks have no numbers: the oldest is called 1. */
static void number(struct target_process *list, size_t count)
{
	qsort(list, count, sizeof(*list), compare);
	for (size_t i = 0; i < count; i++)
		list[i].index = (int)i + 1;
}

static int add_tasks(struct listing *l, const char *type, json_t *arns,
		     struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:O}", "cluster",
				       l->e->section->cluster, "tasks", arns);
	json_auto_t *reply = NULL;
	size_t i;
	json_t *task;
	int r = ecs_call(l->e, "DescribeTasks", input, &reply, err);

	if (r < 0)
		return r;
	l->all = xrealloc(l->all, ((size_t)l->count + PAGE) * sizeof(*l->all));
	json_array_foreach(json_object_get(reply, "tasks"), i, task)
	{
		if (i < PAGE)
			describe(l, type, task, &l->all[l->count++]);
	}
	return 0;
}

/* One page; *token is where it goes on, NULL = at the end. */
static int add_page(struct listing *l, const char *service, const char *type,
		    char **token, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:i, s:s*}", "cluster",
			  l->e->section->cluster, "serviceName", service,
			  "maxResults", PAGE, "nextToken", *token);
	json_auto_t *reply = NULL;
	const char *next;
	json_t *arns;
	int r = ecs_call(l->e, "ListTasks", input, &reply, err);

	if (r < 0)
		return r;
	next = json_get_str(reply, "nextToken", "");
	free(*token);
	*token = *next ? xstrdup(next) : NULL;
	arns = json_object_get(reply, "taskArns");
	return json_array_size(arns) ? add_tasks(l, type, arns, err) : 0;
}

static int add_service(struct listing *l, const json_t *service,
		       struct error *err)
{
	const char *name = json_get_str(service, "serviceName", "");
	const char *type =
		ecs_tag(json_object_get(service, "tags"), ECS_TAG_PROCESS);
	auto_free char *token = NULL;
	int first = l->count;
	int pages = 0;
	int r;

	do {
		r = add_page(l, name, type ? type : "?", &token, err);
	} while (r == 0 && token && ++pages < PAGES_MAX);
	if (r == 0)
		number(l->all + first, (size_t)(l->count - first));
	return r;
}

int ecs_processes(struct target *t, const struct app *app,
		  struct target_process **ret, struct error *err)
{
	struct listing l = { .e = ecs_of(t) };
	json_auto_t *services = NULL;
	size_t i;
	json_t *service;
	int r = ecs_app_services(l.e, app, &services, err);

	if (r < 0)
		return r;
	l.versions = json_object();
	json_array_foreach(services, i, service)
	{
		if (r == 0)
			r = add_service(&l, service, err);
	}
	json_decref(l.versions);
	if (r < 0) {
		free(l.all);
		return r;
	}
	*ret = l.all;
	return l.count;
}
