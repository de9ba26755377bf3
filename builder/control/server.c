#include "builder/control/server.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/wire.h"
#include "builder/jobs/transcript.h"
#include "builder/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS		 500
#define STOP_MS		 15000
#define OUT_MAX		 (4 * WIRE_MAX)
#define OUT_ENOUGH	 131072 /* no more log until some of it was sent */
#define LOG_CHUNK	 32768
#define WATCH_RESTART_MS 2000
#define WORKER_CONFIG_FD 3

int server_spawn(struct server *s, const char *mode, const char *argument,
		 const struct proc_fd *fds, size_t fds_count, pid_t *ret_pid,
		 struct error *err)
{
	const char *argv[] = { "slipway-worker", mode, argument, NULL };
	auto_free const char **env = proc_env_with_aws(NULL);
	struct proc_spec spec = {
		.path = s->worker,
		.argv = argv,
		.env = env,
		.death_signal = SIGTERM,
		.fds = { { s->config_fd, WORKER_CONFIG_FD } },
		.fds_count = 1,
	};

	for (size_t i = 0; i < fds_count; i++)
		spec.fds[spec.fds_count++] = fds[i];
	return proc_spawn(&spec, ret_pid, err);
}

/* ---- clients ---- */

static void client_free(struct client *c)
{
	close(c->fd);
	if (c->log_fd >= 0)
		close(c->log_fd);
	buf_release(&c->in);
	buf_release(&c->out);
	free(c);
}

static void drop_client(struct server *s, size_t i)
{
	struct client *c = s->clients[i];

	if (c->state == CLIENT_WATCHING && c->is_pusher &&
	    s->cfg->build_cancel_on_disconnect && !s->is_stopping)
		queue_cancel(s, c->job_id);
	client_free(c);
	s->clients[i] = s->clients[--s->clients_count];
}

static bool peer_may_talk(const struct server *s, int fd, bool *ret_trusted)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	*ret_trusted = who.uid == 0 || who.uid == geteuid();
	return *ret_trusted || who.uid == s->git_uid;
}

static void accept_clients(struct server *s)
{
	for (;;) {
		int fd = accept4(s->listen_fd, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);
		bool is_trusted = false;
		struct client *c;

		if (fd < 0)
			return;
		if (s->clients_count == CLIENTS_MAX ||
		    !peer_may_talk(s, fd, &is_trusted)) {
			close(fd);
			continue;
		}
		c = xcalloc(1, sizeof(*c));
		c->fd = fd;
		c->is_trusted = is_trusted;
		c->log_fd = -1;
		c->in = (struct buf)BUF_INIT(WIRE_MAX + WIRE_HEAD);
		c->out = (struct buf)BUF_INIT(OUT_MAX);
		s->clients[s->clients_count++] = c;
	}
}

