/*
 * base/proc.h - start programs with an explicit list of fds and nothing else.
 *
 * Runs in every process.  Fork only to exec: no shell, no inherited fds, no
 * inherited environment unless it is listed.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct error;
struct slice;

struct proc_fd {
	int from; /* fd here; -1 = /dev/null */
	int to;	  /* number in the child */
};

#define PROC_FDS_MAX 8

struct proc_spec {
	const char *path;	 /* absolute, or looked up in the system PATH */
	const char *const *argv; /* NULL-ended; argv[0] included */
	const char *const *env;	 /* NULL-ended "K=V"; NULL = a minimal one */
	const char *cwd;	 /* NULL = stay */
	struct proc_fd fds[PROC_FDS_MAX];
	size_t fds_count; /* 0, 1, 2 not listed are /dev/null, but 2 is kept */
	bool change_user; /* become uid/gid, with the groups below */
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary groups, with change_user */
	size_t groups_count;
	int death_signal;    /* sent when our process dies; 0 = none */
	bool new_session;    /* setsid: out of reach of the terminal's ^C */
	uint64_t max_memory; /* RLIMIT_AS in bytes; 0 = as ours */
	uint64_t max_cpu_s;  /* RLIMIT_CPU; 0 = as ours */
	uint64_t max_file;   /* RLIMIT_FSIZE; 0 = as ours */
};

/* Start it.  0 with *ret_pid, or -ERR_SYS naming the failed step. */
int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Start it with fds 0, 1 and 2 as pipes (spec->fds must not list them), feed
 * `input`, collect output until the maxima of `out` and `errors` (more is
 * dropped, `errors` may be NULL), and wait.  After timeout_ms it is killed.
 *
 * Returns the exit code (128 + signal for a death by signal), -ERR_TIMEOUT or
 * -ERR_SYS.
 */
int proc_run(const struct proc_spec *spec, struct slice input, struct buf *out,
	     struct buf *errors, int timeout_ms, struct error *err)
	__attribute__((nonnull(1, 3, 6), warn_unused_result));

/* Exit code of a wait status; 128 + signal for a death by signal. */
int proc_exit_code(int wait_status);

/*
 * The absolute path of one of our own programs: beside the running one, else
 * in LIBEXECDIR.  The caller frees it.
 */
char *proc_sibling(const char *name) __attribute__((nonnull));

/* The environment every child of ours starts from: PATH, LC_ALL, HOME. */
extern const char *const proc_minimal_env[];

/*
 * The environment of the programs that talk to AWS: the minimal one, our own
 * AWS_* variables, and `home` as HOME (NULL: ours).  It holds secrets: for
 * the builder, its workers and a credential_process, and for nobody else.
 * One block, for free(); the strings of our environment are borrowed.
 */
const char **proc_env_with_aws(const char *home);

#endif
