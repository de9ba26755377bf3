/*
 * base/sandbox.h - take rights away from the running process and all that it
 * will ever start: no_new_privs, Landlock, a seccomp filter, resource limits.
 *
 * Runs once at the start of a process that will read foreign bytes, after it
 * opened what only it may open.  Nothing here can be undone, and children
 * inherit all of it, programs they execute included.  Needs no privileges.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

struct error;

enum sandbox_right {
	SANDBOX_READ = 1,  /* open for reading, list folders */
	SANDBOX_WRITE = 2, /* and create, change, rename, remove below it */
	SANDBOX_EXEC = 4,  /* execute programs, map libraries */
};

struct sandbox_path {
	const char *path; /* file or folder; links are followed */
	unsigned rights;
};

/* execve() never gives more rights from here on.  0 or -ERR_SYS */
int sandbox_no_new_privs(struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Allow file access to these paths only (Landlock, see landlock(7)); paths
 * that do not exist are left out.  Where the kernel can, signals and abstract
 * sockets of processes outside are out of reach, too.  Connecting to unix
 * sockets by path is not covered by Landlock.
 *
 * Needs ABI 2 (Linux 5.19): with ABI 1 a file cannot be moved to another
 * folder, which git needs.  Returns the ABI used; -ERR_NOTFOUND when the
 * kernel lacks it or has it switched off; -ERR_SYS.
 */
int sandbox_landlock(const struct sandbox_path *paths, size_t count,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Allow the system calls that a network-facing parser and git need, and make
 * all others fail (ENOSYS, so that programs take their portable way, or
 * EPERM) rather than kill.  Not possible afterwards, among others: sockets
 * but unix ones, namespaces, mounts, ptrace, bpf, keys, modules, new
 * privileges.  Accepting connections on a socket that is open still is.
 *
 * 0 or -ERR_SYS.  LeakSanitizer needs ptrace and /proc: a program that calls
 * this must switch it off.
 */
int sandbox_seccomp(struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * No core files (they would hold keys), not traceable by other processes of
 * the same user, and a soft limit of address space (0 = none; children may
 * set their own).  Does not limit memory under AddressSanitizer.
 * 0 or -ERR_SYS
 */
int sandbox_limits(uint64_t max_memory, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
