#include "receiver/session.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "receiver/auth.h"
#include "receiver/channel.h"
#include "receiver/service.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNELS_MAX   64
#define TICK_MS	       1000
#define SSH_TURNS      32  /* reads of 4 KiB before others get their turn */
#define SEND_BLOCK_MS  100 /* see set_socket() */
#define DRAIN_MS       500
#define DRAIN_TURN_MS  100
#define KEEPALIVE_LOST 3

struct session {
	const struct session_spec *spec;
	const struct config *cfg;
	ssh_session ssh;
	ssh_event event;
	struct ssh_server_callbacks_struct callbacks;
	struct auth auth;
	struct chan_host host;
	struct chan *channels[CHANNELS_MAX];
	size_t count;
	int signal_fd;
	int64_t grace_ends_ms;
	bool is_announced; /* the listener knows that we are logged in */
	bool is_ending;
};

/* ---- callbacks of libssh ---- */

static int on_none(ssh_session ssh, const char *user, void *ctx)
{
	return auth_none(&((struct session *)ctx)->auth, ssh, user);
}

static int on_pubkey(ssh_session ssh, const char *user, ssh_key key, char state,
		     void *ctx)
{
	return auth_pubkey(&((struct session *)ctx)->auth, ssh, user, key,
			   state);
}

static int on_service(ssh_session ssh, const char *name, void *ctx)
{
	(void)ssh;
	(void)ctx;
	return strcmp(name, "ssh-userauth") == 0 ||
			       strcmp(name, "ssh-connection") == 0
		       ? 0
		       : -1;
}

static ssh_channel on_open(ssh_session ssh, void *ctx)
{
	struct session *s = ctx;
	struct chan *c;

	(void)ssh;
	if (!s->auth.is_done || s->count == CHANNELS_MAX ||
	    s->count >= (size_t)s->cfg->ssh_max_channels)
		return NULL;
	c = chan_open(&s->host);
	if (!c)
		return NULL;
	s->channels[s->count++] = c;
	return chan_ssh(c);
}

/* ---- set up ---- */

static void on_alarm(int sig)
{
	(void)sig;
	_exit(SESSION_GRACE);
}

static int set_int(int fd, int level, int option, int value, const char *what,
		   struct error *err)
{
	/* Not every option exists for the unix sockets of tests. */
	if (setsockopt(fd, level, option, &value, sizeof(value)) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOPROTOOPT)
		return err_errno(err, errno, "setsockopt %s", what);
	return 0;
}

static int set_socket(int fd, const struct config *cfg, struct error *err)
{
	int every_s = (int)((cfg->ssh_keepalive_ms + 999) / 1000);
	/*
	 * libssh takes EAGAIN for the end, so the socket must block; it sends
	 * once after each POLLOUT, and this bounds how long that may take
	 * when the free room is less than it sends.
	 */
	struct timeval limit = { .tv_usec = SEND_BLOCK_MS * 1000 };
	int r = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY", err);

	if (r == 0)
		r = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE",
			    err);
	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, every_s,
			    "TCP_KEEPIDLE", err);
	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, every_s,
			    "TCP_KEEPINTVL", err);
	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_LOST,
			    "TCP_KEEPCNT", err);
	/* The same for data that nobody acknowledges. */
	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
			    every_s * 1000 * (KEEPALIVE_LOST + 1),
			    "TCP_USER_TIMEOUT", err);
	if (r == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		r = err_errno(err, errno, "setsockopt SO_SNDTIMEO");
	return r;
}

static int open_signals(struct session *s, struct error *err)
{
	struct sigaction action = { .sa_handler = on_alarm };
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigaction(SIGALRM, &action, NULL);
	/* A backstop: it also ends what blocks in libssh or on the builder. */
	alarm((unsigned)(s->cfg->ssh_login_grace_ms / 1000 + 1));
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_errno(err, errno, "signalfd");
	return 0;
}

static int open_ssh(struct session *s, struct error *err)
{
	s->ssh = ssh_new();
	s->event = ssh_event_new();
	if (!s->ssh || !s->event)
		return err_set(err, ERR_SYS, "no SSH session");
	s->callbacks.userdata = s;
	s->callbacks.auth_none_function = on_none;
	s->callbacks.auth_pubkey_function = on_pubkey;
	s->callbacks.service_request_function = on_service;
	s->callbacks.channel_open_request_session_function = on_open;
	ssh_callbacks_init(&s->callbacks);
	if (ssh_bind_accept_fd(s->spec->bind, s->ssh, s->spec->fd) != SSH_OK)
		return err_set(err, ERR_SYS, "%s",
			       ssh_get_error(s->spec->bind));
	ssh_set_auth_methods(s->ssh, SSH_AUTH_METHOD_PUBLICKEY);
	ssh_set_server_callbacks(s->ssh, &s->callbacks);
	ssh_set_blocking(s->ssh, 0);
	/*
	 * Only sends our side of it: the exchange goes on in the loop, because
	 * this function misses its own end when a client does not wait
	 * between key exchange and login.
	 */
	if (ssh_handle_key_exchange(s->ssh) == SSH_ERROR)
		return err_set(err, ERR_PEER, "%s", ssh_get_error(s->ssh));
	if (ssh_event_add_session(s->event, s->ssh) != SSH_OK)
		return err_set(err, ERR_SYS, "no SSH event");
	return 0;
}

/* ---- the loop ---- */

static void announce(struct session *s)
{
	if (s->is_announced || !s->auth.is_done)
		return;
	s->is_announced = true;
	alarm(0);
	if (write(s->spec->status_fd, "+", 1) < 0)
		log_debug("peer=%s the listener is gone", s->spec->peer);
	close(s->spec->status_fd);
	log_info("peer=%s user=%s logged in with %s", s->spec->peer,
		 s->auth.user, s->auth.fingerprint);
}

