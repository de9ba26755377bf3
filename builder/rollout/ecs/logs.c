/*
 * Logs of an app on ECS.
 *
 * CloudWatch reads forwards only, so the last lines are looked for in windows
 * that go back further and further.  Following asks for the last minute again
 * and again, because events come in late, and drops what was seen.
 */
#include "builder/rollout/ecs/logs.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "builder/aws/aws.h"
#include "builder/aws/cloudwatch_logs.h"
#include "builder/rollout/ecs/log_share.h"
#include "builder/rollout/log_stamp.h"
#include "builder/rollout/target.h"

#include <poll.h>
#include <string.h>

#define LINES_MAX	100000
#define BYTES_MAX	(64u << 20)
#define MINUTE_MS	INT64_C(60000)
#define OVERLAP_MS	MINUTE_MS
#define SKEW_MS		(15 * MINUTE_MS) /* of our clock against theirs */
#define POLL_MS		2000
#define POLL_SLOW_MS	30000
#define FAILING_MS	MINUTE_MS
#define SEEN_KEEP	20000 /* lines remembered, before old ones are dropped */
#define TASK_DIGITS	8
#define TASK_DIGITS_MIN 4
#define SERVICES_BATCH	10
#define EVENTS_MS	10000 /* between looks at the services */

struct reader {
	const struct ecs_log_source *source;
	const struct target_log_options *options;
	bool wants_lines;
	bool wants_events;
	char *stream_prefix; /* "web/"; NULL = all */
	char *task;	     /* first digits of a task's id; NULL = all */
	struct log_pile pile;
	struct cloudwatch_seen seen; /* lines */
	struct cloudwatch_seen told; /* events of services */
	int64_t newest_ms;	     /* of all lines; 0 = none */
	int64_t known_ms;	     /* no line from before is new */
	bool is_muted;		     /* read to know it, not to show it */
	struct log_share share;	     /* path NULL = none */
	bool has_complained;	     /* that events cannot be read */
	int64_t events_ms; /* clock_ms() of their last look; 0 = none */
};

static void reader_release(struct reader *rd)
{
	free(rd->stream_prefix);
	free(rd->task);
	log_pile_release(&rd->pile);
	cloudwatch_seen_release(&rd->seen);
	cloudwatch_seen_release(&rd->told);
	log_share_close(&rd->share);
}

/* ---- which lines ---- */

static struct slice last_part(struct slice stream)
{
	const char *slash =
		stream.len ? memrchr(stream.ptr, '/', stream.len) : NULL;

	if (!slash)
		return (struct slice){ "", 0 };
	stream.len -= (size_t)(slash + 1 - stream.ptr);
	stream.ptr = slash + 1;
	return stream;
}

void ecs_log_label(struct slice stream, struct buf *out)
{
	struct slice task = last_part(stream);
	const char *slash =
		stream.len ? memchr(stream.ptr, '/', stream.len) : NULL;

	if (!slash || task.len < TASK_DIGITS) {
		text_add_line(out, stream, 64);
		return;
	}
	stream.len = (size_t)(slash - stream.ptr);
	task.len = TASK_DIGITS;
	text_add_line(out, stream, 64);
	buf_addc(out, '.');
	text_add_line(out, task, 64);
}

/* "web" or "web.1f0c22ab" */
static int choose_process(struct reader *rd, struct error *err)
{
	const char *process = rd->options->process;
	const char *dot = process ? strrchr(process, '.') : NULL;

	rd->wants_lines = !process || strcmp(process, "ecs") != 0;
	rd->wants_events = !process || !rd->wants_lines;
	if (!process || !rd->wants_lines)
		return 0;
	if (!dot) {
		rd->stream_prefix = xasprintf("%s/", process);
		return 0;
	}
	if (strlen(dot + 1) < TASK_DIGITS_MIN ||
	    dot[1 + strspn(dot + 1, "0123456789abcdef")])
		return err_set(err, ERR_INVALID,
			       "'%.40s': tasks on ECS have no numbers; name "
			       "one by the first digits of its id, or all as "
			       "'%.*s'",
			       process, (int)(dot - process), process);
	rd->stream_prefix = xasprintf("%.*s/", (int)(dot - process), process);
	rd->task = xstrdup(dot + 1);
	return 0;
}

