#include "builder/rollout/ecs/elb_rule.h"

#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/store/store.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PRIORITY_MAX   50000
#define PRIORITY_TRIES 10
#define PAGES_MAX      20

/* ---- what there is ---- */

/* All rules of the listener; *ret is an array, the caller's. */
static int list_rules(struct ecs *e, json_t **ret, struct error *err)
{
	auto_free char *marker = NULL;
	json_auto_t *all = json_array();

	for (int page = 0; page < PAGES_MAX; page++) {
		json_auto_t *input =
			json_pack("{s:s, s:s*}", "ListenerArn",
				  e->section->listener, "Marker", marker);
		json_auto_t *reply = NULL;
		const char *next;
		json_t *rules;
		int r = ecs_call_elb(e, "DescribeRules", input, &reply, err);

		if (r < 0)
			return r;
		rules = json_object_get(reply, "Rules");
		if (json_is_array(rules))
			json_array_extend(all, rules);
		next = json_get_str(reply, "NextMarker", "");
		free(marker);
		marker = *next ? xstrdup(next) : NULL;
		if (!marker) {
			*ret = TAKE_PTR(all);
			return 0;
		}
	}
	return err_set(err, ERR_LIMIT, "the listener has too many rules");
}

static bool has_group(const json_t *targets, const char *group_arn)
{
	size_t i;
	json_t *target;

	json_array_foreach(targets, i, target)
	{
		if (strcmp(json_get_str(target, "TargetGroupArn", ""),
			   group_arn) == 0)
			return true;
	}
	return false;
}

/* Does one of a rule's actions name this target group, alone or among
 * others? */
static bool forwards_to(const json_t *rule, const char *group_arn)
{
	json_t *actions = json_object_get(rule, "Actions");
	size_t i;
	json_t *action;

	if (has_group(actions, group_arn))
		return true;
	json_array_foreach(actions, i, action)
	{
		if (has_group(json_at(action, "ForwardConfig", "TargetGroups",
				      NULL),
			      group_arn))
			return true;
	}
	return false;
}

static bool has_value(const json_t *values, const char *host)
{
	size_t i;
	json_t *value;

	json_array_foreach(values, i, value)
	{
		const char *text = json_string_value(value);

		if (text && strcasecmp(text, host) == 0)
			return true;
	}
	return false;
}

/* Is this host name, word by word, one of the condition's? */
static bool is_for_host(const json_t *condition, const char *host)
{
	return strcmp(json_get_str(condition, "Field", ""), "host-header") ==
		       0 &&
	       (has_value(json_object_get(condition, "Values"), host) ||
		has_value(
			json_at(condition, "HostHeaderConfig", "Values", NULL),
			host));
}

/* Does it take all requests for this host name?  One with another condition,
 * as a path, takes some of them: people have such beside ours. */
static bool takes_host(const json_t *rule, const char *host)
{
	json_t *conditions = json_object_get(rule, "Conditions");

	return json_array_size(conditions) == 1 &&
	       is_for_host(json_array_get(conditions, 0), host);
}

static bool is_taken(const json_t *rules, int priority)
{
	char text[16];
	size_t i;
	json_t *rule;

	snprintf(text, sizeof(text), "%d", priority);
	json_array_foreach(rules, i, rule)
	{
		if (strcmp(json_get_str(rule, "Priority", ""), text) == 0)
			return true;
	}
	return false;
}

static int free_priority(const json_t *rules, int from)
{
	while (from < PRIORITY_MAX && is_taken(rules, from))
		from++;
	return from;
}

static int create_rule(struct ecs *e, const struct app *app, const char *type,
		       const char *host, const char *group_arn, int priority,
		       struct error *err)
{
	json_auto_t *input = json_pack(
		"{s:s, s:i, s:[{s:s, s:{s:[s]}}], s:[{s:s, s:s}], s:o}",
		"ListenerArn", e->section->listener, "Priority", priority,
		"Conditions", "Field", "host-header", "HostHeaderConfig",
		"Values", host, "Actions", "Type", "forward", "TargetGroupArn",
		group_arn, "Tags", ecs_tags_spelt(e->owner, app->id, type));
	json_auto_t *reply = NULL;
	int r = ecs_call_elb(e, "CreateRule", input, &reply, err);

	if (r == -ERR_PEER && aws_failed_with(e->aws, "PriorityInUse"))
		return err_set(err, ERR_EXISTS, "priority %d is taken",
			       priority);
	return r;
}

/* 1 when one of the rules brings the host name's requests to the group ("" is
 * one that is to be made), 0, or -ERR_INVALID when it brings them elsewhere. */
static int has_rule(const json_t *rules, const char *host,
		    const char *group_arn, struct error *err)
{
	size_t i;
	json_t *rule;

	json_array_foreach(rules, i, rule)
	{
		if (!takes_host(rule, host))
			continue;
		if (*group_arn && forwards_to(rule, group_arn))
			return 1;
		return err_set(err, ERR_INVALID,
			       "another rule of the load balancer has %s: %s",
			       host, json_get_str(rule, "RuleArn", ""));
	}
	return 0;
}

int ecs_rule_check(struct ecs *e, const struct app *app, const char *group_arn,
		   struct error *err)
{
	auto_free char *host = ecs_host(e->section, app->name);
	json_auto_t *rules = NULL;
	int r = list_rules(e, &rules, err);

	if (r == 0)
		r = has_rule(rules, host, group_arn, err);
	return r < 0 ? r : 0;
}

int ecs_rule_ensure(struct ecs *e, const struct app *app, const char *type,
		    const char *group_arn, struct error *err)
{
	auto_free char *host = ecs_host(e->section, app->name);
	int priority = 0;
	int r = -ERR_EXISTS;

	/* Somebody may take the priority between our look and our call; and
	 * so may have we, when an answer was lost. */
	for (int i = 0; r == -ERR_EXISTS && i < PRIORITY_TRIES; i++) {
		json_auto_t *rules = NULL;

		r = list_rules(e, &rules, err);
		if (r == 0)
			r = has_rule(rules, host, group_arn, err);
		if (r != 0)
			return r < 0 ? r : 0;
		priority = free_priority(rules, priority + 1);
		r = create_rule(e, app, type, host, group_arn, priority, err);
	}
	return r;
}

/* ---- the end ---- */

/* One that brings some requests elsewhere is not ours to delete: that the
 * target group is in use is told then. */
static bool is_shared(const json_t *rule)
{
	json_t *actions = json_object_get(rule, "Actions");
	size_t i;
	json_t *action;

	json_array_foreach(actions, i, action)
	{
		if (json_array_size(json_at(action, "ForwardConfig",
					    "TargetGroups", NULL)) > 1)
			return true;
	}
	return false;
}

int ecs_rule_delete(struct ecs *e, const char *group_arn, struct error *err)
{
	json_auto_t *rules = NULL;
	size_t i;
	json_t *rule;
	int r = list_rules(e, &rules, err);

	if (r < 0)
		return r;
	json_array_foreach(rules, i, rule)
	{
		json_auto_t *input = NULL;
		json_auto_t *reply = NULL;

		if (!forwards_to(rule, group_arn) || is_shared(rule))
			continue;
		input = json_pack("{s:s}", "RuleArn",
				  json_get_str(rule, "RuleArn", ""));
		r = ecs_call_elb(e, "DeleteRule", input, &reply, err);
		if (r < 0 && !aws_failed_with(e->aws, "RuleNotFound"))
			return r;
	}
	return 0;
}
