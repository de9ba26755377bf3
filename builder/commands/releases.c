/* releases, releases:info */
#include "builder/commands/command.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"

#include <string.h>

#define LIST_DEFAULT 20
#define LIST_MAX     1000

/* The stored processes; null when they cannot be read. */
static json_t *processes_json(const char *text)
{
	struct error ignored = ERROR_INIT;
	json_t *doc = NULL;

	if (!text || !*text ||
	    json_parse(slice_str(text), "processes", &doc, &ignored) < 0)
		return json_null();
	return doc;
}

static json_t *release_json(const struct release *r)
{
	return json_pack(
		"{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}",
		"version", (json_int_t)r->version, "state",
		release_state_name(r->state), "commit", listing_text(r->commit),
		"image", listing_text(r->image), "description",
		listing_text(r->description), "user", listing_text(r->user),
		"created", listing_time(r->created), "build",
		(json_int_t)r->job_id, "reason", listing_text(r->reason),
		"processes", processes_json(r->processes), "target",
		listing_text(r->target));
}

int cmd_releases_list(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "RELEASE", "version", COLUMN_VERSION },
		{ "STATE", "state", COLUMN_TEXT },
		{ "COMMIT", "commit", COLUMN_COMMIT },
		{ "USER", "user", COLUMN_TEXT },
		{ "CREATED", "created", COLUMN_TEXT },
		{ "DESCRIPTION", "description", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	const char *num = call_option(c, "num");
	int64_t limit = LIST_DEFAULT;
	struct release *releases = NULL;
	json_t *rows;
	int count;

	if (num && args_number(num, "-n", 1, LIST_MAX, &limit, err) < 0)
		return call_usage(c, err, "%s", err->msg);
	count = store_releases(c->store, c->app.id, (int)limit, &releases, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++) {
		json_array_append_new(rows, release_json(&releases[i]));
		release_release(&releases[i]);
	}
	free(releases);
	call_list(c, rows, columns);
	if (count == 0)
		call_note(c, "%s has no releases: nothing was deployed yet",
			  c->app.name);
	return 0;
}

/* One "web: npm start" per line for the person. */
static json_t *processes_text(const json_t *processes)
{
	auto_buf struct buf text = BUF_INIT(4096);
	json_t *p;
	size_t i;

	json_array_foreach(processes, i, p)
	{
		buf_addf(&text, "%s%s", i ? ", " : "",
			 json_get_str(p, "type", "?"));
	}
	return listing_text(buf_str(&text));
}

int cmd_releases_info(struct call *c, struct error *err)
{
	static const struct column lines[] = {
		{ "Release", "version", COLUMN_VERSION },
		{ "State", "state", COLUMN_TEXT },
		{ "Reason", "reason", COLUMN_TEXT },
		{ "Commit", "commit", COLUMN_TEXT },
		{ "Description", "description", COLUMN_TEXT },
		{ "Image", "image", COLUMN_TEXT },
		{ "Processes", "processes", COLUMN_TEXT },
		{ "Target", "target", COLUMN_TEXT },
		{ "Build", "build", COLUMN_TEXT },
		{ "User", "user", COLUMN_TEXT },
		{ "Created", "created", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	const char *word = call_word(c, 0);
	struct release release = { 0 };
	int64_t version = 0;
	json_t *info;
	int r;

	if (word && args_number(word + (word[0] == 'v'), "release", 1,
				INT64_MAX, &version, err) < 0)
		return call_usage(c, err, "%s", err->msg);
	r = store_release_get(c->store, c->app.id, version, &release, err);
	if (r < 0)
		return err_wrap(err, r, "%s", c->app.name);
	info = release_json(&release);
	release_release(&release);
	if (!call_option(c, "json"))
		json_object_set_new(
			info, "processes",
			processes_text(json_object_get(info, "processes")));
	call_fields(c, info, lines);
	return 0;
}
