#include "builder/rollout/ecs_service.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_target.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH	     10 /* names of one DescribeServices */
#define PAGES_MAX    100
#define DRAIN_MAX_MS (5 * 60 * 1000)
#define ROLE_MAX_MS  (60 * 1000)
#define AGAIN_MS     3000

/* ---- reading ---- */

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
	r = aws_call(e->aws, AWS_ECS, "DescribeServices", input, &reply, err);
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

/* Names of the cluster's services that begin with `prefix`. */
static int list_names(struct ecs *e, const char *prefix, json_t *names,
		      struct error *err)
{
	auto_free char *token = NULL;

	for (int page = 0; page < PAGES_MAX; page++) {
		json_auto_t *input = json_pack(
			"{s:s, s:i, s:s*}", "cluster", e->section->cluster,
			"maxResults", 100, "nextToken", token);
		json_auto_t *reply = NULL;
		const char *next;
		size_t i;
		json_t *arn;
		int r = aws_call(e->aws, AWS_ECS, "ListServices", input, &reply,
				 err);

		if (r < 0)
			return r;
		json_array_foreach(json_object_get(reply, "serviceArns"), i,
				   arn)
		{
			const char *text = json_string_value(arn);
			const char *name = ecs_task_id(text ? text : "");

			if (strncmp(name, prefix, strlen(prefix)) == 0)
				json_array_append_new(names, json_string(name));
		}
		next = json_get_str(reply, "nextToken", NULL);
		free(token);
		token = next ? xstrdup(next) : NULL;
		if (!token)
			return 0;
	}
	return err_set(err, ERR_LIMIT,
		       "cluster %s has too many services to look through",
		       e->section->cluster);
}

/* Services with names like the app's, whoever has them. */
static int describe_like(struct ecs *e, const struct app *app, json_t **ret,
			 struct error *err)
{
	auto_free char *prefix = ecs_service_name(e->section, app->name, "");
	auto_free const char **list = NULL;
	json_auto_t *names = json_array();
	int r = list_names(e, prefix, names, err);

	if (r < 0)
		return r;
	list = xcalloc(json_array_size(names) + 1, sizeof(*list));
	for (size_t i = 0; i < json_array_size(names); i++)
		list[i] = json_string_value(json_array_get(names, i));
	return ecs_describe_services(e, list, ret, err);
}

int ecs_app_services(struct ecs *e, const struct app *app, json_t **ret,
		     struct error *err)
{
	json_t *all = NULL;
	int r = describe_like(e, app, &all, err);

	if (r < 0)
		return r;
	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *tags = json_object_get(json_array_get(all, i), "tags");

		if (ecs_owned(tags, e->owner, app->id) != ECS_OURS)
			json_array_remove(all, i);
	}
	*ret = all;
	return 0;
}

/* Of an app with this name on another installation?  One of an app "shop-eu"
 * begins like those of "shop", too. */
static bool is_namesakes(const struct ecs *e, const struct app *app,
			 const json_t *service)
{
	json_t *tags = json_object_get(service, "tags");
	const char *owner = ecs_tag(tags, ECS_TAG_OWNER);
	const char *process = ecs_tag(tags, ECS_TAG_PROCESS);
	auto_free char *name = NULL;

	if (!owner || !process || strcmp(owner, e->owner) == 0)
		return false;
	name = ecs_service_name(e->section, app->name, process);
	return strcmp(name, json_get_str(service, "serviceName", "")) == 0;
}

int ecs_check_namesake(struct ecs *e, const struct app *app, struct error *err)
{
	json_auto_t *services = NULL;
	size_t i;
	json_t *service;
	int r = describe_like(e, app, &services, err);

	if (r < 0)
		return r;
	json_array_foreach(services, i, service)
	{
		if (is_namesakes(e, app, service))
			return err_set(err, ERR_EXISTS,
				       "service %s is of another installation "
				       "of Slipway, which has an app '%s' on "
				       "this cluster: choose another name, or "
				       "other prefixes for target.%s",
				       json_get_str(service, "serviceName", ""),
				       app->name, e->section->name);
	}
	return 0;
}

/* ---- writing ---- */

