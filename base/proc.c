#include "base/proc.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/local/libexec/slipway"
#endif

#define FD_PARK 64 /* child fds are moved up here before they are placed */

const char *const proc_minimal_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LC_ALL=C.UTF-8",
	"HOME=/nonexistent",
	NULL,
};

const char **proc_env_with_aws(const char *home)
{
	const char *ours = home ? home : getenv("HOME");
	size_t count = 0;
	size_t n = 0;
	size_t size;
	const char **env;
	char *text;

	while (environ[count])
		count++;
	count += ARRAY_SIZE(proc_minimal_env) + 1;
	size = count * sizeof(*env);
	/* HOME's text lies behind the array. */
	env = xmalloc(size + sizeof("HOME=") + (ours ? strlen(ours) : 0));
	for (size_t i = 0; proc_minimal_env[i]; i++)
		if (!ours || strncmp(proc_minimal_env[i], "HOME=", 5) != 0)
			env[n++] = proc_minimal_env[i];
	if (ours) {
		text = (char *)env + size;
		memcpy(text, "HOME=", 5);
		memcpy(text + 5, ours, strlen(ours) + 1);
		env[n++] = text;
	}
	for (char **p = environ; *p; p++)
		if (strncmp(*p, "AWS_", 4) == 0)
			env[n++] = *p;
	env[n] = NULL;
	return env;
}

int proc_exit_code(int wait_status)
{
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	return 128 + (WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0);
}

char *proc_sibling(const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *path;
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash) {
			*slash = '\0';
			path = xasprintf("%s/%s", self, name);
			if (access(path, X_OK) == 0)
				return path;
			free(path);
		}
	}
	return xasprintf("%s/%s", LIBEXECDIR, name);
}

/* In the child: tell the parent which step failed, and end. */
static _Noreturn void child_fail(int report, const char *step)
{
	struct {
		int sys;
		char step[32];
	} msg = { .sys = errno };

	strncat(msg.step, step, sizeof(msg.step) - 1);
	if (write(report, &msg, sizeof(msg)) < 0)
		_exit(126);
	_exit(127);
}

static void child_limit(int report, __rlimit_resource_t what, uint64_t value)
{
	struct rlimit lim = { value, value };

	if (value && setrlimit(what, &lim) < 0)
		child_fail(report, "setrlimit");
}

static void child_fds(const struct proc_spec *spec, int report)
{
	bool has_std[3] = { false, false, false };
	int parked[PROC_FDS_MAX];
	int null_fd;
	int last = 2;

	for (size_t i = 0; i < spec->fds_count; i++) {
		const struct proc_fd *f = &spec->fds[i];

		parked[i] = f->from < 0 ? open("/dev/null", O_RDWR) : f->from;
		parked[i] = fcntl(parked[i], F_DUPFD_CLOEXEC, FD_PARK);
		if (parked[i] < 0)
			child_fail(report, "fcntl");
		if (f->to >= 0 && f->to <= 2)
			has_std[f->to] = true;
		if (f->to > last)
			last = f->to;
	}
	for (size_t i = 0; i < spec->fds_count; i++)
		if (dup2(parked[i], spec->fds[i].to) < 0)
			child_fail(report, "dup2");
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 2; fd++)
		if (!has_std[fd] && dup2(null_fd, fd) < 0)
			child_fail(report, "dup2");
	/* Whatever is not listed is closed by exec. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < spec->fds_count; i++)
		if (spec->fds[i].to > 2)
			fcntl(spec->fds[i].to, F_SETFD, 0);
}

static _Noreturn void child_run(const struct proc_spec *spec, int report,
				pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < 32; s++)
		signal(s, SIG_DFL);
	if (spec->new_session)
		setsid();
#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes of addresses */
	child_limit(report, RLIMIT_AS, spec->max_memory);
#endif
	child_limit(report, RLIMIT_CPU, spec->max_cpu_s);
	child_limit(report, RLIMIT_FSIZE, spec->max_file);
	report = fcntl(report, F_DUPFD_CLOEXEC, FD_PARK + PROC_FDS_MAX + 2);
	child_fds(spec, report);
	if (spec->change_user) {
		if (setgroups(spec->groups_count, spec->groups) < 0)
			child_fail(report, "setgroups");
		if (setresgid(spec->gid, spec->gid, spec->gid) < 0)
			child_fail(report, "setgid");
		if (setresuid(spec->uid, spec->uid, spec->uid) < 0)
			child_fail(report, "setuid");
	}
	if (spec->cwd && chdir(spec->cwd) < 0)
		child_fail(report, "chdir");
	/* After setuid, which clears it. */
	if (spec->death_signal) {
		prctl(PR_SET_PDEATHSIG, spec->death_signal);
		if (getppid() != parent)
			_exit(126);
	}
	execvpe(spec->path, (char *const *)spec->argv,
		(char *const *)(spec->env ? spec->env : proc_minimal_env));
	child_fail(report, "exec");
}

