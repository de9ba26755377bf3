/* ps, logs */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/config_values.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/commands/call.h"
#include "builder/commands/hangup.h"
#include "builder/commands/listing.h"
#include "builder/rollout/log_stamp.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"

#include <string.h>
#include <time.h>

#define LOG_LINES_DEFAULT 100
#define LOG_LINES_MAX	  100000
#define LOG_LINE_MAX	  16384
#define LOG_TEXT_MAX	  500
#define PROCESS_NAME_MAX  64

static json_t *process_json(const struct target_process *p)
{
	auto_free char *name = xasprintf("%s.%d", p->type, p->index);

	return json_pack("{s:o, s:o, s:i, s:I, s:o, s:o, s:o}", "name",
			 listing_text(name), "type", listing_text(p->type),
			 "index", p->index, "release", (json_int_t)p->version,
			 "state", listing_text(p->state), "since",
			 listing_text(p->since), "detail",
			 listing_text(p->detail));
}

/* Was anything ever released?  1, 0 or -code. */
static int has_releases(struct call *c, struct error *err)
{
	struct release *releases = NULL;
	int count;

	count = store_releases(c->store, c->app.id, 1, &releases, err);
	for (int i = 0; i < count; i++)
		release_release(&releases[i]);
	free(releases);
	return count;
}

/* The count; nothing can run where nothing was released, so that the target
 * need not even be there. */
static int list_processes(struct call *c, struct target_process **ret,
			  struct error *err)
{
	struct target *t = NULL;
	int r;

	r = has_releases(c, err);
	if (r <= 0)
		return r;
	r = target_open(c->cfg, c->store, c->app.target, &t, err);
	if (r < 0)
		return r;
	r = t->ops->processes(t, &c->app, ret, err);
	t->ops->close(t);
	return r;
}

int cmd_ps(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "PROCESS", "name", COLUMN_TEXT },
		{ "RELEASE", "release", COLUMN_VERSION },
		{ "STATE", "state", COLUMN_TEXT },
		{ "SINCE", "since", COLUMN_TEXT },
		{ "DETAIL", "detail", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	auto_free struct target_process *processes = NULL;
	json_t *rows;
	int count;

	count = list_processes(c, &processes, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++)
		json_array_append_new(rows, process_json(&processes[i]));
	call_list(c, rows, columns);
	if (count == 0)
		call_note(c, "nothing of %s runs%s", c->app.name,
			  c->app.live_version ? "" : ": it was never deployed");
	return 0;
}

/* ---- logs ---- */

struct log_sink {
	struct call *call;
	bool is_following;
	struct error err; /* why the client did not take it */
};

static int print_line(void *ctx, struct slice line)
{
	auto_buf struct buf text = BUF_INIT(LOG_LINE_MAX + 16);
	struct log_sink *sink = ctx;
	struct call *c = sink->call;

	/* An app must not control the terminal of who reads its log. */
	text_add_line(&text, line, LOG_LINE_MAX);
	call_printf(c, "%s\n", buf_str(&text));
	if (c->is_gone)
		return 1;
	return sink->is_following && call_flush(c, &sink->err) < 0;
}

/* "10m" ago, or an RFC 3339 time. */
static int read_since(struct call *c, const char *text, int64_t *ret,
		      struct error *err)
{
	int64_t now = (int64_t)time(NULL);
	struct slice rest = slice_str(text);
	struct log_stamp stamp;
	int64_t ago_ms;

	if (log_stamp_take(&rest, &stamp) && rest.len == 0 && stamp.s > 0) {
		*ret = stamp.s;
		return 0;
	}
	if (config_parse_duration(text, &ago_ms, err) < 0 || ago_ms < 0)
		return call_usage(c, err,
				  "--since: '%.40s' is neither a time ago "
				  "like 10m or 2h nor one like "
				  "2026-11-22T10:15:00Z",
				  text);
	*ret = now - ago_ms / 1000;
	if (*ret < 1)
		*ret = 1;
	return 0;
}

/* Which lines by time and text. */
static int read_log_choice(struct call *c, struct target_log_options *ret,
			   struct error *err)
{
	const char *since = call_option(c, "since");

	ret->grep = call_option(c, "grep");
	if (ret->grep && (!*ret->grep || strlen(ret->grep) > LOG_TEXT_MAX))
		return call_usage(c, err, "--grep needs 1 to %d bytes of text",
				  LOG_TEXT_MAX);
	return since ? read_since(c, since, &ret->since, err) : 0;
}

static int read_log_options(struct call *c, struct target_log_options *ret,
			    struct error *err)
{
	const char *num = call_option(c, "num");
	/* With a beginning of one's own, all of it. */
	int64_t lines =
		call_option(c, "since") ? LOG_LINES_MAX : LOG_LINES_DEFAULT;

	if (num && args_number(num, "-n", 0, LOG_LINES_MAX, &lines, err) < 0)
		return call_usage(c, err, "%s", err->msg);
	ret->tail = (int)lines;
	ret->follow = call_option(c, "tail") != NULL;
	ret->process = call_option(c, "ps");
	if (ret->process &&
	    (strlen(ret->process) > PROCESS_NAME_MAX || !*ret->process ||
	     ret->process[strspn(ret->process, "abcdefghijklmnopqrstuvwxyz"
					       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					       "0123456789._-")]))
		return call_usage(c, err, "'%.40s' is not a process",
				  ret->process);
	return read_log_choice(c, ret, err);
}

static int stream_logs(struct call *c, struct target *t,
		       const struct target_log_options *options,
		       struct error *err)
{
	struct log_sink sink = { c, options->follow, ERROR_INIT };
	struct hangup *hangup = NULL;
	int r;

	if (options->follow) {
		r = hangup_watch(c->fd, &hangup, err);
		if (r < 0)
			return r;
	}
	r = t->ops->logs(t, &c->app, options, print_line, &sink, err);
	hangup_unwatch(hangup);
	if (c->is_gone)
		return err_set(err, ERR_PEER, "the client went away");
	return r;
}

int cmd_logs(struct call *c, struct error *err)
{
	struct target_log_options options = { 0 };
	struct target *t = NULL;
	int r;

	r = read_log_options(c, &options, err);
	if (r < 0)
		return r;
	r = has_releases(c, err);
	if (r < 0)
		return r;
	if (r == 0) {
		call_note(c, "%s was never deployed", c->app.name);
		return 0;
	}
	r = target_open(c->cfg, c->store, c->app.target, &t, err);
	if (r < 0)
		return r;
	r = stream_logs(c, t, &options, err);
	t->ops->close(t);
	return r < 0 ? r : 0;
}