/* ECS's own breaker stays on with a rollback: it is there when we are not. */
static json_t *deployment_configuration(const struct ecs *e)
{
	return json_pack("{s:{s:b, s:b, s:b, s:{s:s, s:I}}, s:i, s:i}",
			 "deploymentCircuitBreaker", "enable", 1, "rollback", 1,
			 "resetOnHealthyTask", 0, "thresholdConfiguration",
			 "type", "COUNT", "value",
			 (json_int_t)e->section->rollout_attempts,
			 "minimumHealthyPercent", 100, "maximumPercent", 200);
}

static json_t *load_balancers(const struct ecs_service_plan *p)
{
	return json_pack("[{s:s, s:s, s:i}]", "targetGroupArn", p->target_group,
			 "containerName", p->container, "containerPort",
			 p->port);
}

static void set_balancer(const struct ecs *e, const struct ecs_service_plan *p,
			 json_t *input)
{
	if (!*p->target_group)
		return;
	json_object_set_new(input, "loadBalancers", load_balancers(p));
	json_object_set_new(input, "healthCheckGracePeriodSeconds",
			    json_integer(e->section->health_grace_ms / 1000));
}

static json_t *network_configuration(const struct ecs *e)
{
	return json_pack("{s:o}", "awsvpcConfiguration", ecs_network(e));
}

/* The service in the reply, the caller's. */
static int take_service(json_t *reply, json_t **ret, struct error *err)
{
	json_t *service = json_object_get(reply, "service");

	if (!json_is_object(service))
		return err_set(err, ERR_PROTO,
			       "ecs: a reply without a service");
	*ret = json_incref(service);
	return 0;
}

static json_t *create_input(const struct ecs *e,
			    const struct ecs_service_plan *p)
{
	char id[24];
	char version[24];
	const char *const words[] = { e->owner,	  id,	    p->type, version,
				      p->taskdef, "create", NULL };
	auto_free char *token = NULL;
	json_t *input;

	snprintf(id, sizeof(id), "%" PRId64, p->app->id);
	snprintf(version, sizeof(version), "%" PRId64, p->version);
	token = ecs_token(words);
	input = json_pack(
		"{s:s, s:s, s:s, s:i, s:s, s:o, s:o, s:s, s:b, s:o}", "cluster",
		e->section->cluster, "serviceName", p->name, "taskDefinition",
		p->taskdef, "desiredCount", p->count, "clientToken", token,
		"networkConfiguration", network_configuration(e),
		"deploymentConfiguration", deployment_configuration(e),
		"propagateTags", "TASK_DEFINITION", "enableECSManagedTags", 1,
		"tags", ecs_tags(e->owner, p->app->id, p->type, 0));
	ecs_set_capacity(e, input);
	set_balancer(e, p, input);
	return input;
}

static bool was_told(const struct ecs *e, const char *text)
{
	return strstr(aws_last_error(e->aws)->message, text) != NULL;
}

/* May this refusal pass by itself; how long to wait for that. */
static int64_t worth_waiting(const struct ecs *e, int r)
{
	if (r != -ERR_PEER)
		return 0;
	if (was_told(e, "still Draining"))
		return DRAIN_MAX_MS;
	if (was_told(e, "unable to assume the role") ||
	    was_told(e, "unable to assume role") ||
	    was_told(e, "service linked role"))
		return ROLE_MAX_MS;
	return 0;
}

int ecs_create_service(struct ecs *e, const struct ecs_service_plan *p,
		       json_t **ret, struct error *err)
{
	json_auto_t *input = create_input(e, p);
	int64_t began = clock_ms();

	for (;;) {
		json_auto_t *reply = NULL;
		int r = aws_call(e->aws, AWS_ECS, "CreateService", input,
				 &reply, err);

		if (r == 0)
			return take_service(reply, ret, err);
		if (r == -ERR_PEER && was_told(e, "not idempotent"))
			return err_set(err, ERR_EXISTS,
				       "service %s exists already", p->name);
		if (clock_ms() - began >= worth_waiting(e, r))
			return r;
		if (ecs_pause(e, AGAIN_MS))
			return err_set(err, ERR_CANCELED, "canceled");
	}
}

