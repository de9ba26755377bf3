#include "builder/aws/cloudwatch_logs.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/aws/aws.h"

#include <poll.h>
#include <string.h>

#define NOT_THERE     "ResourceNotFoundException"
#define BUSY	      "OperationAbortedException"
#define BUSY_TRIES    5
#define BUSY_WAIT_MS  500
#define PAGE_EVENTS   10000
#define HISTORY_PAGES 20
#define POLL_PAGES    1000
#define DRAIN_POLL_MS 1000
#define ASK_CANCEL_MS 100
#define PATTERN_MAX   1024
#define SEEN_MAX      (1u << 20)
#define SEEN_FIRST    1024
#define TIME_MS_MAX   8.64e15

/* ---- groups ---- */

/* Of PutRetentionPolicy. */
static const int64_t retentions[] = {
	1,   3,	  5,   7,   14,	  30,	60,   90,   120,  150,	180,
	365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
};

int64_t cloudwatch_retention_days(int64_t days)
{
	for (size_t i = 0; i < ARRAY_SIZE(retentions); i++)
		if (retentions[i] >= days)
			return retentions[i];
	return retentions[ARRAY_SIZE(retentions) - 1];
}

/* A call that others' calls for the same group can abort. */
static int call_group(struct aws *a, const char *operation, const json_t *input,
		      struct error *err)
{
	int r = 0;

	for (int i = 0; i < BUSY_TRIES; i++) {
		json_auto_t *output = NULL;

		if (i)
			poll(NULL, 0, BUSY_WAIT_MS);
		r = aws_call(a, AWS_LOGS, operation, input, &output, err);
		if (r == 0 || !aws_failed_with(a, BUSY))
			break;
	}
	return r;
}

int cloudwatch_ensure_group(struct aws *a, const char *group, int64_t days,
			    const json_t *tags, struct error *err)
{
	json_auto_t *made =
		json_pack("{s:s, s:O}", "logGroupName", group, "tags", tags);
	json_auto_t *kept = json_pack(
		"{s:s, s:I}", "logGroupName", group, "retentionInDays",
		(json_int_t)cloudwatch_retention_days(days));
	int r = call_group(a, "CreateLogGroup", made, err);

	if (r < 0 && aws_failed_with(a, "ResourceAlreadyExistsException"))
		r = 0;
	if (r == 0)
		r = call_group(a, "PutRetentionPolicy", kept, err);
	return r < 0 ? err_wrap(err, r, "log group '%s'", group) : 0;
}

/* The group's ARN as tags want it, the caller's. */
static int find_group(struct aws *a, const char *group, char **ret,
		      struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "logGroupNamePrefix", group);
	json_auto_t *output = NULL;
	size_t i;
	json_t *g;
	int r = aws_call(a, AWS_LOGS, "DescribeLogGroups", input, &output, err);

	if (r < 0)
		return r;
	/* In the order of their names: the one itself is the first. */
	json_array_foreach(json_object_get(output, "logGroups"), i, g)
	{
		const char *arn = json_get_str(g, "arn", "");
		size_t len = strlen(arn);

		if (strcmp(json_get_str(g, "logGroupName", ""), group) != 0)
			continue;
		if (len > 2 && strcmp(arn + len - 2, ":*") == 0)
			len -= 2;
		*ret = xasprintf("%.*s", (int)len, arn);
		return 0;
	}
	return err_set(err, ERR_NOTFOUND, "no log group '%s'", group);
}

int cloudwatch_group_tags(struct aws *a, const char *group, json_t **ret,
			  struct error *err)
{
	auto_free char *arn = NULL;
	json_auto_t *input = NULL;
	json_auto_t *output = NULL;
	json_t *tags;
	int r = find_group(a, group, &arn, err);

	if (r < 0)
		return r;
	input = json_pack("{s:s}", "resourceArn", arn);
	r = aws_call(a, AWS_LOGS, "ListTagsForResource", input, &output, err);
	if (r < 0)
		return err_wrap(err, r, "log group '%s'", group);
	tags = json_object_get(output, "tags");
	*ret = json_is_object(tags) ? json_incref(tags) : json_object();
	return 0;
}

