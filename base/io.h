/*
 * base/io.h - whole reads and writes, fd flags, clocks, unix sockets.
 *
 * Runs in every process.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* Write all of it to a blocking fd; 0 or -ERR_SYS (EPIPE included). */
int io_write_all(int fd, const void *data, size_t len, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Read exactly `len` bytes from a blocking fd.  Returns 1, 0 when the end
 * came before the first byte, -ERR_SYS, or -ERR_PROTO when it came later.
 */
int io_read_exact(int fd, void *data, size_t len, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Wait until `fd` is readable.  1 ready, 0 timed out, -ERR_SYS.
 * timeout_ms < 0 waits for ever.
 */
int io_wait_readable(int fd, int timeout_ms, struct error *err)
	__attribute__((nonnull, warn_unused_result));

int io_set_nonblock(int fd, bool nonblock, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Connect to the unix stream socket at `path`; the fd or -code. */
int io_unix_connect(const char *path, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * The same, where the connect and every later read and write fail with
 * EAGAIN after timeout_ms.
 */
int io_unix_connect_for(const char *path, int timeout_ms, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Listen on a unix stream socket at `path` with mode `mode`, replacing a
 * stale one (one that nobody answers on).  The fd or -code; -ERR_EXISTS when
 * somebody answers there.
 */
int io_unix_listen(const char *path, mode_t mode, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Create `path` and the folders above it with `mode`; existing ones stay. */
int io_mkdirs(const char *path, mode_t mode, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* A clock that never jumps, in milliseconds. */
int64_t clock_ms(void);

/* The time of day, in milliseconds since the epoch; it may jump. */
int64_t clock_wall_ms(void);

#endif
