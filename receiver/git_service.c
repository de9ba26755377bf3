#include "receiver/git_service.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/proc.h"
#include "receiver/service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX  96
#define PIPE_SIZE (256 * 1024) /* fewer turns for bulk data */
#define FILE_ROOM (INT64_C(1) << 30)

struct git_service {
	struct service base;
	bool is_push;
	pid_t pid;
	int in; /* our ends; -1 = closed */
	int out;
	int errors;
	bool has_ended;
	int status;
	int64_t ended_ms;
	int64_t deadline_ms;
	int64_t timeout_ms;
	int64_t input_ms;      /* the client's last byte */
	int64_t output_ms;     /* git's last byte */
	int64_t killed_ms;     /* 0 = not told to end */
	bool ends_with_client; /* build.cancel-on-disconnect */
};

/* ---- command line ---- */

struct args {
	const char *argv[ARGS_MAX + 1];
	char *owned[ARGS_MAX];
	size_t count;
	size_t owned_count;
};

static void add(struct args *a, const char *word)
{
	if (a->count < ARGS_MAX)
		a->argv[a->count++] = word;
}

static void add_setting(struct args *a, const char *text)
{
	add(a, "-c");
	add(a, text);
}

/* Takes over `text`. */
static void add_owned(struct args *a, char *text)
{
	if (a->owned_count < ARGS_MAX)
		a->owned[a->owned_count++] = text;
	add(a, text);
}

static void args_release(struct args *a)
{
	for (size_t i = 0; i < a->owned_count; i++)
		free(a->owned[i]);
}

static const char *const common_settings[] = {
	"safe.directory=*",
	"core.fsmonitor=false",
	"core.bigFileThreshold=64m",
	"pack.threads=2",
	"gc.auto=0",
	"maintenance.auto=false",
	"transfer.advertiseSID=false",
	"protocol.allow=never",
};

static const char *const push_settings[] = {
	/* Every ref goes to our hook, which answers for it. */
	"receive.procReceiveRefs=refs/",
	"receive.fsckObjects=true",
	"receive.advertiseAtomic=true",
	"receive.advertisePushOptions=true",
	"receive.denyDeletes=false",
	"receive.denyNonFastForwards=false",
	"receive.denyCurrentBranch=ignore",
	"receive.denyDeleteCurrent=ignore",
	"receive.shallowUpdate=true",
	"receive.autogc=false",
	"receive.updateServerInfo=false",
	"receive.keepAlive=5",
	/*
	 * Always index-pack: as quick for small packs, more than twice as
	 * quick for big files (unpack-objects packs them anew), and what it
	 * writes is synced, so that no release loses its commit in a power
	 * cut.
	 */
	"receive.unpackLimit=1",
	"core.fsync=committed",
	/* Ours; nobody pushes there, and the advertisement stays short. */
	"receive.hideRefs=refs/deploys/",
};

static const char *const fetch_settings[] = {
	"uploadpack.allowAnySHA1InWant=false",
	"uploadpack.allowReachableSHA1InWant=false",
	"uploadpack.allowTipSHA1InWant=false",
	"uploadpack.allowFilter=true",
	"uploadpack.keepAlive=5",
	"uploadarchive.allowUnreachable=false",
	/* These would be run by a shell. */
	"tar.tar.gz.remote=false",
	"tar.tgz.remote=false",
};

static void add_settings(struct args *a, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_setting(a, list[i]);
}

static void fill_args(struct args *a, const struct config *cfg,
		      const struct git_request *req)
{
	add(a, "git");
	add_settings(a, common_settings, ARRAY_SIZE(common_settings));
	add(a, "-c");
	add_owned(a, xasprintf("core.hooksPath=%s", req->hooks));
	if (req->kind == EXEC_RECEIVE_PACK) {
		add_settings(a, push_settings, ARRAY_SIZE(push_settings));
		add(a, "-c");
		add_owned(a, xasprintf("receive.maxInputSize=%" PRId64,
				       cfg->git_max_pack));
		add(a, "receive-pack");
	} else {
		add_settings(a, fetch_settings, ARRAY_SIZE(fetch_settings));
		if (req->kind == EXEC_UPLOAD_PACK) {
			add(a, "upload-pack");
			add(a, "--strict");
			add_owned(a, xasprintf("--timeout=%" PRId64,
					       cfg->ssh_idle_timeout_ms / 1000 +
						       1));
		} else {
			add(a, "upload-archive");
		}
	}
	add(a, req->git_dir);
	a->argv[a->count] = NULL;
}

