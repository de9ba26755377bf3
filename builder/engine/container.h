/*
 * builder/engine/container.h - containers on the engine.
 *
 * Runs in workers; blocks.  Objects of Slipway carry the label
 * "slipway.owner" with the installation's id; nothing without it is touched.
 */
#ifndef BUILDER_ENGINE_CONTAINER_H
#define BUILDER_ENGINE_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/buf.h"

struct engine;
struct error;

#define LABEL_OWNER   "slipway.owner"	/* installation id */
#define LABEL_APP     "slipway.app"	/* app id, decimal */
#define LABEL_PROCESS "slipway.process" /* "web" */
#define LABEL_VERSION "slipway.release" /* "12" */
#define LABEL_INDEX   "slipway.index"	/* "1" of web.1 */

struct container_spec {
	const char *name;	    /* "slipway-7-web-12-1" */
	const char *image;	    /* id or digest */
	const char *const *command; /* NULL-ended; NULL = the image's */
	const char *const *env;	    /* NULL-ended "K=V" */
	json_t *labels;		    /* object of strings; borrowed */
	const char *network;
	const char *hostname;	   /* may be NULL */
	const char *network_alias; /* may be NULL */
	int64_t memory;		   /* bytes; 0 = no limit; swap is not given */
	int64_t milli_cpus;	   /* 0 = no limit */
	int64_t pids;
	int64_t log_size;
	int64_t log_files;
	int64_t stop_timeout_s;
	bool restart_always;
};

struct container_state {
	bool is_running;
	bool is_restarting;
	bool is_oom_killed;
	int exit_code;
	int restarts;
	char health[16];  /* "", "starting", "healthy", "unhealthy" */
	char *health_log; /* last health check output, bounded; may be NULL */
	char *error;	  /* start error of the engine; may be NULL */
	char ip[48];	  /* on the network asked for; "" when not running */
	char started[40]; /* RFC 3339 */
};

void container_state_release(struct container_state *s);

/* *ret_id is the caller's.  0 or as engine_call. */
int container_create(struct engine *e, const struct container_spec *spec,
		     char **ret_id, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int container_start(struct engine *e, const char *id, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* SIGTERM (or the image's stop signal), SIGKILL after timeout_s. */
int container_stop(struct engine *e, const char *id, int timeout_s,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Killed when it runs; 0 also when it was gone already. */
int container_remove(struct engine *e, const char *id, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Turn the restart policy to "always" or "no". */
int container_set_restart(struct engine *e, const char *id, bool always,
			  struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* `network` names the one whose address is wanted. */
int container_inspect(struct engine *e, const char *id, const char *network,
		      struct container_state *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* It ended by SIGKILL, or with the exit code of that. */
bool container_was_killed(const struct container_state *s)
	__attribute__((nonnull));
/*
 * One that was seen to have ended: set ret->is_oom_killed if that was why.
 * Engines note it apart from the exit, at times after it: a death by SIGKILL
 * is looked at for up to a second.  On a busy machine they may miss it: what
 * was killed and stays without a cause has most likely run out of memory, too.
 */
void container_learn_oom(struct engine *e, const char *id,
			 struct container_state *ret) __attribute__((nonnull));

struct container {
	char *id;
	char *name;
	char *image;
	int64_t app_id;
	char *process;
	int64_t version;
	int index;
	char *state;  /* "running", "exited", … */
	char *status; /* "Up 5 minutes (healthy)" */
	int64_t created;
};

void container_release(struct container *c);
/*
 * Containers that this owner made for apps, running or not; of one app when
 * app_id is not 0.
 * Count; *ret is the caller's, item by item.
 */
int container_list(struct engine *e, const char *owner, int64_t app_id,
		   struct container **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

struct log_options {
	int tail;	   /* last N lines; < 0 = all */
	bool follow;	   /* until the container ends or the sink says stop */
	bool timestamps;   /* each line starts with RFC 3339 and a space */
	const char *since; /* unix seconds, may have a fraction; or NULL */
	int timeout_ms;	   /* 0 = none */
};

/*
 * Whole lines (without LF, at most 16 KiB, raw bytes) of the container's
 * output; is_stderr tells the stream.  Non-zero from the sink ends it.
 */
typedef int (*log_line_fn)(void *ctx, bool is_stderr, struct slice line);
int container_logs(struct engine *e, const char *id,
		   const struct log_options *options, log_line_fn sink,
		   void *ctx, struct error *err)
	__attribute__((nonnull(1, 2, 3, 4, 6), warn_unused_result));

/*
 * Splits the engine's log stream (8-byte frame heads, or raw for a TTY
 * container) into lines.  Pure: a fuzz target.
 */
struct log_splitter {
	bool is_raw;
	unsigned char head[8];
	size_t head_len;
	size_t left;	     /* of the present frame */
	struct buf lines[2]; /* unfinished line of stdout, stderr */
};
void log_splitter_init(struct log_splitter *s, bool is_raw)
	__attribute__((nonnull));
void log_splitter_release(struct log_splitter *s) __attribute__((nonnull));
/* Non-zero as soon as the sink says so. */
int log_splitter_feed(struct log_splitter *s, struct slice data,
		      log_line_fn sink, void *ctx)
	__attribute__((nonnull(1, 3)));
/* Give out unfinished lines. */
int log_splitter_end(struct log_splitter *s, log_line_fn sink, void *ctx)
	__attribute__((nonnull(1, 2)));

#endif
