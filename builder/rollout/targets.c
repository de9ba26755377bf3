#include "builder/rollout/targets.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/engine/engine.h"
#include "builder/rollout/docker/target.h"
#include "builder/rollout/ecs/target.h"
#include "builder/store/store.h"

#include <string.h>

/* *ret_section is NULL for the local target. */
static int find_section(const struct config *cfg, const char *name,
			const struct config_target **ret_section,
			struct error *err)
{
	*ret_section = config_target(cfg, name);
	if (!*ret_section && strcmp(name, TARGET_LOCAL) != 0)
		return err_set(err, ERR_NOTFOUND,
			       "there is no [target \"%s\"] in the "
			       "configuration",
			       name);
	return 0;
}

bool target_is_ecs(const struct config *cfg, const char *name)
{
	const struct config_target *section = config_target(cfg, name);

	return section && strcmp(section->type, TARGET_TYPE_ECS) == 0;
}

int target_open(const struct config *cfg, struct store *store, const char *name,
		struct target **ret, struct error *err)
{
	const struct config_target *section = NULL;
	auto_free char *owner = NULL;
	struct engine *engine = NULL;
	int r = find_section(cfg, name, &section, err);

	if (r == 0)
		r = store_owner(store, &owner, err);
	if (r == 0)
		r = engine_open(cfg->engine, &engine, err);
	if (r < 0)
		return r;
	if (target_is_ecs(cfg, name))
		r = target_ecs_open(cfg, section, engine, store, owner, ret,
				    err);
	else
		r = target_docker_open(cfg, engine, store, owner, ret, err);
	if (r < 0)
		engine_close(engine);
	return r;
}
