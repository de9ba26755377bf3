#include "builder/commands/release_request.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/wire.h"
#include "builder/commands/call.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static int send_request(struct call *c, int fd, const char *description,
			struct error *err)
{
	return wire_send(fd,
			 json_pack("{s:s, s:s, s:s, s:s}", "type", "release",
				   "app", c->app.name, "user",
				   c->user ? c->user : "", "description",
				   description),
			 err);
}

/* Until the builder has something to say.  -ERR_PEER: the client left. */
static int wait_builder(struct call *c, int fd, struct error *err)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			       { .fd = c->fd, .events = POLLRDHUP } };

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_errno(err, errno, "poll");
		if (p[1].revents) {
			c->is_gone = true;
			return err_set(err, ERR_PEER, "the client went away");
		}
		if (p[0].revents)
			return 0;
	}
}

/* 1 when it was the last one. */
static int take_message(const struct wire_frame *frame, int64_t *ret_version,
			struct error *err)
{
	json_auto_t *msg = NULL;
	const char *type;
	int r = wire_message(frame, &msg, &type, err);

	if (r < 0)
		return r;
	if (strcmp(type, "accepted") == 0)
		return 0;
	if (strcmp(type, "error") == 0)
		return err_set(
			err,
			err_code_from_name(json_get_str(msg, "code", "peer")),
			"%s", json_get_str(msg, "message", "?"));
	if (strcmp(type, "released") != 0)
		return err_set(err, ERR_PROTO, "unexpected '%.40s'", type);
	if (!json_is_true(json_object_get(msg, "ok")))
		return err_set(err, ERR_PEER, "%s",
			       json_get_str(msg, "reason", "?"));
	*ret_version = json_integer_value(json_object_get(msg, "release"));
	return 1;
}

static int take_frame(struct call *c, int fd, struct buf *in,
		      int64_t *ret_version, struct error *err)
{
	struct wire_frame frame;
	int r = wire_recv(fd, in, &frame, err);

	if (r == 0)
		return err_set(err, ERR_PEER,
			       "the builder was restarted; 'builds:output %s' "
			       "tells how it ended",
			       c->app.name);
	if (r < 0)
		return r;
	if (frame.kind == WIRE_MESSAGE)
		return take_message(&frame, ret_version, err);
	if (call_option(c, "quiet"))
		return 0;
	return call_pass(c, frame.payload, err);
}

int release_request(struct call *c, const char *description,
		    int64_t *ret_version, struct error *err)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	auto_close int fd = io_unix_connect(c->cfg->socket, err);
	int r;

	if (fd < 0)
		return fd;
	r = send_request(c, fd, description, err);
	while (r == 0) {
		r = wait_builder(c, fd, err);
		if (r == 0)
			r = take_frame(c, fd, &in, ret_version, err);
	}
	return r < 0 ? r : 0;
}
