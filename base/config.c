#include "base/config.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_keys.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DUMP_MAX 262144

#define KEY(key_name, key_kind, member, text, low, high)                       \
	CONFIG_KEY(struct config, key_name, key_kind, member, text, low, high)

/* Defaults in braces depend on who runs it; see config_init(). */
static const struct config_key keys[] = {
	KEY("slipway.data", KIND_PATH, data, "{data}", 0, 0),
	KEY("slipway.socket", KIND_PATH, socket, "{socket}", 0, 0),
	KEY("slipway.log-level", KIND_LOG_LEVEL, log_level, "info", 0, 0),
	KEY("slipway.user", KIND_STRING, user, "slipway", 0, 0),
	KEY("slipway.git-user", KIND_STRING, git_user, "slipway-git", 0, 0),
	KEY("ssh.listen", KIND_LISTEN_LIST, ssh_listen, ":2222", 0, 0),
	KEY("ssh.host", KIND_STRING, ssh_host, "localhost", 0, 0),
	KEY("ssh.login-grace", KIND_DURATION, ssh_login_grace_ms, "20s", SECOND,
	    HOUR),
	KEY("ssh.idle-timeout", KIND_DURATION, ssh_idle_timeout_ms, "15m",
	    SECOND, 24 * HOUR),
	KEY("ssh.keepalive", KIND_DURATION, ssh_keepalive_ms, "30s", SECOND,
	    HOUR),
	KEY("ssh.max-startups", KIND_COUNT, ssh_max_startups, "50", 1, 10000),
	KEY("ssh.max-sessions", KIND_COUNT, ssh_max_sessions, "500", 1, 100000),
	KEY("ssh.max-per-source", KIND_COUNT, ssh_max_per_source, "50", 1,
	    100000),
	KEY("ssh.max-channels", KIND_COUNT, ssh_max_channels, "10", 1, 64),
	KEY("git.max-pack", KIND_SIZE, git_max_pack, "2g", 1024, 1024 * GIB),
	KEY("git.max-memory", KIND_SIZE, git_max_memory, "2g", 64 * MIB,
	    1024 * GIB),
	KEY("git.timeout", KIND_DURATION, git_timeout_ms, "1h", SECOND,
	    24 * HOUR),
	KEY("build.engine", KIND_STRING, engine, "unix:///var/run/docker.sock",
	    0, 0),
	KEY("build.concurrency", KIND_COUNT, build_concurrency, "2", 1, 64),
	KEY("build.timeout", KIND_DURATION, build_timeout_ms, "15m", SECOND,
	    24 * HOUR),
	KEY("build.idle-timeout", KIND_DURATION, build_idle_timeout_ms, "10m",
	    SECOND, 24 * HOUR),
	KEY("build.memory", KIND_SIZE, build_memory, "2g", 64 * MIB,
	    1024 * GIB),
	KEY("build.log-max", KIND_SIZE, build_log_max, "4m", 65536, GIB),
	KEY("build.cancel-on-disconnect", KIND_BOOL, build_cancel_on_disconnect,
	    "false", 0, 0),
	CONFIG_CHOICE(struct config, "build.builder", build_builder, "auto",
		      "auto|buildkit|classic"),
	KEY("router.listen", KIND_LISTEN, router_listen, ":8080", 0, 0),
	KEY("router.domain", KIND_STRING, router_domain, "localhost", 0, 0),
	KEY("router.max-apps", KIND_COUNT, router_max_apps, "100", 1, 2000),
	KEY("router.program", KIND_STRING, router_program, "haproxy", 0, 0),
	KEY("deploy.target", KIND_STRING, deploy_target, "local", 0, 0),
	KEY("deploy.health-timeout", KIND_DURATION, deploy_health_timeout_ms,
	    "60s", SECOND, HOUR),
	KEY("deploy.release-timeout", KIND_DURATION, deploy_release_timeout_ms,
	    "10m", SECOND, 24 * HOUR),
	KEY("deploy.drain-timeout", KIND_DURATION, deploy_drain_timeout_ms,
	    "30s", 0, HOUR),
	KEY("deploy.stop-timeout", KIND_DURATION, deploy_stop_timeout_ms, "30s",
	    0, HOUR),
	KEY("deploy.keep-releases", KIND_COUNT, deploy_keep_releases, "5", 1,
	    1000),
	KEY("deploy.min-free", KIND_SIZE, deploy_min_free, "512m", 0,
	    1024 * GIB),
	KEY("run.memory", KIND_SIZE, run_memory, "512m", 0, 1024 * GIB),
	KEY("run.cpus", KIND_CPUS, run_milli_cpus, "0", 0, 1024000),
	KEY("run.pids", KIND_COUNT, run_pids, "1024", 1, 4194304),
	KEY("run.log-size", KIND_SIZE, run_log_size, "10m", 65536, GIB),
	KEY("run.log-files", KIND_COUNT, run_log_files, "3", 1, 100),
	KEY("network.pool", KIND_PREFIX, network_pool, "10.213.0.0/16", 0, 0),
};

