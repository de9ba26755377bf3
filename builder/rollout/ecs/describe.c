#include "builder/rollout/ecs/describe.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/store/store.h"

#include <string.h>

#define BATCH	   10 /* names of one DescribeServices */
#define PAGE	   100
#define PAGES_MAX  100
#define IS_ADOPTED "slipway:adopted" /* a member that ECS has not */

/* The text on which a list goes on, the caller's; NULL = it is at its end. */
static char *next_token(const json_t *reply)
{
	const char *token = json_get_str(reply, "nextToken", "");

	return *token ? xstrdup(token) : NULL;
}

/* ---- services by name ---- */

static void keep_existing(const json_t *reply, json_t *all)
{
	size_t i;
	json_t *service;

	json_array_foreach(json_object_get(reply, "services"), i, service)
	{
		if (strcmp(json_get_str(service, "status", ""), "INACTIVE") !=
		    0)
			json_array_append(all, service);
	}
}

static int describe_batch(struct ecs *e, const char *const *names, size_t count,
			  json_t *all, struct error *err)
{
	json_auto_t *list = json_array();
	json_auto_t *input = NULL;
	json_auto_t *reply = NULL;
	int r;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(names[i]));
	input = json_pack("{s:s, s:O, s:[s]}", "cluster", e->section->cluster,
			  "services", list, "include", "TAGS");
	r = ecs_call(e, "DescribeServices", input, &reply, err);
	if (r == 0)
		keep_existing(reply, all);
	return r;
}

int ecs_describe_services(struct ecs *e, const char *const *names, json_t **ret,
			  struct error *err)
{
	json_auto_t *all = json_array();
	size_t total = 0;

	while (names[total])
		total++;
	for (size_t i = 0; i < total; i += BATCH) {
		size_t count = total - i < BATCH ? total - i : BATCH;
		int r = describe_batch(e, names + i, count, all, err);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(all);
	return 0;
}

json_t *ecs_service_named(const json_t *services, const char *name)
{
	size_t i;
	json_t *service;

	json_array_foreach(services, i, service)
	{
		if (strcmp(json_get_str(service, "serviceName", ""), name) == 0)
			return service;
	}
	return NULL;
}

/* ---- services of an app ---- */

static int check_owners(const struct ecs *e, const struct app *app,
			const json_t *services, struct error *err)
{
	size_t i;
	json_t *service;

	json_array_foreach(services, i, service)
	{
		int r = ecs_app_owns(
			e, app, json_object_get(service, "tags"), "service",
			json_get_str(service, "serviceName", "?"), err);

		if (r < 0)
			return r;
	}
	return 0;
}

int ecs_claimed_services(struct ecs *e, const struct app *app,
			 const char *const *names, json_t **ret,
			 struct error *err)
{
	json_auto_t *services = NULL;
	int r = ecs_describe_services(e, names, &services, err);

	if (r == 0)
		r = check_owners(e, app, services, err);
	if (r == 0)
		*ret = TAKE_PTR(services);
	return r;
}

int ecs_planned_services(struct ecs *e, const struct app *app,
			 const struct release_plan *plan, json_t **ret,
			 struct error *err)
{
	char *names[PLAN_TYPES_MAX + 1] = { NULL };
	size_t count = 0;
	int r;

	for (size_t i = 0; i < plan->types_count; i++)
		if (plan->types[i].count)
			names[count++] = ecs_service_name(e->section, app->name,
							  plan->types[i].type);
	r = ecs_claimed_services(e, app, (const char *const *)names, ret, err);
	while (count)
		free(names[--count]);
	return r;
}

static void add_names(const json_t *reply, const char *prefix, json_t *names)
{
	size_t i;
	json_t *arn;

	json_array_foreach(json_object_get(reply, "serviceArns"), i, arn)
	{
		const char *text = json_string_value(arn);
		const char *name = ecs_task_id(text ? text : "");

		if (strncmp(name, prefix, strlen(prefix)) == 0)
			json_array_append_new(names, json_string(name));
	}
}

/* Names of the cluster's services that begin with `prefix`. */
static int list_names(struct ecs *e, const char *prefix, json_t *names,
		      struct error *err)
{
	auto_free char *token = NULL;

