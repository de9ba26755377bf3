#include "builder/rollout/ecs/follow.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/name.h"
#include "builder/rollout/ecs/roll.h"
#include "builder/rollout/release_plan.h"

#include <inttypes.h>

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
static int look(struct ecs *e, struct ecs_poller *p, struct ecs_roll *r,
		const json_t *service, struct error *err)
{
	bool was_complete = r->verdict == ECS_COMPLETE;
	struct ecs_state s;

	ecs_roll_judge(r, service, &s);
	if (s.verdict == ECS_COMPLETE) {
		if (!was_complete)
			tell_complete(e, r, &s);
		return 1;
	}
	tell_progress(e, r, &s);
	/* Its calls take long while AWS throttles. */
	if (service && clock_ms() <= p->end_ms &&
	    ecs_reasons_look(&r->reasons, service) == -ERR_LIMIT)
		ecs_poller_slow_down(p);
	if (s.verdict != ECS_IN_PROGRESS)
		return fail(r, &s, err);
	return died_enough(e, r, err);
}

/* Count of rolls that are complete, or -code. */
static int look_at_all(struct ecs *e, struct ecs_poller *p,
		       struct ecs_roll *rolls, size_t count,
		       const json_t *services, struct error *err)
{
	int complete = 0;

	for (size_t i = 0; i < count; i++) {
		int r;

		if (!rolls[i].id)
			continue;
		r = look(e, p, &rolls[i],
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
	const char *names[PLAN_TYPES_MAX + 1] = { NULL };
	struct ecs_poller p;
	int started = 0;

	for (size_t i = 0; i < count; i++)
		if (rolls[i].id)
			names[started++] = rolls[i].name;
	ecs_poller_start(&p, e);
	tell_busy(e, rolls, count);
	for (;;) {
		json_auto_t *services = NULL;
		int r;

		if (ecs_pause(e, p.wait_ms))
			return err_set(err, ERR_CANCELED, "canceled");
		r = ecs_poller_look(&p, e, names, &services, err);
		if (r == 0 && services)
			r = look_at_all(e, &p, rolls, count, services, err);
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
