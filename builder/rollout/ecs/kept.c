#include "builder/rollout/ecs/kept.h"

#include "base/config.h"
#include "builder/rollout/ecs/ecs.h"
#include "builder/store/store.h"

#include <stdlib.h>

#define RELEASES_READ 10000

void ecs_kept_free(struct release *list, int count)
{
	for (int i = 0; i < count; i++)
		release_release(&list[i]);
	free(list);
}

int ecs_kept(struct ecs *e, const struct app *app, int64_t live,
	     struct release **ret, struct error *err)
{
	struct release *list = NULL;
	int64_t old = 0;
	int kept = 0;
	int count =
		store_releases(e->store, app->id, RELEASES_READ, &list, err);

	for (int i = 0; i < count; i++) {
		bool was_live = list[i].state == RELEASE_LIVE ||
				list[i].state == RELEASE_OLD;

		if (list[i].version == live ||
		    (was_live && old < e->cfg->deploy_keep_releases))
			list[kept++] = list[i];
		else
			release_release(&list[i]);
		old += was_live;
	}
	if (count < 0)
		return count;
	*ret = list;
	return kept;
}
