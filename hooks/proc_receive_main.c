/*
 * proc-receive: run by `git receive-pack` for each push, as the receiver's
 * user.  Hands the ref updates to the builder, relays its output to stderr
 * (git wraps it into the sideband) and its verdicts to git.
 *
 * The builder owns the deploy: when git goes away this hook just ends; when
 * the builder goes away it reattaches for RECONNECT_MS.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/wire.h"
#include "hooks/push_request.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX	(64u << 20)
#define RECONNECT_MS	60000
#define RETRY_MIN_MS	100
#define RETRY_MAX_MS	2000
#define INPUT_IDLE_MS	60000
#define OUTPUT_STALL_MS 120000

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);

/* A confined process cannot look for its own leaks. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

enum exit_code { EXIT_ANSWERED = 0, EXIT_FAILED = 1 };

struct relay {
	struct push_request push;
	json_t *results; /* the verdicts, once they came */
	json_int_t job;	 /* 0 = not accepted yet */
	json_int_t seen; /* bytes of output relayed */
	bool git_left;	 /* nobody to answer */
	bool is_unheard; /* git lives, but its client takes no more output */
};

/* Feed the parser from git until it reaches `state`. */
static int read_until(struct relay *r, struct buf *in,
		      enum push_request_state state, struct error *err)
{
	while (r->push.state < state) {
		int n = push_request_feed(&r->push, buf_slice(in), err);
		ssize_t got;

		if (n < 0)
			return n;
		buf_consume(in, (size_t)n);
		if (n > 0)
			continue;
		if (!buf_reserve(in, 65536))
			return err_set(err, ERR_LIMIT,
				       "too many refs in one push");
		n = io_wait_readable(STDIN_FILENO, INPUT_IDLE_MS, err);
		if (n < 0)
			return n;
		if (n == 0)
			return err_set(err, ERR_TIMEOUT, "git fell silent");
		got = read(STDIN_FILENO, in->data + in->len, 65536);
		if (got < 0)
			return err_errno(err, errno, "read from git");
		if (got == 0)
			return err_set(err, ERR_PROTO,
				       "git closed the connection");
		in->len += (size_t)got;
	}
	return 0;
}

static int read_request(struct relay *r, struct error *err)
{
	auto_buf struct buf in = BUF_INIT(INPUT_MAX);
	auto_buf struct buf out = BUF_INIT(4096);
	int rc = read_until(r, &in, PUSH_WANT_COMMANDS, err);

	if (rc < 0)
		return rc;
	push_request_reply(&r->push, &out);
	rc = io_write_all(STDOUT_FILENO, out.data, out.len, err);
	if (rc < 0)
		return rc;
	return read_until(r, &in, PUSH_DONE, err);
}

static const char *env_or(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

static json_t *push_message(const struct relay *r)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:O, s:O}", "type", "push",
			 "app", env_or("SLIPWAY_APP", ""), "user",
			 env_or("SLIPWAY_USER", ""), "fingerprint",
			 env_or("SLIPWAY_FINGERPRINT", ""), "atomic",
			 (int)r->push.is_atomic, "options", r->push.options,
			 "updates", r->push.updates);
}

static json_t *attach_message(const struct relay *r)
{
	return json_pack("{s:s, s:I, s:I}", "type", "attach", "job", r->job,
			 "offset", r->seen);
}

/* 1 = the verdicts are here, 0 = go on, -code. */
static int take_message(struct relay *r, const struct wire_frame *frame,
			struct error *err)
{
	json_auto_t *msg = NULL;
	const char *type;
	int rc = wire_message(frame, &msg, &type, err);

	if (rc < 0)
		return rc;
	if (strcmp(type, "accepted") == 0) {
		r->job = json_integer_value(json_object_get(msg, "job"));
		return 0;
	}
	if (strcmp(type, "verdicts") == 0) {
		r->results = json_incref(json_object_get(msg, "results"));
		return 1;
	}
	if (strcmp(type, "error") == 0)
		return err_set(
			err,
			err_code_from_name(json_get_str(msg, "code", "peer")),
			"%s", json_get_str(msg, "message", "?"));
	return 0;
}

