#include "builder/commands/pubkey.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <openssl/evp.h>
#include <string.h>

#define RSA_BITS_MIN	2048
#define RSA_BITS_MAX	16384
#define ED25519_LEN	32
#define SHA256_LEN	32
#define APPLICATION_MAX 255

/* The bytes inside the base64, read from the front. */
struct reader {
	const unsigned char *ptr;
	size_t len;
};

typedef int (*check_fn)(struct reader *in, const char *curve, size_t point,
			struct error *err);

static int check_ed25519(struct reader *in, const char *curve, size_t point,
			 struct error *err);
static int check_rsa(struct reader *in, const char *curve, size_t point,
		     struct error *err);
static int check_ecdsa(struct reader *in, const char *curve, size_t point,
		       struct error *err);
static int check_sk_ed25519(struct reader *in, const char *curve, size_t point,
			    struct error *err);
static int check_sk_ecdsa(struct reader *in, const char *curve, size_t point,
			  struct error *err);

static const struct key_type {
	const char *name;
	check_fn check;
	const char *curve;
	size_t point; /* bytes of an uncompressed point on the curve */
} key_types[] = {
	{ "ssh-ed25519", check_ed25519, NULL, 0 },
	{ "ssh-rsa", check_rsa, NULL, 0 },
	{ "ecdsa-sha2-nistp256", check_ecdsa, "nistp256", 65 },
	{ "ecdsa-sha2-nistp384", check_ecdsa, "nistp384", 97 },
	{ "ecdsa-sha2-nistp521", check_ecdsa, "nistp521", 133 },
	{ "sk-ssh-ed25519@openssh.com", check_sk_ed25519, NULL, 0 },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", check_sk_ecdsa, "nistp256",
	  65 },
};

void pubkey_release(struct pubkey *k)
{
	if (!k)
		return;
	free(k->text);
	free(k->comment);
	*k = (struct pubkey){ 0 };
}

static int damaged(struct error *err, const char *what)
{
	return err_set(err, ERR_INVALID, "the key is damaged: %s", what);
}

/* ---- fields of the key (RFC 4251, section 5) ---- */

static bool take_string(struct reader *in, struct slice *ret)
{
	size_t len;

	if (in->len < 4)
		return false;
	len = (size_t)in->ptr[0] << 24 | (size_t)in->ptr[1] << 16 |
	      (size_t)in->ptr[2] << 8 | in->ptr[3];
	if (len > in->len - 4)
		return false;
	ret->ptr = (const char *)in->ptr + 4;
	ret->len = len;
	in->ptr += 4 + len;
	in->len -= 4 + len;
	return true;
}

/* A positive number without needless zeros; its bits. */
static bool take_mpint(struct reader *in, struct slice *ret, size_t *ret_bits)
{
	const unsigned char *p;
	size_t bits;

	if (!take_string(in, ret) || ret->len == 0)
		return false;
	p = (const unsigned char *)ret->ptr;
	if (p[0] & 0x80)
		return false;
	if (p[0] == 0) {
		if (ret->len == 1 || !(p[1] & 0x80))
			return false;
		p++;
	}
	bits = (size_t)((const unsigned char *)ret->ptr + ret->len - p) * 8;
	for (unsigned char top = *p; !(top & 0x80);
	     top = (unsigned char)(top << 1))
		bits--;
	*ret_bits = bits;
	return true;
}

static int check_ed25519(struct reader *in, const char *curve, size_t point,
			 struct error *err)
{
	struct slice key;

	(void)curve;
	(void)point;
	if (!take_string(in, &key) || key.len != ED25519_LEN)
		return damaged(err, "it does not hold 32 bytes");
	return 0;
}

static int check_rsa(struct reader *in, const char *curve, size_t point,
		     struct error *err)
{
	struct slice e;
	struct slice n;
	size_t e_bits;
	size_t n_bits;

