#include "receiver/command_relay.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/wire.h"
#include "receiver/builder_client.h"
#include "receiver/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATUS_FAILED	   1
#define STATUS_INTERRUPTED 130
#define KEY_INTERRUPT	   0x03
#define KEY_END		   0x04

struct relay {
	struct service base;
	int fd; /* -1 = closed */
	bool is_tty;
	bool is_done;
	bool has_input_ended;
	int status;
	struct buf in;	/* from the builder: at most one frame and a chunk */
	struct buf out; /* to the builder: one chunk of input at a time */
};

static struct relay *of(struct service *s)
{
	return (struct relay *)s;
}

static void finish(struct relay *r, int status)
{
	if (r->is_done)
		return;
	r->is_done = true;
	r->status = status;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

/* ---- to the builder ---- */

static void flush(struct relay *r)
{
	while (r->fd >= 0 && r->out.len) {
		ssize_t n = send(r->fd, r->out.data, r->out.len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		/* A builder that went away shows when we read. */
		if (n <= 0)
			buf_reset(&r->out);
		else
			buf_consume(&r->out, (size_t)n);
	}
}

static void relay_input_end(struct service *s)
{
	struct relay *r = of(s);

	if (r->has_input_ended || r->fd < 0)
		return;
	r->has_input_ended = true;
	wire_add(&r->out, WIRE_STDIN, "", 0);
	flush(r);
}

/* Bytes of a terminal in raw mode; what a line discipline would do. */
static void add_typed(struct relay *r, struct slice data)
{
	auto_buf struct buf typed = BUF_INIT(SERVICE_CHUNK);

	for (size_t i = 0; i < data.len; i++) {
		if (data.ptr[i] == KEY_INTERRUPT) {
			finish(r, STATUS_INTERRUPTED);
			return;
		}
		if (data.ptr[i] == KEY_END) {
			r->has_input_ended = true;
			break;
		}
		buf_addc(&typed, data.ptr[i] == '\r' ? '\n' : data.ptr[i]);
	}
	if (typed.len)
		wire_add(&r->out, WIRE_STDIN, typed.data, typed.len);
	if (r->has_input_ended)
		wire_add(&r->out, WIRE_STDIN, "", 0);
}

static size_t relay_input(struct service *s, struct slice data)
{
	struct relay *r = of(s);

	if (r->fd < 0)
		return data.len;
	if (r->out.len)
		return 0;
	if (data.len > SERVICE_CHUNK)
		data.len = SERVICE_CHUNK;
	/* ^C counts even when the input was ended by ^D before. */
	if (r->is_tty && memchr(data.ptr, KEY_INTERRUPT, data.len))
		finish(r, STATUS_INTERRUPTED);
	else if (r->has_input_ended)
		return data.len;
	else if (r->is_tty)
		add_typed(r, data);
	else
		wire_add(&r->out, WIRE_STDIN, data.ptr, data.len);
	flush(r);
	return data.len;
}

static void relay_interrupt(struct service *s)
{
	finish(of(s), STATUS_INTERRUPTED);
}

/* ---- from the builder ---- */

static void say(struct relay *r, struct service_output *output,
		const char *text)
{
	auto_free char *line = xasprintf("slipway: %s\n", text);

	service_add_text(&output->errors, slice_str(line), r->is_tty);
}

static int take_message(struct relay *r, const struct wire_frame *frame,
			struct service_output *output, struct error *err)
{
	json_auto_t *msg = NULL;
	const char *type;
	int rc = wire_message(frame, &msg, &type, err);

	if (rc < 0)
		return rc;
	if (strcmp(type, "exit") == 0) {
		json_int_t status =
			json_integer_value(json_object_get(msg, "status"));

		finish(r, status >= 0 && status <= 255 ? (int)status
						       : STATUS_FAILED);
	} else if (strcmp(type, "error") == 0) {
		say(r, output, json_get_str(msg, "message", "failed"));
		finish(r, STATUS_FAILED);
	}
	return 0;
}

/* Handle one whole frame; 1, 0 when none is there, -code. */
static int take_frame(struct relay *r, struct service_output *output,
		      struct error *err)
{
	struct wire_frame frame;
	int n = wire_parse(buf_slice(&r->in), &frame, err);
	int rc = 0;

	if (n <= 0)
		return n;
	if (frame.kind == WIRE_MESSAGE)
		rc = take_message(r, &frame, output, err);
	else if (frame.kind == WIRE_STDERR)
		service_add_text(&output->errors, frame.payload, r->is_tty);
	else if (frame.kind == WIRE_STDOUT)
		service_add_text(&output->out, frame.payload, r->is_tty);
	buf_consume(&r->in, (size_t)n);
	return rc < 0 ? rc : 1;
}

/* 1 = bytes came, 0 = none now, -code = the end. */
static int fill(struct relay *r, struct error *err)
{
	ssize_t n;

	if (r->fd < 0 || !buf_reserve(&r->in, SERVICE_CHUNK))
		return 0;
	n = recv(r->fd, r->in.data + r->in.len, SERVICE_CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return err_set(err, ERR_PEER,
			       "the deploy service went away; the command may "
			       "or may not have been carried out");
	r->in.len += (size_t)n;
	r->in.data[r->in.len] = '\0';
	return 1;
}

static void relay_move(struct service *s, bool has_room,
		       struct service_output *output)
{
	struct relay *r = of(s);
	struct error err;
	int rc = 0;

	flush(r);
	if (!has_room)
		return;
	do {
		while (!r->is_done && output->out.len < SERVICE_CHUNK &&
		       output->errors.len < SERVICE_CHUNK) {
			rc = take_frame(r, output, &err);
			if (rc <= 0)
				break;
		}
		if (rc == 0)
			rc = fill(r, &err);
	} while (rc > 0 && !r->is_done && output->out.len < SERVICE_CHUNK &&
		 output->errors.len < SERVICE_CHUNK);
	if (rc < 0 && !r->is_done) {
		say(r, output, err.msg);
		finish(r, STATUS_FAILED);
	}
}

static size_t relay_watch(struct service *s, bool wants_input, bool has_room,
			  struct pollfd *fds)
{
	struct relay *r = of(s);
	struct pollfd p = { .fd = r->fd };

	(void)wants_input;
	if (r->fd < 0)
		return 0;
	if (has_room)
		p.events |= POLLIN;
	if (r->out.len)
		p.events |= POLLOUT;
	/* Without events poll() would still report a hang-up, for ever. */
	if (!p.events)
		return 0;
	fds[0] = p;
	return 1;
}

static void relay_tick(struct service *s, int64_t now_ms,
		       struct service_output *output)
{
	(void)s;
	(void)now_ms;
	(void)output;
}

static void relay_reaped(struct service *s, pid_t pid, int wait_status)
{
	(void)s;
	(void)pid;
	(void)wait_status;
}

static bool relay_is_done(struct service *s, int *ret_status)
{
	*ret_status = of(s)->status;
	return of(s)->is_done;
}

static void relay_free(struct service *s)
{
	struct relay *r = of(s);

	if (r->fd >= 0)
		close(r->fd);
	buf_release(&r->in);
	buf_release(&r->out);
	free(r);
}

static const struct service_ops relay_ops = {
	.input = relay_input,
	.input_end = relay_input_end,
	.interrupt = relay_interrupt,
	.watch = relay_watch,
	.move = relay_move,
	.tick = relay_tick,
	.reaped = relay_reaped,
	.is_done = relay_is_done,
	.free = relay_free,
};

static int make_request(const char *user, char *const *argv, bool is_tty,
			json_t **ret, struct error *err)
{
	json_auto_t *words = json_array();

	for (size_t i = 0; argv[i]; i++)
		if (json_array_append_new(words, json_string(argv[i])) < 0)
			return err_set(err, ERR_INVALID, "not valid UTF-8");
	*ret = json_pack("{s:s, s:O, s:s, s:b}", "type", "command", "argv",
			 words, "user", user, "tty", (int)is_tty);
	return *ret ? 0 : err_set(err, ERR_INVALID, "not valid UTF-8");
}

int command_relay_start(const char *socket, const char *user, char *const *argv,
			bool is_tty, struct service **ret, struct error *err)
{
	json_t *request = NULL;
	struct relay *r;
	int fd;
	int rc = make_request(user, argv, is_tty, &request, err);

	if (rc < 0)
		return rc;
	fd = builder_connect(socket, err);
	if (fd < 0) {
		json_decref(request);
		return fd;
	}
	r = xcalloc(1, sizeof(*r));
	r->base.ops = &relay_ops;
	r->fd = fd;
	r->is_tty = is_tty;
	r->in.max = WIRE_MAX + WIRE_HEAD + SERVICE_CHUNK;
	r->out.max = WIRE_MAX + WIRE_HEAD;
	wire_add_message(&r->out, request);
	rc = buf_check(&r->out, "command", err);
	if (rc < 0) {
		relay_free(&r->base);
		return rc;
	}
	flush(r);
	*ret = &r->base;
	return 0;
}
