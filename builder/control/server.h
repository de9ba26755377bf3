/*
 * builder/control/server.h - the control socket: one poll loop that answers
 * who is who, queues pushes, starts workers and relays their logs.
 *
 * Runs in slipway-builder.  Never blocks on a peer or on the engine: what
 * takes time is a worker process.  Output of a job is a file that each
 * watcher reads at its own pace, so a slow one costs no memory.
 */
#ifndef BUILDER_CONTROL_SERVER_H
#define BUILDER_CONTROL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "builder/control/queue.h"

struct config;
struct error;
struct store;

#define CLIENTS_MAX  1024
#define COMMANDS_MAX 128

enum client_state {
	CLIENT_ASKING,	 /* its messages are read and answered */
	CLIENT_WATCHING, /* gets a job's log, then how it ended */
	CLIENT_CLOSING,	 /* what is in `out` is still sent */
};

struct client {
	int fd;
	bool is_trusted; /* root or our own user: may act as administrator */
	enum client_state state;
	struct buf in;
	struct buf out;
	int64_t job_id; /* watched */
	int log_fd;
	int64_t log_offset;
	bool is_pusher; /* started the job: may cancel it by leaving */
};

struct server {
	const struct config *cfg;
	struct store *store;
	int config_fd; /* memfd for workers */
	char *worker;  /* path of slipway-worker */
	int listen_fd;
	int signal_fd;
	uid_t git_uid;
	struct client *clients[CLIENTS_MAX];
	size_t clients_count;
	struct queue queue;
	pid_t commands[COMMANDS_MAX]; /* running command workers; 0 = free */
	pid_t watch; /* the worker that keeps routes and containers right */
	int64_t watch_again_ms;
	bool is_stopping;
};

/* Serve until SIGTERM.  0 or -code when it could not start. */
int server_run(const struct config *cfg, struct store *store, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- for the files of this folder ---- */

/* Handle one message of a client (builder/control/requests.c). */
void server_request(struct server *s, struct client *c, struct slice payload)
	__attribute__((nonnull));

/* Let the client watch a job from `offset` on. */
void client_watch(struct server *s, struct client *c, int64_t job_id,
		  int64_t offset) __attribute__((nonnull));

/* Start `slipway-worker MODE [ARGUMENT]` with these further fds. */
struct proc_fd;
int server_spawn(struct server *s, const char *mode, const char *argument,
		 const struct proc_fd *fds, size_t fds_count, pid_t *ret_pid,
		 struct error *err)
	__attribute__((nonnull(1, 2, 6, 7), warn_unused_result));

#endif
