#include "builder/rollout/engine_images.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/engine/image.h"
#include "builder/rollout/image_name.h"
#include "builder/store/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELEASES_READ 10000

/* 12 of "slipway/7:12"; 0 for a tag that is none of ours. */
static int64_t tag_version(const char *tag)
{
	const char *colon = strrchr(tag, ':');
	int64_t version = 0;
	int end = 0;

	if (!colon ||
	    sscanf(colon + 1, "%18" SCNd64 "%n", &version, &end) != 1 ||
	    colon[1 + end] != '\0' || version <= 0)
		return 0;
	return version;
}

/* Is `version` the live one, or among the newest that ever were live? */
static bool is_kept(const struct release *releases, int count, int64_t keep,
		    int64_t live, int64_t version)
{
	int64_t kept = 0;

	if (version == live)
		return true;
	for (int i = 0; i < count && kept < keep; i++) {
		if (releases[i].state != RELEASE_LIVE &&
		    releases[i].state != RELEASE_OLD)
			continue;
		if (releases[i].version == version)
			return true;
		kept++;
	}
	return false;
}

static int untag_old(const struct engine_images *i,
		     const struct release *releases, int count, int64_t live,
		     char *const *tags, struct error *err)
{
	for (; *tags; tags++) {
		int64_t version = tag_version(*tags);
		int r;

		if (!version ||
		    is_kept(releases, count, i->keep, live, version))
			continue;
		r = image_untag(i->engine, *tags, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int engine_images_retain(const struct engine_images *i, const struct app *app,
			 int64_t live, struct error *err)
{
	auto_free char *repo = image_repository(i->owner, app->id);
	struct release *releases = NULL;
	char **tags = NULL;
	int count = 0;
	int r = image_tags(i->engine, repo, &tags, err);

	if (r < 0)
		return r;
	if (live)
		count = store_releases(i->store, app->id, RELEASES_READ,
				       &releases, err);
	r = count < 0 ? count : untag_old(i, releases, count, live, tags, err);
	for (int n = 0; n < count; n++)
		release_release(&releases[n]);
	free(releases);
	for (char **p = tags; *p; p++)
		free(*p);
	free(tags);
	return r;
}
