#include "base/config.h"

#include "base/buf.h"
#include "base/cleanup.h"
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

enum kind {
	KIND_STRING,
	KIND_PATH,
	KIND_LISTEN,
	KIND_LISTEN_LIST,
	KIND_DURATION,
	KIND_SIZE,
	KIND_COUNT,
	KIND_BOOL,
	KIND_CPUS,
	KIND_LOG_LEVEL,
	KIND_BUILDER,
	KIND_PREFIX,
};

static const char *const kind_names[] = {
	"string",   "path",  "address", "address, repeatable",
	"duration", "size",  "count",	"true or false",
	"CPUs",	    "level", "builder", "IPv4 prefix",
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *fallback;
	int64_t min;
	int64_t max;
};

#define KEY(key_name, key_kind, member, text, low, high)                       \
	{                                                                      \
		key_name, key_kind, offsetof(struct config, member), text,     \
			low, high                                              \
	}

#define SECOND (INT64_C(1000))
#define HOUR   (INT64_C(3600000))
#define MIB    (INT64_C(1) << 20)
#define GIB    (INT64_C(1) << 30)

/* Defaults in braces depend on who runs it; see config_init(). */
static const struct key keys[] = {
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
	KEY("build.builder", KIND_BUILDER, build_builder, "auto", 0, 0),
	KEY("router.listen", KIND_LISTEN, router_listen, ":8080", 0, 0),
	KEY("router.domain", KIND_STRING, router_domain, "localhost", 0, 0),
	KEY("router.max-apps", KIND_COUNT, router_max_apps, "100", 1, 2000),
	KEY("router.program", KIND_STRING, router_program, "haproxy", 0, 0),
	KEY("deploy.target", KIND_STRING, deploy_target, "local", 0, 0),
	KEY("deploy.health-timeout", KIND_DURATION, deploy_health_timeout_ms,
	    "60s", SECOND, HOUR),
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

static void *field(struct config *c, const struct key *k)
{
	return (char *)c + k->offset;
}

static void set_string(char **at, const char *value)
{
	char *copy = xstrdup(value);

	free(*at);
	*at = copy;
}

static int bad_value(struct error *err, const char *key, const char *value,
		     const char *want)
{
	return err_set(err, ERR_INVALID, "%s: '%s' is not %s", key, value,
		       want);
}

static int check_range(const struct key *k, int64_t n, const char *value,
		       struct error *err)
{
	if (n < k->min || n > k->max)
		return err_set(err, ERR_INVALID,
			       "%s: '%s' is outside the allowed range", k->name,
			       value);
	return 0;
}

static int set_number(struct config *c, const struct key *k, const char *value,
		      struct error *err)
{
	const char *p = value;
	int64_t n = 0;
	int r = 0;

	if (k->kind == KIND_DURATION)
		r = config_parse_duration(value, &n, err);
	else if (k->kind == KIND_SIZE)
		r = config_parse_size(value, &n, err);
	else if (k->kind == KIND_CPUS)
		r = config_parse_cpus(value, &n, err);
	else if (!config_take_number(&p, &n) || *p)
		return bad_value(err, k->name, value, "a whole number");
	if (r < 0)
		return err_wrap(err, r, "%s", k->name);
	r = check_range(k, n, value, err);
	if (r == 0)
		*(int64_t *)field(c, k) = n;
	return r;
}

static int set_bool(struct config *c, const struct key *k, const char *value,
		    struct error *err)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		bool is_yes = strcmp(value, yes[i]) == 0;

		if (!is_yes && strcmp(value, no[i]) != 0)
			continue;
		*(bool *)field(c, k) = is_yes;
		return 0;
	}
	return bad_value(err, k->name, value, "true or false");
}

static int check_string(const struct key *k, const char *value,
			struct error *err)
{
	char *host = NULL;
	int port;
	int r;

	switch (k->kind) {
	case KIND_PATH:
		if (value[0] != '/')
			return bad_value(err, k->name, value,
					 "an absolute path");
		break;
	case KIND_LISTEN:
	case KIND_LISTEN_LIST:
		r = config_parse_listen(value, &host, &port, err);
		free(host);
		if (r < 0)
			return err_wrap(err, r, "%s", k->name);
		break;
	case KIND_LOG_LEVEL:
		if (log_level_from_name(value) < 0)
			return bad_value(err, k->name, value,
					 "error, warn, info or debug");
		break;
	case KIND_BUILDER:
		if (strcmp(value, "auto") && strcmp(value, "buildkit") &&
		    strcmp(value, "classic"))
			return bad_value(err, k->name, value,
					 "auto, buildkit or classic");
		break;
	case KIND_PREFIX:
		if (!config_is_prefix(value))
			return bad_value(err, k->name, value,
					 "an IPv4 prefix like 10.213.0.0/16");
		break;
	default:
		if (!*value)
			return err_set(err, ERR_INVALID, "%s: is empty",
				       k->name);
	}
	if (strpbrk(value, "\r\n"))
		return err_set(err, ERR_INVALID, "%s: holds a line break",
			       k->name);
	return 0;
}

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

