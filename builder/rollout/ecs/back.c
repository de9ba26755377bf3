#include "builder/rollout/ecs/back.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/roll.h"
#include "builder/rollout/ecs/service.h"
#include "builder/rollout/release_plan.h"
#include "builder/rollout/target.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FAMILY_LOOKED_AT 20    /* revisions, for the live release's */
#define LAG_MS		 30000 /* descriptions are not older than this */

/* ---- to what ---- */

/* The release that a described task definition was registered for; 0: it was
 * not us, or not for this app. */
static int64_t release_of(const struct ecs *e, const struct app *app,
			  const json_t *described)
{
	const json_t *tags = json_object_get(described, "tags");

	if (ecs_owned(tags, e->owner, app->id) != ECS_OURS)
		return 0;
	return ecs_tag_release(tags);
}

int ecs_find_live(struct ecs *e, const struct app *app, const char *family,
		  char **ret, struct error *err)
{
	json_auto_t *arns = NULL;
	size_t i;
	json_t *arn;
	int r;

	*ret = NULL;
	if (!app->live_version)
		return 0;
	r = ecs_list_family(e, family, FAMILY_LOOKED_AT, &arns, err);
	if (r < 0)
		return r;
	json_array_foreach(arns, i, arn)
	{
		const char *text = json_string_value(arn);
		json_auto_t *def = NULL;

		r = ecs_describe_taskdef(e, text ? text : "", &def, err);
		if (r < 0 && r != -ERR_NOTFOUND)
			return r;
		if (r == 0 && release_of(e, app, def) == app->live_version) {
			*ret = xstrdup(text);
			return 0;
		}
	}
	return 0;
}

static bool is_to_keep(const struct ecs *e, const struct app *app,
		       const json_t *service, const json_t *current)
{
	const json_t *primary = ecs_deployment(service, NULL);
	int64_t release = release_of(e, app, current);

	if (release)
		return release == app->live_version;
	return strcmp(json_get_str(primary, "rolloutState", "COMPLETED"),
		      "COMPLETED") == 0;
}

int ecs_find_previous(struct ecs *e, const struct app *app,
		      const json_t *service, const json_t *current, char **ret,
		      struct error *err)
{
	const json_t *completed = ecs_completed(service);
	const char *family = json_get_str(
		json_object_get(current, "taskDefinition"), "family", "");
	const char *arn;
	int r;

	if (is_to_keep(e, app, service, current)) {
		*ret = xstrdup(json_get_str(service, "taskDefinition", ""));
		return 0;
	}
	r = ecs_find_live(e, app, family, ret, err);
	arn = json_get_str(completed, "taskDefinition", NULL);
	if (r == 0 && !*ret && arn)
		*ret = xstrdup(arn);
	return r;
}

/* ---- on the way ---- */

/* What a roll waits for. */
enum back {
	BACK_DONE,
	BACK_TO_SEND,  /* AWS could not be told yet */
	BACK_REVERTED, /* our deployment of the old task definition */
	BACK_BY_ECS,   /* the old deployment, made PRIMARY again */
	BACK_TO_ZERO,
};

struct returning {
	struct ecs_roll *roll;
	enum back back;
	char *primary; /* id of the deployment that ECS went back to */
};

/* Somebody else has decided what runs. */
static bool is_taken_over(const struct ecs_roll *r)
{
	return r->verdict == ECS_SUPERSEDED || r->verdict == ECS_DELETED;
}

static void tell_taken(struct ecs *e, const struct ecs_roll *r)
{
	ecs_detail(e, "%s: left as somebody else wants it", r->p->type);
}

static bool has_begun(const struct ecs_roll *r)
{
	return r->id || r->may_have_begun;
}

static bool goes_to_zero(const struct ecs_roll *r)
{
	json_t *count = json_object_get(r->undo, "desiredCount");

	return count && json_integer_value(count) == 0;
}

static void tell_zero(struct ecs *e, const struct ecs_roll *r)
{
	ecs_detail(e, "%s: %s; scaled to 0", r->p->type,
		   r->previous ? "it had no tasks before"
			       : "there is nothing to go back to");
}

/*
 * A stop needs no new task, so it is quick and works without capacity.  It
 * leads to the definition that was COMPLETED last, and only to that: what
 * else was changed, or is complete by now, is told.
 */
