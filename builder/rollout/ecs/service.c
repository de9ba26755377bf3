#include "builder/rollout/ecs/service.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/verdict.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DRAIN_MAX_MS (5 * 60 * 1000)
#define LAG_MAX_MS   (60 * 1000)
#define AGAIN_MS     3000

/* ---- parts of the inputs ---- */

/* ECS's own breaker stays on with a rollback: it is there when we are not. */
static json_t *circuit_breaker(const struct ecs *e)
{
	return json_pack("{s:b, s:b, s:b, s:{s:s, s:I}}", "enable", 1,
			 "rollback", 1, "resetOnHealthyTask", 0,
			 "thresholdConfiguration", "type", "COUNT", "value",
			 (json_int_t)e->section->rollout_attempts);
}

static json_t *balancer(const struct ecs_service_plan *p)
{
	return json_pack("{s:s, s:s, s:i}", "targetGroupArn", p->target_group,
			 "containerName", p->container, "containerPort",
			 p->port);
}

static int64_t grace_s(const struct ecs *e)
{
	return e->section->health_grace_ms / 1000;
}

static json_t *network_configuration(const struct ecs *e)
{
	return json_pack("{s:o}", "awsvpcConfiguration", ecs_network(e));
}

/* The service of a reply; it must have a deployment to follow. */
static int take_service(json_t *reply, json_t **ret, struct error *err)
{
	json_t *service = json_object_get(reply, "service");
	const json_t *primary = service ? ecs_deployment(service, NULL) : NULL;

	if (!*json_get_str(primary, "id", ""))
		return err_set(err, ERR_PROTO,
			       "ecs: service %s has no deployment (it needs "
			       "the deployment controller ECS)",
			       json_get_str(service, "serviceName", "?"));
	*ret = json_incref(service);
	return 0;
}

/* ---- create ---- */

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
		"deploymentConfiguration",
		json_pack("{s:o, s:i, s:i}", "deploymentCircuitBreaker",
			  circuit_breaker(e), "minimumHealthyPercent", 100,
			  "maximumPercent", 200),
		"propagateTags", "TASK_DEFINITION", "enableECSManagedTags", 1,
		"tags", ecs_tags(e->owner, p->app->id, p->type, 0));
	ecs_set_capacity(e, input);
	if (*p->target_group) {
		json_object_set_new(input, "loadBalancers",
				    json_pack("[o]", balancer(p)));
		json_object_set_new(input, "healthCheckGracePeriodSeconds",
				    json_integer(grace_s(e)));
	}
	return input;
}

static bool was_told(const struct ecs *e, const char *text)
{
	return strstr(aws_last_error(e->aws)->message, text) != NULL;
}

/* What was made a moment ago is not known everywhere. */
static const char *const lagging[] = {
	"unable to assume the role",
	"unable to assume role",
	"service linked role",
	"does not have an associated load balancer",
};

/* May this refusal pass by itself; how long to wait for that. */
static int64_t worth_waiting(const struct ecs *e, int r)
{
	if (r != -ERR_PEER)
		return 0;
	if (was_told(e, "still Draining"))
		return DRAIN_MAX_MS;
	for (size_t i = 0; i < ARRAY_SIZE(lagging); i++)
		if (was_told(e, lagging[i]))
			return LAG_MAX_MS;
	return 0;
}

/* Ask until AWS knows what was made a moment ago. */
static int ask(struct ecs *e, const char *operation, const json_t *input,
	       json_t **ret, struct error *err)
{
	int64_t began = clock_ms();

	for (;;) {
		json_auto_t *reply = NULL;
		int r = ecs_call(e, operation, input, &reply, err);

		if (r == 0)
			return take_service(reply, ret, err);
		if (clock_ms() - began >= worth_waiting(e, r))
			return r;
		if (ecs_pause(e, AGAIN_MS))
			return err_set(err, ERR_CANCELED, "canceled");
	}
}

int ecs_create_service(struct ecs *e, const struct ecs_service_plan *p,
		       json_t **ret, struct error *err)
{
	json_auto_t *input = create_input(e, p);
	int r = ask(e, "CreateService", input, ret, err);

	if (r == -ERR_PEER && was_told(e, "not idempotent"))
		return err_set(err, ERR_EXISTS, "service %s exists already",
			       p->name);
	return r;
}

/* ---- update ---- */

