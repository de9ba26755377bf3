#include "builder/rollout/ecs/roll.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/rollout/ecs/describe.h"
#include "builder/rollout/ecs/ecs.h"

#include <string.h>

#define POLL_MS	     2000
#define POLL_SLOW_MS 30000
#define MISSING_MS   30000 /* a new service may not be known for so long */
#define DENIED_MS    60000 /* credentials are renewed in that time */

void ecs_roll_release(struct ecs_roll *r)
{
	if (!r)
		return;
	free(r->name);
	free(r->taskdef);
	free(r->container);
	free(r->target_group);
	free(r->previous);
	free(r->completed);
	json_decref(r->undo);
	free(r->id);
	free(r->before);
	ecs_reasons_release(&r->reasons);
	memset(r, 0, sizeof(*r));
}

void ecs_roll_watch(struct ecs_roll *r, const json_t *service,
		    const char *before)
{
	char *was = xstrdup(before);

	free(r->id);
	free(r->before);
	r->id = xstrdup(json_get_str(ecs_deployment(service, NULL), "id", ""));
	r->before = was;
	r->reasons.deployment = r->id;
	r->was_seen = false;
	r->started_ms = clock_ms();
}

void ecs_roll_judge(struct ecs_roll *r, const json_t *service,
		    struct ecs_state *ret)
{
	const struct ecs_watched w = { .id = r->id,
				       .before = r->before,
				       .age_ms = clock_ms() - r->started_ms };
	json_auto_t *nothing = json_object();

	ecs_judge(service ? service : nothing, &w, ret);
	if (!service && !r->was_seen && w.age_ms < MISSING_MS)
		ret->verdict = ECS_IN_PROGRESS;
	r->was_seen = r->was_seen || ret->is_seen;
	r->verdict = ret->verdict;
	r->pending = ret->pending;
}

/* ---- looking ---- */

void ecs_poller_start(struct ecs_poller *p, const struct ecs *e)
{
	p->wait_ms = POLL_MS;
	p->is_throttled = false;
	p->good_ms = clock_ms();
	p->end_ms = p->good_ms + e->section->rollout_timeout_ms;
}

void ecs_poller_slow_down(struct ecs_poller *p)
{
	p->is_throttled = true;
	p->wait_ms =
		p->wait_ms * 2 < POLL_SLOW_MS ? p->wait_ms * 2 : POLL_SLOW_MS;
}

static void tell_progress(const struct ecs *e, const char *text)
{
	if (e->report)
		e->report->progress(e->report->ctx, text);
}

int ecs_poller_look(struct ecs_poller *p, struct ecs *e,
		    const char *const *names, json_t **ret, struct error *err)
{
	int64_t silent_ms = clock_ms() - p->good_ms;
	int r = ecs_describe_services(e, names, ret, err);

	if (r == 0) {
		if (!p->is_throttled)
			p->wait_ms = POLL_MS;
		p->is_throttled = false;
		p->good_ms = clock_ms();
		tell_progress(e, NULL);
		return 0;
	}
	*ret = NULL;
	if (!ecs_is_passing(r) && (r != -ERR_DENIED || silent_ms >= DENIED_MS))
		return r;
	ecs_poller_slow_down(p);
	tell_progress(e, err->msg);
	return 0;
}
