#include "builder/engine/progress.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "builder/engine/message.h"
#include "builder/engine/trace.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define VERTICES_MAX 4096
#define STATUSES_MAX 64
#define NAME_BYTES   300

/* Output of steps that are not shown now. */
#define WAITING_STEP_MAX (256 * 1024)
#define WAITING_ALL_MAX	 (2 * 1024 * 1024)

#define STAY_MS		5000  /* with one step, while it says something */
#define IDLE_MS		500   /* silent for so long: another may speak */
#define TURN_MS		10000 /* longest wait of another */
#define NEWS_MS		100 /* a transfer of no bytes that took less is none */
#define STATUS_EVERY_MS 5000
#define NS_PER_MS	1000000

/* A transfer below a step: the download or extraction of a layer. */
struct transfer {
	char *id;
	int64_t shown_ms;
	int64_t shown_current;
	bool is_done;
};

struct vertex {
	uint64_t hash; /* of its digest */
	char *digest;
	char *name;
	char *error; /* NULL = none */
	int number;  /* on its lines; 0 = never shown */
	bool is_started;
	bool is_completed;
	bool is_cached;
	bool is_ended;	  /* its last line ("DONE") was made */
	bool needs_head;  /* started, but its name was not shown */
	bool is_hidden;	  /* how the context gets in: shown when it fails */
	bool is_canceled; /* because another failed */
	int64_t started_ns;
	int64_t spent_ns; /* in intervals that ended */
	struct line_splitter output;
	struct line_tail tail;
	struct buf waiting; /* lines not shown yet */
	int64_t waiting_ms; /* since when */
	struct transfer *transfers;
	size_t transfers_count;
};

struct progress {
	line_fn line;
	void (*step)(void *ctx, const char *name);
	void *ctx;
	struct vertex **vertices; /* in order of arrival */
	size_t count;
	struct vertex *shown; /* whose lines come out now */
	struct vertex *failed;
	int numbers;
	size_t waiting_bytes;
	int64_t now_ms;
	int64_t switched_ms;
	int64_t spoke_ms; /* last line of `shown` */
};

struct progress *
progress_new(line_fn line, void (*step)(void *ctx, const char *name), void *ctx)
{
	struct progress *p = xcalloc(1, sizeof(*p));

	p->line = line;
	p->step = step;
	p->ctx = ctx;
	return p;
}

static void release_transfers(struct vertex *v)
{
	for (size_t i = 0; i < v->transfers_count; i++)
		free(v->transfers[i].id);
	free(v->transfers);
	v->transfers = NULL;
	v->transfers_count = 0;
}

static void free_vertex(struct vertex *v)
{
	free(v->digest);
	free(v->name);
	free(v->error);
	line_splitter_release(&v->output);
	line_tail_release(&v->tail);
	buf_release(&v->waiting);
	release_transfers(v);
	free(v);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		free_vertex(p->vertices[i]);
	free(p->vertices);
	free(p);
}

/* ---- the steps known ---- */

static uint64_t hash_of(const char *text)
{
	uint64_t h = 14695981039346656037ULL; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211ULL;
	return h;
}

static struct vertex *find(struct progress *p, const char *digest)
{
	uint64_t hash = hash_of(digest);

	for (size_t i = p->count; i > 0; i--) {
		struct vertex *v = p->vertices[i - 1];

		if (v->hash == hash && strcmp(v->digest, digest) == 0)
			return v;
	}
	return NULL;
}

/* Foreign text on one bounded line; the caller frees it. */
static char *one_line(const char *text)
{
	struct buf b = BUF_INIT(ENGINE_MESSAGE_MAX + 8);

	message_clean(slice_str(text), &b);
	return buf_detach(&b);
}

/* BuildKit's own steps to unpack what we send; they are always there. */
static bool is_upload(const char *name)
{
	return strcmp(name, "[internal] load remote build context") == 0 ||
	       strcmp(name, "copy /context /") == 0;
}

static struct vertex *add(struct progress *p, const struct trace_vertex *t)
{
	struct vertex *v;

