#include "ctl/supervisor.h"

#include "base/error.h"
#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS       30000
#define READY_POLL_MS  20
#define STOP_MS	       20000 /* builder: time to undo a running deploy */
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 30000
#define STABLE_MS      60000 /* ran so long: forget former deaths */

int supervisor_init(struct supervisor *s, struct error *err)
{
	sigset_t set;

	memset(s, 0, sizeof(*s));
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_errno(err, errno, "signalfd");
	return 0;
}

void supervisor_release(struct supervisor *s)
{
	if (s && s->signal_fd >= 0)
		close(s->signal_fd);
}

/* Reap; a part that died is planned anew (or forgotten while stopping). */
static void reap(struct supervisor *s, bool is_stopping)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < s->count; i++) {
			struct part *p = &s->parts[i];

			if (p->pid != pid)
				continue;
			p->pid = 0;
			if (is_stopping)
				continue;
			if (clock_ms() - p->started_ms > STABLE_MS)
				p->backoff_ms = BACKOFF_MIN_MS;
			log_error("part=%s exit=%d died, again in %d ms",
				  p->name, proc_exit_code(status),
				  (int)p->backoff_ms);
			p->restart_at_ms = clock_ms() + p->backoff_ms;
			p->backoff_ms *= 2;
			if (p->backoff_ms > BACKOFF_MAX_MS)
				p->backoff_ms = BACKOFF_MAX_MS;
		}
	}
}

static int start_part(struct part *p, struct error *err)
{
	int r = proc_spawn(&p->spec, &p->pid, err);

	p->started_ms = clock_ms();
	p->restart_at_ms = 0;
	if (!p->backoff_ms)
		p->backoff_ms = BACKOFF_MIN_MS;
	if (r == 0)
		log_info("part=%s pid=%d started", p->name, (int)p->pid);
	return r;
}

/* SIGTERM or SIGINT came (SIGHUP and SIGCHLD only wake us). */
static bool take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	bool ends = false;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			ends = true;
	return ends;
}

static int wait_ready(struct supervisor *s, struct part *p, struct error *err)
{
	int64_t deadline = clock_ms() + READY_MS;

	while (p->is_ready && !p->is_ready(p->ctx)) {
		if (take_signals(s))
			return err_set(err, ERR_CANCELED, "told to stop");
		reap(s, true);
		if (!p->pid)
			return err_set(err, ERR_PEER, "%s ended at once",
				       p->name);
		if (clock_ms() > deadline)
			return err_set(err, ERR_TIMEOUT,
				       "%s is not ready after %d s", p->name,
				       READY_MS / 1000);
		poll(NULL, 0, READY_POLL_MS);
	}
	return 0;
}

static void stop_part(struct supervisor *s, struct part *p)
{
	int64_t deadline = clock_ms() + STOP_MS;

	if (!p->pid)
		return;
	kill(p->pid, SIGTERM);
	while (p->pid && clock_ms() < deadline) {
		struct pollfd polled = { .fd = s->signal_fd, .events = POLLIN };

		poll(&polled, 1, READY_POLL_MS);
		take_signals(s);
		reap(s, true);
	}
	if (!p->pid)
		return;
	log_warn("part=%s does not stop, killing it", p->name);
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

static void stop_all(struct supervisor *s)
{
	for (size_t i = s->count; i > 0; i--)
		stop_part(s, &s->parts[i - 1]);
}

int supervisor_start(struct supervisor *s, struct error *err)
{
	for (size_t i = 0; i < s->count; i++) {
		int r = start_part(&s->parts[i], err);

		if (r == 0)
			r = wait_ready(s, &s->parts[i], err);
		if (r < 0) {
			stop_all(s);
			return r;
		}
	}
	return 0;
}

/* Start what is due; the time until the next is, or -1. */
static int restart_due(struct supervisor *s)
{
	int64_t next = -1;

	for (size_t i = 0; i < s->count; i++) {
		struct part *p = &s->parts[i];
		struct error err;
		int64_t left;

		if (!p->restart_at_ms)
			continue;
		left = p->restart_at_ms - clock_ms();
		if (left <= 0 && start_part(p, &err) < 0) {
			log_error("part=%s %s", p->name, err.msg);
			p->restart_at_ms = clock_ms() + p->backoff_ms;
			left = p->backoff_ms;
		}
		if (p->restart_at_ms && (next < 0 || left < next))
			next = left;
	}
	return (int)next;
}

void supervisor_run(struct supervisor *s)
{
	for (;;) {
		struct pollfd polled = { .fd = s->signal_fd, .events = POLLIN };

		poll(&polled, 1, restart_due(s));
		if (take_signals(s))
			break;
		reap(s, false);
	}
	log_info("stopping");
	stop_all(s);
}