static void fill_env(struct args *env, const struct config *cfg,
		     const struct git_request *req)
{
	for (size_t i = 0; proc_minimal_env[i]; i++)
		add(env, proc_minimal_env[i]);
	add(env, "GIT_CONFIG_NOSYSTEM=1");
	add(env, "GIT_CONFIG_GLOBAL=/dev/null");
	add(env, "GIT_ATTR_NOSYSTEM=1");
	add(env, "GIT_TERMINAL_PROMPT=0");
	if (req->protocol)
		add_owned(env, xasprintf("GIT_PROTOCOL=%s", req->protocol));
	add_owned(env, xasprintf("SLIPWAY_APP=%s", req->app));
	add_owned(env, xasprintf("SLIPWAY_USER=%s", req->user));
	add_owned(env, xasprintf("SLIPWAY_FINGERPRINT=%s", req->fingerprint));
	add_owned(env, xasprintf("SLIPWAY_SOCKET=%s", cfg->socket));
	env->argv[env->count] = NULL;
}

/* ---- the running service ---- */

static struct git_service *of(struct service *s)
{
	return (struct git_service *)s;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static size_t git_input(struct service *s, struct slice data)
{
	struct git_service *g = of(s);
	size_t taken = 0;

	g->input_ms = clock_ms();
	while (g->in >= 0 && taken < data.len) {
		ssize_t n = write(g->in, data.ptr + taken, data.len - taken);

		if (n > 0)
			taken += (size_t)n;
		else if (n < 0 && would_block())
			return taken;
		else
			close_fd(&g->in); /* git wants no more */
	}
	return data.len;
}

static void git_input_end(struct service *s)
{
	close_fd(&of(s)->in);
}

static void git_interrupt(struct service *s)
{
	close_fd(&of(s)->in);
}

static size_t git_watch(struct service *s, bool wants_input, bool has_room,
			struct pollfd *fds)
{
	struct git_service *g = of(s);
	size_t n = 0;

	if (g->in >= 0 && wants_input)
		fds[n++] = (struct pollfd){ .fd = g->in, .events = POLLOUT };
	if (g->out >= 0 && has_room)
		fds[n++] = (struct pollfd){ .fd = g->out, .events = POLLIN };
	if (g->errors >= 0 && has_room)
		fds[n++] = (struct pollfd){ .fd = g->errors, .events = POLLIN };
	return n;
}

static void read_some(struct git_service *g, int *fd, struct buf *b)
{
	ssize_t n;

	if (*fd < 0 || !buf_reserve(b, SERVICE_CHUNK))
		return;
	n = read(*fd, b->data + b->len, SERVICE_CHUNK);
	if (n > 0) {
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		g->output_ms = clock_ms();
	} else if (n == 0 || !would_block()) {
		close_fd(fd);
	}
}

static void git_move(struct service *s, bool has_room,
		     struct service_output *output)
{
	struct git_service *g = of(s);

	if (!has_room)
		return;
	read_some(g, &g->errors, &output->errors);
	read_some(g, &g->out, &output->out);
}

static bool is_overdue(const struct git_service *g, int64_t now_ms)
{
	int64_t last = g->input_ms > g->output_ms ? g->input_ms : g->output_ms;

	if (g->has_ended || now_ms < g->deadline_ms)
		return false;
	return !g->is_push || g->input_ms > g->deadline_ms ||
	       now_ms - last > GIT_SILENCE_MS;
}

static void git_tick(struct service *s, int64_t now_ms,
		     struct service_output *output)
{
	struct git_service *g = of(s);