/*
 * git stays when its client left, but reads no more.  So never block on it:
 * after OUTPUT_STALL_MS the rest of the output is dropped, and the verdict is
 * all that is waited for.
 */
static void relay_output(struct relay *r, struct slice data)
{
	struct pollfd polled = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct error ignored;

	r->seen += (json_int_t)data.len;
	while (data.len && !r->is_unheard) {
		/* A pipe that is writable takes so much at once. */
		size_t n = data.len < PIPE_BUF ? data.len : PIPE_BUF;

		if (poll(&polled, 1, OUTPUT_STALL_MS) == 0 ||
		    io_write_all(STDERR_FILENO, data.ptr, n, &ignored) < 0)
			r->is_unheard = true;
		data.ptr += n;
		data.len -= n;
	}
}

/* Wait for the builder, or for git to leave. */
static int wait_either(int fd, struct relay *r, struct error *err)
{
	struct pollfd polled[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = STDERR_FILENO, .events = 0 },
	};

	while (poll(polled, 2, -1) < 0)
		if (errno != EINTR)
			return err_errno(err, errno, "poll");
	if (polled[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		r->git_left = true;
	return 0;
}

/*
 * One connection to the builder.  1 = the verdicts are here or nobody waits
 * for them, 0 = it went away, -code = it refused.
 */
static int converse(struct relay *r, struct error *err)
{
	auto_close int fd =
		io_unix_connect(env_or("SLIPWAY_SOCKET", "/dev/null"), err);
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	int rc;

	if (fd < 0)
		return 0;
	rc = wire_send(fd, r->job ? attach_message(r) : push_message(r), err);
	if (rc < 0)
		return 0;
	for (;;) {
		struct wire_frame frame;

		rc = wait_either(fd, r, err);
		if (rc < 0)
			return rc;
		if (r->git_left)
			return 1;
		rc = wire_recv(fd, &in, &frame, err);
		if (rc <= 0)
			return 0;
		if (frame.kind == WIRE_MESSAGE) {
			rc = take_message(r, &frame, err);
			if (rc != 0)
				return rc;
		} else {
			relay_output(r, frame.payload);
		}
	}
}

static int run(struct relay *r, struct error *err)
{
	int64_t deadline = clock_ms() + RECONNECT_MS;
	int64_t wait_ms = RETRY_MIN_MS;

	for (;;) {
		int64_t began = clock_ms();
		int rc = converse(r, err);

		if (rc != 0)
			return rc;
		if (clock_ms() - began > RETRY_MAX_MS) {
			deadline = clock_ms() + RECONNECT_MS;
			wait_ms = RETRY_MIN_MS;
		}
		if (clock_ms() > deadline)
			return err_set(err, ERR_TIMEOUT,
				       "the deploy service does not answer; "
				       "try again later");
		poll(NULL, 0, (int)wait_ms);
		wait_ms =
			wait_ms * 2 < RETRY_MAX_MS ? wait_ms * 2 : RETRY_MAX_MS;
	}
}

int main(void)
{
	struct relay r = { .results = NULL };
	auto_buf struct buf answer = BUF_INIT(INPUT_MAX);
	struct error err = ERROR_INIT;
	const char *fallback = "the deploy service gave no verdict";
	int code = EXIT_ANSWERED;

	signal(SIGPIPE, SIG_IGN);
	push_request_init(&r.push);
	if (read_request(&r, &err) < 0) {
		code = EXIT_FAILED;
	} else {
		if (run(&r, &err) < 0)
			fallback = err.msg;
		push_request_answer(&r.push, r.results, fallback, &answer);
		if (io_write_all(STDOUT_FILENO, answer.data, answer.len, &err) <
		    0)
			code = EXIT_FAILED;
	}
	json_decref(r.results);
	push_request_release(&r.push);
	return code;
}
