/*
 * builder/rollout/ecs/log_share.h - one reading of a log group for everybody
 * who follows it: CloudWatch can be searched only a few times a second, for the
 * whole account.
 *
 * Internal to builder/rollout/ecs/.  Runs in workers; blocks while another one
 * reads.  A file DATA/logs/HASH, mode 600, holds what was read, one JSON
 * object a line behind a first line that names this filling of the file; who
 * holds its lock (flock) may read CloudWatch and append.  Its time of change
 * is when that may be done again.  It is begun anew when it is full, and when
 * nobody has followed for a while; files of groups that nobody follows are
 * removed by the next one who opens a share.
 */
#ifndef BUILDER_ROLLOUT_ECS_LOG_SHARE_H
#define BUILDER_ROLLOUT_ECS_LOG_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "builder/aws/cloudwatch_logs.h"

struct error;

#define LOG_SHARE_BYTES	  (4 << 20)
#define LOG_SHARE_IDLE_MS 120000  /* without a reader: begun anew */
#define LOG_SHARE_OLD_MS  3600000 /* removed */

struct log_share {
	char *path;
	char filling[33]; /* the one that `offset` is of; "" = none */
	int64_t offset;	  /* read up to here */
	struct cloudwatch_seen stored;
};

/* `key` is any text that names the group, with its region.  0 or -ERR_SYS. */
int log_share_open(struct log_share *s, const char *folder, const char *key,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));
void log_share_close(struct log_share *s);

/* Reads CloudWatch; gives what it finds to `sink`.  0 or -code. */
typedef int (*log_share_read_fn)(void *ctx, cloudwatch_sink sink,
				 void *sink_ctx, struct error *err);

/*
 * Give `sink` every event that is in the file and that this share did not
 * give yet; before that, when it is time again, have `read` read CloudWatch
 * and put what is new into the file.  The next one may do so after wait_ms.
 *
 * *ret_lost: the file was begun anew and may have had events that were not
 * given: the caller must read CloudWatch itself.
 * 0, as `read`, or -ERR_SYS.
 */
int log_share_poll(struct log_share *s, int wait_ms, log_share_read_fn read,
		   cloudwatch_sink sink, void *ctx, bool *ret_lost,
		   struct error *err)
	__attribute__((nonnull(1, 3, 4, 6, 7), warn_unused_result));

#endif