static int set_key(struct config *c, const struct key *k, const char *value,
		   struct error *err)
{
	int r;

	if (k->kind == KIND_BOOL)
		return set_bool(c, k, value, err);
	if (k->kind == KIND_DURATION || k->kind == KIND_SIZE ||
	    k->kind == KIND_COUNT || k->kind == KIND_CPUS)
		return set_number(c, k, value, err);
	r = check_string(k, value, err);
	if (r < 0)
		return r;
	if (k->kind == KIND_LISTEN_LIST)
		return set_listen(c, value, err);
	set_string(field(c, k), value);
	return 0;
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
	c->targets[c->targets_count].name = xstrdup(name);
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
		set_string(&r->username, value);
		return 0;
	}
	if (value[0] != '/')
		return err_set(err, ERR_INVALID,
			       "registry.%s.password-file: '%s' is not an "
			       "absolute path",
			       host, value);
	set_string(&r->password_file, value);
	return 0;
}

static int set_target(struct config *c, const char *name, const char *key,
		      const char *value, struct error *err)
{
	struct config_target *t;

	if (strcmp(key, "type"))
		return err_set(err, ERR_INVALID,
			       "target.%s.%s: unknown key (type)", name, key);
	if (strcmp(value, "docker"))
		return err_set(err, ERR_INVALID,
			       "target.%s.type: '%s' is not docker", name,
			       value);
	t = target_at(c, name);
	if (!t)
		return too_many(err, "target");
	set_string(&t->type, value);
	return 0;
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
		if (keys[i].kind != KIND_LISTEN_LIST &&
		    keys[i].kind != KIND_DURATION &&
		    keys[i].kind != KIND_SIZE && keys[i].kind != KIND_COUNT &&
		    keys[i].kind != KIND_BOOL && keys[i].kind != KIND_CPUS)
			free(*(char **)field(c, &keys[i]));
	for (size_t i = 0; i < c->ssh_listen_count; i++)
		free(c->ssh_listen[i]);
	for (size_t i = 0; i < c->registries_count; i++) {
		free(c->registries[i].host);
		free(c->registries[i].username);
		free(c->registries[i].password_file);
	}
	for (size_t i = 0; i < c->targets_count; i++) {
		free(c->targets[i].name);
		free(c->targets[i].type);
	}
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
	if (strcmp(c->deploy_target, "local") != 0 &&
	    !config_target(c, c->deploy_target))
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

static void dump_pair(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "%s=%s", key, value);
	buf_addc(out, '\0');
}

static void dump_key(const struct config *c, const struct key *k,
		     struct buf *out)
{
	const void *at = (const char *)c + k->offset;
	char number[40];
	int64_t n;

	switch (k->kind) {
	case KIND_LISTEN_LIST:
		for (size_t i = 0; i < c->ssh_listen_count; i++)
			dump_pair(out, k->name, c->ssh_listen[i]);
		return;
	case KIND_DURATION:
	case KIND_SIZE:
	case KIND_COUNT:
		n = *(const int64_t *)at;
		snprintf(number, sizeof(number), "%" PRId64 "%s", n,
			 k->kind == KIND_DURATION ? "ms" : "");
		dump_pair(out, k->name, number);
		return;
	case KIND_CPUS:
		n = *(const int64_t *)at;
		snprintf(number, sizeof(number), "%" PRId64 ".%03" PRId64,
			 n / 1000, n % 1000);
		dump_pair(out, k->name, number);
		return;
	case KIND_BOOL:
		dump_pair(out, k->name, *(const bool *)at ? "true" : "false");
		return;
	default:
		dump_pair(out, k->name, *(char *const *)at);
	}
}

void config_dump(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		dump_key(c, &keys[i], out);
	for (size_t i = 0; i < c->registries_count; i++) {
		const struct config_registry *r = &c->registries[i];
		auto_free char *user =
			xasprintf("registry.%s.username", r->host);
		auto_free char *file =
			xasprintf("registry.%s.password-file", r->host);

		dump_pair(out, user, r->username);
		dump_pair(out, file, r->password_file);
	}
	for (size_t i = 0; i < c->targets_count; i++) {
		auto_free char *type =
			xasprintf("target.%s.type", c->targets[i].name);

		dump_pair(out, type, c->targets[i].type);
	}
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
	*ret_kind = kind_names[keys[i].kind];
	*ret_default = keys[i].fallback;
	return true;
}
