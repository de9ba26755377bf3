#include "builder/rollout/ecs/verdict.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

#define LAG_MS	   30000 /* descriptions are not older than this */
#define REASON_MAX 400
#define ID_DIGITS  8 /* so many hex digits in a row are an id */

/* ---- deployments ---- */

static bool is(const json_t *object, const char *key, const char *value)
{
	return strcmp(json_get_str(object, key, ""), value) == 0;
}

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const json_t *ecs_deployment(const json_t *service, const char *id)
{
	json_t *list = json_object_get(service, "deployments");
	size_t i;
	json_t *d;

	json_array_foreach(list, i, d)
	{
		if (id ? is(d, "id", id) : is(d, "status", "PRIMARY"))
			return d;
	}
	return NULL;
}

const json_t *ecs_completed(const json_t *service)
{
	json_t *list = json_object_get(service, "deployments");
	size_t i;
	json_t *d;

	json_array_foreach(list, i, d)
	{
		if (is(d, "rolloutState", "COMPLETED"))
			return d;
	}
	return NULL;
}

/* Services of a kind that has no rolloutState are done when all run. */
static bool is_complete(const json_t *service, const json_t *d)
{
	const char *state = json_get_str(d, "rolloutState", NULL);

	if (state)
		return strcmp(state, "COMPLETED") == 0;
	return json_array_size(json_object_get(service, "deployments")) == 1 &&
	       number(d, "runningCount") == number(d, "desiredCount");
}

static bool goes_back(const json_t *d)
{
	return strstr(json_get_str(d, "rolloutStateReason", ""),
		      "rolling back to deploymentId") != NULL;
}

/* Either of the two deployments says so. */
static bool goes_back_to(const json_t *primary, const json_t *ours)
{
	const char *reason = json_get_str(ours, "rolloutStateReason", "");

	return goes_back(primary) ||
	       (goes_back(ours) &&
		strstr(reason, json_get_str(primary, "id", "?")));
}

static enum ecs_verdict judge_primary(const json_t *service, const json_t *d)
{
	if (is_complete(service, d))
		return ECS_COMPLETE;
	if (!is(d, "rolloutState", "FAILED"))
		return ECS_IN_PROGRESS;
	return goes_back(d) ? ECS_ROLLED_BACK : ECS_FAILED;
}

/* Another deployment than ours is PRIMARY, or none. */
static enum ecs_verdict judge_other(const struct ecs_watched *w,
				    const json_t *primary, const json_t *ours)
{
	bool is_before = primary && is(primary, "id", w->before);

	/* From before ours was known: one that is asked later may know less.
	 * What it says of going back is about an earlier rollout then. */
	if ((is_before || !primary) && !ours && w->age_ms < LAG_MS)
		return ECS_IN_PROGRESS;
	if (is_before || !primary || goes_back_to(primary, ours))
		return ECS_ROLLED_BACK;
	return ECS_SUPERSEDED;
}

void ecs_judge(const json_t *service, const struct ecs_watched *w,
	       struct ecs_state *ret)
{
	const json_t *ours = ecs_deployment(service, w->id);
	const json_t *primary = ecs_deployment(service, NULL);
	const json_t *told = ours ? ours : primary;

	memset(ret, 0, sizeof(*ret));
	ret->is_seen = ours != NULL;
	ret->desired = number(ours, "desiredCount");
	ret->running = number(ours, "runningCount");
	ret->pending = number(ours, "pendingCount");
	ret->failed = number(ours, "failedTasks");
	ret->primary_id = json_get_str(primary, "id", "");
	ret->primary_taskdef = json_get_str(primary, "taskDefinition", "");
	ret->primary_is_complete = primary && is_complete(service, primary);
	ret->primary_has_failed = is(primary, "rolloutState", "FAILED");
	if (!is(service, "status", "ACTIVE"))
		ret->verdict = ECS_DELETED;
	else if (ours && ours == primary)
		ret->verdict = judge_primary(service, ours);
	else
		ret->verdict = judge_other(w, primary, ours);
	if (ret->verdict == ECS_SUPERSEDED)
		told = primary;
	ret->reason = json_get_str(told, "rolloutStateReason", "");
}

/* ---- one death ---- */

/* What ended it, for which no release is to blame. */
static const char *const blameless[] = { "UserInitiated", "SpotInterruption",
					 "TerminationNotice" };

