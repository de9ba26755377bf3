#include "builder/rollout/release_plan.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/rollout/router/router.h"

#include <string.h>

#define TYPE_CHARS                                                             \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

struct fields {
	const char *type;
	json_t *command;
	json_int_t count;
};

static const struct json_field process_fields[] = {
	JSON_FIELD(struct fields, type, "type", JSON_FIELD_STRING,
		   JSON_REQUIRED),
	JSON_FIELD(struct fields, command, "command", JSON_FIELD_ARRAY,
		   JSON_OPTIONAL),
	JSON_FIELD(struct fields, count, "count", JSON_FIELD_INT,
		   JSON_REQUIRED),
	{ NULL, JSON_FIELD_INT, JSON_OPTIONAL, 0 },
};

void release_plan_release(struct release_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->types_count; i++) {
		char **command = p->types[i].command;

		for (size_t j = 0; command && command[j]; j++)
			free(command[j]);
		free(command);
	}
	p->types_count = 0;
}

const struct process_plan *release_plan_type(const struct release_plan *p,
					     const char *type)
{
	for (size_t i = 0; i < p->types_count; i++)
		if (strcmp(p->types[i].type, type) == 0)
			return &p->types[i];
	return NULL;
}

static int read_command(const json_t *list, struct process_plan *ret,
			struct error *err)
{
	size_t count = json_array_size(list);

	ret->command = xcalloc(count + 1, sizeof(*ret->command));
	for (size_t i = 0; i < count; i++) {
		json_t *word = json_array_get(list, i);

		if (!json_is_string(word) ||
		    strlen(json_string_value(word)) != json_string_length(word))
			return err_set(err, ERR_INVALID,
				       "process '%s': command: expected "
				       "strings",
				       ret->type);
		ret->command[i] = xstrdup(json_string_value(word));
	}
	if (count == 0)
		return err_set(err, ERR_INVALID,
			       "process '%s': the command is empty", ret->type);
	return 0;
}

static int read_process(const json_t *doc, const struct release_plan *plan,
			struct process_plan *ret, struct error *err)
{
	struct fields f = { .count = 0 };
	size_t len;
	int r = json_read(doc, process_fields, "process", &f, err);

	if (r < 0)
		return r;
	len = strlen(f.type);
	if (len == 0 || len >= sizeof(ret->type) ||
	    strspn(f.type, TYPE_CHARS) != len)
		return err_set(err, ERR_INVALID,
			       "'%.64s' is not a process type: up to %zu "
			       "letters, digits, '-' and '_'",
			       f.type, sizeof(ret->type) - 1);
	if (release_plan_type(plan, f.type))
		return err_set(err, ERR_INVALID, "process '%s' is there twice",
			       f.type);
	if (f.count < 0 || f.count > PLAN_INSTANCES_MAX)
		return err_set(err, ERR_LIMIT, "process '%s': at most %d",
			       f.type, PLAN_INSTANCES_MAX);
	if (strcmp(f.type, PLAN_WEB) == 0 && f.count > ROUTER_ENDPOINTS_MAX)
		return err_set(err, ERR_LIMIT, "process '%s': at most %d",
			       f.type, ROUTER_ENDPOINTS_MAX);
	memcpy(ret->type, f.type, len + 1);
	ret->count = (int)f.count;
	return f.command ? read_command(f.command, ret, err) : 0;
}

static int read_all(const json_t *doc, struct release_plan *plan,
		    struct error *err)
{
	int instances = 0;

	if (!json_is_array(doc))
		return err_set(err, ERR_INVALID,
			       "processes: expected an array");
	if (json_array_size(doc) > PLAN_TYPES_MAX)
		return err_set(err, ERR_LIMIT, "processes: at most %d types",
			       PLAN_TYPES_MAX);
	for (size_t i = 0; i < json_array_size(doc); i++) {
		struct process_plan *p = &plan->types[plan->types_count];
		int r;

		memset(p, 0, sizeof(*p));
		r = read_process(json_array_get(doc, i), plan, p, err);
		plan->types_count++; /* also to be released on failure */
		if (r < 0)
			return r;
		instances += p->count;
	}
	if (instances > PLAN_INSTANCES_MAX)
		return err_set(err, ERR_LIMIT, "processes: at most %d in all",
			       PLAN_INSTANCES_MAX);
	return 0;
}

int release_plan_parse(const char *json, struct release_plan *ret,
		       struct error *err)
{
	struct release_plan plan = { .types_count = 0 };
	json_t *doc = NULL;
	int r = json_parse(slice_str(json), "processes", &doc, err);

	if (r == 0)
		r = read_all(doc, &plan, err);
	json_decref(doc);
	if (r < 0) {
		release_plan_release(&plan);
		return r;
	}
	*ret = plan;
	return 0;
}
