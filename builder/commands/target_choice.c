/* targets:list; the choice of a target */
#include "builder/commands/target_choice.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/commands/call.h"
#include "builder/commands/command.h"
#include "builder/commands/listing.h"

#include <string.h>

int target_choice_check(const struct config *cfg, const char *name,
			struct error *err)
{
	const char *names[CONFIG_SUBS_MAX + 2] = { TARGET_LOCAL };
	const char *near;

	if (config_target_type(cfg, name))
		return 0;
	for (size_t i = 0; i < cfg->targets_count; i++)
		names[i + 1] = cfg->targets[i].name;
	near = text_nearest(name, names);
	if (near)
		return err_set(err, ERR_NOTFOUND,
			       "there is no target '%.48s': did you mean '%s'?",
			       name, near);
	return err_set(err, ERR_NOTFOUND,
		       "there is no target '%.48s' (targets:list shows them)",
		       name);
}

/* "this machine's engine", "cluster prod in us-east-1" */
static char *where(const struct config *cfg, const struct config_target *t)
{
	bool is_here = strncmp(cfg->engine, "unix:", 5) == 0;

	if (!t || strcmp(t->type, TARGET_TYPE_ECS) != 0)
		return xstrdup(is_here ? "this machine's engine"
				       : "the engine of build.engine");
	return xasprintf("cluster %s%s%s", t->cluster,
			 t->region[0] ? " in " : "", t->region);
}

static json_t *target_json(const struct config *cfg, const char *name)
{
	auto_free char *at = where(cfg, config_target(cfg, name));

	return json_pack("{s:o, s:s, s:o, s:b}", "name", listing_text(name),
			 "type", config_target_type(cfg, name), "where",
			 listing_text(at), "default",
			 strcmp(name, cfg->deploy_target) == 0);
}

int cmd_targets_list(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "NAME", "name", COLUMN_TEXT },
		{ "TYPE", "type", COLUMN_TEXT },
		{ "WHERE", "where", COLUMN_TEXT },
		{ "DEFAULT", "default", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	json_t *rows = json_array();

	(void)err;
	if (!config_target(c->cfg, TARGET_LOCAL))
		json_array_append_new(rows, target_json(c->cfg, TARGET_LOCAL));
	for (size_t i = 0; i < c->cfg->targets_count; i++)
		json_array_append_new(
			rows, target_json(c->cfg, c->cfg->targets[i].name));
	call_list(c, rows, columns);
	return 0;
}