int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, struct error *err)
{
	struct {
		int sys;
		char step[32];
	} msg;
	struct error ignored;
	auto_close int read_end = -1;
	auto_close int write_end = -1;
	pid_t parent = getpid();
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	read_end = p[0];
	write_end = p[1];
	pid = fork();
	if (pid < 0)
		return err_errno(err, errno, "fork");
	if (pid == 0)
		child_run(spec, write_end, parent);
	close(TAKE_FD(write_end));
	if (io_read_exact(read_end, &msg, sizeof(msg), &ignored) == 1) {
		waitpid(pid, NULL, 0);
		return err_errno(err, msg.sys, "start '%s': %s", spec->path,
				 msg.step);
	}
	*ret_pid = pid;
	return 0;
}

struct pump {
	struct slice input;
	int fds[3]; /* our ends: its input, output, errors; -1 = closed */
	struct buf *sinks[3];
};

static void pump_close(struct pump *p, int i)
{
	close(p->fds[i]);
	p->fds[i] = -1;
}

static void pump_feed(struct pump *p)
{
	ssize_t n = write(p->fds[0], p->input.ptr, p->input.len);

	if (n > 0) {
		p->input.ptr += n;
		p->input.len -= (size_t)n;
	}
	if (p->input.len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		pump_close(p, 0);
}

static void pump_drain(struct pump *p, int i)
{
	char chunk[16384];
	ssize_t n = read(p->fds[i], chunk, sizeof(chunk));

	if (n > 0 && p->sinks[i])
		buf_add(p->sinks[i], chunk, (size_t)n);
	else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		pump_close(p, i);
}

/* Move bytes until both outputs ended; false when the time was up. */
static bool pump_run(struct pump *p, int timeout_ms)
{
	int64_t deadline = clock_ms() + timeout_ms;

	while (p->fds[1] >= 0 || p->fds[2] >= 0) {
		struct pollfd polled[3] = {
			{ .fd = p->fds[0], .events = POLLOUT },
			{ .fd = p->fds[1], .events = POLLIN },
			{ .fd = p->fds[2], .events = POLLIN },
		};
		int64_t left = deadline - clock_ms();

		if (left <= 0)
			return false;
		if (poll(polled, 3, (int)left) < 0 && errno != EINTR)
			return false;
		if (p->fds[0] >= 0 && polled[0].revents)
			pump_feed(p);
		for (int i = 1; i < 3; i++)
			if (p->fds[i] >= 0 && polled[i].revents)
				pump_drain(p, i);
	}
	return true;
}

int proc_run(const struct proc_spec *spec, struct slice input, struct buf *out,
	     struct buf *errors, int timeout_ms, struct error *err)
{
	struct proc_spec s = *spec;
	int theirs[3] = { -1, -1, -1 };
	struct pump p = { .input = input,
			  .fds = { -1, -1, -1 },
			  .sinks = { NULL, out, errors } };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction saved;
	bool finished = false;
	pid_t pid = -1;
	int status = 0;
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		int pipe_fds[2];

		if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
			r = err_errno(err, errno, "pipe");
			break;
		}
		theirs[i] = pipe_fds[i == 0 ? 0 : 1];
		p.fds[i] = pipe_fds[i == 0 ? 1 : 0];
		r = io_set_nonblock(p.fds[i], true, err);
		s.fds[s.fds_count++] = (struct proc_fd){ theirs[i], i };
	}
	if (r == 0)
		r = proc_spawn(&s, &pid, err);
	for (int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (r == 0) {
		sigaction(SIGPIPE, &ignore, &saved);
		if (input.len == 0)
			pump_close(&p, 0);
		finished = pump_run(&p, timeout_ms);
		sigaction(SIGPIPE, &saved, NULL);
		if (!finished)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		r = finished ? proc_exit_code(status)
			     : err_set(err, ERR_TIMEOUT,
				       "'%s' took longer than %d s",
				       spec->argv[0], timeout_ms / 1000);
	}
	for (int i = 0; i < 3; i++)
		if (p.fds[i] >= 0)
			close(p.fds[i]);
	return r;
}