static bool is_same_balancer(const json_t *lb, const struct ecs_service_plan *p)
{
	return strcmp(json_get_str(lb, "targetGroupArn", ""),
		      p->target_group) == 0 &&
	       strcmp(json_get_str(lb, "containerName", ""), p->container) ==
		       0 &&
	       json_integer_value(json_object_get(lb, "containerPort")) ==
		       p->port;
}

/* Those that the service is to have, ours in the place it had; NULL when it
 * has them. */
static json_t *changed_balancers(const json_t *service,
				 const struct ecs_service_plan *p)
{
	json_auto_t *list = json_array();
	size_t i;
	json_t *lb;

	json_array_foreach(json_object_get(service, "loadBalancers"), i, lb)
	{
		if (is_same_balancer(lb, p))
			return NULL;
		if (strcmp(json_get_str(lb, "targetGroupArn", ""),
			   p->target_group) != 0)
			json_array_append(list, lb);
	}
	json_array_append_new(list, balancer(p));
	return TAKE_PTR(list);
}

static void set_balancers(const struct ecs *e, const json_t *service,
			  const struct ecs_service_plan *p, bool is_ours,
			  json_t *input)
{
	json_t *grace =
		json_object_get(service, "healthCheckGracePeriodSeconds");
	json_t *list;

	if (!*p->target_group)
		return;
	list = changed_balancers(service, p);
	if (list)
		json_object_set_new(input, "loadBalancers", list);
	if (list || (is_ours && json_integer_value(grace) != grace_s(e)))
		json_object_set_new(input, "healthCheckGracePeriodSeconds",
				    json_integer(grace_s(e)));
}

static void set_deployment(const struct ecs *e, const json_t *service,
			   json_t *input)
{
	json_t *was = json_object_get(service, "deploymentConfiguration");
	json_t *now = json_is_object(was) ? json_deep_copy(was) : json_object();

	json_object_set_new(now, "deploymentCircuitBreaker",
			    circuit_breaker(e));
	if (!json_equal(now, was))
		json_object_set(input, "deploymentConfiguration", now);
	json_decref(now);
}

static bool is_among(const json_t *value, const json_t *list)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item)
	{
		if (json_equal(item, value))
			return true;
	}
	return false;
}

/* In whatever order: AWS does not say in which it answers. */
static bool has_same_items(const json_t *a, const json_t *b)
{
	size_t i;
	json_t *item;

	if (json_array_size(a) != json_array_size(b))
		return false;
	json_array_foreach(a, i, item)
	{
		if (!is_among(item, b))
			return false;
	}
	return true;
}

static bool is_same_network(const json_t *a, const json_t *b)
{
	return has_same_items(json_object_get(a, "subnets"),
			      json_object_get(b, "subnets")) &&
	       has_same_items(json_object_get(a, "securityGroups"),
			      json_object_get(b, "securityGroups")) &&
	       strcmp(json_get_str(a, "assignPublicIp", ""),
		      json_get_str(b, "assignPublicIp", "")) == 0;
}

static void set_network(const struct ecs *e, const json_t *service,
			json_t *input)
{
	json_auto_t *now = ecs_network(e);

	if (!is_same_network(now, json_at(service, "networkConfiguration",
					  "awsvpcConfiguration", NULL)))
		json_object_set_new(input, "networkConfiguration",
				    network_configuration(e));
}

static const char *provider_of(const json_t *object)
{
	json_t *list = json_object_get(object, "capacityProviderStrategy");

	return json_get_str(json_array_get(list, 0), "capacityProvider", "");
}

/* A launch type is for ever, but a strategy can come in its place, and go. */
static void set_capacity(const struct ecs *e, const json_t *service,
			 json_t *input)
{
	json_auto_t *wanted = json_object();
	json_t *strategy;

	ecs_set_capacity(e, wanted);
	if (strcmp(provider_of(wanted), provider_of(service)) == 0)
		return;
	strategy = json_object_get(wanted, "capacityProviderStrategy");
	json_object_set_new(input, "capacityProviderStrategy",
			    strategy ? json_incref(strategy) : json_array());
	/* It wants that said, though a deployment starts anyway. */
	json_object_set_new(input, "forceNewDeployment", json_true());
}

