/*
 * ctl/supervisor.h - keep a few child processes running: start, restart with
 * backoff when one dies, stop all of them in reverse order.
 *
 * Runs in `slipway serve`.
 */
#ifndef CTL_SUPERVISOR_H
#define CTL_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/proc.h"

struct error;

#define PARTS_MAX 4

struct part {
	const char *name;
	struct proc_spec spec;	     /* what it points to must stay */
	bool (*is_ready)(void *ctx); /* NULL = ready once started */
	void *ctx;
	/* kept by the supervisor */
	pid_t pid;
	int64_t started_ms;
	int64_t restart_at_ms; /* 0 = not waiting */
	int64_t backoff_ms;
};

struct supervisor {
	struct part parts[PARTS_MAX];
	size_t count;
	int signal_fd;
};

/* Block the signals that the loop reads.  0 or -ERR_SYS */
int supervisor_init(struct supervisor *s, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void supervisor_release(struct supervisor *s);

/*
 * Start the parts in order, each when the one before is ready (30 s at most).
 * On failure those that run are stopped.  0 or -code
 */
int supervisor_start(struct supervisor *s, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Restart what dies until SIGTERM or SIGINT, then stop all. */
void supervisor_run(struct supervisor *s) __attribute__((nonnull));

#endif
