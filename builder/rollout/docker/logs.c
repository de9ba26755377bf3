/*
 * Logs of an app: the lines of its containers in the order of time.
 *
 * Following asks each container again and again for what came since its last
 * line, rather than hold a stream open to each: that goes on over restarts of
 * a container and of the engine, and finds containers of later releases.
 */
#include "builder/rollout/docker/docker.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/engine/container.h"
#include "builder/rollout/log_stamp.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINES_MAX	100000
#define BYTES_MAX	(64u << 20)
#define LINE_BYTES	16384
#define READ_TIMEOUT_MS 30000
#define POLL_MS		500
#define FAILURES_MAX	120 /* a minute without the engine */

struct source {
	char *id;
	char label[96]; /* "web.1" */
	struct log_cursor cursor;
	bool is_there; /* in the present list */
};

struct reader {
	struct docker *d;
	const struct app *app;
	const struct target_log_options *options;
	struct log_stamp began; /* for "only new lines" */
	struct source *sources;
	size_t count;
	struct log_pile pile;
	struct source *current;
	struct log_stamp stamp; /* of the last line read */
};

static void reader_release(struct reader *rd)
{
	for (size_t i = 0; i < rd->count; i++)
		free(rd->sources[i].id);
	free(rd->sources);
	log_pile_release(&rd->pile);
}

/* ---- sources ---- */

static bool is_meant(const struct container *c, const char *process)
{
	auto_free char *label = xasprintf("%s.%d", c->process, c->index);

	return !process || strcmp(process, c->process) == 0 ||
	       strcmp(process, label) == 0;
}

static struct source *find_source(struct reader *rd, const char *id)
{
	for (size_t i = 0; i < rd->count; i++)
		if (strcmp(rd->sources[i].id, id) == 0)
			return &rd->sources[i];
	return NULL;
}

static void add_source(struct reader *rd, const struct container *c,
		       bool is_first)
{
	struct source *s;

	rd->sources =
		xrealloc(rd->sources, (rd->count + 1) * sizeof(*rd->sources));
	s = &rd->sources[rd->count++];
	memset(s, 0, sizeof(*s));
	s->id = xstrdup(c->id);
	snprintf(s->label, sizeof(s->label), "%s.%d", c->process, c->index);
	s->is_there = true;
	if (is_first && rd->options->tail == 0) {
		s->cursor.last = rd->began;
		s->cursor.at_last = 1;
	}
}

static void drop_gone(struct reader *rd)
{
	size_t kept = 0;

	for (size_t i = 0; i < rd->count; i++) {
		if (rd->sources[i].is_there)
			rd->sources[kept++] = rd->sources[i];
		else
			free(rd->sources[i].id);
	}
	rd->count = kept;
}

static int find_sources(struct reader *rd, bool is_first, struct error *err)
{
	struct container *list = NULL;
	int count = docker_containers(rd->d, rd->app->id, &list, err);

	if (count < 0)
		return count;
	for (size_t i = 0; i < rd->count; i++)
		rd->sources[i].is_there = false;
	for (int i = 0; i < count; i++) {
		struct source *s = find_source(rd, list[i].id);

		if (s)
			s->is_there = true;
		else if (is_meant(&list[i], rd->options->process))
			add_source(rd, &list[i], is_first);
	}
	docker_containers_free(list, count);
	drop_gone(rd);
	return 0;
}

/* ---- reading ---- */

static bool has_text(struct slice line, const char *text)
{
	return !text || (line.len && memmem(line.ptr, line.len, text,
					    strlen(text)) != NULL);
}