void client_watch(struct server *s, struct client *c, int64_t job_id,
		  int64_t offset)
{
	auto_free char *path = job_log_path(s->cfg->data, job_id);

	c->state = CLIENT_WATCHING;
	c->job_id = job_id;
	c->log_offset = offset;
	c->log_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_final(struct server *s, struct client *c, struct job *ret_job)
{
	struct error err;

	if (store_job_get(s->store, c->job_id, ret_job, &err) < 0) {
		wire_add_message(&c->out, wire_error(&err));
		c->state = CLIENT_CLOSING;
		return false;
	}
	return job_state_is_final(ret_job->state);
}

static void send_verdicts(struct client *c, const struct job *job)
{
	json_auto_t *results = NULL;
	struct error err;

	if (json_parse(slice_str(job->verdicts), "verdicts", &results, &err) <
	    0)
		results = json_array();
	wire_add_message(&c->out, json_pack("{s:s, s:O}", "type", "verdicts",
					    "results", results));
	c->state = CLIENT_CLOSING;
}

/* Send what the log has; true when all of it was sent. */
static bool pump_log(struct client *c)
{
	while (c->out.len < OUT_ENOUGH) {
		char chunk[LOG_CHUNK];
		ssize_t n = c->log_fd < 0
				    ? 0
				    : pread(c->log_fd, chunk, sizeof(chunk),
					    (off_t)c->log_offset);

		if (n <= 0)
			return true;
		c->log_offset += n;
		wire_add(&c->out, WIRE_STDERR, chunk, (size_t)n);
	}
	return false;
}

/*
 * The log, then the verdicts.  Look at the record first: once it is final the
 * log is complete, so that nothing is lost between the two looks.
 */
static void feed_watcher(struct server *s, struct client *c)
{
	struct job job = { 0 };
	bool ended = is_final(s, c, &job);

	if (c->state == CLIENT_WATCHING && pump_log(c) && ended)
		send_verdicts(c, &job);
	job_release(&job);
}

/*
 * How much to read next: a frame's length, then exactly the rest of it.  What
 * follows a `command` is its worker's to read and must stay in the socket.
 */
static size_t wanted(const struct buf *in)
{
	const unsigned char *p = (const unsigned char *)in->data;
	size_t whole;

	if (in->len < WIRE_HEAD)
		return WIRE_HEAD - in->len;
	whole = 4 + ((size_t)p[0] << 24 | (size_t)p[1] << 16 |
		     (size_t)p[2] << 8 | p[3]);
	return whole > in->len ? whole - in->len : 1;
}

/* Answer the messages that have come; false = cut it off. */
static bool read_client(struct server *s, struct client *c)
{
	char chunk[16384];

	while (c->state == CLIENT_ASKING) {
		size_t want = wanted(&c->in);
		struct wire_frame frame;
		struct error err;
		ssize_t n;
		int used;

		n = read(c->fd, chunk,
			 want < sizeof(chunk) ? want : sizeof(chunk));
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0 || !buf_reserve(&c->in, (size_t)n))
			return false;
		buf_add(&c->in, chunk, (size_t)n);
		used = wire_parse(buf_slice(&c->in), &frame, &err);
		if (used < 0)
			return false;
		if (used == 0)
			continue;
		if (frame.kind == WIRE_MESSAGE)
			server_request(s, c, frame.payload);
		buf_reset(&c->in);
		if (c->out.is_truncated)
			return false;
	}
	if (c->state == CLIENT_WATCHING) {
		/* It has nothing more to say: only its leaving matters. */
		ssize_t n = read(c->fd, chunk, sizeof(chunk));

		return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
	}
	return true;
}

static bool write_client(struct client *c)
{
	ssize_t n;

	if (c->out.len == 0)
		return true;
	n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	buf_consume(&c->out, (size_t)n);
	return true;
}

static void serve_client(struct server *s, size_t i, short events)
{
	struct client *c = s->clients[i];
	bool stays = true;

	/* Once handed to a worker its bytes are not ours to read. */
	if (c->state != CLIENT_CLOSING && (events & (POLLIN | POLLHUP)))
		stays = read_client(s, c);
	if (events & POLLERR)
		stays = false;
	if (stays && c->state == CLIENT_WATCHING)
		feed_watcher(s, c);
	if (stays)
		stays = write_client(c);
	if (!stays || (c->state == CLIENT_CLOSING && c->out.len == 0))
		drop_client(s, i);
}

/* ---- children ---- */

static void start_watch(struct server *s)
{
	struct error err;

	if (s->watch || s->is_stopping || clock_ms() < s->watch_again_ms)
		return;
	if (server_spawn(s, "watch", NULL, NULL, 0, &s->watch, &err) < 0) {
		s->watch = 0;
		log_error("%s", err.msg);
	}
	s->watch_again_ms = clock_ms() + WATCH_RESTART_MS;
}

static void reap(struct server *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->watch) {
			s->watch = 0;
			if (!s->is_stopping)
				log_warn("watch ended (%d)",
					 proc_exit_code(status));
			continue;
		}
		if (queue_reap(s, pid, status))
			continue;
		for (size_t i = 0; i < COMMANDS_MAX; i++)
			if (s->commands[i] == pid)
				s->commands[i] = 0;
	}
}

static bool take_signals(struct server *s)
{
	struct signalfd_siginfo info;
	bool ends = false;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			ends = true;
	return ends;
}

/* ---- the loop ---- */

struct polled {
	struct pollfd fds[2 + CLIENTS_MAX + QUEUE_MAX];
	size_t count;
};

static void add_polled(struct polled *p, int fd, short events)
{
	p->fds[p->count++] = (struct pollfd){ .fd = fd, .events = events };
}