static void reap(struct session *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->count; i++)
			chan_reaped(s->channels[i], pid, status);
}

static void handle_signals(struct session *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGTERM)
			s->is_ending = true;
	reap(s);
}

/* The channels that are over leave; libssh may add some meanwhile. */
static void sweep(struct session *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (chan_is_over(s->channels[i]))
			chan_free(s->channels[i]);
		else
			s->channels[kept++] = s->channels[i];
	}
	s->count = kept;
}

static void step_channels(struct session *s)
{
	int64_t now = clock_ms();

	for (size_t i = 0; i < s->count; i++) {
		chan_step(s->channels[i], now);
		if (chan_is_stuck(s->channels[i], now)) {
			log_info("peer=%s does not close its channel",
				 s->spec->peer);
			s->is_ending = true;
		}
	}
	sweep(s);
}

/* Is it time to end, and with what words? */
static const char *why_end(struct session *s)
{
	int64_t now = clock_ms();

	if (s->is_ending)
		return "Slipway ends this connection";
	if (!s->auth.is_done && s->auth.denials >= AUTH_MAX_DENIALS)
		return "Too many keys refused";
	if (!s->auth.is_done && now >= s->grace_ends_ms)
		return "Login took too long";
	if (s->auth.is_done &&
	    now - s->host.moved_ms >= s->cfg->ssh_idle_timeout_ms)
		return "Idle for too long";
	if (s->host.is_client_hostile)
		return "Window exceeded";
	return NULL;
}

/* One round: wait, let libssh work, let the channels work. */
static void turn(struct session *s)
{
	struct pollfd fds[2 + CHANNELS_MAX * SERVICE_FDS_MAX];
	nfds_t n = 2;
	int flags = ssh_get_poll_flags(s->ssh);

	fds[0] = (struct pollfd){ .fd = ssh_get_fd(s->ssh), .events = POLLIN };
	if (flags & SSH_WRITE_PENDING)
		fds[0].events |= POLLOUT;
	fds[1] = (struct pollfd){ .fd = s->signal_fd, .events = POLLIN };
	for (size_t i = 0; i < s->count; i++)
		n += chan_watch(s->channels[i], fds + n);
	if (poll(fds, n, TICK_MS) < 0 && errno != EINTR) {
		s->is_ending = true;
		return;
	}
	if (fds[0].revents)
		for (int i = 0; i < SSH_TURNS; i++)
			if (ssh_event_dopoll(s->event, 0) != SSH_OK)
				break;
	if (fds[1].revents)
		handle_signals(s);
	announce(s);
	step_channels(s);
}

static bool is_open(const struct session *s)
{
	return ssh_is_connected(s->ssh) &&
	       !(ssh_get_status(s->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

/*
 * Say why and close.  libssh sends nothing while it has not seen that the
 * socket is writable, and closing with unread input resets the connection,
 * which may take our words from the client: hence the turns before and the
 * short drain after.
 */
static void disconnect(struct session *s, const char *why)
{
	auto_close int fd = fcntl(ssh_get_fd(s->ssh), F_DUPFD_CLOEXEC, 0);
	int64_t until = clock_ms() + DRAIN_MS;
	struct error ignored;
	char waste[4096];

	log_info("peer=%s %s", s->spec->peer, why);
	while ((ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING) &&
	       clock_ms() < until)
		if (ssh_event_dopoll(s->event, DRAIN_TURN_MS) == SSH_ERROR)
			return;
	ssh_session_set_disconnect_message(s->ssh, why);
	ssh_disconnect(s->ssh);
	if (fd < 0 || shutdown(fd, SHUT_WR) < 0)
		return;
	while (clock_ms() < until &&
	       io_wait_readable(fd, DRAIN_TURN_MS, &ignored) >= 0)
		if (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) == 0)
			return;
}

static int loop(struct session *s)
{
	s->host.moved_ms = clock_ms();
	s->grace_ends_ms = s->host.moved_ms + s->cfg->ssh_login_grace_ms;
	while (is_open(s)) {
		const char *why = why_end(s);

		if (why) {
			disconnect(s, why);
			break;
		}
		turn(s);
	}
	if (s->auth.is_done)
		return SESSION_OK;
	if (clock_ms() >= s->grace_ends_ms)
		return SESSION_GRACE;
	return s->auth.is_tried ? SESSION_DENIED : SESSION_NO_LOGIN;
}

int session_run(const struct session_spec *spec)
{
	struct session s = { .spec = spec, .cfg = spec->cfg };
	struct error err;
	int code = SESSION_FAILED;
	int r;

	s.auth.socket = spec->cfg->socket;
	s.auth.peer = spec->peer;
	s.host.cfg = spec->cfg;
	s.host.auth = &s.auth;
	s.host.peer = spec->peer;
	s.host.hooks = spec->hooks;
	/* Nobody is left without the listener. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	r = open_signals(&s, &err);
	if (r == 0)
		r = set_socket(spec->fd, spec->cfg, &err);
	if (r == 0)
		r = open_ssh(&s, &err);
	if (r == 0) {
		s.host.ssh = s.ssh;
		code = loop(&s);
	} else {
		log_info("peer=%s %s", spec->peer, err.msg);
	}
	/*
	 * Closes the pipes to git: it ends by itself.  libssh's memory goes
	 * with the process.
	 */
	for (size_t i = 0; i < s.count; i++)
		chan_free(s.channels[i]);
	auth_release(&s.auth);
	return code;
}