static bool is_stopped(struct ecs *e, const struct ecs_roll *r)
{
	struct error err;

	if (!r->is_completed || !r->id || json_object_size(r->undo) ||
	    r->verdict == ECS_COMPLETE)
		return false;
	if (ecs_stop_deployment(e, r->name, &err) == 0)
		return true;
	log_debug("%s: %s", r->name, err.msg);
	return false;
}

/* Tell AWS. */
static enum back send_back(struct ecs *e, struct ecs_roll *r)
{
	json_auto_t *service = NULL;
	struct error err;
	int code = ecs_restore_service(e, r->name, r->previous, r->undo,
				       &service, &err);

	/* What may have been made was not. */
	if (code == -ERR_NOTFOUND)
		return BACK_DONE;
	if (ecs_is_passing(code))
		return BACK_TO_SEND;
	if (code < 0) {
		ecs_complain(e, "%s: cannot go back: %s", r->p->type, err.msg);
		return BACK_DONE;
	}
	ecs_roll_watch(r, service, r->id ? r->id : "");
	if (!goes_to_zero(r))
		return BACK_REVERTED;
	tell_zero(e, r);
	return BACK_TO_ZERO;
}

static enum back begin(struct ecs *e, struct ecs_roll *r)
{
	if (is_taken_over(r)) {
		tell_taken(e, r);
		return BACK_DONE;
	}
	if (r->verdict == ECS_ROLLED_BACK)
		return BACK_BY_ECS;
	return is_stopped(e, r) ? BACK_BY_ECS : send_back(e, r);
}

static void tell_back(struct ecs *e, const struct ecs_roll *r,
		      const struct ecs_state *s, const json_t *service)
{
	const json_t *d = ecs_deployment(service, NULL);

	ecs_detail(e, "%s: back on %s, %d of %d running", r->p->type,
		   ecs_short_name(s->primary_taskdef),
		   (int)json_integer_value(json_object_get(d, "runningCount")),
		   (int)json_integer_value(json_object_get(d, "desiredCount")));
}

static bool is_empty(const json_t *service)
{
	return !json_integer_value(json_object_get(service, "runningCount")) &&
	       !json_integer_value(json_object_get(service, "pendingCount"));
}

/* Is the PRIMARY deployment one that ECS goes back to by itself?  Else
 * somebody started it. */
static bool is_choice_of_ecs(const struct ecs_roll *r,
			     const struct ecs_state *s)
{
	return s->verdict == ECS_ROLLED_BACK ||
	       strcmp(s->primary_id, r->before) == 0 ||
	       (r->completed && strcmp(s->primary_id, r->completed) == 0);
}

/* ECS went back: to its last complete deployment, which need not be that of
 * the live release, and with the definition alone for certain. */
static enum back look_at_ecs(struct ecs *e, struct returning *b,
			     const struct ecs_state *s, const json_t *service)
{
	struct ecs_roll *r = b->roll;

	/* Not yet, or a description from before. */
	if (!*s->primary_id || strcmp(s->primary_id, r->id) == 0)
		return BACK_BY_ECS;
	if (!b->primary && is_choice_of_ecs(r, s))
		b->primary = xstrdup(s->primary_id);
	if (!b->primary || strcmp(s->primary_id, b->primary) != 0) {
		tell_taken(e, r);
		return BACK_DONE;
	}
	if (r->previous && (s->primary_has_failed ||
			    strcmp(s->primary_taskdef, r->previous) != 0))
		return send_back(e, r);
	if (!s->primary_is_complete)
		return BACK_BY_ECS;
	if (json_object_size(r->undo))
		return send_back(e, r);
	tell_back(e, r, s, service);
	return BACK_DONE;
}

static enum back look_at_ours(struct ecs *e, struct ecs_roll *r,
			      const struct ecs_state *s, const json_t *service)
{
	bool is_young = clock_ms() - r->started_ms < LAG_MS;

	if (s->verdict == ECS_IN_PROGRESS)
		return BACK_REVERTED;
	/* What AWS did without an answer may be described for a while. */
	if (s->verdict == ECS_SUPERSEDED && !r->was_seen && is_young)
		return BACK_REVERTED;
	if (s->verdict == ECS_COMPLETE)
		tell_back(e, r, s, service);
	else
		ecs_complain(
			e, "%s: going back did not succeed: %s", r->p->type,
			s->verdict == ECS_SUPERSEDED ? "somebody else deployed"
						     : s->reason);
	return BACK_DONE;
}

