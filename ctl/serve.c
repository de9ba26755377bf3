#include "ctl/serve.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/wire.h"
#include "ctl/accounts.h"
#include "ctl/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELPER_TIMEOUT_MS 60000
#define HELPER_OUTPUT_MAX 65536
#define CONFIG_FD	  3

static const char config_fd_text[] = "3";

/* ---- folders ---- */

struct folder {
	const char *name; /* below the data folder */
	mode_t mode;
	bool is_gits;	/* owned by the receiver's user, else the builder's */
	bool is_shared; /* group of the receiver's user */
};

static const struct folder folders[] = {
	{ "", 0711, false, false },	   { "/repos", 02770, false, true },
	{ "/builds", 0700, false, false }, { "/locks", 0700, false, false },
	{ "/router", 0711, false, false }, { "/ssh", 0700, true, false },
};

static int make_folder(const char *path, mode_t mode, uid_t uid, gid_t gid,
		       bool is_root, struct error *err)
{
	auto_close int fd = -1;
	int r = io_mkdirs(path, 0755, err);

	if (r < 0)
		return r;
	/* Never follow a link that somebody put in its place. */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "open folder '%s'", path);
	if (is_root && fchown(fd, uid, gid) < 0)
		return err_errno(err, errno, "chown '%s'", path);
	if (fchmod(fd, mode) < 0)
		return err_errno(err, errno, "chmod '%s'", path);
	return 0;
}

static int make_folders(const struct config *cfg, const struct accounts *who,
			struct error *err)
{
	auto_free char *socket = xstrdup(cfg->socket);
	const char *run = dirname(socket);
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && r == 0; i++) {
		const struct folder *f = &folders[i];
		auto_free char *path = xasprintf("%s%s", cfg->data, f->name);

		r = make_folder(path, f->mode,
				f->is_gits ? who->git.uid : who->builder.uid,
				f->is_gits || f->is_shared ? who->git.gid
							   : who->builder.gid,
				who->is_root, err);
	}
	/* The data folder may hold the socket; leave its mode alone then. */
	if (r < 0 || strcmp(run, cfg->data) == 0)
		return r;
	/* setgid: the socket in it gets the receiver's group. */
	return make_folder(run, 02750, who->builder.uid, who->git.gid,
			   who->is_root, err);
}

/* One `serve` per data folder; the lock goes when the process does. */
static int lock_data(const struct config *cfg, struct error *err)
{
	auto_free char *path = xasprintf("%s/serve.lock", cfg->data);
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, errno, "open '%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_EXISTS,
			       "another `slipway serve` uses '%s'", cfg->data);
	return TAKE_FD(fd);
}

/* ---- parts ---- */

struct paths {
	char *builder;
	char *receiver;
	char *router_config;
};

static void become(struct proc_spec *spec, const struct accounts *who,
		   const struct account *a)
{
	spec->change_user = who->is_root;
	spec->uid = a->uid;
	spec->gid = a->gid;
	spec->groups = a->groups;
	spec->groups_count = a->groups_count;
}

static void give_config(struct proc_spec *spec, int config_fd)
{
	spec->fds[spec->fds_count++] = (struct proc_fd){ config_fd, CONFIG_FD };
}

/* The builder alone, and through it the workers, may know AWS's keys. */
static const char **builder_env(const struct accounts *who)
{
	return proc_env_with_aws(*who->builder.home ? who->builder.home : NULL);
}

/* Run `slipway-builder MODE` to its end, as the builder's user. */
static int run_builder(const struct accounts *who, const char *builder,
		       const char *mode, int config_fd, struct buf *out,
		       struct error *err)
{
	const char *argv[] = { "slipway-builder",
			       "--config-fd",
			       config_fd_text,
			       mode,
			       who->is_root ? "--as-root" : NULL,
			       NULL };
	auto_free const char **env = builder_env(who);
	struct proc_spec spec = { .path = builder, .argv = argv, .env = env };
	auto_buf struct buf errors = BUF_INIT(HELPER_OUTPUT_MAX);
	int r;

	become(&spec, who, &who->builder);
	give_config(&spec, config_fd);
	r = proc_run(&spec, (struct slice){ "", 0 }, out, &errors,
		     HELPER_TIMEOUT_MS, err);
	if (r > 0 && errors.len)
		log_error("%s", buf_str(&errors));
	return r;
}

static bool builder_is_ready(void *ctx)
{
	const struct config *cfg = ctx;
	struct error ignored;
	json_t *reply = NULL;
	auto_close int fd = io_unix_connect(cfg->socket, &ignored);

	if (fd < 0)
		return false;
	if (wire_call(fd, json_pack("{s:s}", "type", "ping"), &reply,
		      &ignored) < 0)
		return false;
	json_decref(reply);
	return true;
}

static bool answers(const struct sockaddr *addr, socklen_t len)
{
	auto_close int fd =
		socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, addr, len) == 0;
}

/* Does somebody accept connections at this "host:port"? */
static bool listener_is_ready(void *ctx)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	auto_free char *host = NULL;
	struct error ignored;
	char port_text[16];
	bool is_ready = false;
	int port = 0;

	/* Port 0 is any free one: only the listener knows which. */
	if (config_parse_listen(ctx, &host, &port, &ignored) < 0 || port == 0)
		return true;
	snprintf(port_text, sizeof(port_text), "%d", port);
	/* No name is the loopback addresses, which "any" includes. */
	if (getaddrinfo(*host ? host : NULL, port_text, &hints, &list) != 0)
		return true;
	for (struct addrinfo *a = list; a && !is_ready; a = a->ai_next)
		is_ready = answers(a->ai_addr, a->ai_addrlen);
	freeaddrinfo(list);
	return is_ready;
}