static int set_listen(struct config *c, const char *value, struct error *err)
{
	if (c->ssh_listen_is_default) {
		free(c->ssh_listen[0]);
		c->ssh_listen_count = 0;
		c->ssh_listen_is_default = false;
	}
	if (c->ssh_listen_count == CONFIG_LIST_MAX)
		return err_set(err, ERR_LIMIT,
			       "ssh.listen: more than %d addresses",
			       CONFIG_LIST_MAX);
	c->ssh_listen[c->ssh_listen_count++] = xstrdup(value);
	return 0;
}

static int set_key(struct config *c, const struct config_key *k,
		   const char *value, struct error *err)
{
	int r;

	if (k->kind != KIND_LISTEN_LIST)
		return config_key_set(k, c, k->name, value, err);
	r = config_key_check(k, k->name, value, err);
	return r < 0 ? r : set_listen(c, value, err);
}

/* Sections with a name: registry.HOST.username and so on. */

static struct config_registry *registry_at(struct config *c, const char *host)
{
	for (size_t i = 0; i < c->registries_count; i++)
		if (strcmp(c->registries[i].host, host) == 0)
			return &c->registries[i];
	if (c->registries_count == CONFIG_SUBS_MAX)
		return NULL;
	c->registries[c->registries_count].host = xstrdup(host);
	return &c->registries[c->registries_count++];
}

static struct config_target *target_at(struct config *c, const char *name)
{
	for (size_t i = 0; i < c->targets_count; i++)
		if (strcmp(c->targets[i].name, name) == 0)
			return &c->targets[i];
	if (c->targets_count == CONFIG_SUBS_MAX)
		return NULL;
	config_target_init(&c->targets[c->targets_count], name);
	return &c->targets[c->targets_count++];
}

static int too_many(struct error *err, const char *what)
{
	return err_set(err, ERR_LIMIT, "more than %d %s sections",
		       CONFIG_SUBS_MAX, what);
}

static int set_registry(struct config *c, const char *host, const char *key,
			const char *value, struct error *err)
{
	struct config_registry *r;

	if (strcmp(key, "username") && strcmp(key, "password-file"))
		return err_set(err, ERR_INVALID,
			       "registry.%s.%s: unknown key (username, "
			       "password-file)",
			       host, key);
	r = registry_at(c, host);
	if (!r)
		return too_many(err, "registry");
	if (strcmp(key, "username") == 0) {
		config_set_string(&r->username, value);
		return 0;
	}
	if (value[0] != '/')
		return err_set(err, ERR_INVALID,
			       "registry.%s.password-file: '%s' is not an "
			       "absolute path",
			       host, value);
	config_set_string(&r->password_file, value);
	return 0;
}

static int set_target(struct config *c, const char *name, const char *key,
		      const char *value, struct error *err)
{
	struct config_target *t = target_at(c, name);

	if (!t)
		return too_many(err, "target");
	return config_target_set(t, key, value, err);
}

static int unknown_key(const char *key, struct error *err)
{
	const char *names[ARRAY_SIZE(keys) + 1];
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	names[ARRAY_SIZE(keys)] = NULL;
	near = text_nearest(key, names);
	if (near)
		return err_set(err, ERR_INVALID,
			       "unknown key '%s' (did you mean '%s'?)", key,
			       near);
	return err_set(err, ERR_INVALID, "unknown key '%s'", key);
}

int config_set(struct config *c, const char *key, const char *value,
	       struct error *err)
{
	static const struct {
		const char *prefix;
		int (*set)(struct config *, const char *, const char *,
			   const char *, struct error *);
	} named[] = { { "registry.", set_registry },
		      { "target.", set_target } };

	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		size_t len = strlen(named[i].prefix);
		const char *last = strrchr(key, '.');
		auto_free char *name = NULL;

		if (strncmp(key, named[i].prefix, len) != 0)
			continue;
		if (last < key + len || last == key + len)
			return unknown_key(key, err);
		name = slice_dup((struct slice){ key + len,
						 (size_t)(last - key) - len });
		return named[i].set(c, name, last + 1, value, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcasecmp(keys[i].name, key) != 0)
			continue;
		return set_key(c, &keys[i], value, err);
	}
	return unknown_key(key, err);
}

int config_set_option(struct config *c, const char *option, struct error *err)
{
	const char *eq = strchr(option, '=');
	auto_free char *key = NULL;

	if (!eq)
		return err_set(err, ERR_INVALID,
			       "'%s': expected section.key=value", option);
	key = slice_dup((struct slice){ option, (size_t)(eq - option) });
	return config_set(c, key, eq + 1, err);
}

