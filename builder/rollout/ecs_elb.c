#include "builder/rollout/ecs_elb.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_target.h"
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

static int call(struct ecs *e, const char *operation, const json_t *input,
		json_t **ret, struct error *err)
{
	return aws_call(e->aws, AWS_ELB, operation, input, ret, err);
}

/* ---- the target group ---- */

/* -ERR_NOTFOUND; *ret is the caller's. */
static int find_group(struct ecs *e, const char *name, json_t **ret,
		      struct error *err)
{
	json_auto_t *input = json_pack("{s:[s]}", "Names", name);
	json_auto_t *reply = NULL;
	json_t *group;
	int r = call(e, "DescribeTargetGroups", input, &reply, err);

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

/* [{"key", "value"}] as this service spells it. */
static json_t *elb_tags(const struct ecs *e, const struct app *app,
			const char *type)
{
	json_auto_t *tags = ecs_tags(e->owner, app->id, type, 0);
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

/* Tags of this service, as ECS spells them; the caller's. */
static json_t *plain_tags(const json_t *elb)
{
	json_t *tags = json_array();
	size_t i;
	json_t *tag;

	json_array_foreach(elb, i, tag)
	{
		json_array_append_new(
			tags, json_pack("{s:s, s:s}", "key",
					json_get_str(tag, "Key", ""), "value",
					json_get_str(tag, "Value", "")));
	}
	return tags;
}

static int group_owner(struct ecs *e, const struct app *app,
		       const json_t *group, enum ecs_owned *ret,
		       struct error *err)
{
	json_auto_t *input =
		json_pack("{s:[s]}", "ResourceArns",
			  json_get_str(group, "TargetGroupArn", ""));
	json_auto_t *reply = NULL;
	json_auto_t *tags = NULL;
	int r = call(e, "DescribeTags", input, &reply, err);

	if (r < 0)
		return r;
	tags = plain_tags(json_object_get(
		json_array_get(json_object_get(reply, "TagDescriptions"), 0),
		"Tags"));
	*ret = ecs_owned(tags, e->owner, app->id);
	return 0;
}

/* One that somebody made for us beforehand has no tags of ours. */
static int check_owner(struct ecs *e, const struct app *app,
		       const json_t *group, struct error *err)
{
	enum ecs_owned owned = ECS_NOBODYS;
	int r = group_owner(e, app, group, &owned, err);

	if (r < 0 || owned != ECS_ANOTHERS)
		return r;
	return err_set(err, ERR_EXISTS,
		       "target group %s belongs to another app: its tags say "
		       "so (choose another target.%s.name-prefix)",
		       json_get_str(group, "TargetGroupName", "?"),
		       e->section->name);
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
		"HttpCode", "200-399", "Tags", elb_tags(e, app, type));
	json_auto_t *reply = NULL;
	json_t *group;
	int r = call(e, "CreateTargetGroup", input, &reply, err);

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
	return call(e, "ModifyTargetGroup", input, &reply, err);
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

	return call(e, "ModifyTargetGroupAttributes", input, &reply, err);
}

static int ensure_group(struct ecs *e, const struct app *app, const char *type,
			int port, char **ret_arn, struct error *err)
{
	auto_free char *name = ecs_group_name(e->section, app->name, type);
	json_auto_t *group = NULL;
	const char *arn;
	int r = find_group(e, name, &group, err);

	if (r == -ERR_NOTFOUND)
		r = create_group(e, app, type, name, port, &group, err);
	else if (r == 0)
		r = check_owner(e, app, group, err);
	if (r < 0)
		return r;
	arn = json_get_str(group, "TargetGroupArn", "");
	r = set_health_path(e, arn, group, err);
	if (r == 0)
		r = set_delay(e, arn, err);
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
		int r = call(e, "DescribeRules", input, &reply, err);

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

/* Does a rule's action name this target group? */
static bool forwards_to(const json_t *rule, const char *group_arn)
{
	size_t i;
	json_t *action;

	json_array_foreach(json_object_get(rule, "Actions"), i, action)
	{
		if (strcmp(json_get_str(action, "TargetGroupArn", ""),
			   group_arn) == 0)
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

/* Is this host name, word by word, one of the rule's? */
static bool is_for_host(const json_t *rule, const char *host)
{
	size_t i;
	json_t *condition;

	json_array_foreach(json_object_get(rule, "Conditions"), i, condition)
	{
		if (strcmp(json_get_str(condition, "Field", ""),
			   "host-header") != 0)
			continue;
		if (has_value(json_object_get(condition, "Values"), host) ||
		    has_value(json_at(condition, "HostHeaderConfig", "Values",
				      NULL),
			      host))
			return true;
	}
	return false;
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
		       const char *host, const char *group_arn,
		       const json_t *rules, struct error *err)
{
	int priority = 0;
	int r = 0;

	/* Somebody may take it between our look and our call. */
	for (int i = 0; i < PRIORITY_TRIES; i++) {
		json_auto_t *input = NULL;
		json_auto_t *reply = NULL;

		priority = free_priority(rules, priority + 1);
		input = json_pack("{s:s, s:i, s:[{s:s, s:{s:[s]}}], "
				  "s:[{s:s, s:s}], s:o}",
				  "ListenerArn", e->section->listener,
				  "Priority", priority, "Conditions", "Field",
				  "host-header", "HostHeaderConfig", "Values",
				  host, "Actions", "Type", "forward",
				  "TargetGroupArn", group_arn, "Tags",
				  elb_tags(e, app, type));
		r = call(e, "CreateRule", input, &reply, err);
		if (r != -ERR_PEER || !aws_failed_with(e->aws, "PriorityInUse"))
			return r;
	}
	return r;
}

static int ensure_rule(struct ecs *e, const struct app *app, const char *type,
		       const char *group_arn, struct error *err)
{
	auto_free char *host = ecs_host(e->section, app->name);
	json_auto_t *rules = NULL;
	size_t i;
	json_t *rule;
	int r = list_rules(e, &rules, err);

	if (r < 0)
		return r;
	json_array_foreach(rules, i, rule)
	{
		if (forwards_to(rule, group_arn))
			return 0;
		if (is_for_host(rule, host))
			return err_set(err, ERR_EXISTS,
				       "another rule of the load balancer has "
				       "%s: %s",
				       host, json_get_str(rule, "RuleArn", ""));
	}
	return create_rule(e, app, type, host, group_arn, rules, err);
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

		if (!forwards_to(rule, group_arn))
			continue;
		input = json_pack("{s:s}", "RuleArn",
				  json_get_str(rule, "RuleArn", ""));
		r = call(e, "DeleteRule", input, &reply, err);
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

		r = call(e, "DeleteTargetGroup", input, &reply, err);
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
	enum ecs_owned owned = ECS_NOBODYS;
	const char *arn;
	int r;

	if (!*e->section->listener)
		return 0;
	r = find_group(e, name, &group, err);
	if (r == -ERR_NOTFOUND)
		return 0;
	if (r == 0)
		r = group_owner(e, app, group, &owned, err);
	if (r < 0 || owned != ECS_OURS)
		return r;
	arn = json_get_str(group, "TargetGroupArn", "");
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
	int r = call(e, "DescribeTargetHealth", input, &reply, err);

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
