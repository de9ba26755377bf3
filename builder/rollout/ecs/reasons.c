#include "builder/rollout/ecs/reasons.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "builder/aws/aws.h"
#include "builder/aws/cloudwatch_logs.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/rollout/ecs/elb.h"
#include "builder/rollout/ecs/name.h"

#include <string.h>

#define LOG_LINES      20
#define LOG_LINE_BYTES 500
#define LOG_TRIES      4 /* the last lines come late */
#define LOG_AGAIN_MS   1000
#define PAGES_MAX      10
#define EVENT_BYTES    400
#define TROUBLE_BYTES  1000
#define TROUBLE_EVERY  3 /* looks */

/* ---- what was dealt with ---- */

/* True the first time. */
static bool mark(struct ecs_reasons *x, const char *what)
{
	if (json_object_get(x->seen, what))
		return false;
	json_object_set_new(x->seen, what, json_true());
	return true;
}

void ecs_reasons_init(struct ecs_reasons *x, const json_t *service)
{
	size_t i;
	json_t *event;

	x->seen = json_object();
	json_array_foreach(json_object_get(service, "events"), i, event)
	{
		mark(x, json_get_str(event, "id", ""));
	}
}

void ecs_reasons_release(struct ecs_reasons *x)
{
	if (!x)
		return;
	ecs_deaths_release(&x->deaths);
	json_decref(x->seen);
	x->seen = NULL;
	free(x->trouble);
	x->trouble = NULL;
	free(x->stuck);
	x->stuck = NULL;
}

static void cannot(struct ecs_reasons *x, int r, const struct error *err)
{
	/* A moment's failure: the next look is soon. */
	if (r != -ERR_DENIED || x->has_complained)
		return;
	x->has_complained = true;
	ecs_complain(x->e, "cannot look for reasons: %s", err->msg);
}

/* ---- lines ---- */

static int show_line(void *ctx, const struct cloudwatch_event *event)
{
	auto_buf struct buf text = BUF_INIT(LOG_LINE_BYTES + 16);
	const struct ecs *e = ctx;

	text_add_line(&text, event->message, LOG_LINE_BYTES);
	ecs_detail(e, "%s", buf_str(&text));
	return 0;
}

static int no_line(void *ctx, const struct cloudwatch_event *event)
{
	(void)ctx;
	(void)event;
	return 0;
}

/* Is anything there (yet)?  Waits some seconds for it. */
static int await_lines(struct ecs *e, const char *group, const char *stream,
		       struct error *err)
{
	int count = 0;

	for (int i = 0; i < LOG_TRIES; i++) {
		count = cloudwatch_history(e->aws, group, stream, 1, no_line,
					   NULL, err);
		if (count != 0 || ecs_pause(e, LOG_AGAIN_MS))
			break;
	}
	return count;
}

void ecs_tell_lines(struct ecs *e, const char *log_group, const char *type,
		    const char *container, const char *task_id)
{
	auto_free char *stream =
		xasprintf("%s/%s/%s", type, container, task_id);
	struct error err;
	int count = await_lines(e, log_group, stream, &err);

	if (count > 0) {
		ecs_complain(e,
			     "last output of %s.%.*s (up to %d lines):", type,
			     ECS_TASK_SHOWN, task_id, LOG_LINES);
		count = cloudwatch_history(e->aws, log_group, stream, LOG_LINES,
					   show_line, e, &err);
	} else if (count == 0) {
		ecs_detail(e, "%s.%.*s printed nothing", type, ECS_TASK_SHOWN,
			   task_id);
	}
	if (count < 0)
		ecs_complain(e, "%s", err.msg);
}

/* ---- deaths ---- */

/* Did the container that is ours ever run? */
static bool has_run(const json_t *task, const char *container)
{
	json_t *list = json_object_get(task, "containers");
	size_t i;
	json_t *c;

	json_array_foreach(list, i, c)
	{
		if (strcmp(json_get_str(c, "name", ""), container) == 0)
			return json_object_get(c, "exitCode") != NULL;
	}
	return false;
}

static void tell_death(struct ecs_reasons *x, const json_t *task)
{
	const char *id = ecs_task_id(json_get_str(task, "taskArn", ""));
	auto_buf struct buf reason = BUF_INIT(EVENT_BYTES * 2);

	ecs_death_reason(task, &reason);
	ecs_complain(x->e, "%s.%.*s %s", x->type, ECS_TASK_SHOWN, id,
		     buf_str(&reason));
	if (has_run(task, x->container))
		ecs_tell_lines(x->e, x->log_group, x->type, x->container, id);
}

static void look_at_task(struct ecs_reasons *x, const json_t *task)
{
	const char *arn = json_get_str(task, "taskArn", "");
	const char *by = json_get_str(task, "startedBy", "");

	if (strcmp(by, x->deployment) != 0) {
		mark(x, arn);
		return;
	}
	if (strcmp(json_get_str(task, "lastStatus", ""), "STOPPED") != 0 &&
	    !ecs_is_death(task))
		return; /* still ending: its exit code is not there yet */
	mark(x, arn);
	if (ecs_is_death(task) && ecs_deaths_add(&x->deaths, task))
		tell_death(x, task);
}

