/*
 * receiver/auth.h - who is logging in: public keys only, user name `git`, and
 * the builder knows whose key it is.
 *
 * Runs in the session, called back by libssh.  Blocks on the builder, at most
 * for BUILDER_TIMEOUT_MS (the login grace time runs meanwhile).
 *
 * Certificates are refused: libssh does not verify them at all.  OpenSSH then
 * offers the plain key.
 */
#ifndef RECEIVER_AUTH_H
#define RECEIVER_AUTH_H

#include <stdbool.h>

struct ssh_session_struct;
struct ssh_key_struct;

#define AUTH_USER	 "git"
#define AUTH_MAX_DENIALS 6
#define AUTH_RSA_MIN	 2048
#define AUTH_RSA_MAX	 16384

struct auth {
	const char *socket; /* control socket */
	const char *peer;   /* address, for the log */
	bool is_done;	    /* a signature by a known key was verified */
	bool is_tried;
	unsigned denials;
	char *user; /* set once a known key was offered; valid with is_done */
	char *fingerprint;
	/* the key that `user` belongs to, "type base64" */
	char *key;
	bool is_hinted; /* a banner was sent */
};

void auth_release(struct auth *a);

/* libssh's callbacks; SSH_AUTH_SUCCESS or SSH_AUTH_DENIED */
int auth_none(struct auth *a, struct ssh_session_struct *ssh, const char *user)
	__attribute__((nonnull));
int auth_pubkey(struct auth *a, struct ssh_session_struct *ssh,
		const char *user, struct ssh_key_struct *key, char state)
	__attribute__((nonnull));

/* Modulus bits of a public key blob in base64 ("ssh-rsa"), or 0. Pure. */
unsigned auth_rsa_bits(const char *base64) __attribute__((nonnull));

#endif