static bool has_text(const struct reader *rd, const struct cloudwatch_event *e)
{
	const char *text = rd->options->grep;

	return !text ||
	       (e->message.len &&
		memmem(e->message.ptr, e->message.len, text, strlen(text)));
}

static bool is_meant(const struct reader *rd, const struct cloudwatch_event *e)
{
	if (rd->stream_prefix && !slice_starts(e->stream, rd->stream_prefix))
		return false;
	if (rd->task && !slice_starts(last_part(e->stream), rd->task))
		return false;
	return has_text(rd, e);
}

/* ---- lines ---- */

static void add_line(struct reader *rd, int64_t time_ms, const char *label,
		     struct slice message)
{
	auto_buf struct buf line = BUF_INIT(CLOUDWATCH_MESSAGE_MAX + 256);
	struct log_stamp stamp = { time_ms / 1000,
				   (int32_t)(time_ms % 1000) * 1000000 };
	char when[32];

	text_utc(stamp.s, when, sizeof(when));
	buf_addf(&line, "%s app[%s]: ", when, label);
	text_add_line(&line, message, CLOUDWATCH_MESSAGE_MAX);
	log_pile_add(&rd->pile, stamp, buf_detach(&line));
}

static int on_event(void *ctx, const struct cloudwatch_event *e)
{
	auto_buf struct buf label = BUF_INIT(160);
	struct reader *rd = ctx;

	if (e->time_ms > rd->newest_ms)
		rd->newest_ms = e->time_ms;
	if (e->time_ms < rd->known_ms || !cloudwatch_seen_add(&rd->seen, e) ||
	    rd->is_muted || !is_meant(rd, e))
		return 0;
	ecs_log_label(e->stream, &label);
	add_line(rd, e->time_ms, buf_str(&label), e->message);
	return 0;
}

/* What CloudWatch has of [from_ms, until_ms). */
static int read_lines(struct reader *rd, int64_t from_ms, int64_t until_ms,
		      struct error *err)
{
	const struct cloudwatch_query query = {
		.group = rd->source->group,
		.stream_prefix = rd->stream_prefix,
		.text = rd->options->grep,
		.from_ms = from_ms,
		.until_ms = until_ms,
	};
	int r = cloudwatch_search(rd->source->aws, &query, 0, on_event, rd,
				  err);

	/* Nothing was ever deployed there. */
	return r < 0 && r != -ERR_NOTFOUND ? r : 0;
}

/* ---- what ECS says ---- */

static void add_service_event(struct reader *rd, const json_t *doc)
{
	double at = json_number_value(json_object_get(doc, "createdAt"));
	const char *message = json_get_str(doc, "message", "");
	struct cloudwatch_event e = {
		.time_ms = at > 0 && at < 8.64e12 ? (int64_t)(at * 1000) : 0,
		.message = slice_str(message),
		.stream = slice_str(""),
		.id = json_get_str(doc, "id", ""),
	};

	/* Every time all of the last hundred come. */
	if (cloudwatch_seen_add(&rd->told, &e) && !rd->is_muted &&
	    e.time_ms >= rd->options->since * 1000 && has_text(rd, &e))
		add_line(rd, e.time_ms, "ecs", e.message);
}

static int describe_services(struct reader *rd, json_t *names,
			     struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:O}", "cluster",
				       rd->source->cluster, "services", names);
	json_auto_t *output = NULL;
	json_t *service;
	json_t *event;
	size_t i;
	size_t k;
	int r = aws_call(rd->source->aws, AWS_ECS, "DescribeServices", input,
			 &output, err);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(output, "services"), i, service)
		json_array_foreach(json_object_get(service, "events"), k, event)
			add_service_event(rd, event);
	return 0;
}

