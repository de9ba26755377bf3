#include "base/sandbox.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

/* ---- Landlock ---- */

#define ABI_MIN	     2
#define ABI_TRUNCATE 3
#define ABI_IOCTL    5
#define ABI_SCOPE    6

/* Newer than the headers of the oldest system we build on. */
#define FS_TRUNCATE    (UINT64_C(1) << 14)
#define FS_IOCTL_DEV   (UINT64_C(1) << 15)
#define SCOPE_ABSTRACT (UINT64_C(1) << 0)
#define SCOPE_SIGNAL   (UINT64_C(1) << 1)

struct ruleset_attr {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

#define FS_FILE                                                                \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |          \
	 LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                               \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |       \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |        \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
#define FS_NEVER                                                               \
	(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |        \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |         \
	 LANDLOCK_ACCESS_FS_MAKE_SYM | FS_IOCTL_DEV)

static uint64_t handled(int abi)
{
	uint64_t all =
		LANDLOCK_ACCESS_FS_EXECUTE | FS_READ | FS_WRITE | FS_NEVER;

	if (abi < ABI_TRUNCATE)
		all &= ~FS_TRUNCATE;
	if (abi < ABI_IOCTL)
		all &= ~FS_IOCTL_DEV;
	return all;
}

static int add_path(int ruleset, const struct sandbox_path *p, uint64_t mask,
		    struct error *err)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = 0 };
	auto_close int fd = open(p->path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_errno(err, errno, "open '%s'", p->path);
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "stat '%s'", p->path);
	if (p->rights & SANDBOX_READ)
		rule.allowed_access |= FS_READ;
	if (p->rights & SANDBOX_WRITE)
		rule.allowed_access |= FS_WRITE;
	if (p->rights & SANDBOX_EXEC)
		rule.allowed_access |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_FILE;
	rule.allowed_access &= mask;
	rule.parent_fd = fd;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		    &rule, 0) < 0)
		return err_errno(err, errno, "landlock rule for '%s'", p->path);
	return 0;
}

int sandbox_landlock(const struct sandbox_path *paths, size_t count,
		     struct error *err)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset_attr attr = { .fs = 0 };
	size_t attr_size = sizeof(attr.fs);
	auto_close int ruleset = -1;

	if (abi < ABI_MIN)
		return err_set(err, ERR_NOTFOUND,
			       "the kernel has no Landlock of version %d",
			       ABI_MIN);
	attr.fs = handled(abi);
	if (abi >= ABI_SCOPE) {
		attr.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
		attr_size = sizeof(attr);
	}
	ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attr, attr_size, 0);
	if (ruleset < 0)
		return err_errno(err, errno, "landlock ruleset");
	for (size_t i = 0; i < count; i++) {
		int r = add_path(ruleset, &paths[i], attr.fs, err);

		if (r < 0)
			return r;
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_errno(err, errno, "landlock");
	return abi;
}

/* ---- seccomp ---- */

