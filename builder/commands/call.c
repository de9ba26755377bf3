#include "builder/commands/call.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "base/wire.h"
#include "builder/commands/commands.h"
#include "builder/commands/listing.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define FLUSH_AT 32768
#define NOTE_MAX 4096

void call_release(struct call *c)
{
	if (!c)
		return;
	app_release(&c->app);
	buf_release(&c->out);
}

const char *call_option(const struct call *c, const char *name)
{
	return args_option(&c->args, name);
}

const char *call_word(const struct call *c, size_t i)
{
	return i < c->args.count ? c->args.words[i] : NULL;
}

static int gone(struct call *c, struct error *err)
{
	c->is_gone = true;
	buf_reset(&c->out);
	return err_set(err, ERR_PEER, "the client went away");
}

static int send_bytes(struct call *c, enum wire_kind kind, struct slice bytes,
		      struct error *err)
{
	int r;

	if (c->is_gone)
		return gone(c, err);
	if (bytes.len == 0)
		return 0;
	r = wire_send_data(c->fd, kind, bytes.ptr, bytes.len, err);
	if (r < 0)
		return gone(c, err);
	return 0;
}

int call_flush(struct call *c, struct error *err)
{
	int r = send_bytes(c, WIRE_STDOUT, buf_slice(&c->out), err);

	buf_reset(&c->out);
	return r;
}

int call_pass(struct call *c, struct slice text, struct error *err)
{
	int r = call_flush(c, err);

	return r < 0 ? r : send_bytes(c, WIRE_STDERR, text, err);
}

void call_printf(struct call *c, const char *fmt, ...)
{
	struct error ignored = ERROR_INIT;
	va_list ap;

	if (c->is_gone)
		return;
	va_start(ap, fmt);
	buf_vaddf(&c->out, fmt, ap);
	va_end(ap);
	/* A failure is remembered in is_gone. */
	if (c->out.len >= FLUSH_AT && call_flush(c, &ignored) < 0)
		return;
}

__attribute__((format(printf, 3, 0))) static void
say(struct call *c, const char *end, const char *fmt, va_list ap)
{
	auto_buf struct buf raw = BUF_INIT(NOTE_MAX);
	auto_buf struct buf line = BUF_INIT(NOTE_MAX + 8);
	struct error ignored = ERROR_INIT;

	buf_vaddf(&raw, fmt, ap);
	text_add_line(&line, buf_slice(&raw), NOTE_MAX);
	buf_adds(&line, end);
	/* What was printed before comes first. */
	if (call_flush(c, &ignored) < 0 ||
	    send_bytes(c, WIRE_STDERR, buf_slice(&line), &ignored) < 0)
		return;
}

void call_note(struct call *c, const char *fmt, ...)
{
	va_list ap;

	if (call_option(c, "quiet"))
		return;
	va_start(ap, fmt);
	say(c, "\n", fmt, ap);
	va_end(ap);
}

void call_error(struct call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, "\n", fmt, ap);
	va_end(ap);
}

void call_prompt(struct call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, "", fmt, ap);
	va_end(ap);
}

static void print_json(struct call *c, json_t *doc)
{
	char *text = json_dumps(doc, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	json_decref(doc);
	if (!text)
		return;
	call_printf(c, "%s\n", text);
	free(text);
}

bool call_json(struct call *c, json_t *object)
{
	if (!call_option(c, "json")) {
		json_decref(object);
		return false;
	}
	print_json(c, object);
	return true;
}

void call_list(struct call *c, json_t *rows, const struct column *columns)
{
	if (call_option(c, "json")) {
		print_json(c, rows);
		return;
	}
	if (json_array_size(rows) > 0)
		listing_table(rows, columns, !call_option(c, "quiet"), &c->out);
	json_decref(rows);
}

void call_fields(struct call *c, json_t *object, const struct column *columns)
{
	if (call_option(c, "json")) {
		print_json(c, object);
		return;
	}
	listing_fields(object, columns, &c->out);
	json_decref(object);
}

int call_usage(struct call *c, struct error *err, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->status = COMMAND_USAGE;
	return err_set(err, ERR_INVALID, "%s", text);
}

/* Wait for input, but neither too long nor for ever in small pieces. */
static int wait_input(struct call *c, struct error *err)
{
	int64_t now = clock_ms();
	int64_t wait;
	int r;

	if (!c->input_until)
		c->input_until = now + INPUT_TOTAL_MS;
	wait = c->input_until - now;
	if (wait > INPUT_TIMEOUT_MS)
		wait = INPUT_TIMEOUT_MS;
	r = io_wait_readable(c->fd, wait > 0 ? (int)wait : 0, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return err_set(err, ERR_TIMEOUT, "waited too long for input");
}

/* The next input frame: 1, 0 at the end of the input, -code. */
static int read_input(struct call *c, struct buf *in, struct slice *ret,
		      struct error *err)
{
	struct wire_frame frame;
	int r;

	r = wait_input(c, err);
	if (r < 0)
		return r;
	r = wire_recv(c->fd, in, &frame, err);
	if (r <= 0)
		return r < 0 ? r : gone(c, err);
	if (frame.kind != WIRE_STDIN)
		return err_set(err, ERR_PROTO, "expected input");
	*ret = frame.payload;
	return frame.payload.len > 0;
}

int call_read_all(struct call *c, struct buf *ret, struct error *err)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	struct slice piece;
	int r;

	r = call_flush(c, err);
	if (r < 0)
		return r;
	while ((r = read_input(c, &in, &piece, err)) > 0) {
		buf_add(ret, piece.ptr, piece.len);
		r = buf_check(ret, "input", err);
		if (r < 0)
			return r;
	}
	return r;
}

/*
 * One typed byte; 1 at the end of the line, 0 before it, -code.  `ssh -t`
 * has put the far terminal into raw mode and there is no terminal at our
 * end, so showing what is typed is up to us.
 */
static int typed(struct call *c, char byte, struct buf *line, struct error *err)
{
	bool is_raw = c->has_tty && c->user;

	if (byte == '\n' || byte == '\r') {
		if (is_raw)
			call_printf(c, "\n");
		return 1;
	}
	if (is_raw && byte == 3)
		return err_set(err, ERR_CANCELED, "canceled");
	if (is_raw && byte == 4)
		return 1;
	if (is_raw && (byte == 0x7f || byte == '\b')) {
		if (line->len > 0) {
			line->data[--line->len] = '\0';
			if (!c->hides_input)
				call_printf(c, "\b \b");
		}
	} else {
		buf_addc(line, byte);
		if (is_raw && !c->hides_input && (unsigned char)byte >= ' ')
			call_printf(c, "%c", byte);
	}
	return buf_check(line, "input", err);
}

int call_read_line(struct call *c, struct buf *ret, struct error *err)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	struct slice piece;
	int r;

	for (;;) {
		r = call_flush(c, err);
		if (r < 0)
			return r;
		r = read_input(c, &in, &piece, err);
		if (r <= 0)
			return r;
		for (size_t i = 0; i < piece.len; i++) {
			r = typed(c, piece.ptr[i], ret, err);
			if (r != 0)
				return r < 0 ? r : 0;
		}
	}
}

bool call_wait_gone(struct call *c, int wait_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
	int r;

	r = poll(&p, 1, wait_ms);
	if (r > 0)
		c->is_gone = true;
	return c->is_gone;
}