	(void)curve;
	(void)point;
	if (!take_mpint(in, &e, &e_bits) || !take_mpint(in, &n, &n_bits))
		return damaged(err, "bad RSA numbers");
	if (e_bits < 2 || e_bits > 64 || !(e.ptr[e.len - 1] & 1) ||
	    !(n.ptr[n.len - 1] & 1))
		return damaged(err, "bad RSA numbers");
	if (n_bits < RSA_BITS_MIN)
		return err_set(err, ERR_INVALID,
			       "an RSA key of %zu bits is too weak: make one "
			       "with ssh-keygen -t ed25519",
			       n_bits);
	if (n_bits > RSA_BITS_MAX)
		return err_set(err, ERR_INVALID,
			       "an RSA key of %zu bits is too long: the most "
			       "is %d",
			       n_bits, RSA_BITS_MAX);
	return 0;
}

static int check_ecdsa(struct reader *in, const char *curve, size_t point,
		       struct error *err)
{
	struct slice name;
	struct slice q;

	if (!take_string(in, &name) || !slice_eq(name, curve))
		return damaged(err, "its curve is another than its type says");
	if (!take_string(in, &q) || q.len != point || q.ptr[0] != 4)
		return damaged(err, "bad point on the curve");
	return 0;
}

/* "ssh:" or a name like it, of the security key's application. */
static int check_application(struct reader *in, struct error *err)
{
	struct slice name;

	if (!take_string(in, &name) || name.len < 1 ||
	    name.len > APPLICATION_MAX)
		return damaged(err, "bad application of a security key");
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] > '~')
			return damaged(err,
				       "bad application of a security key");
	return 0;
}

static int check_sk_ed25519(struct reader *in, const char *curve, size_t point,
			    struct error *err)
{
	int r = check_ed25519(in, curve, point, err);

	return r < 0 ? r : check_application(in, err);
}

static int check_sk_ecdsa(struct reader *in, const char *curve, size_t point,
			  struct error *err)
{
	int r = check_ecdsa(in, curve, point, err);

	return r < 0 ? r : check_application(in, err);
}

/* ---- base64 (RFC 4648, section 4) ---- */

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/*
 * Only the canonical form: the whole text is compared at login, so two ways
 * to write one key must not exist.
 */
static bool base64_decode(struct slice text, struct buf *out)
{
	size_t digits = text.len;
	unsigned int bits = 0;

	if (text.len == 0 || text.len % 4)
		return false;
	while (digits > 0 && text.len - digits < 2 &&
	       text.ptr[digits - 1] == '=')
		digits--;
	for (size_t i = 0; i < digits; i++) {
		int digit = base64_digit(text.ptr[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (unsigned int)digit;
		if (i % 4 > 0)
			buf_addc(out, (char)(bits >> (6 - 2 * (i % 4))));
	}
	/* 2 or 4 bits of the last digit are no part of a byte. */
	if (digits % 4 == 2 && (bits & 15))
		return false;
	if (digits % 4 == 3 && (bits & 3))
		return false;
	return true;
}

static int fingerprint(const struct buf *blob, char *out, struct error *err)
{
	unsigned char digest[SHA256_LEN];
	unsigned int len = 0;
	char *end;

	if (!EVP_Digest(blob->data, blob->len, digest, &len, EVP_sha256(),
			NULL))
		return err_set(err, ERR_BUG, "SHA-256 failed");
	memcpy(out, "SHA256:", 7);
	EVP_EncodeBlock((unsigned char *)out + 7, digest, (int)len);
	end = strchr(out, '=');
	if (end)
		*end = '\0';
	return 0;
}

/* ---- the line ---- */

static const struct key_type *find_type(struct slice word)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_types); i++)
		if (slice_eq(word, key_types[i].name))
			return &key_types[i];
	return NULL;
}

