/*
 * builder/store/app_lock.h - one at a time on an app: a deploy, a rename, a
 * removal.
 *
 * Runs in workers.  The lock is flock(2) on DATA/locks/APPID, so the kernel
 * drops it with the process that holds it, however that ends.
 */
#ifndef BUILDER_STORE_APP_LOCK_H
#define BUILDER_STORE_APP_LOCK_H

#include <stdint.h>

struct error;

/*
 * Take the lock of the app below the data folder `data`, waiting up to
 * wait_ms (0 = not at all).  Closing *ret_fd lets it go; children started
 * with proc_spawn() do not inherit it.
 *
 * Whoever waited must read the app again: it may be renamed or gone.
 *
 * 0; -ERR_TIMEOUT when somebody holds it still; -ERR_SYS.
 */
int app_lock_take(const char *data, int64_t app_id, int wait_ms, int *ret_fd,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Remove the lock file of an app that is gone; the caller holds the lock. */
void app_lock_forget(const char *data, int64_t app_id) __attribute__((nonnull));

#endif
