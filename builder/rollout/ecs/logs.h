/*
 * builder/rollout/ecs/logs.h - what an app on ECS prints, out of CloudWatch,
 * and what ECS says about its services.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks.
 *
 * An app has a log group of its own.  The containers of a process type write
 * with awslogs-stream-prefix TYPE, so that streams are called
 * TYPE/CONTAINER/TASKID, and lines are labelled with the type and the first
 * 8 digits of the task's id:
 *
 *	2026-11-22T10:15:00Z app[web.1f0c22ab]: ready to serve
 *	2026-11-22T10:15:02Z app[ecs]: (service shop-web) has reached a steady…
 */
#ifndef BUILDER_ROLLOUT_ECS_LOGS_H
#define BUILDER_ROLLOUT_ECS_LOGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct aws;
struct error;
struct target_log_options;

struct ecs_log_source {
	struct aws *aws;
	const char *group;	     /* of the app: "/slipway/shop" */
	const char *cluster;	     /* for the events of the services */
	const char *const *services; /* names, NULL-ended; may be empty */
	const char *folder;	     /* slipway.data: followers share what they
					read in its folder logs/; NULL = each
					for itself */
};

/*
 * target_ops.logs for ECS.  options->process: "web", or "web.1f0c22ab" for
 * one task; events of the services are shown when it is NULL, or "ecs" for
 * them alone.
 *
 * Following asks for lines every 2 s and for events every 10 s, and less often
 * (up to 30 s) while AWS throttles.
 *
 * 0; -ERR_INVALID the process ("web.1": tasks have no numbers); or as
 * aws_call().  A group that is not there (yet) has no lines.
 */
int ecs_logs(const struct ecs_log_source *source,
	     const struct target_log_options *options,
	     int (*sink)(void *ctx, struct slice line), void *ctx,
	     struct error *err)
	__attribute__((nonnull(1, 2, 3, 5), warn_unused_result));

/* "web.1f0c22ab" of the stream "web/web/1f0c22ab…"; a stream of another
 * make is its own label.  Pure. */
void ecs_log_label(struct slice stream, struct buf *out)
	__attribute__((nonnull));

#endif
