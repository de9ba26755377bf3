/*
 * base/listener.h - sockets that listen, and addresses as text.
 *
 * Runs in `slipway serve`, which opens them while it is root, and in the
 * receiver, which accepts; connections wait while the receiver is restarted.
 */
#ifndef BASE_LISTENER_H
#define BASE_LISTENER_H

#include <stddef.h>
#include <sys/socket.h>

struct config;
struct error;

#define LISTENERS_MAX  32
#define ADDRESS_TEXT   64
#define LISTEN_BACKLOG 256

struct listeners {
	int fds[LISTENERS_MAX];
	size_t count;
};

/*
 * Listen on every ssh.listen address; an empty host is all IPv4 and all IPv6
 * addresses.  Names are resolved once.  -ERR_SYS when one cannot be had.
 */
int listeners_open(const struct config *cfg, struct listeners *ret,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Take over one that listens already.  -ERR_LIMIT, -ERR_SYS */
int listeners_adopt(struct listeners *l, int fd, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Log "listening on ADDRESS:PORT" for each. */
void listeners_log(const struct listeners *l) __attribute__((nonnull));

void listeners_close(struct listeners *l) __attribute__((nonnull));

/* "127.0.0.1:2222", "[::1]:2222"; writes ADDRESS_TEXT bytes at most. */
void address_text(const struct sockaddr_storage *addr, char *out)
	__attribute__((nonnull));

#endif