static int describe_tasks(struct ecs_reasons *x, json_t *arns,
			  struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:O}", "cluster",
				       x->e->section->cluster, "tasks", arns);
	json_auto_t *reply = NULL;
	size_t i;
	json_t *task;
	int r = ecs_call(x->e, "DescribeTasks", input, &reply, err);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(reply, "tasks"), i, task)
	{
		look_at_task(x, task);
	}
	return 0;
}

/* One page; *token is where it goes on, NULL = at the end. */
static int look_at_page(struct ecs_reasons *x, char **token, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:s, s:s, s:s*}", "cluster",
			  x->e->section->cluster, "serviceName", x->service,
			  "desiredStatus", "STOPPED", "nextToken", *token);
	json_auto_t *new = json_array();
	json_auto_t *reply = NULL;
	const char *next;
	size_t i;
	json_t *arn;
	int r = ecs_call(x->e, "ListTasks", input, &reply, err);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(reply, "taskArns"), i, arn)
	{
		const char *text = json_string_value(arn);

		if (text && !json_object_get(x->seen, text))
			json_array_append(new, arn);
	}
	next = json_get_str(reply, "nextToken", NULL);
	free(*token);
	*token = next ? xstrdup(next) : NULL;
	return json_array_size(new) ? describe_tasks(x, new, err) : 0;
}

static int look_at_deaths(struct ecs_reasons *x, struct error *err)
{
	auto_free char *token = NULL;
	int r = 0;

	for (int page = 0; r == 0 && page < PAGES_MAX; page++) {
		r = look_at_page(x, &token, err);
		if (!token)
			break;
	}
	return r;
}

/* ---- events ---- */

static const char *const telling[] = {
	"fail",	  "unhealthy", "error",		 "throttl",
	"unable", "missing",   "alarm detected", "rolling back",
};

static bool is_telling(const char *text)
{
	/* "… has started 1 tasks. Amazon ECS replaced 1 tasks due to an
	 * unhealthy status." comes after the news. */
	if (strstr(text, ") has started "))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(telling); i++)
		if (strcasestr(text, telling[i]))
			return true;
	return false;
}

/* "was unable to place a task. Reason: …" of what a task has told. */
static bool is_told(const struct ecs_reasons *x, const char *text)
{
	const char *reason = strstr(text, "Reason: ");
	char head[64];

	if (!reason)
		return false;
	reason += strlen("Reason: ");
	snprintf(head, sizeof(head), "%.40s", reason);
	for (size_t i = 0; i < x->deaths.count; i++)
		if (strstr(x->deaths.list[i].reason, head))
			return true;
	return false;
}

/* "(service shop-web) was unable to place a task. Reason: …" */
static void note_stuck(struct ecs_reasons *x, const char *text)
{
	const char *unable = strstr(text, "unable to ");
	size_t len;

	if (!unable)
		return;
	len = strlen(unable);
	while (len && unable[len - 1] == '.')
		len--;
	free(x->stuck);
	x->stuck = xasprintf("ECS was %.*s", (int)len, unable);
}

static void look_at_event(struct ecs_reasons *x, const json_t *event)
{
	const char *message = json_get_str(event, "message", "");
	auto_buf struct buf text = BUF_INIT(EVENT_BYTES + 16);
	auto_buf struct buf key = BUF_INIT(2 * EVENT_BYTES);

	if (!mark(x, json_get_str(event, "id", "")) || !is_telling(message) ||
	    is_told(x, message))
		return;
	ecs_blur(message, &key);
	if (!mark(x, buf_str(&key)))
		return;
	text_add_line(&text, slice_str(message), EVENT_BYTES);
	ecs_complain(x->e, "ecs: %s", buf_str(&text));
	note_stuck(x, buf_str(&text));
}

static void look_at_events(struct ecs_reasons *x, const json_t *service)
{
	json_t *events = json_object_get(service, "events");

	/* The newest is the first. */
	for (size_t i = json_array_size(events); i-- > 0;)
		look_at_event(x, json_array_get(events, i));
}

/* ---- the load balancer ---- */

static int look_at_health(struct ecs_reasons *x, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(TROUBLE_BYTES);
	auto_buf struct buf key = BUF_INIT(TROUBLE_BYTES);
	int r;

	if (!*x->target_group || x->looks % TROUBLE_EVERY != 0)
		return 0;
	r = ecs_elb_trouble(x->e, x->target_group, &text, err);
	if (r < 0 || text.len == 0)
		return r;
	free(x->trouble);
	x->trouble = xstrdup(buf_str(&text));
	ecs_blur(buf_str(&text), &key);
	if (mark(x, buf_str(&key)))
		ecs_complain(x->e, "%s: %s", x->type, buf_str(&text));
	return 0;
}

/* ---- all of it ---- */

int ecs_reasons_look(struct ecs_reasons *x, const json_t *service)
{
	struct error err;
	int deaths = look_at_deaths(x, &err);
	int health;

	if (deaths < 0)
		cannot(x, deaths, &err);
	look_at_events(x, service);
	x->looks++;
	health = look_at_health(x, &err);
	if (health < 0)
		cannot(x, health, &err);
	return deaths == -ERR_LIMIT || health == -ERR_LIMIT ? -ERR_LIMIT : 0;
}

const char *ecs_reasons_worst(const struct ecs_reasons *x)
{
	const struct ecs_death *worst = ecs_deaths_worst(&x->deaths);

	if (worst)
		return worst->reason;
	return x->trouble ? x->trouble : x->stuck;
}
