/*
 * receiver/hostkeys.h - the server's own keys in DATA/ssh/: ed25519, ecdsa,
 * rsa; those that are missing are made.
 *
 * Runs once at start of the listening process; making an RSA key takes up to
 * a second or two.  Keys stay in memory of every session, which needs them
 * again when a connection changes its keys.
 */
#ifndef RECEIVER_HOSTKEYS_H
#define RECEIVER_HOSTKEYS_H

struct error;
struct ssh_bind_struct;

/*
 * Load the keys below `dir` (created with mode 0700) into `bind`, making
 * what is missing: written beside, synced, and renamed into place, mode 0600,
 * with a .pub file.
 *
 * 0; -ERR_INVALID a file that is no key; -ERR_DENIED one that others can
 * read; -ERR_SYS
 */
int hostkeys_load(const char *dir, struct ssh_bind_struct *bind,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
