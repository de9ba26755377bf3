#include "builder/rollout/targets.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/engine/engine.h"
#include "builder/rollout/target_docker.h"
#include "builder/store/store.h"

#include <string.h>

static int check_name(const struct config *cfg, const char *name,
		      struct error *err)
{
	const struct config_target *section = config_target(cfg, name);

	if (!section && strcmp(name, TARGET_LOCAL) == 0)
		return 0;
	if (!section)
		return err_set(err, ERR_NOTFOUND,
			       "there is no [target \"%s\"] in the "
			       "configuration",
			       name);
	if (strcmp(section->type, "docker") != 0)
		return err_set(err, ERR_INVALID,
			       "target.%s.type: '%s' is not docker", name,
			       section->type);
	return 0;
}

int target_open(const struct config *cfg, struct store *store, const char *name,
		struct target **ret, struct error *err)
{
	auto_free char *owner = NULL;
	struct engine *engine = NULL;
	int r = check_name(cfg, name, err);

	if (r == 0)
		r = store_owner(store, &owner, err);
	if (r == 0)
		r = engine_open(cfg->engine, &engine, err);
	if (r < 0)
		return r;
	r = target_docker_open(cfg, engine, store, owner, ret, err);
	if (r < 0)
		engine_close(engine);
	return r;
}
