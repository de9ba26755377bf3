/* ps, logs */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/commands/call.h"
#include "builder/commands/hangup.h"
#include "builder/commands/listing.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"

#include <string.h>

#define LOG_LINES_DEFAULT 100
#define LOG_LINES_MAX	  100000
#define LOG_LINE_MAX	  16384
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

static int read_log_options(struct call *c, struct target_log_options *ret,
			    struct error *err)
{
	const char *num = call_option(c, "num");
	int64_t lines = LOG_LINES_DEFAULT;

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
	return 0;
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