bool pubkey_is_type(const char *word)
{
	return find_type(slice_str(word)) != NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice take_word(struct slice *rest)
{
	struct slice word = { rest->ptr, 0 };

	while (word.len < rest->len && !is_blank(rest->ptr[word.len]))
		word.len++;
	rest->ptr += word.len;
	rest->len -= word.len;
	*rest = slice_trim(*rest);
	return word;
}

static bool ends_with(struct slice word, const char *tail)
{
	size_t len = strlen(tail);

	return word.len >= len &&
	       memcmp(word.ptr + word.len - len, tail, len) == 0;
}

/* What somebody pasted who did not paste a public key line. */
static int explain(struct slice line, struct slice word, struct error *err)
{
	static const char cert[] = "-cert-v01@openssh.com";
	struct slice rest = line;

	if (slice_starts(line, "---- BEGIN SSH2"))
		return err_set(err, ERR_INVALID,
			       "this is the format of RFC 4716: turn it into "
			       "OpenSSH's with ssh-keygen -i -f FILE");
	if (slice_starts(line, "-----BEGIN") ||
	    slice_starts(line, "PuTTY-User-Key-File"))
		return err_set(err, ERR_INVALID,
			       "this is a private key file: keep it to "
			       "yourself and send its .pub file");
	if (ends_with(word, cert))
		return err_set(err, ERR_INVALID,
			       "this is a certificate: send the key itself");
	if (slice_eq(word, "ssh-dss"))
		return err_set(err, ERR_INVALID,
			       "DSA keys are too weak: make one with "
			       "ssh-keygen -t ed25519");
	while (rest.len > 0)
		if (find_type(take_word(&rest)))
			return err_set(err, ERR_INVALID,
				       "options in front of a key are not "
				       "supported: the line must start with "
				       "its type");
	return err_set(err, ERR_INVALID,
		       "this is not a public key: expected 'ssh-ed25519 "
		       "AAAA... comment' or another type, as in "
		       "~/.ssh/id_ed25519.pub");
}

static int parse_blob(const struct key_type *type, struct slice base64,
		      struct buf *blob, struct error *err)
{
	struct reader in;
	struct slice inner;
	int r;

	if (!base64_decode(base64, blob))
		return damaged(err, "bad base64 (a line break in it?)");
	r = buf_check(blob, "key", err);
	if (r < 0)
		return r;
	in.ptr = (const unsigned char *)buf_str(blob);
	in.len = blob->len;
	if (!take_string(&in, &inner) || !slice_eq(inner, type->name))
		return damaged(err, "it is of another type than it says");
	r = type->check(&in, type->curve, type->point, err);
	if (r < 0)
		return r;
	if (in.len > 0)
		return damaged(err, "bytes follow its end");
	return 0;
}

static int parse_line(struct slice line, struct pubkey *ret, struct error *err)
{
	auto_buf struct buf blob = BUF_INIT(PUBKEY_INPUT_MAX);
	struct slice rest = line;
	struct slice word = take_word(&rest);
	const struct key_type *type = find_type(word);
	int r;

	if (!type)
		return explain(line, word, err);
	word = take_word(&rest);
	r = parse_blob(type, word, &blob, err);
	if (r < 0)
		return r;
	r = fingerprint(&blob, ret->fingerprint, err);
	if (r < 0)
		return r;
	ret->type = type->name;
	ret->text = xasprintf("%s %.*s", type->name, (int)word.len, word.ptr);
	ret->comment = slice_dup(rest);
	return 0;
}

int pubkey_parse(struct slice input, struct pubkey *ret, struct error *err)
{
	struct slice found = { NULL, 0 };
	struct slice line;

	if (input.len > PUBKEY_INPUT_MAX)
		return err_set(err, ERR_LIMIT,
			       "a public key is never longer than %d bytes",
			       PUBKEY_INPUT_MAX);
	if (input.len > 0 && memchr(input.ptr, '\0', input.len))
		return err_set(err, ERR_INVALID,
			       "this is not a public key: it holds a NUL");
	while (slice_line(&input, &line)) {
		line = slice_trim(line);
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		if (found.ptr && !slice_starts(found, "--") &&
		    !slice_starts(found, "PuTTY"))
			return err_set(err, ERR_INVALID,
				       "more than one line: one key at a time");
		if (!found.ptr)
			found = line;
	}
	if (!found.ptr)
		return err_set(err, ERR_INVALID,
			       "no public key given: send the content of "
			       "~/.ssh/id_ed25519.pub");
	return parse_line(found, ret, err);
}