	for (int page = 0; page < PAGES_MAX; page++) {
		json_auto_t *input = json_pack(
			"{s:s, s:i, s:s*}", "cluster", e->section->cluster,
			"maxResults", PAGE, "nextToken", token);
		json_auto_t *reply = NULL;
		int r = ecs_call(e, "ListServices", input, &reply, err);

		if (r < 0)
			return r;
		add_names(reply, prefix, names);
		free(token);
		token = next_token(reply);
		if (!token)
			return 0;
	}
	return err_set(err, ERR_LIMIT,
		       "cluster %s has too many services to look through",
		       e->section->cluster);
}

/* Does it run what we registered for this app?  Then it has these tags. */
static int adopt(struct ecs *e, const struct app *app, json_t *service,
		 struct error *err)
{
	const char *arn = json_get_str(service, "taskDefinition", "");
	json_auto_t *def = NULL;
	json_t *tags;
	int r = ecs_describe_taskdef(e, arn, &def, err);

	if (r < 0)
		return r == -ERR_NOTFOUND ? 0 : r;
	tags = json_object_get(def, "tags");
	if (ecs_owned(tags, e->owner, app->id) != ECS_OURS)
		return 0;
	json_object_set(service, "tags", tags);
	json_object_set_new(service, IS_ADOPTED, json_true());
	return 1;
}

bool ecs_is_adopted(const json_t *service)
{
	return json_is_true(json_object_get(service, IS_ADOPTED));
}

/* 1, 0 or -code */
static int is_of_app(struct ecs *e, const struct app *app, json_t *service,
		     struct error *err)
{
	json_t *tags = json_object_get(service, "tags");

	switch (ecs_owned(tags, e->owner, app->id)) {
	case ECS_OURS:
		return 1;
	case ECS_NOBODYS:
		return adopt(e, app, service, err);
	default:
		return 0;
	}
}

int ecs_app_services(struct ecs *e, const struct app *app, json_t **ret,
		     struct error *err)
{
	auto_free char *prefix = ecs_service_name(e->section, app->name, "");
	auto_free const char **list = NULL;
	json_auto_t *names = json_array();
	json_auto_t *all = NULL;
	int r = list_names(e, prefix, names, err);

	if (r < 0)
		return r;
	list = xcalloc(json_array_size(names) + 1, sizeof(*list));
	for (size_t i = 0; i < json_array_size(names); i++)
		list[i] = json_string_value(json_array_get(names, i));
	r = ecs_describe_services(e, list, &all, err);
	if (r < 0)
		return r;
	for (size_t i = json_array_size(all); i-- > 0;) {
		r = is_of_app(e, app, json_array_get(all, i), err);
		if (r < 0)
			return r;
		if (r == 0)
			json_array_remove(all, i);
	}
	*ret = TAKE_PTR(all);
	return 0;
}

/* ---- task definitions ---- */

int ecs_describe_taskdef(struct ecs *e, const char *name, json_t **ret,
			 struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:[s]}", "taskDefinition", name,
				       "include", "TAGS");
	int r = ecs_call(e, "DescribeTaskDefinition", input, ret, err);

	/* There is no code of its own for it. */
	if (r == -ERR_PEER && aws_failed_with(e->aws, "ClientException") &&
	    strstr(aws_last_error(e->aws)->message, "Unable to describe"))
		return err_set(err, ERR_NOTFOUND, "no task definition %s",
			       name);
	return r;
}

int ecs_list_family(struct ecs *e, const char *family, size_t max, json_t **ret,
		    struct error *err)
{
	json_auto_t *arns = json_array();
	auto_free char *token = NULL;
	int pages = 0;

	do {
		size_t room = max - json_array_size(arns);
		json_auto_t *input = json_pack(
			"{s:s, s:s, s:s, s:i, s:s*}", "familyPrefix", family,
			"status", "ACTIVE", "sort", "DESC", "maxResults",
			(int)(room < PAGE ? room : PAGE), "nextToken", token);
		json_auto_t *reply = NULL;
		int r = ecs_call(e, "ListTaskDefinitions", input, &reply, err);

		if (r < 0)
			return r;
		json_array_extend(arns,
				  json_object_get(reply, "taskDefinitionArns"));
		free(token);
		token = next_token(reply);
	} while (token && json_array_size(arns) < max && ++pages < PAGES_MAX);
	*ret = TAKE_PTR(arns);
	return token != NULL;
}
