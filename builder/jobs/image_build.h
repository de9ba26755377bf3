/*
 * builder/jobs/image_build.h - the build step of a deploy: context stream,
 * engine, transcript.
 *
 * Runs in slipway-worker.
 */
#ifndef BUILDER_JOBS_IMAGE_BUILD_H
#define BUILDER_JOBS_IMAGE_BUILD_H

struct deploy;
struct engine;
struct error;
struct source;

/*
 * Build the deploy's image, tagged slipway-OWNER/APPID:VERSION, and tell the
 * transcript.  *ret_image (its id) is the caller's.  On failure err is the
 * one line for the pusher: "build failed: [2/3] RUN npm ci exited 1".
 */
int image_build(struct deploy *d, struct engine *engine, struct source *src,
		const char *dockerfile, char **ret_image, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
