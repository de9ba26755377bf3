#include "builder/rollout/ecs/elb.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PRIORITY_MAX   50000
#define PRIORITY_TRIES 10
#define PAGES_MAX      20
#define DELETE_TRIES   5
#define AGAIN_MS       2000
#define CHECK_SECONDS  10
#define TROUBLE_MAX    4 /* targets told of */

/* ---- the target group ---- */

/* -ERR_NOTFOUND; *ret is the caller's. */
static int find_group(struct ecs *e, const char *name, json_t **ret,
		      struct error *err)
{
	json_auto_t *input = json_pack("{s:[s]}", "Names", name);
	json_auto_t *reply = NULL;
	json_t *group;
	int r = ecs_call_elb(e, "DescribeTargetGroups", input, &reply, err);

	if (r == -ERR_PEER && aws_failed_with(e->aws, "TargetGroupNotFound"))
		return err_set(err, ERR_NOTFOUND, "no target group %s", name);
	if (r < 0)
		return r;
	group = json_array_get(json_object_get(reply, "TargetGroups"), 0);
	if (!json_is_object(group))
		return err_set(err, ERR_NOTFOUND, "no target group %s", name);
	*ret = json_incref(group);
	return 0;
}

/* Tags of a target group, the caller's; NULL = none. */
static int find_tags(struct ecs *e, const char *arn, json_t **ret,
		     struct error *err)
{
	json_auto_t *input = json_pack("{s:[s]}", "ResourceArns", arn);
	json_auto_t *reply = NULL;
	const json_t *about;
	int r = ecs_call_elb(e, "DescribeTags", input, &reply, err);

	if (r < 0)
		return r;
	about = json_array_get(json_object_get(reply, "TagDescriptions"), 0);
	*ret = json_incref(json_object_get(about, "Tags"));
	return 0;
}

static int create_group(struct ecs *e, const struct app *app, const char *type,
			const char *name, int port, json_t **ret,
			struct error *err)
{
	json_auto_t *input = json_pack(
		"{s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:{s:s}, s:o}",
		"Name", name, "Protocol", "HTTP", "Port", port, "VpcId",
		e->section->vpc, "TargetType", "ip", "HealthCheckPath",
		e->section->health_path, "HealthCheckIntervalSeconds",
		CHECK_SECONDS, "HealthyThresholdCount", 2, "Matcher",
		"HttpCode", "200-399", "Tags",
		ecs_tags_spelt(e->owner, app->id, type));
	json_auto_t *reply = NULL;
	json_t *group;
	int r = ecs_call_elb(e, "CreateTargetGroup", input, &reply, err);

	if (r < 0)
		return r;
	group = json_array_get(json_object_get(reply, "TargetGroups"), 0);
	if (!json_is_object(group))
		return err_set(err, ERR_PROTO,
			       "elasticloadbalancing: a reply without a "
			       "target group");
	*ret = json_incref(group);
	return 0;
}

static int set_health_path(struct ecs *e, const char *arn, const json_t *group,
			   struct error *err)
{
	json_auto_t *input = NULL;
	json_auto_t *reply = NULL;

	if (strcmp(json_get_str(group, "HealthCheckPath", ""),
		   e->section->health_path) == 0)
		return 0;
	input = json_pack("{s:s, s:s}", "TargetGroupArn", arn,
			  "HealthCheckPath", e->section->health_path);
	return ecs_call_elb(e, "ModifyTargetGroup", input, &reply, err);
}

/* AWS's own 5 minutes are what makes rollouts slow. */
static int set_delay(struct ecs *e, const char *arn, struct error *err)
{
	auto_free char *seconds = xasprintf(
		"%" PRId64, e->section->deregistration_delay_ms / 1000);
	json_auto_t *input = json_pack(
		"{s:s, s:[{s:s, s:s}]}", "TargetGroupArn", arn, "Attributes",
		"Key", "deregistration_delay.timeout_seconds", "Value",
		seconds);
	json_auto_t *reply = NULL;

	return ecs_call_elb(e, "ModifyTargetGroupAttributes", input, &reply,
			    err);
}

static int set_up_group(struct ecs *e, const char *arn, const json_t *group,
			struct error *err)
{
	int r = set_health_path(e, arn, group, err);

	return r < 0 ? r : set_delay(e, arn, err);
}

/* 1 when it was made, 0 when it was there, or -code. */
static int find_or_create(struct ecs *e, const struct app *app,
			  const char *type, const char *name, int port,
			  json_t **ret, struct error *err)
{
	int r = find_group(e, name, ret, err);

	if (r != -ERR_NOTFOUND)
		return r;
	r = create_group(e, app, type, name, port, ret, err);
	if (r == 0)
		return 1;
	/* Somebody made it meanwhile. */
	if (r == -ERR_PEER &&
	    aws_failed_with(e->aws, "DuplicateTargetGroupName"))
		r = find_group(e, name, ret, err);
	return r;
}

