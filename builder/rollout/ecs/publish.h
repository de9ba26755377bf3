/*
 * builder/rollout/ecs/publish.h - an image from the local engine to ECR.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks while it is
 * pushed.
 */
#ifndef BUILDER_ROLLOUT_ECS_PUBLISH_H
#define BUILDER_ROLLOUT_ECS_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

struct aws;
struct engine;
struct error;
struct target_report;

struct ecs_publication {
	const char *repository; /* "slipway/shop" */
	const char *uri;	/* of it */
	const char *image;	/* id on the engine: "sha256:…" */
	int64_t version;	/* of the release */
};

/*
 * Bring the image into the repository with the tag
 * "v12-0123456789ab": version and image id, so that trying again finds what
 * an earlier try brought there, and pushes nothing.
 *
 * *ret_image is the caller's: "URI@sha256:…", which ECR has confirmed.
 * Lines go to report->detail, the present state to report->busy
 * and report->progress.
 *
 * 0; -ERR_DENIED not allowed to (err names the action), -ERR_PEER ECR or the
 * engine says no, -ERR_NOTFOUND the image is gone from the engine,
 * -ERR_CANCELED, or as aws_call().
 */
int ecs_publish(struct aws *a, struct engine *engine,
		const struct ecs_publication *what,
		const struct target_report *report, char **ret_image,
		struct error *err) __attribute__((nonnull, warn_unused_result));

/* "v12-0123456789ab"; the caller frees it.  Pure. */
char *ecs_image_tag(int64_t version, const char *image)
	__attribute__((nonnull));

/* Of that form?  Pure. */
bool ecs_is_image_tag(const char *tag) __attribute__((nonnull));

#endif
