#include "builder/rollout/ecs_follow.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "builder/aws/aws.h"
#include "builder/rollout/ecs_name.h"
#include "builder/rollout/ecs_service.h"
#include "builder/rollout/ecs_target.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <string.h>

#define POLL_MS	     2000
#define POLL_SLOW_MS 30000
#define MISSING_MS   30000

void ecs_roll_release(struct ecs_roll *r)
{
	if (!r)
		return;
	free(r->name);
	free(r->taskdef);
	free(r->container);
	free(r->target_group);
	free(r->previous);
	free(r->id);
	free(r->before);
	ecs_reasons_release(&r->reasons);
	memset(r, 0, sizeof(*r));
}

/* ---- looking ---- */

struct poller {
	int wait_ms;
	int64_t end_ms;
};

static struct poller poller_start(const struct ecs *e)
{
	return (struct poller){ .wait_ms = POLL_MS,
				.end_ms = clock_ms() +
					  e->section->rollout_timeout_ms };
}

/*
 * Describe the services of all rolls; *ret is NULL when AWS did not answer
 * this time.  0 or -code.
 */
static int describe(struct ecs *e, struct poller *p,
		    const struct ecs_roll *rolls, size_t count, json_t **ret,
		    struct error *err)
{
	const char *names[PLAN_TYPES_MAX + 1] = { NULL };
	size_t n = 0;
	int r;

	for (size_t i = 0; i < count; i++)
		if (rolls[i].id)
			names[n++] = rolls[i].name;
	*ret = NULL;
	r = ecs_describe_services(e, names, ret, err);
	if (r == 0) {
		p->wait_ms = POLL_MS;
		return 0;
	}
	if (!ecs_is_passing(r))
		return r;
	p->wait_ms =
		p->wait_ms * 2 < POLL_SLOW_MS ? p->wait_ms * 2 : POLL_SLOW_MS;
	if (e->report)
		e->report->busy(e->report->ctx, err->msg);
	return 0;
}

/* Judge one roll by its service; NULL = it is not there. */
static void judge(struct ecs_roll *r, const json_t *service,
		  struct ecs_state *ret)
{
	const struct ecs_watched w = { .id = r->id,
				       .before = r->before,
				       .age_ms = clock_ms() - r->started_ms };
	json_auto_t *nothing = json_object();

	ecs_judge(service ? service : nothing, &w, r->was_seen, ret);
	/* One that was made a moment ago may not be known yet. */
	if (!service && !r->was_seen && w.age_ms < MISSING_MS)
		ret->verdict = ECS_IN_PROGRESS;
	r->was_seen = r->was_seen || ret->is_seen;
	r->verdict = ret->verdict;
	r->pending = ret->pending;
}

/* ---- forward ---- */

static void tell_progress(struct ecs *e, struct ecs_roll *r,
			  const struct ecs_state *s)
{
	if (!s->is_seen || s->verdict != ECS_IN_PROGRESS ||
	    s->running == r->running)
		return;
	r->running = s->running;
	ecs_detail(e, "%s: %" PRId64 " of %" PRId64 " running", r->p->type,
		   s->running, s->desired);
}

static void tell_complete(struct ecs *e, const struct ecs_roll *r,
			  const struct ecs_state *s)
{
	auto_buf struct buf took = BUF_INIT(64);

	text_add_duration(&took, clock_ms() - r->started_ms);
	ecs_detail(e, "%s healthy: %" PRId64 " of %" PRId64 " running (%s)",
		   r->p->type, s->running, s->desired, buf_str(&took));
}

static int fail(const struct ecs_roll *r, const struct ecs_state *s,
		struct error *err)
{
	const char *type = r->p->type;
	const char *worst = ecs_reasons_worst(&r->reasons);

	switch (s->verdict) {
	case ECS_SUPERSEDED:
		return err_set(err, ERR_PEER,
			       "%s was superseded: somebody else deployed %s "
			       "on service %s",
			       type, ecs_short_name(s->primary_taskdef),
			       r->name);
	case ECS_DELETED:
		return err_set(err, ERR_PEER, "%s: somebody deleted service %s",
			       type, r->name);
	case ECS_ROLLED_BACK:
		return err_set(err, ERR_PEER, "%s %s%swas rolled back by ECS",
			       type, worst ? worst : "", worst ? "; it " : "");
	default:
		return err_set(
			err, ERR_PEER, "%s%s%s", type,
			worst ? " " : " failed: ", worst ? worst : s->reason);
	}
}

static int died_enough(struct ecs *e, const struct ecs_roll *r,
		       struct error *err)
{
	const struct ecs_death *d = ecs_deaths_enough(
		&r->reasons.deaths, e->section->rollout_attempts);

	if (!d)
		return 0;
	return err_set(err, ERR_PEER, "%s %s, %d times", r->p->type, d->reason,
		       d->count);
}