/* 1, 0 (nobody's) or -code */
static int owns_group(struct ecs *e, const struct app *app, const char *name,
		      const char *arn, struct error *err)
{
	json_auto_t *tags = NULL;
	int r = find_tags(e, arn, &tags, err);

	if (r < 0)
		return r;
	return ecs_app_owns(e, app, tags, "target group", name, err);
}

/* One that somebody else made, without our tags, is used as it is. */
static int ensure_group(struct ecs *e, const struct app *app, const char *type,
			int port, char **ret_arn, struct error *err)
{
	auto_free char *name = ecs_group_name(e->section, app->name, type);
	json_auto_t *group = NULL;
	const char *arn;
	int r = find_or_create(e, app, type, name, port, &group, err);

	if (r < 0)
		return r;
	arn = json_get_str(group, "TargetGroupArn", "");
	if (r == 0)
		r = owns_group(e, app, name, arn, err);
	if (r > 0)
		r = set_up_group(e, arn, group, err);
	if (r == 0)
		*ret_arn = xstrdup(arn);
	return r;
}

/* ---- the rule ---- */

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

static int ensure_rule(struct ecs *e, const struct app *app, const char *type,
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

int ecs_elb_check(struct ecs *e, const struct app *app, const char *type,
		  struct error *err)
{
	auto_free char *name = ecs_group_name(e->section, app->name, type);
	auto_free char *host = ecs_host(e->section, app->name);
	json_auto_t *group = NULL;
	json_auto_t *rules = NULL;
	const char *arn;
	int r;

	if (!*e->section->listener)
		return 0;
	r = find_group(e, name, &group, err);
	arn = json_get_str(group, "TargetGroupArn", "");
	if (r == 0)
		r = owns_group(e, app, name, arn, err);
	if (r < 0 && r != -ERR_NOTFOUND)
		return r;
	r = list_rules(e, &rules, err);
	if (r == 0)
		r = has_rule(rules, host, arn, err);
	return r < 0 ? r : 0;
}

int ecs_elb_ensure(struct ecs *e, const struct app *app, const char *type,
		   int port, char **ret_arn, struct error *err)
{
	auto_free char *arn = NULL;
	int r;

	if (!*e->section->listener) {
		*ret_arn = xstrdup("");
		return 0;
	}
	r = ensure_group(e, app, type, port, &arn, err);
	if (r == 0)
		r = ensure_rule(e, app, type, arn, err);
	if (r == 0)
		*ret_arn = TAKE_PTR(arn);
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

static int delete_rules(struct ecs *e, const char *group_arn, struct error *err)
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

static int delete_group(struct ecs *e, const char *arn, struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "TargetGroupArn", arn);
	int r = 0;

	for (int i = 0; i < DELETE_TRIES; i++) {
		json_auto_t *reply = NULL;

		r = ecs_call_elb(e, "DeleteTargetGroup", input, &reply, err);
		if (r == 0 || aws_failed_with(e->aws, "TargetGroupNotFound"))
			return 0;
		if (r != -ERR_PEER || !aws_failed_with(e->aws, "ResourceInUse"))
			return r;
		/* The rule is still going. */
		if (ecs_pause(e, AGAIN_MS))
			return r;
	}
	return r;
}

int ecs_elb_remove(struct ecs *e, const struct app *app, const char *type,
		   struct error *err)
{
	auto_free char *name = ecs_group_name(e->section, app->name, type);
	json_auto_t *group = NULL;
	json_auto_t *tags = NULL;
	const char *arn;
	int r;

	if (!*e->section->listener)
		return 0;
	r = find_group(e, name, &group, err);
	if (r < 0)
		return r == -ERR_NOTFOUND ? 0 : r;
	arn = json_get_str(group, "TargetGroupArn", "");
	r = find_tags(e, arn, &tags, err);
	if (r < 0 || ecs_owned(tags, e->owner, app->id) != ECS_OURS)
		return r;
	r = delete_rules(e, arn, err);
	return r < 0 ? r : delete_group(e, arn, err);
}

/* ---- health ---- */

static bool is_trouble(const json_t *health)
{
	return strcmp(json_get_str(health, "State", ""), "unhealthy") == 0;
}

int ecs_elb_trouble(struct ecs *e, const char *group_arn, struct buf *out,
		    struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "TargetGroupArn", group_arn);
	json_auto_t *reply = NULL;
	int told = 0;
	size_t i;
	json_t *item;
	int r = ecs_call_elb(e, "DescribeTargetHealth", input, &reply, err);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(reply, "TargetHealthDescriptions"),
			   i, item)
	{
		json_t *health = json_object_get(item, "TargetHealth");

		if (!is_trouble(health) || told++ == TROUBLE_MAX)
			continue;
		buf_addf(out, "%s%s is unhealthy: %s (%s)",
			 out->len ? "; " : "",
			 json_get_str(json_object_get(item, "Target"), "Id",
				      "?"),
			 json_get_str(health, "Description", "no description"),
			 json_get_str(health, "Reason", "no reason"));
	}
	return 0;
}