static bool is_balanced_so(const json_t *service,
			   const struct ecs_service_plan *p)
{
	json_t *lb =
		json_array_get(json_object_get(service, "loadBalancers"), 0);

	return strcmp(json_get_str(lb, "targetGroupArn", ""),
		      p->target_group) == 0 &&
	       strcmp(json_get_str(lb, "containerName", ""), p->container) ==
		       0 &&
	       json_integer_value(json_object_get(lb, "containerPort")) ==
		       p->port;
}

static int update(struct ecs *e, json_t *input, json_t **ret, struct error *err)
{
	json_auto_t *reply = NULL;
	int r = aws_call(e->aws, AWS_ECS, "UpdateService", input, &reply, err);

	return r < 0 ? r : take_service(reply, ret, err);
}

int ecs_update_service(struct ecs *e, const json_t *service,
		       const struct ecs_service_plan *p, json_t **ret,
		       struct error *err)
{
	json_auto_t *input = json_pack(
		"{s:s, s:s, s:s, s:o}", "cluster", e->section->cluster,
		"service", p->name, "taskDefinition", p->taskdef,
		"deploymentConfiguration", deployment_configuration(e));
	json_t *tags = json_object_get(service, "tags");

	/* The network of a service that somebody made is theirs. */
	if (ecs_owned(tags, e->owner, p->app->id) == ECS_OURS)
		json_object_set_new(input, "networkConfiguration",
				    network_configuration(e));
	if (p->count &&
	    !json_integer_value(json_object_get(service, "desiredCount")))
		json_object_set_new(input, "desiredCount",
				    json_integer(p->count));
	if (!is_balanced_so(service, p))
		set_balancer(e, p, input);
	return update(e, input, ret, err);
}

int ecs_revert_service(struct ecs *e, const char *name, const char *taskdef,
		       json_t **ret, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:s}", "cluster", e->section->cluster,
			  "service", name, "taskDefinition", taskdef);

	return update(e, input, ret, err);
}

/* ARN of the service deployment that is going on, the caller's. */
static int find_service_deployment(struct ecs *e, const char *name, char **ret,
				   struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:s, s:[s, s]}", "cluster",
				       e->section->cluster, "service", name,
				       "status", "PENDING", "IN_PROGRESS");
	json_auto_t *reply = NULL;
	const char *arn;
	int r = aws_call(e->aws, AWS_ECS, "ListServiceDeployments", input,
			 &reply, err);

	if (r < 0)
		return r;
	arn = json_get_str(
		json_array_get(json_object_get(reply, "serviceDeployments"), 0),
		"serviceDeploymentArn", NULL);
	if (!arn)
		return err_set(err, ERR_NOTFOUND,
			       "service %s has no deployment going on", name);
	*ret = xstrdup(arn);
	return 0;
}

int ecs_stop_deployment(struct ecs *e, const char *name, struct error *err)
{
	auto_free char *arn = NULL;
	json_auto_t *input = NULL;
	json_auto_t *reply = NULL;
	int r = find_service_deployment(e, name, &arn, err);

	if (r < 0)
		return r;
	input = json_pack("{s:s, s:s}", "serviceDeploymentArn", arn, "stopType",
			  "ROLLBACK");
	return aws_call(e->aws, AWS_ECS, "StopServiceDeployment", input, &reply,
			err);
}

int ecs_scale_service(struct ecs *e, const char *name, int count,
		      struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:i}", "cluster", e->section->cluster,
			  "service", name, "desiredCount", count);
	json_auto_t *service = NULL;

	return update(e, input, &service, err);
}

int ecs_delete_service(struct ecs *e, const char *name, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:b}", "cluster", e->section->cluster,
			  "service", name, "force", 1);
	json_auto_t *reply = NULL;
	int r = aws_call(e->aws, AWS_ECS, "DeleteService", input, &reply, err);

	if (r == -ERR_PEER &&
	    (aws_failed_with(e->aws, "ServiceNotFoundException") ||
	     aws_failed_with(e->aws, "ServiceNotActiveException")))
		return 0;
	return r;
}