/* One look at one roll.  1 when it is complete, 0, or -code. */
static int look(struct ecs *e, struct ecs_roll *r, const json_t *service,
		struct error *err)
{
	bool was_complete = r->verdict == ECS_COMPLETE;
	struct ecs_state s;

	judge(r, service, &s);
	if (s.verdict == ECS_COMPLETE) {
		if (!was_complete)
			tell_complete(e, r, &s);
		return 1;
	}
	tell_progress(e, r, &s);
	if (service)
		ecs_reasons_look(&r->reasons, service);
	if (s.verdict != ECS_IN_PROGRESS)
		return fail(r, &s, err);
	return died_enough(e, r, err);
}

/* Count of rolls that are complete, or -code. */
static int look_at_all(struct ecs *e, struct ecs_roll *rolls, size_t count,
		       const json_t *services, struct error *err)
{
	int complete = 0;

	for (size_t i = 0; i < count; i++) {
		int r;

		if (!rolls[i].id)
			continue;
		r = look(e, &rolls[i],
			 ecs_service_named(services, rolls[i].name), err);
		if (r < 0)
			return r;
		complete += r;
	}
	return complete;
}

static int too_late(const struct ecs *e, const struct ecs_roll *rolls,
		    size_t count, struct error *err)
{
	auto_buf struct buf limit = BUF_INIT(64);
	const struct ecs_roll *late = rolls;
	const char *worst;

	while (late < rolls + count - 1 &&
	       (!late->id || late->verdict == ECS_COMPLETE))
		late++;
	text_add_duration(&limit, e->section->rollout_timeout_ms);
	worst = ecs_reasons_worst(&late->reasons);
	if (!worst && late->pending)
		worst = "its tasks are still PENDING";
	return err_set(err, ERR_PEER,
		       "%s was not healthy within %s "
		       "(target.%s.rollout-timeout)%s%s",
		       late->p->type, buf_str(&limit), e->section->name,
		       worst ? ": " : "", worst ? worst : "");
}

static void tell_busy(struct ecs *e, const struct ecs_roll *rolls, size_t count)
{
	auto_buf struct buf text = BUF_INIT(256);

	buf_adds(&text, "waiting for");
	for (size_t i = 0; i < count; i++)
		if (rolls[i].id && rolls[i].verdict != ECS_COMPLETE)
			buf_addf(&text, " %s", rolls[i].p->type);
	if (e->report)
		e->report->busy(e->report->ctx, buf_str(&text));
}

int ecs_follow(struct ecs *e, struct ecs_roll *rolls, size_t count,
	       struct error *err)
{
	struct poller p = poller_start(e);
	int started = 0;

	for (size_t i = 0; i < count; i++)
		started += rolls[i].id != NULL;
	tell_busy(e, rolls, count);
	for (;;) {
		json_auto_t *services = NULL;
		int r;

		if (ecs_pause(e, p.wait_ms))
			return err_set(err, ERR_CANCELED, "canceled");
		r = describe(e, &p, rolls, count, &services, err);
		if (r == 0 && services)
			r = look_at_all(e, rolls, count, services, err);
		if (r < 0)
			return r;
		if (r == started)
			return 0;
		if (services)
			tell_busy(e, rolls, count);
		if (clock_ms() > p.end_ms)
			return too_late(e, rolls, count, err);
	}
}

/* ---- back ---- */

/* What a roll waits for. */
enum back {
	BACK_DONE,
	BACK_REVERTED, /* our deployment of the old task definition */
	BACK_BY_ECS,   /* the old deployment, made PRIMARY again */
	BACK_TO_ZERO,
};

struct returning {
	struct ecs_roll *roll;
	enum back back;
};

static const char *live_name(const struct app *app, char *out, size_t size)
{
	if (!app->live_version)
		return "what ran before";
	snprintf(out, size, "v%" PRId64, app->live_version);
	return out;
}

/* Is it to be asked again, what AWS did not take?  Waits a little. */
static bool asks_again(struct ecs *e, const struct poller *p, int r)
{
	if (!ecs_is_passing(r) || clock_ms() > p->end_ms)
		return false;
	(void)ecs_pause(e, POLL_MS);
	return true;
}

static enum back revert(struct ecs *e, struct ecs_roll *r)
{
	json_auto_t *service = NULL;
	struct poller p = poller_start(e);
	struct error err;
	const char *id;
	int code;

	do {
		code = ecs_revert_service(e, r->name, r->previous, &service,
					  &err);
	} while (asks_again(e, &p, code));
	if (code < 0) {
		ecs_complain(e, "%s: cannot go back: %s", r->p->type, err.msg);
		return BACK_DONE;
	}
	id = json_get_str(ecs_deployment(service, NULL), "id", "");
	free(r->before);
	r->before = TAKE_PTR(r->id);
	r->id = xstrdup(id);
	r->was_seen = false;
	r->started_ms = clock_ms();
	return BACK_REVERTED;
}

