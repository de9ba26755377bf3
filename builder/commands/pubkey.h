/*
 * builder/commands/pubkey.h - public keys as people hand them in: one line of
 * an authorized_keys or id_*.pub file.
 *
 * Pure but for SHA-256 (libcrypto).  Formats: RFC 4253 section 6.6, RFC 5656,
 * RFC 8709, OpenSSH's PROTOCOL.u2f.
 */
#ifndef BUILDER_COMMANDS_PUBKEY_H
#define BUILDER_COMMANDS_PUBKEY_H

#include "base/buf.h"

struct error;

#define PUBKEY_INPUT_MAX       16384
#define PUBKEY_FINGERPRINT_MAX 64

struct pubkey {
	const char *type;			  /* "ssh-ed25519"; static */
	char *text;				  /* "type base64", canonical */
	char *comment;				  /* as given; "" = none */
	char fingerprint[PUBKEY_FINGERPRINT_MAX]; /* as `ssh-keygen -l` */
};

void pubkey_release(struct pubkey *k);

/*
 * Read exactly one key from `input`, which may hold empty lines and comment
 * lines besides.  Options in front of it are refused, as are certificates,
 * private keys, DSA, and RSA below 2048 or above 16384 bits.
 *
 * 0; -ERR_INVALID with what is wrong, never echoing what may be a secret;
 * -ERR_LIMIT over PUBKEY_INPUT_MAX bytes.
 */
int pubkey_parse(struct slice input, struct pubkey *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Is this word the type of a key that pubkey_parse() takes? */
bool pubkey_is_type(const char *word) __attribute__((nonnull));

#endif
