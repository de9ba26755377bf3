#include "builder/jobs/process_types.h"

#include "base/buf.h"
#include "base/error.h"
#include "builder/rollout/release_plan.h"
#include "builder/source/procfile.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct procfile_entry *find(const struct procfile *file,
					 const char *name)
{
	for (size_t i = 0; i < file->count; i++)
		if (strcmp(file->entries[i].name, name) == 0)
			return &file->entries[i];
	return NULL;
}

/* Through a shell, as Procfiles are everywhere; null = the image's. */
static json_t *command_json(const struct procfile_entry *e)
{
	if (!e)
		return json_null();
	return json_pack("[s, s, s]", "/bin/sh", "-c", e->command);
}

static void add(json_t *list, const char *type, const struct procfile_entry *e,
		int count)
{
	json_array_append_new(list, json_pack("{s:s, s:o, s:i}", "type", type,
					      "command", command_json(e),
					      "count", count));
}

int process_types_plan(const struct procfile *file, char **ret_json,
		       struct error *err)
{
	struct release_plan plan = { .types_count = 0 };
	json_auto_t *list = json_array();
	char *text;
	int r;

	add(list, PLAN_WEB, find(file, PLAN_WEB), 1);
	for (size_t i = 0; i < file->count; i++) {
		const struct procfile_entry *e = &file->entries[i];

		if (strcmp(e->name, PLAN_WEB) != 0)
			add(list, e->name, e,
			    strcmp(e->name, PROCESS_RELEASE) != 0);
	}
	text = json_dumps(list, JSON_COMPACT);
	if (!text)
		return err_set(err, ERR_INVALID, "not valid UTF-8");
	/* Who reads it says what is wrong with it, before a build is spent. */
	r = release_plan_parse(text, &plan, err);
	release_plan_release(&plan);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_json = text;
	return 0;
}

void process_types_add_counts(const struct release_plan *plan, struct buf *out)
{
	const char *space = "";

	for (size_t i = 0; i < plan->types_count; i++) {
		const struct process_plan *p = &plan->types[i];

		if (p->count == 0)
			continue;
		buf_addf(out, "%s%s=%d", space, p->type, p->count);
		space = " ";
	}
}