/* Files, memory, time, signals, processes: what libssh, git and a hook use. */
static const char *const allowed[] = {
	/* bytes */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv",
	"pwritev", "lseek", "sendfile", "copy_file_range", "splice", "tee",
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl",
	"epoll_wait", "epoll_pwait", "eventfd2", "pipe", "pipe2", "dup", "dup2",
	"dup3", "fcntl", "flock", "close", "close_range", "fsync", "fdatasync",
	"sync_file_range", "fadvise64", "fallocate", "ftruncate", "truncate",
	/* files */
	"open", "openat", "creat", "stat", "fstat", "lstat", "newfstatat",
	"statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir",
	"fchdir", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "link",
	"linkat", "rename", "renameat", "renameat2", "symlink", "symlinkat",
	"chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "lchown",
	"umask", "utime", "utimes", "utimensat", "futimesat",
	/* memory */
	"brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "msync",
	"mincore", "membarrier",
	/* time, numbers */
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
	"gettimeofday", "time", "times", "alarm", "getitimer", "setitimer",
	"timer_create", "timer_settime", "timer_delete", "timerfd_create",
	"timerfd_settime", "getrandom", "sysinfo", "uname", "getrusage",
	/* processes and signals */
	"execve", "fork", "vfork", "wait4", "waitid", "exit", "exit_group",
	"kill", "tkill", "tgkill", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
	"sigaltstack", "signalfd4", "restart_syscall", "pause", "futex",
	"set_robust_list", "get_robust_list", "set_tid_address", "rseq",
	"arch_prctl", "sched_yield", "sched_getaffinity", "sched_setaffinity",
	"sched_getparam", "sched_getscheduler", "getpriority", "setpriority",
	"ioprio_get", "ioprio_set", "getpid", "getppid", "gettid", "getuid",
	"geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid",
	"getpgrp", "getpgid", "setpgid", "getsid", "setsid", "capget",
	"getrlimit", "setrlimit", "prlimit64",
	/* sockets that are open, or unix ones (see below) */
	"accept", "accept4", "connect", "shutdown", "getsockname",
	"getpeername", "getsockopt", "setsockopt", "sendto", "recvfrom",
	"sendmsg", "recvmsg"
};

#define CLONE_NEW_ANY                                                          \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |         \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static int add_allowed(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i]);

		/* Negative: this architecture never had it. */
		if (nr >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	return r;
}

static int add_conditional(scmp_filter_ctx ctx)
{
	static const int options[] = { PR_SET_PDEATHSIG, PR_SET_NAME,
				       PR_GET_NAME,	 PR_SET_DUMPABLE,
				       PR_GET_DUMPABLE,	 PR_SET_NO_NEW_PRIVS };
	int r = seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, (scmp_datum_t)CLONE_NEW_ANY, 0));

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair),
				     1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	for (size_t i = 0; i < ARRAY_SIZE(options) && r == 0; i++)
		r = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)options[i]));
	return r;
}

/* Refused with a better word than "no such system call". */
static int add_refused(scmp_filter_ctx ctx)
{
	static const char *const names[] = { "bind",
					     "listen",
					     "ptrace",
					     "mount",
					     "umount2",
					     "unshare",
					     "setns",
					     "bpf",
					     "keyctl",
					     "chroot",
					     "setuid",
					     "setgid",
					     "setreuid",
					     "setregid",
					     "setresuid",
					     "setresgid",
					     "setgroups",
					     "pivot_root",
					     "perf_event_open",
					     "add_key",
					     "request_key",
					     "mknod",
					     "mknodat",
					     "process_vm_readv",
					     "process_vm_writev" };
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl),
				 0);

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
				     SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_NE, AF_UNIX));
	return r;
}

int sandbox_seccomp(struct error *err)
{
	scmp_filter_ctx ctx;
	int r;

	ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!ctx)
		return err_set(err, ERR_SYS, "no seccomp filter");
	/* A binary search; a long list costs 0.3 us per call otherwise. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_allowed(ctx);
	if (r == 0)
		r = add_conditional(ctx);
	if (r == 0)
		r = add_refused(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? err_errno(err, -r, "seccomp filter") : 0;
}

/* ---- the rest ---- */

int sandbox_no_new_privs(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, errno, "no_new_privs");
	return 0;
}

int sandbox_limits(uint64_t max_memory, struct error *err)
{
	struct rlimit none = { 0, 0 };
	struct rlimit memory;

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, errno, "not dumpable");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(err, errno, "limit core files");
	if (!max_memory || HAS_ASAN)
		return 0;
	if (getrlimit(RLIMIT_AS, &memory) < 0)
		return err_errno(err, errno, "read memory limit");
	if (memory.rlim_max == RLIM_INFINITY || memory.rlim_max > max_memory)
		memory.rlim_cur = max_memory;
	if (setrlimit(RLIMIT_AS, &memory) < 0)
		return err_errno(err, errno, "limit memory");
	return 0;
}
