#include "receiver/channel.h"

#include "base/buf.h"
#include "base/io.h"
#include "receiver/channel_internal.h"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stdlib.h>

#define TICK_MS 1000

void chan_end(struct chan *c, int status)
{
	c->status = status;
	c->state = CHAN_FLUSHING;
}

/* ---- moving bytes ---- */

/* Give the service what is held; true when all of it went. */
static bool feed_held(struct chan *c)
{
	while (c->held_taken < c->held.len) {
		struct slice rest = { c->held.data + c->held_taken,
				      c->held.len - c->held_taken };
		size_t n = c->service->ops->input(c->service, rest);

		if (n == 0)
			return false;
		c->held_taken += n;
	}
	/* Not buf_reset: up to 2.5 MB would stay with every channel. */
	buf_release(&c->held);
	c->held_taken = 0;
	return true;
}

static void feed(struct chan *c)
{
	while (feed_held(c) && c->waiting) {
		int n;

		if (!buf_reserve(&c->held, c->waiting))
			return;
		/* Returns at once: that many bytes are in libssh's buffer. */
		n = ssh_channel_read_timeout(c->ssh, c->held.data,
					     (uint32_t)c->waiting, 0, 0);
		if (n <= 0) {
			c->waiting = 0;
			return;
		}
		c->held.len = (size_t)n;
		c->waiting -= (size_t)n;
	}
	if (c->has_eof && !c->eof_passed && !c->waiting && !c->held.len) {
		c->eof_passed = true;
		c->service->ops->input_end(c->service);
	}
}

/* May libssh be given more to send? */
static bool is_socket_free(const struct chan *c)
{
	return !(ssh_get_poll_flags(c->host->ssh) & SSH_WRITE_PENDING);
}

/* Send until it is empty, the window or the socket is full. */
static void send_buf(struct chan *c, struct buf *b, bool is_stderr)
{
	while (b->len && is_socket_free(c)) {
		uint32_t len = ssh_channel_window_size(c->ssh);
		int n;

		if (len > b->len)
			len = (uint32_t)b->len;
		if (len > SERVICE_CHUNK)
			len = SERVICE_CHUNK;
		if (len == 0)
			return;
		/* Takes less, or nothing, during a key exchange. */
		n = is_stderr ? ssh_channel_write_stderr(c->ssh, b->data, len)
			      : ssh_channel_write(c->ssh, b->data, len);
		if (n <= 0)
			return;
		buf_consume(b, (size_t)n);
		c->host->moved_ms = clock_ms();
	}
	/* A long frame leaves a large buffer behind. */
	if (b->len == 0 && b->cap > 4 * SERVICE_CHUNK)
		buf_release(b);
}

static bool has_output(const struct chan *c)
{
	return c->output.out.len || c->output.errors.len;
}

static void send_output(struct chan *c)
{
	send_buf(c, &c->output.errors, true);
	send_buf(c, &c->output.out, false);
}

static void drop_service(struct chan *c)
{
	if (c->service)
		c->service->ops->free(c->service);
	c->service = NULL;
}

static void run(struct chan *c, int64_t now_ms)
{
	int status;

	feed(c);
	send_output(c);
	c->service->ops->move(c->service, !has_output(c), &c->output);
	if (now_ms - c->tick_ms >= TICK_MS) {
		c->tick_ms = now_ms;
		c->service->ops->tick(c->service, now_ms, &c->output);
	}
	send_output(c);
	if (c->service->ops->is_done(c->service, &status)) {
		drop_service(c);
		chan_end(c, status);
	}
}

static void finish(struct chan *c, int64_t now_ms)
{
	send_output(c);
	if (has_output(c))
		return;
	ssh_channel_request_send_exit_status(c->ssh, c->status);
	ssh_channel_send_eof(c->ssh);
	ssh_channel_close(c->ssh);
	c->state = CHAN_CLOSING;
	c->closing_ms = now_ms;
}

/* Throw away what the client still sends, so that its window never ends. */
static void drop_input(struct chan *c)
{
	char waste[SERVICE_CHUNK];

	buf_release(&c->held);
	c->held_taken = 0;
	while (c->waiting) {
		int n = ssh_channel_read_timeout(
			c->ssh, waste,
			(uint32_t)(c->waiting < sizeof(waste) ? c->waiting
							      : sizeof(waste)),
			0, 0);

		if (n <= 0)
			break;
		c->waiting -= (size_t)n < c->waiting ? (size_t)n : c->waiting;
	}
	c->waiting = 0;
}

void chan_step(struct chan *c, int64_t now_ms)
{
	if (c->peer_closed) {
		/* The client is gone; so is who would read the rest. */
		drop_service(c);
		return;
	}
	if (c->state == CHAN_REQUESTED)
		chan_start(c);
	if (c->state == CHAN_RUNNING)
		run(c, now_ms);
	if (c->state == CHAN_FLUSHING) {
		drop_input(c);
		finish(c, now_ms);
	}
}

size_t chan_watch(struct chan *c, struct pollfd *fds)
{
	if (c->state != CHAN_RUNNING || !c->service)
		return 0;
	return c->service->ops->watch(c->service, c->held.len || c->waiting,
				      !has_output(c), fds);
}

void chan_reaped(struct chan *c, pid_t pid, int wait_status)
{
	if (c->service)
		c->service->ops->reaped(c->service, pid, wait_status);
}

bool chan_is_over(const struct chan *c)
{
	return c->peer_closed;
}

bool chan_is_stuck(const struct chan *c, int64_t now_ms)
{
	return c->state == CHAN_CLOSING && !c->peer_closed &&
	       now_ms - c->closing_ms > CHAN_CLOSE_MS;
}

/* ---- life ---- */

struct chan *chan_open(struct chan_host *host)
{
	struct chan *c = xcalloc(1, sizeof(*c));

	c->host = host;
	c->held.max = CHAN_INPUT_MAX * 2;
	c->output.out.max = SERVICE_OUTPUT_MAX;
	c->output.errors.max = SERVICE_OUTPUT_MAX;
	chan_set_callbacks(c);
	host->moved_ms = clock_ms();
	c->ssh = ssh_channel_new(host->ssh);
	if (!c->ssh || ssh_set_channel_callbacks(c->ssh, &c->callbacks) < 0) {
		chan_free(c);
		return NULL;
	}
	return c;
}

ssh_channel chan_ssh(const struct chan *c)
{
	return c->ssh;
}

void chan_free(struct chan *c)
{
	if (!c)
		return;
	drop_service(c);
	if (c->ssh) {
		ssh_remove_channel_callbacks(c->ssh, &c->callbacks);
		ssh_channel_free(c->ssh);
	}
	free(c->line);
	free(c->git_protocol);
	buf_release(&c->held);
	buf_release(&c->output.out);
	buf_release(&c->output.errors);
	free(c);
}