	if (p->count == VERTICES_MAX || strlen(t->digest) > NAME_BYTES)
		return NULL;
	v = xcalloc(1, sizeof(*v));
	v->digest = xstrdup(t->digest);
	v->hash = hash_of(t->digest);
	v->name = one_line(t->name);
	v->is_hidden = is_upload(v->name);
	v->waiting.max = WAITING_STEP_MAX;
	line_splitter_init(&v->output);
	/* Grows by doubling: powers of two from 16. */
	if (p->count == 0 || (p->count >= 16 && !(p->count & (p->count - 1))))
		p->vertices =
			xrealloc(p->vertices, (p->count ? p->count * 2 : 16) *
						      sizeof(struct vertex *));
	p->vertices[p->count++] = v;
	return v;
}

static bool is_running(const struct vertex *v)
{
	return v->is_started && !v->is_completed;
}

static bool has_waiting(const struct vertex *v)
{
	return v->waiting.len > 0 || (v->needs_head && !v->is_hidden);
}

/* ---- showing ---- */

static void say(struct progress *p, const struct vertex *v, const char *rest,
		struct slice text)
{
	auto_buf struct buf line = BUF_INIT(BUILD_LINE_MAX);

	buf_addf(&line, "#%d %s", v->number, rest);
	buf_add(&line, text.ptr, text.len);
	p->line(p->ctx, buf_slice(&line));
	p->spoke_ms = p->now_ms;
}

static void show_waiting(struct progress *p, struct vertex *v)
{
	struct slice rest = buf_slice(&v->waiting);
	struct slice line;

	while (slice_line(&rest, &line))
		say(p, v, "", line);
	p->waiting_bytes -= v->waiting.len;
	buf_release(&v->waiting);
}

/* Let v speak: leave the step shown before, name this one. */
static void show(struct progress *p, struct vertex *v)
{
	if (p->shown != v) {
		if (p->shown && is_running(p->shown))
			say(p, p->shown, "...", slice_str(""));
		if (p->shown)
			p->line(p->ctx, slice_str(""));
		if (!v->number)
			v->number = ++p->numbers;
		p->shown = v;
		p->switched_ms = p->now_ms;
		say(p, v, "", slice_str(v->name));
		if (p->step && !v->is_ended)
			p->step(p->ctx, v->name);
	}
	v->needs_head = false;
	show_waiting(p, v);
}

/* A whole line of v: out with it, or let it wait. */
static void add_line(struct progress *p, struct vertex *v, struct slice line)
{
	v->is_ended = false;
	if (p->shown == v) {
		say(p, v, "", line);
		return;
	}
	if (line.len + 1 > v->waiting.max - v->waiting.len ||
	    p->waiting_bytes > WAITING_ALL_MAX) {
		show(p, v);
		say(p, v, "", line);
		return;
	}
	if (!v->waiting.len)
		v->waiting_ms = p->now_ms;
	buf_add(&v->waiting, line.ptr, line.len);
	buf_addc(&v->waiting, '\n');
	p->waiting_bytes += line.len + 1;
}

struct adding {
	struct progress *p;
	struct vertex *v;
};

static void on_output(void *ctx, struct slice line)
{
	struct adding *a = ctx;

	line_tail_add(&a->v->tail, line);
	add_line(a->p, a->v, line);
}

/* ---- ends ---- */

static void add_end_line(struct progress *p, struct vertex *v)
{
	auto_buf struct buf text = BUF_INIT(ENGINE_MESSAGE_MAX * 2);
	int64_t ms = v->spent_ns / NS_PER_MS;

	if (v->is_canceled)
		buf_adds(&text, "CANCELED");
	else if (v->error)
		buf_addf(&text, "ERROR: %s", v->error);
	else if (v->is_cached)
		buf_adds(&text, "CACHED");
	else
		buf_addf(&text, "DONE %lld.%llds", (long long)(ms / 1000),
			 (long long)(ms % 1000 / 100));
	say(p, v, "", buf_slice(&text));
}

/*
 * BuildKit takes a step up again now and then (a cache lookup, then the work):
 * its end is told again only when there was something to tell in between.
 */
