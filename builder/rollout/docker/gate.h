/*
 * builder/rollout/docker/gate.h - is a new container fit for traffic?
 *
 * Runs in a deploy's worker; blocks until the verdict, at most
 * deploy.health-timeout and a few seconds.
 */
#ifndef BUILDER_ROLLOUT_DOCKER_GATE_H
#define BUILDER_ROLLOUT_DOCKER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct error;
struct target_report;

/* How long a process that is not routed must run. */
#define GATE_UPTIME_MS 10000

struct gate {
	struct engine *engine;
	const char *id;	     /* of the container, which was started */
	const char *network; /* on which it is asked */
	const char *label;   /* "web.1" */
	const char *host;    /* for the Host header */
	int port;	     /* 0 = not routed: uptime is what counts */
	bool has_healthcheck;
	int64_t started_ms; /* clock_ms() of the container's start */
	int64_t timeout_ms; /* from the call of gate_wait() on */
	int64_t memory;	    /* its limit, for messages; 0 = none */
};

/*
 * Wait until the container is fit: its HEALTHCHECK says so and somebody takes
 * connections on the port; without one, "GET /" is answered with less than
 * 500, or with something that is not HTTP; not routed, it ran for
 * GATE_UPTIME_MS.  Says so as a detail: "web.1 healthy (GET / 200 in 12 ms)".
 *
 * 0; -ERR_PEER with the reason ("web.1 exited 1 before it listened on port
 * 5000"); -ERR_CANCELED; or the engine's failure.
 */
int gate_wait(const struct gate *g, const struct target_report *report,
	      struct error *err) __attribute__((nonnull, warn_unused_result));

#endif
