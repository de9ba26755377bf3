/*
 * builder/rollout/docker/listen_hint.h - where a container listens instead.
 *
 * Runs in workers.  Works where the engine is on this machine and /proc shows
 * the container's processes; elsewhere it tells nothing.
 */
#ifndef BUILDER_ROLLOUT_DOCKER_LISTEN_HINT_H
#define BUILDER_ROLLOUT_DOCKER_LISTEN_HINT_H

struct buf;
struct engine;

/*
 * Append what helps somebody whose container `id` does not answer on `port`:
 * "it listens on port 3000", or "it listens on 127.0.0.1 only: …".  Appends
 * nothing when nothing is known.
 */
void listen_hint(struct engine *e, const char *id, int port, struct buf *out)
	__attribute__((nonnull));

#endif