static void end_vertex(struct progress *p, struct vertex *v)
{
	struct adding a = { p, v };

	line_splitter_end(&v->output, on_output, &a);
	if (v->is_ended || (v->is_hidden && !v->error && !v->waiting.len))
		return;
	show(p, v);
	add_end_line(p, v);
	v->is_ended = true;
	release_transfers(v);
	if (!v->error)
		line_tail_release(&v->tail);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void take_error(struct progress *p, struct vertex *v, const char *error)
{
	if (v->error || !*error)
		return;
	v->error = one_line(error);
	v->is_canceled = ends_with(error, "context canceled");
	v->is_ended = false;
	if (!v->is_canceled && !p->failed)
		p->failed = v;
}

/* ---- reports ---- */

static void take_times(struct progress *p, struct vertex *v,
		       const struct trace_vertex *t)
{
	int64_t spent = t->completed_ns - t->started_ns;

	if (!t->started_ns)
		return;
	if (!v->is_started) {
		v->is_started = true;
		v->needs_head = true;
		v->waiting_ms = p->now_ms;
	}
	if (t->started_ns > v->started_ns)
		v->is_completed = false; /* a new interval */
	v->started_ns = t->started_ns;
	if (!t->completed_ns || v->is_completed)
		return;
	v->is_completed = true;
	v->is_cached = t->is_cached;
	if (spent > 0 && spent < INT64_MAX - v->spent_ns)
		v->spent_ns += spent;
}

static void take_vertex(struct progress *p, const struct trace_vertex *t)
{
	struct vertex *v = find(p, t->digest);

	if (t->is_member)
		return;
	if (!v)
		v = add(p, t);
	if (!v)
		return;
	take_times(p, v, t);
	take_error(p, v, t->error);
}

static struct transfer *find_transfer(struct vertex *v, const char *id)
{
	struct transfer *t;

	for (size_t i = 0; i < v->transfers_count; i++)
		if (strcmp(v->transfers[i].id, id) == 0)
			return &v->transfers[i];
	if (v->transfers_count == STATUSES_MAX || strlen(id) > NAME_BYTES)
		return NULL;
	if (!v->transfers)
		v->transfers = xcalloc(STATUSES_MAX, sizeof(*v->transfers));
	t = &v->transfers[v->transfers_count++];
	t->id = xstrdup(id);
	t->shown_ms = -STATUS_EVERY_MS;
	return t;
}

/* Worth a line: an end, 5 % more, or a while since the last. */
static bool is_news(const struct progress *p, const struct transfer *t,
		    const struct trace_status *s)
{
	int64_t ms = (s->completed_ns - s->started_ns) / NS_PER_MS;

	if (t->is_done)
		return false;
	/* "naming to …" and the like: over before one can read it. */
	if (s->completed_ns)
		return s->current > 0 || ms >= NEWS_MS;
	if (s->current <= t->shown_current)
		return false;
	if (p->now_ms - t->shown_ms >= STATUS_EVERY_MS)
		return true;
	return s->total > 0 && s->current - t->shown_current >= s->total / 20 &&
	       s->current > 0 && p->now_ms - t->shown_ms >= IDLE_MS;
}

static void take_status(struct progress *p, const struct trace_status *s)
{
	struct vertex *v = find(p, s->vertex);
	struct transfer *t = v ? find_transfer(v, s->id) : NULL;
	auto_buf struct buf line = BUF_INIT(BUILD_LINE_MAX / 2);
	auto_free char *id = NULL;
	int64_t ms = (s->completed_ns - s->started_ns) / NS_PER_MS;

	if (!t || !is_news(p, t, s))
		return;
	t->shown_ms = p->now_ms;
	t->shown_current = s->current;
	t->is_done = s->completed_ns != 0;
	id = one_line(s->id);
	buf_adds(&line, id);
	if (s->current > 0) {
		buf_addc(&line, ' ');
		text_add_size(&line, (uint64_t)s->current);
	}
	if (s->total > 0) {
		buf_adds(&line, " / ");
		text_add_size(&line, (uint64_t)s->total);
	}
	if (t->is_done && s->started_ns && ms >= 0)
		buf_addf(&line, " %lld.%llds done", (long long)(ms / 1000),
			 (long long)(ms % 1000 / 100));
	else if (t->is_done)
		buf_adds(&line, " done");
	add_line(p, v, buf_slice(&line));
}

static void take_log(struct progress *p, const struct trace_log *l)
{
	struct adding a = { p, find(p, l->vertex) };

	if (a.v)
		line_splitter_feed(&a.v->output, l->text, on_output, &a);
}

static void take_warning(struct progress *p, const struct trace_warning *w)
{
	struct vertex *v = find(p, w->vertex);
	auto_buf struct buf line = BUF_INIT(ENGINE_MESSAGE_MAX + 32);

	if (!v)
		return;
	buf_adds(&line, "WARNING: ");
	message_clean(w->text, &line);
	add_line(p, v, buf_slice(&line));
}

/* ---- whose turn it is ---- */

/* The running step that waits longest; NULL when none waits. */
static struct vertex *next_to_show(const struct progress *p)
{
	struct vertex *best = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct vertex *v = p->vertices[i];

		if (v != p->shown && has_waiting(v) && v->is_started &&
		    (!best || v->waiting_ms < best->waiting_ms))
			best = v;
	}
	return best;
}

