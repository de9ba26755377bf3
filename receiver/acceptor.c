#include "receiver/acceptor.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/listener.h"
#include "receiver/penalty.h"
#include "receiver/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSED_LOG_MS 1000
#define PAUSE_MS       100 /* after running out of fds or memory */
#define ACCEPT_BURST   16

struct child {
	pid_t pid;
	int status_fd; /* -1 = logged in */
	struct source source;
	char peer[ADDRESS_TEXT];
};

struct acceptor {
	const struct acceptor_spec *spec;
	const struct config *cfg;
	struct child *children; /* max_sessions of them */
	size_t count;
	size_t startups; /* of these, not logged in */
	struct pollfd *fds;
	int signal_fd;
	struct penalties penalties;
	int64_t refused_ms; /* when a refusal was logged */
	unsigned refused;   /* since then */
	bool is_stopping;
};

/* ---- children ---- */

static void forget_startup(struct acceptor *a, struct child *c)
{
	if (c->status_fd < 0)
		return;
	close(c->status_fd);
	c->status_fd = -1;
	a->startups--;
}

static int64_t penalty_for(int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGTERM ? 0 : PENALTY_CRASH_MS;
	switch (WEXITSTATUS(status)) {
	case SESSION_DENIED:
		return PENALTY_DENIED_MS;
	case SESSION_NO_LOGIN:
	case SESSION_FAILED:
		return PENALTY_NO_LOGIN_MS;
	case SESSION_GRACE:
		return PENALTY_GRACE_MS;
	default:
		return 0;
	}
}

static void log_end(const struct child *c, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM)
		log_error("peer=%s session died of signal %d", c->peer,
			  WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status) == SESSION_GRACE)
		log_info("peer=%s login grace time over", c->peer);
	else
		log_debug("peer=%s session ended (%d)", c->peer,
			  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void reap(struct acceptor *a)
{
	int64_t now = clock_ms();
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < a->count; i++) {
			struct child *c = &a->children[i];

			if (c->pid != pid)
				continue;
			log_end(c, status);
			penalty_add(&a->penalties, &c->source,
				    penalty_for(status), now);
			forget_startup(a, c);
			*c = a->children[--a->count];
			break;
		}
	}
}