	if (g->killed_ms) {
		if (!g->has_ended && now_ms - g->killed_ms > GIT_KILL_MS)
			kill(g->pid, SIGKILL);
		return;
	}
	if (!is_overdue(g, now_ms))
		return;
	g->killed_ms = now_ms;
	/* git ends its own helpers; a hook would see its pipes close. */
	kill(g->pid, SIGTERM);
	close_fd(&g->in);
	buf_addf(&output->errors,
		 "slipway: this took longer than %" PRId64
		 " s (git.timeout) and was ended\n",
		 g->timeout_ms / 1000);
}

static void git_reaped(struct service *s, pid_t pid, int wait_status)
{
	struct git_service *g = of(s);

	if (pid != g->pid || g->has_ended)
		return;
	g->has_ended = true;
	g->ended_ms = clock_ms();
	g->status = proc_exit_code(wait_status);
	close_fd(&g->in);
}

static bool git_is_done(struct service *s, int *ret_status)
{
	struct git_service *g = of(s);

	if (!g->has_ended)
		return false;
	if ((g->out >= 0 || g->errors >= 0) &&
	    clock_ms() - g->ended_ms < GIT_DRAIN_MS)
		return false;
	*ret_status = g->status;
	return true;
}

static void git_free(struct service *s)
{
	struct git_service *g = of(s);

	close_fd(&g->in);
	close_fd(&g->out);
	close_fd(&g->errors);
	/*
	 * Else git lives on with its hook until the deploy has its verdict.
	 * Without git the hook sees that nobody listens and leaves, which is
	 * how the builder learns of it.
	 */
	if (g->ends_with_client && g->pid > 0 && !g->has_ended)
		kill(g->pid, SIGTERM);
	free(g);
}

static const struct service_ops git_ops = {
	.input = git_input,
	.input_end = git_input_end,
	.interrupt = git_interrupt,
	.watch = git_watch,
	.move = git_move,
	.tick = git_tick,
	.reaped = git_reaped,
	.is_done = git_is_done,
	.free = git_free,
};

/* ---- start ---- */

/* A pipe whose end `ours` (0 or 1) does not block. */
static int make_pipe(int fds[2], int ours, struct error *err)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	/* May be refused when the user has many; then it is just smaller. */
	(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE);
	return io_set_nonblock(fds[ours], true, err);
}

static void set_limits(struct proc_spec *spec, const struct config *cfg,
		       bool is_push)
{
	int64_t cpu_s = cfg->git_timeout_ms / 1000;

	spec->max_memory = (uint64_t)cfg->git_max_memory;
	spec->max_cpu_s = cpu_s > 60 ? (uint64_t)cpu_s : 60;
	/* A thin pack grows by the bases that are added to it. */
	if (is_push)
		spec->max_file = (uint64_t)(cfg->git_max_pack * 2 + FILE_ROOM);
}

static int spawn(struct git_service *g, const struct config *cfg,
		 const struct git_request *req, const int theirs[3],
		 struct error *err)
{
	struct args argv = { .count = 0 };
	struct args env = { .count = 0 };
	struct proc_spec spec = { .path = "git",
				  .argv = argv.argv,
				  .env = env.argv,
				  .cwd = "/",
				  .new_session = true };
	int r;

	for (int i = 0; i < 3; i++)
		spec.fds[spec.fds_count++] = (struct proc_fd){ theirs[i], i };
	set_limits(&spec, cfg, g->is_push);
	fill_args(&argv, cfg, req);
	fill_env(&env, cfg, req);
	r = proc_spawn(&spec, &g->pid, err);
	args_release(&argv);
	args_release(&env);
	return r;
}

int git_service_start(const struct config *cfg, const struct git_request *req,
		      struct service **ret, struct error *err)
{
	struct git_service *g = xcalloc(1, sizeof(*g));
	int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++)
		r = make_pipe(pipes[i], i == 0, err);
	g->base.ops = &git_ops;
	g->is_push = req->kind == EXEC_RECEIVE_PACK;
	g->ends_with_client = g->is_push && cfg->build_cancel_on_disconnect;
	g->in = pipes[0][1];
	g->out = pipes[1][0];
	g->errors = pipes[2][0];
	g->input_ms = clock_ms();
	g->output_ms = g->input_ms;
	g->timeout_ms = cfg->git_timeout_ms;
	g->deadline_ms = g->input_ms + cfg->git_timeout_ms;
	if (r == 0) {
		int theirs[3] = { pipes[0][0], pipes[1][1], pipes[2][1] };

		r = spawn(g, cfg, req, theirs, err);
	}
	close_fd(&pipes[0][0]);
	close_fd(&pipes[1][1]);
	close_fd(&pipes[2][1]);
	if (r < 0) {
		git_free(&g->base);
		return r;
	}
	*ret = &g->base;
	return 0;
}
