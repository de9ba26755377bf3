#include "builder/rollout/docker/gate.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "builder/engine/container.h"
#include "builder/rollout/docker/listen_hint.h"
#include "builder/rollout/docker/probe.h"
#include "builder/rollout/target.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PROBE_TIMEOUT_MS 5000
#define FIRST_PAUSE_MS	 50
#define LONGEST_PAUSE_MS 200
#define LINE_BYTES	 400 /* of a line for the person */

struct wait {
	const struct gate *gate;
	const struct target_report *report;
	int64_t began;
	bool was_listening;
	struct probe_result last;
	struct container_state state; /* the latest */
};

static int64_t elapsed(const struct wait *w)
{
	return clock_ms() - w->began;
}

/* Told as a detail, and the end of waiting. */
__attribute__((format(printf, 2, 3))) static int fit(const struct wait *w,
						     const char *fmt, ...)
{
	auto_buf struct buf line = BUF_INIT(LINE_BYTES);
	va_list ap;

	buf_addf(&line, "%s healthy (", w->gate->label);
	va_start(ap, fmt);
	buf_vaddf(&line, fmt, ap);
	va_end(ap);
	buf_addc(&line, ')');
	w->report->detail(w->report->ctx, buf_str(&line));
	return 1;
}

/* ---- the reasons not to be fit ---- */

/* " (limit 512m)", or nothing where there is none */
static void add_limit(struct buf *b, int64_t bytes)
{
	if (!bytes)
		return;
	buf_adds(b, " (limit ");
	if (bytes % (INT64_C(1) << 30) == 0)
		buf_addf(b, "%" PRId64 "g", bytes >> 30);
	else if (bytes % (INT64_C(1) << 20) == 0)
		buf_addf(b, "%" PRId64 "m", bytes >> 20);
	else
		buf_addf(b, "%" PRId64 " bytes", bytes);
	buf_addc(b, ')');
}

static int died(const struct wait *w, struct error *err)
{
	const struct gate *g = w->gate;
	auto_buf struct buf why = BUF_INIT(LINE_BYTES);

	if (w->state.is_oom_killed) {
		buf_addf(&why, "%s ran out of memory", g->label);
		add_limit(&why, g->memory);
		return err_set(err, ERR_PEER, "%s", buf_str(&why));
	}
	buf_addf(&why, "%s exited %d", g->label, w->state.exit_code);
	if (g->port && !w->was_listening) {
		buf_addf(&why, " before it listened on port %d", g->port);
	} else {
		buf_adds(&why, " after ");
		text_add_duration(&why, clock_ms() - g->started_ms);
	}
	if (container_was_killed(&w->state)) {
		buf_adds(&why, ": killed, most likely out of memory");
		add_limit(&why, g->memory);
	}
	return err_set(err, ERR_PEER, "%s", buf_str(&why));
}

static int unhealthy(const struct wait *w, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(LINE_BYTES);
	const char *log = w->state.health_log;
	struct slice rest = slice_trim(slice_str(log ? log : ""));
	struct slice line;

	while (slice_line(&rest, &line)) {
		if (text.len)
			buf_adds(&text, " / ");
		text_add_line(&text, line, LINE_BYTES / 2);
	}
	if (text.len)
		return err_set(err, ERR_PEER, "%s is unhealthy: %s",
			       w->gate->label, buf_str(&text));
	return err_set(err, ERR_PEER,
		       "%s is unhealthy (its HEALTHCHECK prints nothing)",
		       w->gate->label);
}

static int too_late(const struct wait *w, struct error *err)
{
	const struct gate *g = w->gate;
	auto_buf struct buf after = BUF_INIT(64);
	auto_buf struct buf hint = BUF_INIT(LINE_BYTES);

	if (g->timeout_ms % 1000 == 0 && g->timeout_ms <= 120000)
		buf_addf(&after, "%" PRId64 "s", g->timeout_ms / 1000);
	else
		text_add_duration(&after, g->timeout_ms);
	if (g->has_healthcheck && strcmp(w->state.health, "healthy") != 0)
		return err_set(err, ERR_PEER,
			       "%s: its HEALTHCHECK is not healthy after %s",
			       g->label, buf_str(&after));
	switch (w->last.outcome) {
	case PROBE_HTTP:
		return err_set(err, ERR_PEER, "%s: GET / answered %d after %s",
			       g->label, w->last.status, buf_str(&after));
	case PROBE_SILENT:
		return err_set(err, ERR_PEER,
			       "%s takes connections on port %d, but GET / is "
			       "not answered after %s",
			       g->label, g->port, buf_str(&after));
	case PROBE_CLOSED:
		return err_set(err, ERR_PEER,
			       "%s closes connections on port %d without an "
			       "answer after %s",
			       g->label, g->port, buf_str(&after));
	default:
		listen_hint(g->engine, g->id, g->port, &hint);
		return err_set(err, ERR_PEER,
			       "%s: nothing listens on port %d after %s%s%s",
			       g->label, g->port, buf_str(&after),
			       hint.len ? "; " : "", buf_str(&hint));
	}
}