static enum back scale_to_zero(struct ecs *e, struct ecs_roll *r)
{
	struct poller p = poller_start(e);
	struct error err;
	int code;

	do {
		code = ecs_scale_service(e, r->name, 0, &err);
	} while (asks_again(e, &p, code));
	/* It was not made after all. */
	if (code < 0 && aws_failed_with(e->aws, "ServiceNotFoundException"))
		return BACK_DONE;
	if (code < 0) {
		ecs_complain(e, "%s: cannot scale it to 0: %s", r->p->type,
			     err.msg);
		return BACK_DONE;
	}
	ecs_detail(e, "%s: there is nothing to go back to; scaled to 0",
		   r->p->type);
	return BACK_TO_ZERO;
}

/* Somebody else has decided what runs. */
static bool is_taken_over(const struct ecs_roll *r)
{
	return r->verdict == ECS_SUPERSEDED || r->verdict == ECS_DELETED;
}

static bool goes_back(const struct ecs_roll *rolls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rolls[i].id && !is_taken_over(&rolls[i]))
			return true;
	return false;
}

/* That needs no new task, so it is quick and works without capacity.  What
 * is complete by now, or ECS does not know how to stop, is reverted. */
static bool is_stopped(struct ecs *e, const struct ecs_roll *r)
{
	struct error err;

	if (!r->is_completed || r->verdict == ECS_COMPLETE)
		return false;
	if (ecs_stop_deployment(e, r->name, &err) == 0)
		return true;
	log_debug("%s: %s", r->name, err.msg);
	return false;
}

static enum back send_back(struct ecs *e, struct ecs_roll *r)
{
	if (is_taken_over(r)) {
		ecs_detail(e, "%s: left as somebody else wants it", r->p->type);
		return BACK_DONE;
	}
	if (r->verdict == ECS_ROLLED_BACK)
		return BACK_BY_ECS;
	if (!r->previous)
		return scale_to_zero(e, r);
	return is_stopped(e, r) ? BACK_BY_ECS : revert(e, r);
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

/* One look at one that goes back. */
static void look_back(struct ecs *e, struct returning *b, const json_t *service)
{
	struct ecs_roll *r = b->roll;
	struct ecs_state s;

	judge(r, service, &s);
	if (s.verdict == ECS_DELETED) {
		b->back = BACK_DONE;
		return;
	}
	if (b->back == BACK_TO_ZERO) {
		if (is_empty(service))
			b->back = BACK_DONE;
		return;
	}
	if (b->back == BACK_BY_ECS ? s.primary_is_complete
				   : s.verdict == ECS_COMPLETE) {
		tell_back(e, r, &s, service);
		b->back = BACK_DONE;
		return;
	}
	if (b->back == BACK_REVERTED && s.verdict != ECS_IN_PROGRESS) {
		ecs_complain(
			e, "%s: going back did not succeed: %s", r->p->type,
			s.verdict == ECS_SUPERSEDED ? "somebody else deployed"
						    : s.reason);
		b->back = BACK_DONE;
	}
}

static size_t still_going(const struct returning *list, size_t count)
{
	size_t going = 0;

	for (size_t i = 0; i < count; i++)
		going += list[i].back != BACK_DONE;
	return going;
}

static void wait_back(struct ecs *e, struct ecs_roll *rolls,
		      struct returning *list, size_t count)
{
	struct poller p = poller_start(e);

	while (still_going(list, count)) {
		json_auto_t *services = NULL;
		struct error err;

		(void)ecs_pause(e, p.wait_ms);
		if (describe(e, &p, rolls, count, &services, &err) < 0) {
			ecs_complain(e, "cannot watch it go back: %s", err.msg);
			return;
		}
		for (size_t i = 0; services && i < count; i++)
			if (list[i].back != BACK_DONE)
				look_back(
					e, &list[i],
					ecs_service_named(services,
							  list[i].roll->name));
		if (clock_ms() > p.end_ms) {
			ecs_complain(e, "it is not stable again yet: look at "
					"slipway ps");
			return;
		}
	}
}

void ecs_go_back(struct ecs *e, const struct app *app, struct ecs_roll *rolls,
		 size_t count)
{
	struct returning list[PLAN_TYPES_MAX] = { { NULL, BACK_DONE } };
	auto_free char *line = NULL;
	char name[32];

	e->is_going_back = true;
	line = xasprintf("Going back to %s",
			 live_name(app, name, sizeof(name)));
	if (e->report && goes_back(rolls, count)) {
		e->report->step(e->report->ctx, line);
		e->report->busy(e->report->ctx, "going back");
	}
	/* All on their way before one is waited for. */
	for (size_t i = 0; i < count; i++) {
		list[i].roll = &rolls[i];
		if (rolls[i].id)
			list[i].back = send_back(e, &rolls[i]);
	}
	wait_back(e, rolls, list, count);
	e->is_going_back = false;
	if (e->report)
		e->report->busy(e->report->ctx, NULL);
}
