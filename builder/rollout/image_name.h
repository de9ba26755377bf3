/*
 * builder/rollout/image_name.h - how images of apps are called on an engine.
 *
 * Pure.  The installation's id is part of it: several may share an engine.
 */
#ifndef BUILDER_ROLLOUT_IMAGE_NAME_H
#define BUILDER_ROLLOUT_IMAGE_NAME_H

#include <stdint.h>

/* "slipway-f8ba0694/7" of app 7; tags are release numbers.  The caller frees
 * it. */
char *image_repository(const char *owner, int64_t app_id)
	__attribute__((nonnull));

#endif