static void handle_signals(struct acceptor *a)
{
	struct signalfd_siginfo info;

	while (read(a->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			a->is_stopping = true;
	reap(a);
}

/* ---- new connections ---- */

/* Why this source is not let in now, or NULL. */
static const char *why_refuse(const struct acceptor *a, const struct source *s)
{
	int64_t same = 0;

	if ((int64_t)a->count >= a->cfg->ssh_max_sessions)
		return "ssh.max-sessions reached";
	if ((int64_t)a->startups >= a->cfg->ssh_max_startups)
		return "ssh.max-startups reached";
	if (penalty_left(&a->penalties, s, clock_ms()) > 0)
		return "too many failures from there";
	for (size_t i = 0; i < a->count; i++)
		same += source_eq(&a->children[i].source, s);
	if (same >= a->cfg->ssh_max_per_source)
		return "ssh.max-per-source reached";
	return NULL;
}

static void log_refused(struct acceptor *a, const char *peer, const char *why)
{
	int64_t now = clock_ms();

	a->refused++;
	if (now - a->refused_ms < REFUSED_LOG_MS)
		return;
	log_info("peer=%s refused: %s (%u since the last such line)", peer, why,
		 a->refused);
	a->refused_ms = now;
	a->refused = 0;
}

static _Noreturn void run_child(struct acceptor *a, int fd, int status_fd,
				const char *peer)
{
	struct session_spec spec = { .cfg = a->cfg,
				     .bind = a->spec->bind,
				     .hooks = a->spec->hooks,
				     .peer = peer,
				     .fd = fd,
				     .status_fd = status_fd };

	listeners_close(a->spec->listeners);
	close(a->signal_fd);
	for (size_t i = 0; i < a->count; i++)
		if (a->children[i].status_fd >= 0)
			close(a->children[i].status_fd);
	/* No exit handlers: they belong to the listening process. */
	_exit(session_run(&spec));
}

static void start_session(struct acceptor *a, int fd,
			  const struct source *source, const char *peer)
{
	struct child *c = &a->children[a->count];
	int status[2];
	pid_t pid;

	if (pipe2(status, O_CLOEXEC) < 0) {
		log_error("pipe: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(status[0]);
		run_child(a, fd, status[1], peer);
	}
	close(status[1]);
	if (pid < 0) {
		log_error("fork: %s", strerror(errno));
		close(status[0]);
		return;
	}
	c->pid = pid;
	c->status_fd = status[0];
	c->source = *source;
	memcpy(c->peer, peer, sizeof(c->peer));
	a->count++;
	a->startups++;
}

/* One connection; false when there is none, or none can be had now. */
static bool accept_one(struct acceptor *a, int listener)
{
	struct sockaddr_storage addr = { .ss_family = 0 };
	socklen_t len = sizeof(addr);
	char peer[ADDRESS_TEXT] = "";
	auto_close int fd =
		accept4(listener, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC);
	struct source source;
	const char *why;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		       errno == ENOBUFS)) {
		log_error("accept: %s", strerror(errno));
		poll(NULL, 0, PAUSE_MS);
	}
	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	source = source_of(&addr);
	address_text(&addr, peer);
	why = why_refuse(a, &source);
	if (why)
		log_refused(a, peer, why);
	else
		start_session(a, fd, &source, peer);
	return true;
}

/* ---- the loop ---- */

/* A byte, or the end of the pipe: in both cases it is a startup no more. */
static void handle_status(struct acceptor *a, struct child *c)
{
	char byte;
	ssize_t n = read(c->status_fd, &byte, 1);

	if (n >= 0 || errno != EINTR)
		forget_startup(a, c);
}

static void turn(struct acceptor *a)
{
	const struct listeners *l = a->spec->listeners;
	size_t count = a->count;
	nfds_t n = 0;

	a->fds[n++] = (struct pollfd){ .fd = a->signal_fd, .events = POLLIN };
	for (size_t i = 0; i < l->count; i++)
		a->fds[n++] =
			(struct pollfd){ .fd = l->fds[i], .events = POLLIN };
	/* poll() passes over those that are -1. */
	for (size_t i = 0; i < count; i++)
		a->fds[n++] = (struct pollfd){ .fd = a->children[i].status_fd,
					       .events = POLLIN };
	if (poll(a->fds, n, -1) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (a->fds[1 + l->count + i].revents)
			handle_status(a, &a->children[i]);
	/* After that: it moves children about. */
	if (a->fds[0].revents)
		handle_signals(a);
	for (size_t i = 0; i < l->count; i++)
		for (int k = 0; a->fds[1 + i].revents && k < ACCEPT_BURST; k++)
			if (!accept_one(a, l->fds[i]))
				break;
}

static int open_signals(struct acceptor *a, struct error *err)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	a->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->signal_fd < 0)
		return err_errno(err, errno, "signalfd");
	return 0;
}

int acceptor_run(const struct acceptor_spec *spec, struct error *err)
{
	struct acceptor *a = xcalloc(1, sizeof(*a));
	size_t max = (size_t)spec->cfg->ssh_max_sessions;
	uint64_t seed = 0;
	int r;

	a->spec = spec;
	a->cfg = spec->cfg;
	a->children = xcalloc(max, sizeof(*a->children));
	a->fds = xcalloc(1 + LISTENERS_MAX + max, sizeof(*a->fds));
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)clock_ms();
	penalties_init(&a->penalties, seed);
	r = open_signals(a, err);
	while (r == 0 && !a->is_stopping)
		turn(a);
	listeners_close(spec->listeners);
	if (a->signal_fd >= 0)
		close(a->signal_fd);
	free(a->children);
	free(a->fds);
	free(a);
	return r;
}
