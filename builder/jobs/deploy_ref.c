#include "builder/jobs/deploy_ref.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/source/repo.h"

#include <inttypes.h>

char *deploy_ref_name(int64_t version)
{
	return xasprintf("refs/deploys/v%" PRId64, version);
}

int deploy_ref_record(const struct config *cfg, int64_t app_id, int64_t version,
		      const char *commit, struct error *err)
{
	auto_free char *name = deploy_ref_name(version);
	const struct ref_update update = { name, NULL, commit };

	return repo_update_refs(cfg, app_id, &update, 1, err);
}