int cloudwatch_delete_group(struct aws *a, const char *group, struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "logGroupName", group);
	int r = call_group(a, "DeleteLogGroup", input, err);

	if (r < 0 && aws_failed_with(a, NOT_THERE))
		return 0;
	return r < 0 ? err_wrap(err, r, "log group '%s'", group) : 0;
}

/* ---- events ---- */

/* False when it has no message. */
static bool read_event(const json_t *doc, struct cloudwatch_event *ret)
{
	const json_t *message = json_object_get(doc, "message");
	const json_t *stream = json_object_get(doc, "logStreamName");
	double time = json_number_value(json_object_get(doc, "timestamp"));

	if (!json_is_string(message))
		return false;
	ret->message = (struct slice){ json_string_value(message),
				       json_string_length(message) };
	while (ret->message.len &&
	       strchr("\r\n", ret->message.ptr[ret->message.len - 1]))
		ret->message.len--;
	if (ret->message.len > CLOUDWATCH_MESSAGE_MAX)
		ret->message.len = CLOUDWATCH_MESSAGE_MAX;
	ret->time_ms = time > 0 && time < TIME_MS_MAX ? (int64_t)time : 0;
	ret->stream = (struct slice){ json_string_value(stream),
				      json_string_length(stream) };
	if (!ret->stream.ptr)
		ret->stream = slice_str("");
	ret->id = json_get_str(doc, "eventId", "");
	return true;
}

static int give_event(const json_t *doc, cloudwatch_sink sink, void *ctx)
{
	struct cloudwatch_event event;

	return read_event(doc, &event) ? sink(ctx, &event) : 0;
}

/* ---- one stream ---- */

static json_t *stream_input(const char *group, const char *name, bool from_head,
			    size_t limit)
{
	return json_pack("{s:s, s:s, s:b, s:I}", "logGroupName", group,
			 "logStreamName", name, "startFromHead", (int)from_head,
			 "limit", (json_int_t)limit);
}

/* A page and, in *ret_is_end, whether its token says that there is no more. */
static int stream_page(struct aws *a, json_t *input, const char *token_name,
		       json_t **ret_page, bool *ret_is_end, struct error *err)
{
	const char *before = json_get_str(input, "nextToken", "");
	json_auto_t *page = NULL;
	json_t *token;
	int r = aws_call(a, AWS_LOGS, "GetLogEvents", input, &page, err);

	if (r < 0)
		return r;
	token = json_object_get(page, token_name);
	*ret_is_end = json_string_length(token) == 0 ||
		      strcmp(json_string_value(token), before) == 0;
	if (!*ret_is_end)
		json_object_set(input, "nextToken", token);
	*ret_page = TAKE_PTR(page);
	return 0;
}

/* Pages from the newest backwards; at most `lines` events in all. */
static int read_back(struct aws *a, const char *group, const char *stream,
		     size_t lines, json_t *pages, struct error *err)
{
	json_auto_t *input = stream_input(group, stream, false, lines);
	bool is_end = false;
	size_t have = 0;

	for (int i = 0; i < HISTORY_PAGES && have < lines && !is_end; i++) {
		json_t *page = NULL;
		int r = stream_page(a, input, "nextBackwardToken", &page,
				    &is_end, err);

		if (r < 0)
			return r;
		have += json_array_size(json_object_get(page, "events"));
		json_array_append_new(pages, page);
	}
	return 0;
}

/* The last `lines` of all pages, which come newest first. */
static int give_last(const json_t *pages, size_t lines, cloudwatch_sink sink,
		     void *ctx)
{
	size_t skip = 0;
	int given = 0;
	size_t total = 0;
	size_t count = json_array_size(pages);

	for (size_t i = 0; i < count; i++)
		total += json_array_size(
			json_object_get(json_array_get(pages, i), "events"));
	if (total > lines)
		skip = total - lines;
	for (size_t i = count; i > 0; i--) {
		const json_t *events =
			json_object_get(json_array_get(pages, i - 1), "events");

		for (size_t k = 0; k < json_array_size(events); k++) {
			if (skip) {
				skip--;
				continue;
			}
			given++;
			if (give_event(json_array_get(events, k), sink, ctx))
				return given;
		}
	}
	return given;
}

int cloudwatch_history(struct aws *a, const char *group, const char *stream,
		       size_t lines, cloudwatch_sink sink, void *ctx,
		       struct error *err)
{
	json_auto_t *pages = json_array();
	int r;

