/*
 * builder/rollout/engine_images.h - which images of an app stay on the engine
 * that built them.  Runs in workers and blocks.
 *
 * Every target builds there: those of a target that pulls from a registry are
 * kept as long, to publish again what the registry lost.
 */
#ifndef BUILDER_ROLLOUT_ENGINE_IMAGES_H
#define BUILDER_ROLLOUT_ENGINE_IMAGES_H

#include <stdint.h>

struct app;
struct engine;
struct error;
struct store;

struct engine_images {
	struct engine *engine;
	struct store *store;
	const char *owner; /* installation id */
	int64_t keep;	   /* deploy.keep-releases */
};

/*
 * Untag the app's images but that of release `live` and those of the newest
 * releases that ever were live; the engine removes what has no tag left.
 * live = 0: all of them.  Whatever image_tags(), image_untag() or
 * store_releases() say.
 */
int engine_images_retain(const struct engine_images *i, const struct app *app,
			 int64_t live, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