static char *expand_default(const char *text)
{
	const char *home = getenv("HOME");
	const char *run = getenv("XDG_RUNTIME_DIR");
	bool is_root = geteuid() == 0;

	if (strcmp(text, "{data}") == 0)
		return is_root ? xstrdup("/var/lib/slipway")
			       : xasprintf("%s/.local/share/slipway",
					   home ? home : "/tmp");
	if (strcmp(text, "{socket}") == 0) {
		if (is_root)
			return xstrdup("/run/slipway/control.sock");
		if (run && run[0] == '/')
			return xasprintf("%s/slipway/control.sock", run);
		return xasprintf("%s/.local/share/slipway/control.sock",
				 home ? home : "/tmp");
	}
	return xstrdup(text);
}

void config_init(struct config *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		auto_free char *value = expand_default(keys[i].fallback);
		struct error err;

		if (set_key(c, &keys[i], value, &err) < 0)
			log_error("default of %s: %s", keys[i].name, err.msg);
	}
	c->ssh_listen_is_default = true;
}

void config_release(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind != KIND_LISTEN_LIST)
			config_key_release(&keys[i], c);
	for (size_t i = 0; i < c->ssh_listen_count; i++)
		free(c->ssh_listen[i]);
	for (size_t i = 0; i < c->registries_count; i++) {
		free(c->registries[i].host);
		free(c->registries[i].username);
		free(c->registries[i].password_file);
	}
	for (size_t i = 0; i < c->targets_count; i++)
		config_target_release(&c->targets[i]);
	memset(c, 0, sizeof(*c));
}

int config_check(const struct config *c, struct error *err)
{
	for (size_t i = 0; i < c->registries_count; i++)
		if (!c->registries[i].username ||
		    !c->registries[i].password_file)
			return err_set(err, ERR_INVALID,
				       "registry.%s: needs username and "
				       "password-file",
				       c->registries[i].host);
	for (size_t i = 0; i < c->targets_count; i++) {
		int r = config_target_check(&c->targets[i], err);

		if (r < 0)
			return r;
	}
	if (!config_target_type(c, c->deploy_target))
		return err_set(err, ERR_INVALID,
			       "deploy.target: there is no [target \"%s\"]",
			       c->deploy_target);
	if (strncmp(c->engine, "unix:///", 8) != 0 &&
	    strncmp(c->engine, "tcp://", 6) != 0)
		return err_set(err, ERR_INVALID,
			       "build.engine: '%s' is neither "
			       "unix:///PATH nor tcp://HOST:PORT",
			       c->engine);
	return 0;
}

const struct config_target *config_target(const struct config *c,
					  const char *name)
{
	for (size_t i = 0; i < c->targets_count; i++)
		if (strcmp(c->targets[i].name, name) == 0)
			return &c->targets[i];
	return NULL;
}

const char *config_target_type(const struct config *c, const char *name)
{
	const struct config_target *t = config_target(c, name);

	if (t)
		return t->type;
	return strcmp(name, TARGET_LOCAL) == 0 ? TARGET_TYPE_DOCKER : NULL;
}

void config_dump(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind != KIND_LISTEN_LIST)
			config_key_dump(&keys[i], c, keys[i].name, out);
	for (size_t i = 0; i < c->ssh_listen_count; i++)
		config_dump_pair(out, "ssh.listen", c->ssh_listen[i]);
	for (size_t i = 0; i < c->registries_count; i++) {
		const struct config_registry *r = &c->registries[i];
		auto_free char *user =
			xasprintf("registry.%s.username", r->host);
		auto_free char *file =
			xasprintf("registry.%s.password-file", r->host);

		config_dump_pair(out, user, r->username);
		config_dump_pair(out, file, r->password_file);
	}
	for (size_t i = 0; i < c->targets_count; i++)
		config_target_dump(&c->targets[i], out);
}

/*
 * Several children inherit one memfd and with it one file offset, so read by
 * position.
 */
static int read_all(int fd, struct buf *b, struct error *err)
{
	for (;;) {
		char chunk[16384];
		ssize_t n = pread(fd, chunk, sizeof(chunk), (off_t)b->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read the configuration");
		if (n == 0)
			return buf_check(b, "configuration", err);
		buf_add(b, chunk, (size_t)n);
	}
}

int config_read_fd(struct config *c, int fd, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(DUMP_MAX);
	size_t at = 0;
	int r = read_all(fd, &b, err);

	if (r < 0)
		return r;
	while (at < b.len) {
		const char *pair = b.data + at;

		r = config_set_option(c, pair, err);
		if (r < 0)
			return r;
		at += strlen(pair) + 1;
	}
	return 0;
}

int config_memfd(const struct config *c, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(DUMP_MAX);
	auto_close int fd = memfd_create("slipway-config", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(err, errno, "memfd_create");
	config_dump(c, &b);
	r = buf_check(&b, "configuration", err);
	if (r < 0)
		return r;
	r = io_write_all(fd, b.data, b.len, err);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, errno, "lseek");
	return TAKE_FD(fd);
}

bool config_describe(size_t i, const char **ret_key, const char **ret_kind,
		     const char **ret_default)
{
	if (i >= ARRAY_SIZE(keys))
		return false;
	*ret_key = keys[i].name;
	*ret_kind = config_kind_name(keys[i].kind);
	*ret_default = keys[i].fallback;
	return true;
}
