/*
 * slipway-receiver: the SSH server.  Started by `slipway serve` as the
 * receiver's user with the configuration on an fd:
 *
 *     slipway-receiver --config-fd N [--listen-fd M]... [--hooks DIR]
 *
 * --listen-fd  a socket that listens already (a port below 1024); with one or
 *              more of them ssh.listen is not opened here
 * --hooks      the folder with proc-receive, instead of the installed one
 *
 * It opens what it needs, confines itself, and accepts connections until
 * SIGTERM.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/sandbox.h"
#include "receiver/acceptor.h"
#include "receiver/hostkeys.h"
#include "base/listener.h"

#include <getopt.h>
#include <libgen.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum exit_code { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Address space of a session: two windows per channel and room to spare. */
#define SESSION_MEMORY (UINT64_C(768) << 20)
#define RSA_MIN_BITS   2048

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);

/* A confined process cannot look for its own leaks. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

struct options {
	int config_fd;
	struct listeners listeners;
	char *hooks;
};

static int parse_fd(const char *text, int *ret, struct error *err)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 0 || n > INT_MAX)
		return err_set(err, ERR_INVALID, "'%s' is not an fd", text);
	*ret = (int)n;
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o,
			 struct error *err)
{
	static const struct option longs[] = {
		{ "config-fd", required_argument, NULL, 'c' },
		{ "listen-fd", required_argument, NULL, 'l' },
		{ "hooks", required_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int c;
	int fd;
	int r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'c') {
			r = parse_fd(optarg, &o->config_fd, err);
		} else if (c == 'l') {
			r = parse_fd(optarg, &fd, err);
			if (r == 0)
				r = listeners_adopt(&o->listeners, fd, err);
		} else if (c == 'h') {
			free(o->hooks);
			o->hooks = xstrdup(optarg);
		} else {
			r = err_set(err, ERR_INVALID, "unknown option");
		}
	}
	if (r == 0 && (o->config_fd < 0 || optind != argc))
		r = err_set(err, ERR_INVALID,
			    "usage: slipway-receiver --config-fd N "
			    "[--listen-fd M]... [--hooks DIR]");
	return r;
}

/* The folder with proc-receive: uninstalled, then installed. */
static int find_hooks(struct options *o, struct error *err)
{
	static const char *const names[] = { "../libexec/hooks/proc-receive",
					     "hooks/proc-receive" };
	char real[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names) && !o->hooks; i++) {
		auto_free char *path = proc_sibling(names[i]);

		if (access(path, X_OK) == 0 && realpath(path, real))
			o->hooks = xstrdup(dirname(real));
	}
	if (!o->hooks)
		return err_set(err, ERR_NOTFOUND,
			       "the program hooks/proc-receive is missing");
	return 0;
}

static int set_bind(ssh_bind bind, enum ssh_bind_options_e option,
		    const void *value, struct error *err)
{
	if (ssh_bind_options_set(bind, option, value) != SSH_OK)
		return err_set(err, ERR_SYS, "libssh: %s", ssh_get_error(bind));
	return 0;
}

/* The algorithms of 2020 and later; no SHA-1, no CBC, no DSA. */
static int make_bind(const struct config *cfg, ssh_bind *ret, struct error *err)
{
	static const char ciphers[] =
		"chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,"
		"aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr";
	static const char macs[] =
		"hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
		"hmac-sha2-256,hmac-sha2-512";
	static const char kex[] =
		"curve25519-sha256,curve25519-sha256@libssh.org,"
		"ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
		"diffie-hellman-group16-sha512,diffie-hellman-group18-sha512";
	static const char user_keys[] =
		"ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,"
		"ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"
		"sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";
	static const char host_keys[] =
		"ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256";
	static const struct {
		enum ssh_bind_options_e option;
		const char *value;
	} texts[] = {
		{ SSH_BIND_OPTIONS_CIPHERS_C_S, ciphers },
		{ SSH_BIND_OPTIONS_CIPHERS_S_C, ciphers },
		{ SSH_BIND_OPTIONS_HMAC_C_S, macs },
		{ SSH_BIND_OPTIONS_HMAC_S_C, macs },
		{ SSH_BIND_OPTIONS_KEY_EXCHANGE, kex },
		{ SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES, user_keys },
		{ SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, host_keys },
		{ SSH_BIND_OPTIONS_BANNER, "Slipway" },
	};
	auto_free char *dir = xasprintf("%s/ssh", cfg->data);
	bool no_system_config = false;
	int rsa_min = RSA_MIN_BITS;
	ssh_bind bind = ssh_bind_new();
	int r = 0;

	if (!bind)
		return err_set(err, ERR_SYS, "libssh: no bind");
	r = set_bind(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no_system_config,
		     err);
	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = set_bind(bind, texts[i].option, texts[i].value, err);
	if (r == 0)
		r = set_bind(bind, SSH_BIND_OPTIONS_RSA_MIN_SIZE, &rsa_min,
			     err);
	if (r == 0)
		r = hostkeys_load(dir, bind, err);
	if (r < 0) {
		ssh_bind_free(bind);
		return r;
	}
	*ret = bind;
	return 0;
}

