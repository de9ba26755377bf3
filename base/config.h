/*
 * base/config.h - every setting, with its type, unit and default in one
 * table (man page slipway.conf(5) is compared with it by a test).
 *
 * `slipway` reads the file (ctl/config_file.h) and hands the result to its
 * children as text on an fd; nobody else reads files.  Pure functions but
 * for config_read_fd.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config_target.h"
#include "base/config_values.h"

struct buf;
struct error;

#define CONFIG_LIST_MAX 16
#define CONFIG_SUBS_MAX 16

/* A [registry "HOST"] section: who we are at a registry, for base images. */
struct config_registry {
	char *host; /* as in image names: "registry.example.com:5000" */
	char *username;
	char *password_file; /* absolute; readable by the builder only */
};

struct config {
	/* [slipway] */
	char *data;   /* folder: repos/ builds/ router/ slipway.db … */
	char *socket; /* control socket */
	char *log_level;
	char *git_user; /* system user of the receiver, when root */
	char *user;	/* system user of the builder, when root */
	/* [ssh] */
	char *ssh_listen[CONFIG_LIST_MAX]; /* "host:port", ":port" */
	size_t ssh_listen_count;
	bool ssh_listen_is_default; /* the next value replaces it */
	char *ssh_host;		    /* name shown to people in git remotes */
	int64_t ssh_login_grace_ms;
	int64_t ssh_idle_timeout_ms; /* no channel open, or all silent */
	int64_t ssh_keepalive_ms;
	int64_t ssh_max_startups; /* connections not yet logged in */
	int64_t ssh_max_sessions; /* connections in all */
	int64_t ssh_max_per_source;
	int64_t ssh_max_channels; /* at once, on one connection */
	/* [git] */
	int64_t git_max_pack;	/* bytes on the wire */
	int64_t git_max_memory; /* bytes of address space per git process */
	int64_t git_timeout_ms; /* one push or fetch, the deploy excluded */
	/* [build] */
	char *engine; /* unix:///var/run/docker.sock, tcp://host:port */
	int64_t build_concurrency;
	int64_t build_timeout_ms;
	int64_t build_idle_timeout_ms; /* no output for so long */
	int64_t build_memory;  /* bytes; classic builder and cgroup parent */
	int64_t build_log_max; /* bytes kept and shown per build */
	bool build_cancel_on_disconnect;
	char *build_builder; /* "auto", "buildkit", "classic" */
	/* [router] */
	char *router_listen; /* "host:port", ":port" */
	char *router_domain;
	int64_t router_max_apps;
	char *router_program; /* haproxy */
	/* [deploy] */
	char *deploy_target;
	int64_t deploy_health_timeout_ms;
	int64_t deploy_release_timeout_ms;
	int64_t deploy_drain_timeout_ms;
	int64_t deploy_stop_timeout_ms;
	int64_t deploy_keep_releases;
	int64_t deploy_min_free; /* bytes of disk, below which none starts */
	/* [run] limits of an app's containers */
	int64_t run_memory;	/* bytes; 0 = none */
	int64_t run_milli_cpus; /* 1000 = one CPU; 0 = no limit */
	int64_t run_pids;
	int64_t run_log_size; /* bytes per log file */
	int64_t run_log_files;
	/* [network] */
	char *network_pool; /* IPv4 prefix that the /27s come from */
	/* sections with a name */
	struct config_registry registries[CONFIG_SUBS_MAX];
	size_t registries_count;
	struct config_target targets[CONFIG_SUBS_MAX];
	size_t targets_count;
};

/* All defaults, for the current user (root or not). */
void config_init(struct config *c) __attribute__((nonnull));

void config_release(struct config *c);

/*
 * Set one key, given as "section.key" or "section.name.key"; list keys
 * collect, and the first value given replaces their default.
 *
 * 0, or -ERR_INVALID (unknown key with the nearest one, or a bad value).
 */
int config_set(struct config *c, const char *key, const char *value,
	       struct error *err) __attribute__((nonnull, warn_unused_result));

/* "section.key=value" as on a command line. */
int config_set_option(struct config *c, const char *option, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Checks that need more than one key.  0 or -ERR_INVALID. */
int config_check(const struct config *c, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Append all of it as NUL-terminated "key=value" strings. */
void config_dump(const struct config *c, struct buf *out)
	__attribute__((nonnull));

/* Read what config_dump wrote from fd to its end.  0 or -code. */
int config_read_fd(struct config *c, int fd, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* A memfd that holds config_dump, at its start; or -ERR_SYS. */
int config_memfd(const struct config *c, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Name, kind and default of table row i; false after the last. */
bool config_describe(size_t i, const char **ret_key, const char **ret_kind,
		     const char **ret_default) __attribute__((nonnull));

/* The target section of this name, or NULL. */
const struct config_target *config_target(const struct config *c,
					  const char *name)
	__attribute__((nonnull));

/* There without a section, too: the engine of [build]. */
#define TARGET_LOCAL "local"

/* TARGET_TYPE_… of the target of this name; NULL when there is none. */
const char *config_target_type(const struct config *c, const char *name)
	__attribute__((nonnull));

#endif
