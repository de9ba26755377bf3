#include "receiver/auth.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "receiver/builder_client.h"

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stdint.h>
#include <string.h>

#define BLOB_MAX 8192

void auth_release(struct auth *a)
{
	free(a->user);
	free(a->fingerprint);
	free(a->key);
	a->user = NULL;
	a->fingerprint = NULL;
	a->key = NULL;
}

/* ---- size of RSA keys ---- */

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static size_t base64_decode(const char *text, uint8_t *out, size_t size)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t len = 0;

	for (; base64_value(*text) >= 0 && len < size; text++) {
		bits = bits << 6 | (uint32_t)base64_value(*text);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		out[len++] = (uint8_t)(bits >> have);
	}
	return len;
}

/* The next length-prefixed part of a key blob; false when cut short. */
static bool take_part(struct slice *rest, struct slice *ret)
{
	const uint8_t *p = (const uint8_t *)rest->ptr;
	uint32_t len;

	if (rest->len < 4)
		return false;
	len = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	      (uint32_t)p[2] << 8 | p[3];
	if (len > rest->len - 4)
		return false;
	*ret = (struct slice){ rest->ptr + 4, len };
	rest->ptr += 4 + len;
	rest->len -= 4 + len;
	return true;
}

unsigned auth_rsa_bits(const char *base64)
{
	uint8_t blob[BLOB_MAX];
	struct slice rest = { (const char *)blob,
			      base64_decode(base64, blob, sizeof(blob)) };
	struct slice part;
	unsigned bits;

	if (!take_part(&rest, &part) || !slice_eq(part, "ssh-rsa") ||
	    !take_part(&rest, &part) || !take_part(&rest, &part))
		return 0;
	while (part.len && *part.ptr == 0) {
		part.ptr++;
		part.len--;
	}
	if (part.len == 0)
		return 0;
	bits = (unsigned)part.len * 8;
	for (uint8_t top = (uint8_t)*part.ptr; !(top & 0x80);
	     top = (uint8_t)(top << 1))
		bits--;
	return bits;
}

/* ---- keys ---- */

static bool is_usable(ssh_key key, const char *base64)
{
	unsigned bits;

	switch (ssh_key_type(key)) {
	case SSH_KEYTYPE_ED25519:
	case SSH_KEYTYPE_ECDSA_P256:
	case SSH_KEYTYPE_ECDSA_P384:
	case SSH_KEYTYPE_ECDSA_P521:
	case SSH_KEYTYPE_SK_ECDSA:
	case SSH_KEYTYPE_SK_ED25519:
		return true;
	case SSH_KEYTYPE_RSA:
		/* Too small would fail only at its signature, and libssh then
		 * does not answer at all: the client would hang. */
		bits = auth_rsa_bits(base64);
		return bits >= AUTH_RSA_MIN && bits <= AUTH_RSA_MAX;
	default:
		return false;
	}
}

static char *fingerprint_of(ssh_key key)
{
	unsigned char *hash = NULL;
	size_t len = 0;
	char *text;
	char *copy;

	if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash,
				   &len) != SSH_OK)
		return NULL;
	text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
	ssh_clean_pubkey_hash(&hash);
	copy = text ? xstrdup(text) : NULL;
	ssh_string_free_char(text);
	return copy;
}

/* Shown by clients before their own "Permission denied"; once. */
static void hint(struct auth *a, ssh_session ssh, const char *text)
{
	ssh_string s;

	if (a->is_hinted)
		return;
	a->is_hinted = true;
	s = ssh_string_from_char(text);
	if (s && ssh_send_issue_banner(ssh, s) != SSH_OK)
		log_debug("peer=%s banner not sent", a->peer);
	ssh_string_free(s);
}

static int deny(struct auth *a, ssh_session ssh)
{
	/*
	 * The session disconnects now; but the client may have sent its last
	 * keys already and give up before it reads the reason there.
	 */
	if (++a->denials == AUTH_MAX_DENIALS)
		hint(a, ssh,
		     "slipway: too many keys refused; ssh -o "
		     "IdentitiesOnly=yes -i KEY offers only one.\n");
	return SSH_AUTH_DENIED;
}

/* Learn whose key it is; the answer is kept for the signed request. */
static int look_up(struct auth *a, ssh_session ssh, const char *text,
		   const char *fingerprint)
{
	struct builder_user who = { .name = NULL };
	struct error err;
	int r;

	if (a->key && strcmp(a->key, text) == 0)
		return 0;
	r = builder_whois(a->socket, fingerprint, text, &who, &err);
	if (r == -ERR_NOTFOUND) {
		log_info("peer=%s key %s is not known", a->peer, fingerprint);
		return r;
	}
	if (r < 0) {
		log_warn("peer=%s login refused: %s", a->peer, err.msg);
		hint(a, ssh,
		     "slipway: the deploy service does not answer; try again "
		     "in a moment.\n");
		return r;
	}
	auth_release(a);
	a->user = who.name;
	a->key = xstrdup(text);
	a->fingerprint = xstrdup(fingerprint);
	return 0;
}

static bool is_right_user(struct auth *a, ssh_session ssh, const char *user)
{
	if (strcmp(user, AUTH_USER) == 0)
		return true;
	log_info("peer=%s user '%.64s' refused: only '%s' logs in", a->peer,
		 user, AUTH_USER);
	hint(a, ssh, "slipway: log in as user git: ssh git@...\n");
	return false;
}

int auth_none(struct auth *a, ssh_session ssh, const char *user)
{
	a->is_tried = true;
	(void)is_right_user(a, ssh, user);
	return SSH_AUTH_DENIED;
}

int auth_pubkey(struct auth *a, ssh_session ssh, const char *user, ssh_key key,
		char state)
{
	auto_free char *text = NULL;
	auto_free char *fingerprint = NULL;
	char *base64 = NULL;

	a->is_tried = true;
	if (a->denials >= AUTH_MAX_DENIALS || !is_right_user(a, ssh, user))
		return deny(a, ssh);
	if (state != SSH_PUBLICKEY_STATE_NONE &&
	    state != SSH_PUBLICKEY_STATE_VALID)
		return deny(a, ssh);
	if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
		return deny(a, ssh);
	if (!is_usable(key, base64)) {
		log_info("peer=%s key of type %s refused", a->peer,
			 ssh_key_type_to_char(ssh_key_type(key)));
		ssh_string_free_char(base64);
		return deny(a, ssh);
	}
	text = xasprintf("%s %s", ssh_key_type_to_char(ssh_key_type(key)),
			 base64);
	ssh_string_free_char(base64);
	fingerprint = fingerprint_of(key);
	if (!fingerprint || look_up(a, ssh, text, fingerprint) < 0)
		return deny(a, ssh);
	if (state == SSH_PUBLICKEY_STATE_VALID)
		a->is_done = true;
	return SSH_AUTH_SUCCESS;
}
