#include "builder/rollout/ecs/elb.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/elb_rule.h"
#include "builder/rollout/ecs/name.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <string.h>

#define DELETE_TRIES  5
#define AGAIN_MS      2000
#define CHECK_SECONDS 10
#define TROUBLE_MAX   4 /* targets told of */

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

/* ---- the way ---- */

int ecs_elb_check(struct ecs *e, const struct app *app, const char *type,
		  struct error *err)
{
	auto_free char *name = ecs_group_name(e->section, app->name, type);
	json_auto_t *group = NULL;
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
	return ecs_rule_check(e, app, arn, err);
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
		r = ecs_rule_ensure(e, app, type, arn, err);
	if (r == 0)
		*ret_arn = TAKE_PTR(arn);
	return r;
}

/* ---- the end ---- */

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
	r = ecs_rule_delete(e, arn, err);
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