static int read_services(struct reader *rd, struct error *err)
{
	const char *const *name = rd->source->services;

	while (*name) {
		json_auto_t *names = json_array();
		int r;

		for (; *name && json_array_size(names) < SERVICES_BATCH; name++)
			json_array_append_new(names, json_string(*name));
		r = describe_services(rd, names, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The app's lines are worth having without them. */
static int read_events(struct reader *rd, struct error *err)
{
	auto_free char *complaint = NULL;
	bool is_due = !rd->events_ms ||
		      clock_ms() - rd->events_ms >= EVENTS_MS ||
		      !rd->wants_lines;
	int r = 0;

	/* Each follower asks for itself, and they are few and late anyway. */
	if (rd->wants_events && is_due) {
		rd->events_ms = clock_ms();
		r = read_services(rd, err);
	}
	if (r == 0 || !rd->wants_lines)
		return r;
	if (r == -ERR_LIMIT || r == -ERR_CANCELED)
		return r;
	if (!rd->has_complained) {
		complaint = xasprintf("events cannot be read: %s", err->msg);
		add_line(rd, clock_wall_ms(), "ecs", slice_str(complaint));
	}
	rd->has_complained = true;
	return 0;
}

/* ---- giving them out ---- */

/* The last `max` of the pile; 1 when the sink wants no more. */
static int give(struct reader *rd, size_t max,
		int (*sink)(void *ctx, struct slice line), void *ctx)
{
	struct log_pile *p = &rd->pile;
	size_t count;
	int r = 0;

	log_pile_sort(p);
	count = p->end - p->first;
	for (size_t i = p->first + (count > max ? count - max : 0);
	     i < p->end && r == 0; i++)
		r = sink(ctx, slice_str(p->entries[i].text));
	log_pile_release(p);
	return r != 0;
}

/* ---- the past ---- */

/* Move what is in `from` to `into`. */
static void merge(struct log_pile *into, struct log_pile *from)
{
	for (size_t i = from->first; i < from->end; i++)
		log_pile_add(into, from->entries[i].stamp,
			     TAKE_PTR(from->entries[i].text));
	log_pile_release(from);
}

/*
 * The last `tail` lines.  Each window has a pile of its own: one drops what
 * came first, and here what comes first is the newest.
 */
static int read_back(struct reader *rd, size_t tail, int64_t since_ms,
		     struct error *err)
{
	static const int64_t windows[] = {
		1, 10, 60, 6 * 60, 24 * 60, 7 * 24 * 60, 31 * 24 * 60, 0
	};
	struct log_pile all = rd->pile;
	int64_t now = clock_wall_ms();
	int64_t until_ms = 0;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(windows) && r == 0; i++) {
		int64_t from_ms = windows[i] ? now - windows[i] * MINUTE_MS : 0;

		from_ms = from_ms > since_ms ? from_ms : since_ms;
		rd->pile = (struct log_pile){ .max_lines = tail,
					      .max_bytes = BYTES_MAX };
		r = read_lines(rd, from_ms, until_ms, err);
		merge(&all, &rd->pile);
		until_ms = from_ms;
		if (from_ms <= since_ms || all.end - all.first >= tail)
			break;
	}
	rd->pile = all;
	rd->known_ms = until_ms;
	return r;
}

static int read_past(struct reader *rd, size_t tail, struct error *err)
{
	int64_t since_ms = rd->options->since * 1000;
	int r = 0;

	/* For none of them: what is there is old, whatever the clocks say. */
	rd->is_muted = tail == 0;
	if (tail == 0)
		since_ms = clock_wall_ms() - SKEW_MS;
	rd->known_ms = since_ms;
	if (rd->wants_lines && (tail == 0 || tail == LINES_MAX))
		r = read_lines(rd, since_ms, 0, err);
	else if (rd->wants_lines)
		r = read_back(rd, tail, since_ms, err);
	if (r == 0)
		r = read_events(rd, err);
	rd->is_muted = false;
	return r;
}

/* ---- what comes ---- */

/* Where what is not known yet may begin. */
static int64_t news_begin(const struct reader *rd)
{
	int64_t now = clock_wall_ms();
	int64_t newest = rd->newest_ms < now ? rd->newest_ms : now;

	/* A quiet app: not all the time since its last line each time. */
	return newest - OVERLAP_MS > now - SKEW_MS ? newest - OVERLAP_MS
						   : now - SKEW_MS;
}

/* Of all processes, for everybody. */
static int read_for_all(void *ctx, cloudwatch_sink sink, void *sink_ctx,
			struct error *err)
{
	const struct reader *rd = ctx;
	const struct cloudwatch_query query = {
		.group = rd->source->group,
		.from_ms = news_begin(rd),
	};
	int r = cloudwatch_search(rd->source->aws, &query, 0, sink, sink_ctx,
				  err);

	return r < 0 && r != -ERR_NOTFOUND ? r : 0;
}

static int read_new_lines(struct reader *rd, int wait_ms, struct error *err)
{
	bool is_lost = true;
	int64_t from_ms = news_begin(rd);
	int r = 0;

	if (rd->share.path)
		r = log_share_poll(&rd->share, wait_ms, read_for_all, on_event,
				   rd, &is_lost, err);
	if (r < 0 || !is_lost)
		return r;
	return read_lines(rd, from_ms > rd->known_ms ? from_ms : rd->known_ms,
			  0, err);
}

static int read_news(struct reader *rd, int wait_ms, struct error *err)
{
	int r = rd->wants_lines ? read_new_lines(rd, wait_ms, err) : 0;

	if (r == 0)
		r = read_events(rd, err);
	if (rd->seen.count > SEEN_KEEP)
		cloudwatch_seen_forget(&rd->seen, news_begin(rd) - OVERLAP_MS);
	return r;
}

static int open_share(struct reader *rd, struct error *err)
{
	auto_free char *key = xasprintf("%s %s", aws_region(rd->source->aws),
					rd->source->group);

	if (!rd->source->folder || !rd->wants_lines)
		return 0;
	return log_share_open(&rd->share, rd->source->folder, key, err);
}

/* Being throttled is no failure: everybody asks less often then. */
static int next_wait(int r, int wait_ms)
{
	if (r != -ERR_LIMIT)
		return POLL_MS;
	return wait_ms * 2 < POLL_SLOW_MS ? wait_ms * 2 : POLL_SLOW_MS;
}

static int follow(struct reader *rd, int (*sink)(void *ctx, struct slice line),
		  void *ctx, struct error *err)
{
	int64_t good_ms = clock_ms();
	int wait_ms = POLL_MS;
	int r = open_share(rd, err);

	if (r < 0)
		return r;
	for (;;) {
		poll(NULL, 0, wait_ms);
		r = read_news(rd, wait_ms, err);
		if (r == 0)
			good_ms = clock_ms();
		/* What was read before a failure is given out, too. */
		if (give(rd, LINES_MAX, sink, ctx))
			return 0;
		wait_ms = next_wait(r, wait_ms);
		if (r < 0 && r != -ERR_LIMIT &&
		    clock_ms() - good_ms > FAILING_MS)
			return r;
	}
}

int ecs_logs(const struct ecs_log_source *source,
	     const struct target_log_options *options,
	     int (*sink)(void *ctx, struct slice line), void *ctx,
	     struct error *err)
{
	struct reader rd = { .source = source,
			     .options = options,
			     .pile = { .max_lines = LINES_MAX,
				       .max_bytes = BYTES_MAX } };
	size_t tail = options->tail < 0 || options->tail > LINES_MAX
			      ? LINES_MAX
			      : (size_t)options->tail;
	int r = choose_process(&rd, err);

	if (r == 0)
		r = read_past(&rd, tail, err);
	if (r == 0 && give(&rd, tail, sink, ctx) == 0 && options->follow)
		r = follow(&rd, sink, ctx, err);
	reader_release(&rd);
	return r;
}