static void collect(const struct server *s, struct polled *p)
{
	p->count = 0;
	add_polled(p, s->signal_fd, POLLIN);
	add_polled(p, s->listen_fd, POLLIN);
	for (size_t i = 0; i < s->clients_count; i++) {
		const struct client *c = s->clients[i];
		short events = c->state == CLIENT_CLOSING ? 0 : POLLIN;

		if (c->out.len)
			events |= POLLOUT;
		add_polled(p, c->fd, events);
	}
	for (size_t i = 0; i < s->queue.count; i++)
		add_polled(p, s->queue.entries[i]->notify_fd, POLLIN);
}

/* A log grew: take the hints in, so that the pipe does not stay readable. */
static void drain_notices(struct server *s)
{
	char hints[4096];

	for (size_t i = 0; i < s->queue.count; i++) {
		struct queue_entry *e = s->queue.entries[i];

		if (e->notify_fd < 0)
			continue;
		while (read(e->notify_fd, hints, sizeof(hints)) > 0)
			;
	}
}

static void loop_once(struct server *s, struct polled *p, int timeout_ms)
{
	size_t clients;

	collect(s, p);
	clients = s->clients_count;
	if (poll(p->fds, p->count, timeout_ms) < 0)
		return;
	drain_notices(s);
	reap(s);
	queue_run(s);
	/* Backwards: dropping one moves the last into its place. */
	for (size_t i = clients; i > 0; i--)
		serve_client(s, i - 1, p->fds[2 + i - 1].revents);
	if (p->fds[1].revents)
		accept_clients(s);
	start_watch(s);
}

static bool has_children(const struct server *s)
{
	for (size_t i = 0; i < s->queue.count; i++)
		if (s->queue.entries[i]->pid)
			return true;
	return s->watch != 0;
}

/* Let running jobs undo what they began, within STOP_MS. */
static void stop(struct server *s, struct polled *p)
{
	int64_t deadline = clock_ms() + STOP_MS;

	s->is_stopping = true;
	queue_cancel_all(s);
	if (s->watch)
		kill(s->watch, SIGTERM);
	for (size_t i = 0; i < COMMANDS_MAX; i++)
		if (s->commands[i])
			kill(s->commands[i], SIGTERM);
	while (has_children(s) && clock_ms() < deadline) {
		loop_once(s, p, 50);
		take_signals(s);
	}
	/* What the last watchers have coming. */
	for (int i = 0; i < 10 && s->clients_count; i++)
		loop_once(s, p, 10);
}

static int open_signals(struct error *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_errno(err, errno, "signalfd") : fd;
}

static int server_open(struct server *s, struct error *err)
{
	struct passwd *pw = getpwnam(s->cfg->git_user);
	int r;

	s->git_uid = pw ? pw->pw_uid : geteuid();
	s->worker = proc_sibling("slipway-worker");
	s->config_fd = config_memfd(s->cfg, err);
	if (s->config_fd < 0)
		return s->config_fd;
	s->signal_fd = open_signals(err);
	if (s->signal_fd < 0)
		return s->signal_fd;
	r = queue_recover(s, err);
	if (r < 0)
		return r;
	s->listen_fd = io_unix_listen(s->cfg->socket, 0660, err);
	if (s->listen_fd < 0)
		return s->listen_fd;
	return io_set_nonblock(s->listen_fd, true, err);
}

int server_run(const struct config *cfg, struct store *store, struct error *err)
{
	struct server *s = xcalloc(1, sizeof(*s));
	struct polled *p = xcalloc(1, sizeof(*p));
	int r;

	s->cfg = cfg;
	s->store = store;
	s->listen_fd = -1;
	s->signal_fd = -1;
	s->config_fd = -1;
	r = server_open(s, err);
	if (r == 0) {
		log_info("listening on %s", cfg->socket);
		while (!take_signals(s))
			loop_once(s, p, TICK_MS);
		stop(s, p);
		unlink(cfg->socket);
	}
	while (s->clients_count)
		drop_client(s, s->clients_count - 1);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->config_fd >= 0)
		close(s->config_fd);
	free(s->worker);
	free(p);
	free(s);
	return r;
}