	if (lines > CLOUDWATCH_HISTORY_MAX)
		lines = CLOUDWATCH_HISTORY_MAX;
	if (lines == 0)
		return 0;
	r = read_back(a, group, stream, lines, pages, err);
	if (r < 0 && aws_failed_with(a, NOT_THERE))
		return 0;
	return r < 0 ? err_wrap(err, r, "log of '%s'", stream)
		     : give_last(pages, lines, sink, ctx);
}

void cloudwatch_stream_init(struct cloudwatch_stream *s, struct aws *a,
			    const char *group, const char *name)
{
	memset(s, 0, sizeof(*s));
	s->aws = a;
	s->group = group;
	s->name = name;
}

void cloudwatch_stream_release(struct cloudwatch_stream *s)
{
	if (!s)
		return;
	free(s->token);
	s->token = NULL;
}

int cloudwatch_stream_poll(struct cloudwatch_stream *s, cloudwatch_sink sink,
			   void *ctx, struct error *err)
{
	json_auto_t *input = stream_input(s->group, s->name, true, PAGE_EVENTS);
	bool is_end = false;
	int given = 0;

	if (s->token)
		json_object_set_new(input, "nextToken", json_string(s->token));
	for (int i = 0; i < POLL_PAGES && !is_end; i++) {
		json_auto_t *page = NULL;
		json_t *event;
		size_t k;
		int r = stream_page(s->aws, input, "nextForwardToken", &page,
				    &is_end, err);

		if (r < 0 && aws_failed_with(s->aws, NOT_THERE))
			return given;
		if (r < 0)
			return err_wrap(err, r, "log of '%s'", s->name);
		free(s->token);
		s->token = xstrdup(json_get_str(input, "nextToken", ""));
		json_array_foreach(json_object_get(page, "events"), k, event)
		{
			given++;
			if (give_event(event, sink, ctx))
				return given;
		}
	}
	return given;
}

static bool sleep_unless(int ms, bool (*is_canceled)(void *ctx), void *ctx)
{
	for (int at = 0; at < ms; at += ASK_CANCEL_MS) {
		if (is_canceled && is_canceled(ctx))
			return false;
		poll(NULL, 0, ASK_CANCEL_MS);
	}
	return true;
}

int cloudwatch_stream_drain(struct cloudwatch_stream *s, int quiet_ms,
			    int total_ms, cloudwatch_sink sink, void *ctx,
			    bool (*is_canceled)(void *ctx), struct error *err)
{
	int64_t quiet_since = clock_ms();
	int given = 0;

	for (;;) {
		/* A stream with a token has had its first lines. */
		int wait_ms = s->token ? quiet_ms : total_ms;
		int r = cloudwatch_stream_poll(s, sink, ctx, err);

		if (r < 0)
			return r;
		given += r;
		if (r > 0)
			quiet_since = clock_ms();
		if (clock_ms() - quiet_since >= wait_ms)
			return given;
		if (!sleep_unless(DRAIN_POLL_MS, is_canceled, ctx))
			return err_set(err, ERR_CANCELED, "canceled");
	}
}

/* ---- all streams ---- */

bool cloudwatch_pattern(const char *text, struct buf *out)
{
	size_t len = strlen(text);

	if (len == 0 || 2 * len + 2 > PATTERN_MAX)
		return false;
	/* "%" begins a regular expression. */
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '%')
			return false;
	buf_addc(out, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
	return true;
}

static json_t *search_input(const struct cloudwatch_query *q)
{
	auto_buf struct buf pattern = BUF_INIT(PATTERN_MAX);
	json_t *input = json_pack("{s:s, s:i}", "logGroupName", q->group,
				  "limit", PAGE_EVENTS);

	if (q->stream_prefix)
		json_object_set_new(input, "logStreamNamePrefix",
				    json_string(q->stream_prefix));
	if (q->from_ms > 0)
		json_object_set_new(input, "startTime",
				    json_integer(q->from_ms));
	if (q->until_ms > 0) /* theirs is inclusive */
		json_object_set_new(input, "endTime",
				    json_integer(q->until_ms - 1));
	if (q->text && cloudwatch_pattern(q->text, &pattern))
		json_object_set_new(input, "filterPattern",
				    json_string(buf_str(&pattern)));
	return input;
}