/* ---- looking: each returns 1 fit, 0 not yet, or -code ---- */

static int look_at_uptime(const struct wait *w)
{
	auto_buf struct buf text = BUF_INIT(64);
	int64_t ms = clock_ms() - w->gate->started_ms;

	if (ms < GATE_UPTIME_MS)
		return 0;
	text_add_duration(&text, ms);
	return fit(w, "up for %s", buf_str(&text));
}

static int look_at_port(struct wait *w, int64_t left_ms, struct error *err)
{
	const struct gate *g = w->gate;
	int timeout =
		left_ms < PROBE_TIMEOUT_MS ? (int)left_ms : PROBE_TIMEOUT_MS;
	struct probe_result now;
	int r = probe_http(w->state.ip, g->port, g->host, timeout,
			   w->report->is_canceled, w->report->ctx, &now, err);

	if (r < 0)
		return r;
	/* Cut short by the deadline, it says less than the one before. */
	if (now.outcome == PROBE_SILENT && timeout < PROBE_TIMEOUT_MS &&
	    w->last.outcome == PROBE_HTTP)
		return 0;
	w->last = now;
	if (w->last.outcome == PROBE_REFUSED)
		return 0;
	w->was_listening = true;
	if (g->has_healthcheck)
		return fit(w, "HEALTHCHECK, port %d", g->port);
	if (w->last.outcome == PROBE_OTHER)
		return fit(w, "port %d answers", g->port);
	if (w->last.outcome != PROBE_HTTP || w->last.status >= 500)
		return 0;
	return fit(w, "GET / %d in %" PRId64 " ms", w->last.status, w->last.ms);
}

static int look(struct wait *w, struct error *err)
{
	const struct gate *g = w->gate;
	int64_t left = g->timeout_ms - elapsed(w);
	int r;

	container_state_release(&w->state);
	r = container_inspect(g->engine, g->id, g->network, &w->state, err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_PEER,
			       "%s: its container was removed by somebody",
			       g->label);
	if (r < 0)
		return r;
	if (!w->state.is_running || w->state.is_restarting) {
		container_learn_oom(g->engine, g->id, &w->state);
		return died(w, err);
	}
	if (!g->port)
		return look_at_uptime(w);
	if (g->has_healthcheck && strcmp(w->state.health, "unhealthy") == 0)
		return unhealthy(w, err);
	if (left <= 0)
		return too_late(w, err);
	if (g->has_healthcheck && strcmp(w->state.health, "healthy") != 0)
		return 0;
	return look_at_port(w, left, err);
}

static int wait_fit(struct wait *w, struct error *err)
{
	int pause = FIRST_PAUSE_MS;

	for (;;) {
		int r;

		if (w->report->is_canceled(w->report->ctx))
			return err_set(err, ERR_CANCELED, "canceled");
		r = look(w, err);
		if (r != 0)
			return r < 0 ? r : 0;
		poll(NULL, 0, pause);
		pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2
						     : LONGEST_PAUSE_MS;
	}
}

int gate_wait(const struct gate *g, const struct target_report *report,
	      struct error *err)
{
	struct wait w = { .gate = g, .report = report, .began = clock_ms() };
	auto_buf struct buf busy = BUF_INIT(LINE_BYTES);
	int r;

	if (!g->port)
		buf_addf(&busy, "%s has to stay up for %d s", g->label,
			 GATE_UPTIME_MS / 1000);
	else if (g->has_healthcheck)
		buf_addf(&busy, "waiting for the HEALTHCHECK of %s", g->label);
	else
		buf_addf(&busy, "waiting for %s to answer on port %d", g->label,
			 g->port);
	report->busy(report->ctx, buf_str(&busy));
	r = wait_fit(&w, err);
	report->busy(report->ctx, NULL);
	container_state_release(&w.state);
	return r;
}