static void take_turns(struct progress *p)
{
	bool is_busy = p->shown && is_running(p->shown);
	struct vertex *next;

	if (is_busy && p->now_ms - p->switched_ms < STAY_MS &&
	    p->now_ms - p->spoke_ms < IDLE_MS)
		return;
	next = next_to_show(p);
	if (!next)
		return;
	if (!is_busy || p->now_ms - p->spoke_ms >= IDLE_MS ||
	    p->now_ms - next->waiting_ms >= TURN_MS)
		show(p, next);
}

void progress_update(struct progress *p, const struct trace *t, int64_t now_ms)
{
	p->now_ms = now_ms;
	for (size_t i = 0; i < t->vertices_count; i++)
		take_vertex(p, &t->vertices[i]);
	for (size_t i = 0; i < t->statuses_count; i++)
		take_status(p, &t->statuses[i]);
	for (size_t i = 0; i < t->warnings_count; i++)
		take_warning(p, &t->warnings[i]);
	for (size_t i = 0; i < t->logs_count; i++)
		take_log(p, &t->logs[i]);
	/* What is shown ends first: no need to leave it half told. */
	if (p->shown && p->shown->is_completed)
		end_vertex(p, p->shown);
	for (size_t i = 0; i < t->vertices_count; i++) {
		struct vertex *v = find(p, t->vertices[i].digest);

		if (v && v->is_completed)
			end_vertex(p, v);
	}
	take_turns(p);
}

void progress_tick(struct progress *p, int64_t now_ms)
{
	p->now_ms = now_ms;
	take_turns(p);
}

void progress_finish(struct progress *p, int64_t now_ms)
{
	p->now_ms = now_ms;
	for (size_t i = 0; i < p->count; i++) {
		struct vertex *v = p->vertices[i];
		struct adding a = { p, v };

		line_splitter_end(&v->output, on_output, &a);
		if (v->error && !v->is_ended)
			end_vertex(p, v);
		else if (v->waiting.len)
			show(p, v);
	}
}

/* ---- the sum ---- */

/* Is it a step of the Dockerfile: "[2/4] …", "[stage 2/4] …"? */
static bool is_step(const char *name)
{
	const char *end = strchr(name, ']');
	const char *p;

	if (name[0] != '[' || !end)
		return false;
	for (p = end - 1; p > name && isdigit((unsigned char)*p); p--)
		;
	return *p == '/' && p + 1 < end && isdigit((unsigned char)p[-1]);
}

void progress_summary(const struct progress *p, struct progress_summary *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < p->count; i++) {
		if (!is_step(p->vertices[i]->name))
			continue;
		ret->steps++;
		ret->steps_cached += p->vertices[i]->is_cached;
	}
	if (p->failed) {
		ret->failed_step = p->failed->name;
		ret->failed_error = p->failed->error;
	}
}

char *progress_failed_output(const struct progress *p)
{
	return p->failed ? line_tail_text(&p->failed->tail) : NULL;
}