/*
 * From here on, for us and all our children: system programs and libraries,
 * the repositories, and nothing else; no sockets but unix ones.
 */
static int confine(const struct config *cfg, const char *hooks,
		   struct error *err)
{
	auto_free char *repos = xasprintf("%s/repos", cfg->data);
	const unsigned program = SANDBOX_READ | SANDBOX_EXEC;
	const struct sandbox_path paths[] = {
		{ "/usr", program },
		{ "/bin", program },
		{ "/sbin", program },
		{ "/lib", program },
		{ "/lib64", program },
		{ "/etc/ld.so.cache", SANDBOX_READ },
		{ "/etc/localtime", SANDBOX_READ },
		{ "/etc/passwd", SANDBOX_READ },
		{ "/etc/group", SANDBOX_READ },
		{ "/etc/nsswitch.conf", SANDBOX_READ },
		{ "/etc/ssl/openssl.cnf", SANDBOX_READ },
		{ "/dev/null", SANDBOX_READ | SANDBOX_WRITE },
		{ "/dev/urandom", SANDBOX_READ },
		{ "/dev/zero", SANDBOX_READ },
		{ hooks, program },
		{ repos, SANDBOX_READ | SANDBOX_WRITE },
	};
	int r = sandbox_limits(SESSION_MEMORY, err);

	if (r == 0)
		r = sandbox_no_new_privs(err);
	if (r < 0)
		return r;
	r = sandbox_landlock(paths, ARRAY_SIZE(paths), err);
	if (r == -ERR_NOTFOUND)
		log_warn("files are not confined: %s", err->msg);
	else if (r < 0)
		return r;
	else
		log_debug("files confined by Landlock, version %d", r);
	return sandbox_seccomp(err);
}

static int set_environment(struct error *err)
{
	/* execvp looks git up here, and nothing else is passed on. */
	if (clearenv() != 0)
		return err_set(err, ERR_SYS, "clearenv");
	for (size_t i = 0; proc_minimal_env[i]; i++)
		if (putenv((char *)proc_minimal_env[i]) != 0)
			return err_set(err, ERR_SYS, "putenv");
	/* The builder's user shares the repositories through the group. */
	umask(007);
	return 0;
}

static int serve(const struct config *cfg, struct options *o, struct error *err)
{
	struct acceptor_spec spec = { .cfg = cfg, .listeners = &o->listeners };
	auto_free char *repos = xasprintf("%s/repos", cfg->data);
	ssh_bind bind = NULL;
	int r = set_environment(err);

	if (r == 0)
		r = find_hooks(o, err);
	if (r == 0 && ssh_init() != SSH_OK)
		r = err_set(err, ERR_SYS, "libssh does not start");
	if (r == 0)
		r = make_bind(cfg, &bind, err);
	if (r == 0 && o->listeners.count == 0)
		r = listeners_open(cfg, &o->listeners, err);
	/* Landlock can only allow what is there. */
	if (r == 0 && mkdir(repos, 02770) == 0)
		log_debug("created '%s'", repos);
	if (r == 0)
		r = confine(cfg, o->hooks, err);
	if (r < 0)
		return r;
	spec.bind = bind;
	spec.hooks = o->hooks;
	listeners_log(&o->listeners);
	r = acceptor_run(&spec, err);
	ssh_bind_free(bind);
	ssh_finalize();
	return r;
}

int main(int argc, char **argv)
{
	struct options o = { .config_fd = -1 };
	struct config cfg;
	struct error err = ERROR_INIT;
	int code = EXIT_STOPPED;
	int level;

	log_init("receiver", LOG_INFO);
	config_init(&cfg);
	if (parse_options(argc, argv, &o, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_USAGE;
	}
	if (config_read_fd(&cfg, o.config_fd, &err) < 0) {
		log_error("configuration: %s", err.msg);
		return EXIT_FAILED;
	}
	close(o.config_fd);
	level = log_level_from_name(cfg.log_level);
	log_init("receiver", level < 0 ? LOG_INFO : (enum log_level)level);
	if (serve(&cfg, &o, &err) < 0) {
		log_error("%s", err.msg);
		code = EXIT_FAILED;
	}
	free(o.hooks);
	config_release(&cfg);
	return code;
}