static struct part *add_part(struct supervisor *s, const char *name,
			     const char *path, const char *const *argv)
{
	struct part *p = &s->parts[s->count++];

	p->name = name;
	p->spec.path = path;
	p->spec.argv = argv;
	p->spec.death_signal = SIGTERM;
	p->spec.new_session = true;
	p->spec.fds[0] = (struct proc_fd){ STDERR_FILENO, STDOUT_FILENO };
	p->spec.fds_count = 1;
	return p;
}

static int run_parts(const struct config *cfg, const struct accounts *who,
		     const struct paths *paths, int config_fd,
		     struct error *err)
{
	const char *builder[] = { "slipway-builder", "--config-fd",
				  config_fd_text, NULL };
	const char *receiver[] = { "slipway-receiver", "--config-fd",
				   config_fd_text, NULL };
	const char *router[] = { cfg->router_program,  "-db", "-q", "-f",
				 paths->router_config, NULL };
	auto_free const char **env = builder_env(who);
	struct supervisor s;
	struct part *p;
	int r = supervisor_init(&s, err);

	if (r < 0)
		return r;
	/* HAProxy binds its port as root and then drops by itself. */
	p = add_part(&s, "router", cfg->router_program, router);
	p->is_ready = listener_is_ready;
	p->ctx = cfg->router_listen;
	p = add_part(&s, "builder", paths->builder, builder);
	p->spec.env = env;
	become(&p->spec, who, &who->builder);
	give_config(&p->spec, config_fd);
	p->is_ready = builder_is_ready;
	p->ctx = (void *)cfg;
	p = add_part(&s, "receiver", paths->receiver, receiver);
	become(&p->spec, who, &who->git);
	give_config(&p->spec, config_fd);
	p->is_ready = listener_is_ready;
	p->ctx = cfg->ssh_listen[0];
	r = supervisor_start(&s, err);
	if (r == 0) {
		log_info("ready: git on %s, apps at http://*.%s (%s)",
			 cfg->ssh_listen[0], cfg->router_domain,
			 cfg->router_listen);
		supervisor_run(&s);
	}
	supervisor_release(&s);
	return r;
}

static int write_router_config(const struct accounts *who,
			       const struct paths *paths, int config_fd,
			       struct error *err)
{
	auto_buf struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
	int r = run_builder(who, paths->builder, "--router-config", config_fd,
			    &out, err);

	if (r > 0)
		r = err_set(err, ERR_PEER,
			    "the router's configuration was not written");
	return r;
}

int serve(const struct config *cfg, struct error *err)
{
	struct accounts who;
	struct paths paths;
	auto_close int lock = -1;
	auto_close int config_fd = -1;
	int r = accounts_get(cfg, &who, err);

	if (r == 0)
		r = make_folders(cfg, &who, err);
	if (r < 0)
		return r;
	lock = lock_data(cfg, err);
	if (lock < 0)
		return lock;
	config_fd = config_memfd(cfg, err);
	if (config_fd < 0)
		return config_fd;
	paths.builder = proc_sibling("slipway-builder");
	paths.receiver = proc_sibling("slipway-receiver");
	paths.router_config = xasprintf("%s/router/haproxy.cfg", cfg->data);
	r = write_router_config(&who, &paths, config_fd, err);
	if (r == 0)
		r = run_parts(cfg, &who, &paths, config_fd, err);
	free(paths.builder);
	free(paths.receiver);
	free(paths.router_config);
	return r;
}

/* ---- check ---- */

static int check_line(const char *what, int r, const struct error *err)
{
	if (r < 0)
		printf("FAIL  %s: %s\n", what, err->msg);
	else
		printf("ok    %s\n", what);
	return r < 0;
}

static int check_program(const char *name, const char *option)
{
	const char *argv[] = { name, option, NULL };
	struct proc_spec spec = { .path = name, .argv = argv };
	auto_buf struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
	auto_free char *label = NULL;
	struct slice rest;
	struct slice line = { "", 0 };
	struct error err;
	int r = proc_run(&spec, (struct slice){ "", 0 }, &out, NULL,
			 HELPER_TIMEOUT_MS, &err);

	if (r > 0)
		r = err_set(&err, ERR_PEER, "%s exited %d", option, r);
	rest = buf_slice(&out);
	if (r == 0 && slice_line(&rest, &line))
		label = xasprintf("program %s (%.*s)", name, (int)line.len,
				  line.ptr);
	else
		label = xasprintf("program %s", name);
	return check_line(label, r, &err);
}

int serve_check(const struct config *cfg, struct error *err)
{
	auto_free char *builder = proc_sibling("slipway-builder");
	auto_buf struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
	auto_close int config_fd = -1;
	struct accounts who;
	struct error why;
	int problems = 0;
	int r;

	/* The configuration was read, or we would not be here. */
	check_line("configuration", 0, &why);
	problems += check_program("git", "--version");
	problems += check_program(cfg->router_program, "-v");
	r = accounts_get(cfg, &who, &why);
	problems += check_line("system users", r, &why);
	if (r < 0)
		return problems;
	r = make_folders(cfg, &who, &why);
	problems += check_line("data folder", r, &why);
	if (r < 0)
		return problems;
	config_fd = config_memfd(cfg, err);
	if (config_fd < 0)
		return config_fd;
	fflush(stdout);
	r = run_builder(&who, builder, "--check", config_fd, &out, err);
	if (r < 0)
		return r;
	fwrite(buf_str(&out), 1, out.len, stdout);
	return problems + r;
}
