#include "builder/rollout/docker/listen_hint.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/engine/engine.h"
#include "builder/rollout/docker/probe.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define CALL_TIMEOUT_MS 5000
#define FILE_MAX	262144
#define PORTS_SHOWN	5
/* The engine's own name server listens on loopback ports of the container;
 * they are ephemeral ones. */
#define EPHEMERAL_MIN 32768

struct found {
	bool is_on_loopback; /* the port that was asked for */
	int ports[PORTS_SHOWN];
	int count;
};

static bool read_file(int64_t pid, const char *name, struct buf *ret)
{
	auto_free char *path = xasprintf("/proc/%" PRId64 "/%s", pid, name);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error ignored;

	return fd >= 0 && buf_read_fd(ret, fd, &ignored) == 0;
}

/* The container's first process; 0 when it cannot be told.  A number alone
 * could be that of another process, if the engine is on another machine. */
static int64_t find_pid(struct engine *e, const char *id)
{
	auto_free char *path = xasprintf("/containers/%s/json", id);
	auto_buf struct buf cgroup = BUF_INIT(FILE_MAX);
	json_auto_t *doc = NULL;
	struct error ignored;
	int64_t pid;

	if (engine_call(e, "GET", path, NULL, CALL_TIMEOUT_MS, &doc, &ignored) <
	    0)
		return 0;
	pid = json_integer_value(json_at(doc, "State", "Pid", NULL));
	if (pid <= 1 || !read_file(pid, "cgroup", &cgroup) ||
	    !strstr(buf_str(&cgroup), id))
		return 0;
	return pid;
}

static void add_port(struct found *f, int port)
{
	for (int i = 0; i < f->count; i++)
		if (f->ports[i] == port)
			return;
	if (f->count < PORTS_SHOWN)
		f->ports[f->count++] = port;
}

static void look(int64_t pid, const char *name, int port, struct found *f)
{
	auto_buf struct buf text = BUF_INIT(FILE_MAX);
	struct listener l;
	struct slice rest;

	if (!read_file(pid, name, &text))
		return;
	rest = buf_slice(&text);
	while (probe_next_listener(&rest, &l)) {
		if (l.is_loopback && l.port >= EPHEMERAL_MIN)
			continue;
		if (l.port == port)
			f->is_on_loopback |= l.is_loopback;
		else
			add_port(f, l.port);
	}
}

void listen_hint(struct engine *e, const char *id, int port, struct buf *out)
{
	struct found f = { .count = 0 };
	int64_t pid = find_pid(e, id);

	if (!pid)
		return;
	look(pid, "net/tcp", port, &f);
	look(pid, "net/tcp6", port, &f);
	if (f.is_on_loopback) {
		buf_adds(out, "it listens on 127.0.0.1 only: let it listen on "
			      "0.0.0.0");
		return;
	}
	for (int i = 0; i < f.count; i++)
		buf_addf(out, "%s%d", i ? ", " : "it listens on port ",
			 f.ports[i]);
	if (f.count)
		buf_adds(out, " (use the port in $PORT, or EXPOSE one)");
}
