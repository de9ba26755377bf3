#include "ctl/client.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX 256

static json_t *command_message(int argc, char *const *argv)
{
	json_t *words = json_array();

	for (int i = 0; i < argc; i++)
		json_array_append_new(
			words, json_string_safe(argv[i], strlen(argv[i])));
	return json_pack("{s:s, s:o, s:b}", "type", "command", "argv", words,
			 "tty", isatty(STDOUT_FILENO));
}

/* Pass a piece of our stdin on; false after its end. */
static bool feed(int fd, struct error *err)
{
	char chunk[16384];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0)
		n = 0;
	return wire_send_data(fd, WIRE_STDIN, chunk, (size_t)n, err) == 0 &&
	       n > 0;
}

/* 1 = it ended with *ret_status, 0 = go on, -code. */
static int take_frame(const struct wire_frame *frame, int *ret_status,
		      struct error *err)
{
	json_auto_t *msg = NULL;
	const char *type;
	int r;

	if (frame->kind == WIRE_STDOUT || frame->kind == WIRE_STDERR)
		return io_write_all(frame->kind == WIRE_STDOUT ? STDOUT_FILENO
							       : STDERR_FILENO,
				    frame->payload.ptr, frame->payload.len,
				    err);
	r = wire_message(frame, &msg, &type, err);
	if (r < 0)
		return r;
	if (strcmp(type, "exit") == 0) {
		*ret_status =
			(int)json_integer_value(json_object_get(msg, "status"));
		return 1;
	}
	if (strcmp(type, "error") == 0)
		return err_set(
			err,
			err_code_from_name(json_get_str(msg, "code", "peer")),
			"%s", json_get_str(msg, "message", "?"));
	return 0;
}

int client_run(const char *socket, int argc, char *const *argv,
	       struct error *err)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	auto_close int fd = -1;
	bool has_input = true;
	int status = 1;
	int r;

	if (argc > ARGS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d words", ARGS_MAX);
	fd = io_unix_connect(socket, err);
	if (fd < 0)
		return err_wrap(err, fd, "is `slipway serve` running?");
	signal(SIGPIPE, SIG_IGN);
	r = wire_send(fd, command_message(argc, argv), err);
	while (r == 0) {
		struct pollfd polled[2] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = has_input ? STDIN_FILENO : -1,
			  .events = POLLIN },
		};
		struct wire_frame frame;

		if (poll(polled, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_errno(err, errno, "poll");
		}
		if (polled[0].revents) {
			r = wire_recv(fd, &in, &frame, err);
			if (r == 0)
				return err_set(err, ERR_PEER,
					       "the connection to slipway "
					       "ended early");
			if (r > 0)
				r = take_frame(&frame, &status, err);
		} else if (polled[1].revents) {
			has_input = feed(fd, err);
		}
	}
	return r < 0 ? r : status;
}