/* One look at one that goes back. */
static enum back look(struct ecs *e, struct returning *b, const json_t *service)
{
	struct ecs_state s;

	if (b->back == BACK_TO_SEND)
		return send_back(e, b->roll);
	ecs_roll_judge(b->roll, service, &s);
	if (s.verdict == ECS_DELETED)
		return BACK_DONE;
	switch (b->back) {
	case BACK_TO_ZERO:
		return service && is_empty(service) ? BACK_DONE : BACK_TO_ZERO;
	case BACK_BY_ECS:
		return look_at_ecs(e, b, &s, service);
	default:
		return look_at_ours(e, b->roll, &s, service);
	}
}

/* ---- all of them ---- */

/* Names of those that are on their way, NULL-ended; how many. */
static size_t list_going(const struct returning *list, size_t count,
			 const char **names)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (list[i].back != BACK_DONE)
			names[n++] = list[i].roll->name;
	names[n] = NULL;
	return n;
}

/* What AWS did not hear of runs on. */
static void tell_unsent(struct ecs *e, const struct returning *list,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].back == BACK_TO_SEND)
			ecs_complain(e,
				     "%s: AWS could not be told to go back: "
				     "what was pushed may be running",
				     list[i].roll->p->type);
}

static void wait_back(struct ecs *e, struct returning *list, size_t count)
{
	const char *names[PLAN_TYPES_MAX + 1];
	struct ecs_poller p;

	ecs_poller_start(&p, e);
	while (list_going(list, count, names)) {
		json_auto_t *services = NULL;
		struct error err;

		(void)ecs_pause(e, p.wait_ms);
		if (ecs_poller_look(&p, e, names, &services, &err) < 0) {
			ecs_complain(e, "cannot watch it go back: %s", err.msg);
			break;
		}
		for (size_t i = 0; services && i < count; i++)
			if (list[i].back != BACK_DONE)
				list[i].back = look(
					e, &list[i],
					ecs_service_named(services,
							  list[i].roll->name));
		if (clock_ms() > p.end_ms) {
			ecs_complain(e, "it is not stable again yet: look at "
					"slipway ps");
			break;
		}
	}
	tell_unsent(e, list, count);
}

/* Somebody may have decided since the last look, which may be long ago. */
static void look_first(struct ecs *e, struct ecs_roll *rolls, size_t count)
{
	const char *names[PLAN_TYPES_MAX + 1] = { NULL };
	json_auto_t *services = NULL;
	struct error ignored;
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (rolls[i].id)
			names[n++] = rolls[i].name;
	if (!n || ecs_describe_services(e, names, &services, &ignored) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		enum ecs_verdict was = rolls[i].verdict;
		struct ecs_state s;

		if (!rolls[i].id)
			continue;
		ecs_roll_judge(&rolls[i],
			       ecs_service_named(services, rolls[i].name), &s);
		/* This may be the older description. */
		if (s.verdict == ECS_IN_PROGRESS)
			rolls[i].verdict = was;
	}
}

static void tell_step(struct ecs *e, const struct app *app)
{
	auto_free char *version = xasprintf("v%" PRId64, app->live_version);
	auto_free char *line =
		xasprintf("Going back to %s",
			  app->live_version ? version : "what ran before");

	if (!e->report)
		return;
	e->report->step(e->report->ctx, line);
	e->report->busy(e->report->ctx, "going back");
}

void ecs_go_back(struct ecs *e, const struct app *app, struct ecs_roll *rolls,
		 size_t count)
{
	struct returning list[PLAN_TYPES_MAX] = { { NULL, BACK_DONE, NULL } };
	bool is_told = false;

	e->is_going_back = true;
	look_first(e, rolls, count);
	/* All on their way before one is waited for. */
	for (size_t i = 0; i < count; i++) {
		list[i].roll = &rolls[i];
		if (!has_begun(&rolls[i]))
			continue;
		if (!is_told && !is_taken_over(&rolls[i]))
			tell_step(e, app);
		is_told = is_told || !is_taken_over(&rolls[i]);
		list[i].back = begin(e, &rolls[i]);
	}
	wait_back(e, list, count);
	for (size_t i = 0; i < count; i++)
		free(list[i].primary);
	e->is_going_back = false;
	if (e->report)
		e->report->busy(e->report->ctx, NULL);
}