bool ecs_is_death(const json_t *task)
{
	const char *code = json_get_str(task, "stopCode", "");
	const char *why = json_get_str(task, "stoppedReason", "");

	/* Only then its exit codes are there for certain. */
	if (!is(task, "lastStatus", "STOPPED") &&
	    !is(task, "lastStatus", "DEPROVISIONING"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(blameless); i++)
		if (strcmp(code, blameless[i]) == 0)
			return false;
	return strncmp(why, "Scaling activity initiated by", 29) != 0;
}

/* The container that ended it: the first with an exit code that is not 0,
 * else with a reason, else with an exit code. */
static const json_t *culprit(const json_t *task)
{
	json_t *list = json_object_get(task, "containers");
	const json_t *found = NULL;
	int best = 0;
	size_t i;
	json_t *c;

	json_array_foreach(list, i, c)
	{
		json_t *code = json_object_get(c, "exitCode");
		int rank = json_is_integer(code) ? 1 : 0;

		if (json_get_str(c, "reason", NULL))
			rank = 2;
		if (json_integer_value(code))
			rank = 3;
		if (rank > best) {
			best = rank;
			found = c;
		}
	}
	return found;
}

/* A health check that failed ends a container by SIGTERM or SIGKILL: its
 * exit code is not the news then. */
static bool has_died_itself(const json_t *task)
{
	return is(task, "stopCode", "EssentialContainerExited") ||
	       !json_get_str(task, "stopCode", NULL);
}

void ecs_death_reason(const json_t *task, struct buf *out)
{
	const json_t *c = culprit(task);
	json_t *code = json_object_get(c, "exitCode");
	const char *why = json_get_str(task, "stoppedReason", "");
	const char *inner = json_get_str(c, "reason", "");
	auto_buf struct buf text = BUF_INIT(2 * REASON_MAX);

	if (json_is_integer(code) && has_died_itself(task))
		buf_addf(&text, "exited %d", (int)json_integer_value(code));
	if (*inner && !strstr(why, inner))
		buf_addf(&text, "%s%s", text.len ? ": " : "", inner);
	if (*why)
		buf_addf(&text, text.len ? " (%s)" : "%s", why);
	if (!text.len)
		buf_adds(&text, json_get_str(task, "stopCode", "it stopped"));
	text_add_line(out, buf_slice(&text), REASON_MAX);
}

void ecs_blur(const char *text, struct buf *out)
{
	while (*text) {
		size_t hex = strspn(text, "0123456789abcdef-");
		size_t dotted = strspn(text, "0123456789.:");
		size_t word = 0;

		while (isalnum((unsigned char)text[word]))
			word++;
		if (hex >= ID_DIGITS || dotted >= ID_DIGITS) {
			buf_addc(out, '#');
			text += hex > dotted ? hex : dotted;
			continue;
		}
		word = word ? word : 1;
		buf_add(out, text, word);
		text += word;
	}
}

void ecs_death_key(const json_t *task, struct buf *out)
{
	auto_buf struct buf reason = BUF_INIT(2 * REASON_MAX);

	ecs_death_reason(task, &reason);
	buf_addf(out, "%s ", json_get_str(task, "stopCode", ""));
	ecs_blur(buf_str(&reason), out);
}

/* ---- many ---- */

void ecs_deaths_release(struct ecs_deaths *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++) {
		free(d->list[i].key);
		free(d->list[i].reason);
	}
	d->count = 0;
}

bool ecs_deaths_add(struct ecs_deaths *d, const json_t *task)
{
	auto_buf struct buf key = BUF_INIT(4 * REASON_MAX);
	auto_buf struct buf reason = BUF_INIT(2 * REASON_MAX);
	struct ecs_death *new;

	ecs_death_key(task, &key);
	for (size_t i = 0; i < d->count; i++) {
		if (strcmp(d->list[i].key, buf_str(&key)) != 0)
			continue;
		d->list[i].count++;
		return false;
	}
	if (d->count == ECS_DEATHS_MAX) {
		d->list[ECS_DEATHS_MAX - 1].count++;
		return false;
	}
	ecs_death_reason(task, &reason);
	new = &d->list[d->count++];
	new->key = buf_detach(&key);
	new->reason = buf_detach(&reason);
	new->count = 1;
	return true;
}

const struct ecs_death *ecs_deaths_worst(const struct ecs_deaths *d)
{
	const struct ecs_death *worst = NULL;

	for (size_t i = 0; i < d->count; i++)
		if (!worst || d->list[i].count > worst->count)
			worst = &d->list[i];
	return worst;
}

const struct ecs_death *ecs_deaths_enough(const struct ecs_deaths *d,
					  int64_t attempts)
{
	const struct ecs_death *worst = ecs_deaths_worst(d);

	return worst && worst->count >= attempts ? worst : NULL;
}