static int on_line(void *ctx, bool is_stderr, struct slice line)
{
	struct reader *rd = ctx;
	struct source *s = rd->current;
	auto_buf struct buf text = BUF_INIT(LINE_BYTES + 256);
	char when[32];

	(void)is_stderr;
	/* Pieces of one long line have the time of the first. */
	if (!log_stamp_take(&line, &rd->stamp) && rd->stamp.s == 0)
		return 0;
	if (!log_cursor_is_new(&s->cursor, rd->stamp) ||
	    !has_text(line, rd->options->grep))
		return 0;
	text_utc(rd->stamp.s, when, sizeof(when));
	buf_addf(&text, "%s app[%s]: ", when, s->label);
	text_add_line(&text, line, LINE_BYTES);
	log_pile_add(&rd->pile, rd->stamp, buf_detach(&text));
	return 0;
}

static int read_source(struct reader *rd, struct source *s, int tail,
		       struct error *err)
{
	char since[48];
	struct log_options options = { .tail = tail,
				       .timestamps = true,
				       .timeout_ms = READ_TIMEOUT_MS };
	int r;

	if (s->cursor.at_last) {
		snprintf(since, sizeof(since), "%" PRId64 ".%09d",
			 s->cursor.last.s, (int)s->cursor.last.ns);
		options.since = since;
	} else if (rd->options->since > 0) {
		snprintf(since, sizeof(since), "%" PRId64, rd->options->since);
		options.since = since;
	}
	rd->current = s;
	rd->stamp = (struct log_stamp){ 0, 0 };
	log_cursor_begin(&s->cursor);
	r = container_logs(rd->d->engine, s->id, &options, on_line, rd, err);
	/* Removed meanwhile, or (409) just being removed. */
	return r == -ERR_NOTFOUND || r == -ERR_EXISTS ? 0 : r;
}

static int read_all(struct reader *rd, int tail, struct error *err)
{
	for (size_t i = 0; i < rd->count; i++) {
		int r = read_source(rd, &rd->sources[i], tail, err);

		if (r < 0)
			return r;
	}
	log_pile_sort(&rd->pile);
	return 0;
}

/* 1 when the sink wants no more. */
static int give(struct reader *rd, size_t max,
		int (*sink)(void *ctx, struct slice line), void *ctx)
{
	struct log_pile *p = &rd->pile;
	size_t count = p->end - p->first;
	size_t from = p->first + (count > max ? count - max : 0);
	int r = 0;

	for (size_t i = from; i < p->end && r == 0; i++)
		r = sink(ctx, slice_str(p->entries[i].text));
	log_pile_release(p);
	return r != 0;
}

static int follow(struct reader *rd, int (*sink)(void *ctx, struct slice line),
		  void *ctx, struct error *err)
{
	int failures = 0;

	for (;;) {
		int r;

		poll(NULL, 0, POLL_MS);
		r = find_sources(rd, false, err);
		if (r == 0)
			r = read_all(rd, -1, err);
		failures = r < 0 ? failures + 1 : 0;
		/* What was read before a failure is given out, too. */
		if (give(rd, LINES_MAX, sink, ctx))
			return 0;
		if (failures > FAILURES_MAX)
			return r;
	}
}

int docker_logs(struct target *t, const struct app *app,
		const struct target_log_options *options,
		int (*sink)(void *ctx, struct slice line), void *ctx,
		struct error *err)
{
	struct reader rd = { .d = docker_of(t),
			     .app = app,
			     .options = options,
			     .pile = { .max_lines = LINES_MAX,
				       .max_bytes = BYTES_MAX } };
	int tail = options->tail < 0 || options->tail > LINES_MAX
			   ? LINES_MAX
			   : options->tail;
	struct timespec now;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	rd.began = (struct log_stamp){ now.tv_sec, (int32_t)now.tv_nsec };
	r = find_sources(&rd, true, err);
	/* The engine counts lines before we look for the text. */
	if (r == 0 && tail > 0)
		r = read_all(&rd, options->grep ? -1 : tail, err);
	if (r == 0 && give(&rd, (size_t)tail, sink, ctx) == 0 &&
	    options->follow)
		r = follow(&rd, sink, ctx, err);
	reader_release(&rd);
	return r;
}