json_t *ecs_update_input(const struct ecs *e, const json_t *service,
			 const struct ecs_service_plan *p)
{
	json_t *tags = json_object_get(service, "tags");
	bool is_ours = !ecs_is_adopted(service) &&
		       ecs_owned(tags, e->owner, p->app->id) == ECS_OURS;
	json_t *input =
		json_pack("{s:s, s:s, s:s}", "cluster", e->section->cluster,
			  "service", p->name, "taskDefinition", p->taskdef);

	set_deployment(e, service, input);
	if (is_ours) {
		set_network(e, service, input);
		set_capacity(e, service, input);
	}
	if (p->count &&
	    !json_integer_value(json_object_get(service, "desiredCount")))
		json_object_set_new(input, "desiredCount",
				    json_integer(p->count));
	set_balancers(e, service, p, is_ours, input);
	return input;
}

/* What AWS answered of a circuit breaker is in ours?  It need not know all
 * that ours has. */
static bool is_same_breaker(const json_t *service, const json_t *input)
{
	json_t *was = json_at(service, "deploymentConfiguration",
			      "deploymentCircuitBreaker", NULL);
	json_t *ours = json_at(input, "deploymentConfiguration",
			       "deploymentCircuitBreaker", NULL);
	const char *key;
	json_t *value;

	json_object_foreach(was, key, value)
	{
		if (!json_equal(value, json_object_get(ours, key)))
			return false;
	}
	return was != NULL;
}

json_t *ecs_undo_of(const json_t *service, const json_t *input)
{
	/* With what ECS takes for "none". */
	static const struct {
		const char *key;
		const char *none;
	} members[] = {
		{ "deploymentConfiguration", NULL },
		{ "networkConfiguration", NULL },
		{ "capacityProviderStrategy", "[]" },
		{ "loadBalancers", "[]" },
		{ "desiredCount", "0" },
	};
	json_t *balancers = json_object_get(service, "loadBalancers");
	json_t *undo = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *key = members[i].key;
		json_t *was = json_object_get(service, key);

		if (!json_object_get(input, key))
			continue;
		if (was)
			json_object_set(undo, key, was);
		else if (members[i].none)
			json_object_set_new(undo, key,
					    json_loads(members[i].none,
						       JSON_DECODE_ANY, NULL));
	}
	if (json_object_get(input, "forceNewDeployment"))
		json_object_set_new(undo, "forceNewDeployment", json_true());
	if (is_same_breaker(service, input))
		json_object_del(undo, "deploymentConfiguration");
	/* Without a load balancer there may be none. */
	if (json_object_get(input, "healthCheckGracePeriodSeconds") &&
	    json_array_size(balancers))
		json_object_set(
			undo, "healthCheckGracePeriodSeconds",
			json_object_get(service,
					"healthCheckGracePeriodSeconds"));
	return undo;
}

json_t *ecs_undo_of_creation(const struct ecs_service_plan *p, int port)
{
	struct ecs_service_plan was = *p;
	json_t *undo = json_object();

	was.port = port;
	if (*p->target_group && port && port != p->port)
		json_object_set_new(undo, "loadBalancers",
				    json_pack("[o]", balancer(&was)));
	return undo;
}

int ecs_update_service(struct ecs *e, const json_t *input, json_t **ret,
		       struct error *err)
{
	return ask(e, "UpdateService", input, ret, err);
}

/* ---- back, and the end ---- */

static bool is_gone(const struct ecs *e)
{
	return aws_failed_with(e->aws, "ServiceNotFoundException") ||
	       aws_failed_with(e->aws, "ServiceNotActiveException");
}

int ecs_restore_service(struct ecs *e, const char *name, const char *taskdef,
			const json_t *undo, json_t **ret, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:s*}", "cluster", e->section->cluster,
			  "service", name, "taskDefinition", taskdef);
	int r;

	json_object_update(input, (json_t *)undo);
	r = ecs_update_service(e, input, ret, err);
	if (r == -ERR_PEER && is_gone(e))
		return err_set(err, ERR_NOTFOUND, "no service %s", name);
	return r;
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
	int r = ecs_call(e, "ListServiceDeployments", input, &reply, err);

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
	return ecs_call(e, "StopServiceDeployment", input, &reply, err);
}

int ecs_delete_service(struct ecs *e, const char *name, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:b}", "cluster", e->section->cluster,
			  "service", name, "force", 1);
	json_auto_t *reply = NULL;
	int r = ecs_call(e, "DeleteService", input, &reply, err);

	return r == -ERR_PEER && is_gone(e) ? 0 : r;
}