/* Non-zero as soon as the sink says so. */
static int give_page(const json_t *page, const char *text,
		     struct cloudwatch_seen *seen, cloudwatch_sink sink,
		     void *ctx)
{
	size_t text_len = text ? strlen(text) : 0;
	json_t *doc;
	size_t i;

	json_array_foreach(json_object_get(page, "events"), i, doc)
	{
		struct cloudwatch_event event;

		if (!read_event(doc, &event))
			continue;
		/* Patterns have rules of their own; ours is "has the text". */
		if (text_len && !memmem(event.message.ptr, event.message.len,
					text, text_len))
			continue;
		if (cloudwatch_seen_add(seen, &event) && sink(ctx, &event))
			return 1;
	}
	return 0;
}

int cloudwatch_search(struct aws *a, const struct cloudwatch_query *query,
		      int max_pages, cloudwatch_sink sink, void *ctx,
		      struct error *err)
{
	json_auto_t *input = search_input(query);
	struct cloudwatch_seen seen = { .slots = NULL };
	bool is_end = false;
	bool is_stopped = false;
	int r = 0;

	for (int i = 0; !is_end && !is_stopped && (!max_pages || i < max_pages);
	     i++) {
		json_auto_t *page = NULL;
		json_t *token;

		r = aws_call(a, AWS_LOGS, "FilterLogEvents", input, &page, err);
		if (r < 0)
			break;
		is_stopped = give_page(page, query->text, &seen, sink, ctx);
		/* An empty page with a token is not the end. */
		token = json_object_get(page, "nextToken");
		is_end = json_string_length(token) == 0;
		if (!is_end)
			json_object_set(input, "nextToken", token);
	}
	cloudwatch_seen_release(&seen);
	if (r < 0 && aws_failed_with(a, NOT_THERE))
		return err_set(err, ERR_NOTFOUND, "no log group '%s'",
			       query->group);
	return r < 0 ? err_wrap(err, r, "logs of '%s'", query->group)
		     : is_end && !is_stopped;
}

/* ---- what was seen ---- */

void cloudwatch_seen_release(struct cloudwatch_seen *s)
{
	if (!s)
		return;
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

/* FNV-1a, 64 bits; never 0. */
static uint64_t hash_id(const char *id)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
	return hash ? hash : 1;
}

/* The slot that has the hash, or the free one for it. */
static struct cloudwatch_seen_id *find_slot(const struct cloudwatch_seen *s,
					    uint64_t hash)
{
	size_t at = hash & (s->cap - 1);

	while (s->slots[at].hash && s->slots[at].hash != hash)
		at = (at + 1) & (s->cap - 1);
	return &s->slots[at];
}

/* Into a table of `cap` slots, without what happened before `before_ms`. */
static void rebuild(struct cloudwatch_seen *s, size_t cap, int64_t before_ms)
{
	struct cloudwatch_seen old = *s;

	s->slots = xcalloc(cap, sizeof(*s->slots));
	s->cap = cap;
	s->count = 0;
	for (size_t i = 0; i < old.cap; i++) {
		if (!old.slots[i].hash || old.slots[i].time_ms < before_ms)
			continue;
		*find_slot(s, old.slots[i].hash) = old.slots[i];
		s->count++;
	}
	free(old.slots);
}

bool cloudwatch_seen_add(struct cloudwatch_seen *s,
			 const struct cloudwatch_event *event)
{
	uint64_t hash = hash_id(event->id);
	struct cloudwatch_seen_id *slot;

	if (!*event->id)
		return true;
	if (s->cap == 0)
		rebuild(s, SEEN_FIRST, 0);
	else if (s->count >= s->cap / 2 && s->cap < SEEN_MAX)
		rebuild(s, s->cap * 2, 0);
	else if (s->count >= s->cap / 2) /* rather a line twice */
		rebuild(s, SEEN_FIRST, INT64_MAX);
	slot = find_slot(s, hash);
	if (slot->hash)
		return false;
	slot->hash = hash;
	slot->time_ms = event->time_ms;
	s->count++;
	return true;
}

void cloudwatch_seen_forget(struct cloudwatch_seen *s, int64_t before_ms)
{
	if (s->cap)
		rebuild(s, s->cap, before_ms);
}
