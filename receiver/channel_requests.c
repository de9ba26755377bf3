#include "receiver/channel_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "receiver/auth.h"
#include "receiver/builder_client.h"
#include "receiver/command_relay.h"
#include "receiver/exec_line.h"
#include "receiver/git_service.h"
#include "receiver/greeting.h"

#include <string.h>

#define STATUS_FAILED 1

/* ---- callbacks: libssh calls these while it handles a packet ---- */

static int on_data(ssh_session ssh, ssh_channel ssh_channel, void *data,
		   uint32_t len, int is_stderr, void *ctx)
{
	struct chan *c = ctx;
	size_t taken = 0;

	(void)ssh;
	(void)ssh_channel;
	c->host->moved_ms = clock_ms();
	if (is_stderr)
		return (int)len;
	/* Nobody wants it: drop it, so that the client may end. */
	if (c->state > CHAN_RUNNING) {
		c->waiting = 0;
		return (int)len;
	}
	if (len > CHAN_INPUT_MAX)
		c->host->is_client_hostile = true;
	if (c->service && c->held.len == 0)
		taken = c->service->ops->input(c->service,
					       (struct slice){ data, len });
	c->waiting = len - taken;
	return (int)taken;
}

static void on_eof(ssh_session ssh, ssh_channel ssh_channel, void *ctx)
{
	(void)ssh;
	(void)ssh_channel;
	((struct chan *)ctx)->has_eof = true;
}

static void on_close(ssh_session ssh, ssh_channel ssh_channel, void *ctx)
{
	(void)ssh;
	(void)ssh_channel;
	((struct chan *)ctx)->peer_closed = true;
}

static void on_signal(ssh_session ssh, ssh_channel ssh_channel,
		      const char *name, void *ctx)
{
	struct chan *c = ctx;

	(void)ssh;
	(void)ssh_channel;
	if (c->service &&
	    (strcmp(name, "INT") == 0 || strcmp(name, "TERM") == 0 ||
	     strcmp(name, "HUP") == 0))
		c->service->ops->interrupt(c->service);
}

static int on_pty(ssh_session ssh, ssh_channel ssh_channel, const char *term,
		  int width, int height, int px_width, int px_height, void *ctx)
{
	struct chan *c = ctx;

	(void)ssh;
	(void)ssh_channel;
	(void)term;
	(void)width;
	(void)height;
	(void)px_width;
	(void)px_height;
	if (c->state != CHAN_IDLE)
		return SSH_ERROR;
	c->has_tty = true;
	return 0;
}

static int on_window(ssh_session ssh, ssh_channel ssh_channel, int width,
		     int height, int px_width, int px_height, void *ctx)
{
	(void)ssh;
	(void)ssh_channel;
	(void)width;
	(void)height;
	(void)px_width;
	(void)px_height;
	(void)ctx;
	return 0;
}

static int on_env(ssh_session ssh, ssh_channel ssh_channel, const char *name,
		  const char *value, void *ctx)
{
	struct chan *c = ctx;

	(void)ssh;
	(void)ssh_channel;
	if (c->state != CHAN_IDLE || strcmp(name, "GIT_PROTOCOL") != 0 ||
	    !exec_git_protocol_ok(value))
		return SSH_ERROR;
	free(c->git_protocol);
	c->git_protocol = xstrdup(value);
	return 0;
}

static int on_shell(ssh_session ssh, ssh_channel ssh_channel, void *ctx)
{
	struct chan *c = ctx;

	(void)ssh;
	(void)ssh_channel;
	if (c->state != CHAN_IDLE)
		return SSH_ERROR;
	c->is_shell = true;
	c->state = CHAN_REQUESTED;
	return 0;
}

static int on_exec(ssh_session ssh, ssh_channel ssh_channel, const char *line,
		   void *ctx)
{
	struct chan *c = ctx;

	(void)ssh;
	(void)ssh_channel;
	if (c->state != CHAN_IDLE)
		return SSH_ERROR;
	c->line = xstrdup(line);
	c->state = CHAN_REQUESTED;
	return 0;
}

static int on_subsystem(ssh_session ssh, ssh_channel ssh_channel,
			const char *name, void *ctx)
{
	(void)ssh;
	(void)ssh_channel;
	(void)name;
	(void)ctx;
	return SSH_ERROR;
}

void chan_set_callbacks(struct chan *c)
{
	c->callbacks.userdata = c;
	c->callbacks.channel_data_function = on_data;
	c->callbacks.channel_eof_function = on_eof;
	c->callbacks.channel_close_function = on_close;
	c->callbacks.channel_signal_function = on_signal;
	c->callbacks.channel_pty_request_function = on_pty;
	c->callbacks.channel_pty_window_change_function = on_window;
	c->callbacks.channel_env_request_function = on_env;
	c->callbacks.channel_shell_request_function = on_shell;
	c->callbacks.channel_exec_request_function = on_exec;
	c->callbacks.channel_subsystem_request_function = on_subsystem;
	ssh_callbacks_init(&c->callbacks);
}

/* ---- starting what was asked for ---- */

static void say(struct chan *c, const char *text)
{
	auto_free char *line = xasprintf("slipway: %s\n", text);

	service_add_text(&c->output.errors, slice_str(line), c->has_tty);
}

/* Tell the person why nothing starts. */
static void refuse(struct chan *c, const char *what, int r,
		   const struct error *err)
{
	char text[ERR_MSG_MAX];

	if (r != -ERR_NOTFOUND && r != -ERR_DENIED && r != -ERR_INVALID)
		log_warn("peer=%s user=%s %s: %s", c->host->peer,
			 c->host->auth->user, what, err->msg);
	if (r == -ERR_SYS) {
		say(c, "the deploy service does not answer; try again in a "
		       "moment");
	} else {
		err_public(err, c->host->cfg->data, text, sizeof(text));
		say(c, text);
	}
	chan_end(c, STATUS_FAILED);
}

static void say_created(struct chan *c, const char *app)
{
	auto_free char *text = xasprintf("created app '%s'", app);

	say(c, text);
}

static const char *service_name(enum exec_kind kind)
{
	switch (kind) {
	case EXEC_RECEIVE_PACK:
		return "push";
	case EXEC_UPLOAD_PACK:
		return "fetch";
	case EXEC_UPLOAD_ARCHIVE:
		return "archive";
	default:
		return "command";
	}
}

static void start_git(struct chan *c, const struct exec_line *e)
{
	const struct auth *auth = c->host->auth;
	struct builder_grant grant = { .app = NULL };
	struct git_request req = { .kind = e->kind,
				   .protocol = c->git_protocol,
				   .user = auth->user,
				   .fingerprint = auth->fingerprint,
				   .hooks = c->host->hooks };
	struct error err;
	int r = builder_authorize(
		c->host->cfg->socket, auth->user, e->app,
		e->kind == EXEC_RECEIVE_PACK ? "push" : "fetch", &grant, &err);

	if (r < 0) {
		refuse(c, "authorize", r, &err);
		return;
	}
	if (grant.is_new)
		say_created(c, grant.app);
	req.app = grant.app;
	req.git_dir = grant.git_dir;
	r = git_service_start(c->host->cfg, &req, &c->service, &err);
	builder_grant_release(&grant);
	if (r < 0) {
		log_error("peer=%s %s", c->host->peer, err.msg);
		say(c, "git cannot be started on the server");
		chan_end(c, STATUS_FAILED);
		return;
	}
	c->state = CHAN_RUNNING;
}

static void start_command(struct chan *c, const struct exec_line *e)
{
	struct error err;
	int r = command_relay_start(c->host->cfg->socket, c->host->auth->user,
				    e->argv, c->has_tty, &c->service, &err);

	if (r < 0)
		refuse(c, "command", r, &err);
	else
		c->state = CHAN_RUNNING;
}

static void greet(struct chan *c)
{
	auto_buf struct buf text = BUF_INIT(SERVICE_CHUNK);

	greeting(c->host->cfg, c->host->auth->user, &text);
	service_add_text(&c->output.out, buf_slice(&text), c->has_tty);
	chan_end(c, 0);
}

void chan_start(struct chan *c)
{
	struct exec_line e = { .kind = EXEC_NOTHING };
	struct error err;
	int r = 0;

	c->host->moved_ms = clock_ms();
	if (!c->is_shell)
		r = exec_line_parse(slice_str(c->line), &e, &err);
	if (r < 0) {
		log_info("peer=%s user=%s refused: %s", c->host->peer,
			 c->host->auth->user, err.msg);
		refuse(c, "exec", -ERR_INVALID, &err);
	} else if (e.kind == EXEC_NOTHING) {
		greet(c);
	} else {
		log_info("peer=%s user=%s %s%s %s", c->host->peer,
			 c->host->auth->user, service_name(e.kind),
			 e.kind == EXEC_COMMAND ? "" : " app",
			 e.kind == EXEC_COMMAND ? e.argv[0] : e.app);
		if (e.kind == EXEC_COMMAND)
			start_command(c, &e);
		else
			start_git(c, &e);
	}
	exec_line_release(&e);
	free(TAKE_PTR(c->line));
}
