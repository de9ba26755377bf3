#include "builder/aws/sigv4.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/credentials.h"
#include "builder/aws/percent.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define HASH_LEN    32
#define TARGET_MAX  (64 * 1024)
#define HEADERS_MAX 64
#define SECRET_MAX  256
#define LAST_SECOND 253402300799LL /* of the year 9999 */

/* A hash as text. */
struct hex {
	char text[2 * HASH_LEN + 1];
};

/*
 * The canonical request goes into its hash piece by piece: it holds the
 * session token, and nobody needs it whole.
 */
struct digest {
	EVP_MD_CTX *ctx;
	bool has_failed;
};

struct header {
	char *name; /* lower case */
	const char *value;
	size_t position; /* equal names keep the order they were given in */
};

struct header_list {
	struct header items[HEADERS_MAX];
	size_t count;
};

void sigv4_signature_release(struct sigv4_signature *s)
{
	if (!s)
		return;
	free(s->target);
	free(s->authorization);
	memset(s, 0, sizeof(*s));
}

/* ---- hashing ---- */

static void to_hex(const unsigned char hash[HASH_LEN], struct hex *ret)
{
	for (size_t i = 0; i < HASH_LEN; i++)
		snprintf(ret->text + 2 * i, 3, "%02x", hash[i]);
}

static void digest_begin(struct digest *d)
{
	d->ctx = EVP_MD_CTX_new();
	d->has_failed =
		!d->ctx || EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1;
}

static void digest_add(struct digest *d, const void *data, size_t len)
{
	if (!d->has_failed && len)
		d->has_failed = EVP_DigestUpdate(d->ctx, data, len) != 1;
}

static void digest_adds(struct digest *d, const char *text)
{
	digest_add(d, text, strlen(text));
}

/* Also when it failed before: ends the digest. */
static int digest_end(struct digest *d, struct hex *ret, struct error *err)
{
	unsigned char hash[HASH_LEN];

	if (!d->has_failed)
		d->has_failed = EVP_DigestFinal_ex(d->ctx, hash, NULL) != 1;
	EVP_MD_CTX_free(d->ctx);
	if (d->has_failed)
		return err_set(err, ERR_BUG, "libcrypto gives no SHA-256");
	to_hex(hash, ret);
	return 0;
}

static bool hmac(const unsigned char *key, size_t key_len, const char *text,
		 unsigned char ret[HASH_LEN])
{
	unsigned int len = HASH_LEN;

	return HMAC(EVP_sha256(), key, (int)key_len,
		    (const unsigned char *)text, strlen(text), ret, &len);
}

/* ---- headers ---- */

static bool is_token(const char *s)
{
	return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789!#$%&'*+-.^_`|~")] == '\0';
}

static bool is_sendable(const char *s)
{
	for (; *s; s++)
		if (*s != '\t' && (*s < ' ' || *s > '~'))
			return false;
	return true;
}

/* Without spaces and "/": goes into the credential scope. */
static bool is_scope_word(const char *s)
{
	return *s && is_sendable(s) && !strpbrk(s, " \t/,=");
}

static bool is_added_by_us(const char *name)
{
	static const char *const names[] = { "host", "x-amz-date",
					     "x-amz-security-token",
					     "authorization" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static void header_add(struct header_list *list, const char *name,
		       const char *value)
{
	struct header *h = &list->items[list->count];

	h->name = xstrdup(name);
	for (char *p = h->name; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	h->value = value;
	h->position = list->count++;
}

static void header_list_release(struct header_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].name);
}

static int compare_headers(const void *a, const void *b)
{
	const struct header *x = a;
	const struct header *y = b;
	int order = strcmp(x->name, y->name);

	if (order)
		return order;
	return x->position < y->position ? -1 : 1;
}

static int collect_headers(const struct sigv4_request *q,
			   const struct credentials *c, const char *date,
			   struct header_list *list, struct error *err)
{
	if (q->headers_count > HEADERS_MAX - 3)
		return err_set(err, ERR_INVALID, "more than %d headers",
			       HEADERS_MAX - 3);
	for (size_t i = 0; i < q->headers_count; i++) {
		const struct sigv4_pair *h = &q->headers[i];

		if (!is_token(h->name) || is_added_by_us(h->name))
			return err_set(err, ERR_INVALID,
				       "header '%s' cannot be signed", h->name);
		if (!is_sendable(h->value))
			return err_set(err, ERR_INVALID,
				       "header '%s': only printable ASCII can "
				       "be sent",
				       h->name);
		header_add(list, h->name, h->value);
	}
	header_add(list, "Host", q->host);
	header_add(list, "X-Amz-Date", date);
	if (c->session_token)
		header_add(list, "X-Amz-Security-Token", c->session_token);
	qsort(list->items, list->count, sizeof(list->items[0]),
	      compare_headers);
	return 0;
}

/* Trimmed, with every run of white space inside as one space. */
static void digest_value(struct digest *d, const char *value)
{
	const char *gap = "";

	for (;;) {
		size_t len;

		value += strspn(value, " \t");
		if (!*value)
			return;
		len = strcspn(value, " \t");
		digest_adds(d, gap);
		digest_add(d, value, len);
		value += len;
		gap = " ";
	}
}

static void digest_headers(struct digest *d, const struct header_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct header *h = &list->items[i];
		bool is_again =
			i > 0 && strcmp(list->items[i - 1].name, h->name) == 0;

		if (is_again) {
			digest_adds(d, ",");
		} else {
			digest_adds(d, i ? "\n" : "");
			digest_adds(d, h->name);
			digest_adds(d, ":");
		}
		digest_value(d, h->value);
	}
	digest_adds(d, "\n");
}

static void signed_names(const struct header_list *list, struct buf *out)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *name = list->items[i].name;

		if (i > 0 && strcmp(list->items[i - 1].name, name) == 0)
			continue;
		if (out->len)
			buf_addc(out, ';');
		buf_adds(out, name);
	}
}

/* ---- path and query ---- */

static void drop_last_segment(struct buf *path)
{
	const char *slash = memrchr(buf_str(path), '/', path->len);

	if (slash) {
		path->len = (size_t)(slash - path->data);
		path->data[path->len] = '\0';
	}
}

/*
 * The path as it is sent: without empty, "." and ".." segments (a last one
 * leaves its slash), encoded once.
 */
static void add_path(struct buf *out, const char *path)
{
	auto_buf struct buf plain = BUF_INIT(TARGET_MAX);
	const char *p = path;

	while (*p) {
		struct slice part;

		p += strspn(p, "/");
		part = (struct slice){ p, strcspn(p, "/") };
		p += part.len;
		if (slice_eq(part, "..")) {
			drop_last_segment(&plain);
		} else if (part.len && !slice_eq(part, ".")) {
			buf_addc(&plain, '/');
			buf_add(&plain, part.ptr, part.len);
			continue;
		}
		if (!*p) {
			buf_addc(&plain, '/');
			break;
		}
	}
	if (plain.len == 0)
		buf_addc(&plain, '/');
	out->is_truncated = out->is_truncated || plain.is_truncated;
	percent_encode(out, buf_slice(&plain), "/");
}

struct encoded_pair {
	char *name;
	char *value;
};

static char *encoded(const char *text)
{
	struct buf b = BUF_INIT(TARGET_MAX);

	percent_encode(&b, slice_str(text), "");
	return b.is_truncated ? (buf_release(&b), NULL) : buf_detach(&b);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct encoded_pair *x = a;
	const struct encoded_pair *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->value, y->value);
}

/* Sorted by encoded name, then value: what is sent is canonical. */
static void add_query(struct buf *out, const struct sigv4_pair *query,
		      size_t count)
{
	auto_free struct encoded_pair *pairs =
		xcalloc(count + 1, sizeof(*pairs));

	for (size_t i = 0; i < count; i++) {
		pairs[i].name = encoded(query[i].name);
		pairs[i].value = encoded(query[i].value);
		if (!pairs[i].name || !pairs[i].value) {
			out->is_truncated = true;
			count = i + 1;
			goto done;
		}
	}
	qsort(pairs, count, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < count; i++)
		buf_addf(out, "%s%s=%s", i ? "&" : "", pairs[i].name,
			 pairs[i].value);
done:
	for (size_t i = 0; i < count; i++) {
		free(pairs[i].name);
		free(pairs[i].value);
	}
}

/* ---- signing ---- */

static int hash_body(struct slice body, struct hex *ret, struct error *err)
{
	struct digest d;

	digest_begin(&d);
	digest_add(&d, body.ptr, body.len);
	return digest_end(&d, ret, err);
}

static int hash_request(const struct sigv4_request *q, const char *path,
			const char *query, const struct header_list *headers,
			const char *names, struct hex *ret, struct error *err)
{
	auto_buf struct buf canonical_path = BUF_INIT(3 * TARGET_MAX);
	struct hex body;
	struct digest d;
	int r = hash_body(q->body, &body, err);

	if (r < 0)
		return r;
	/* Encoded a second time, as every service but S3 wants it. */
	percent_encode(&canonical_path, slice_str(path), "/");
	digest_begin(&d);
	digest_adds(&d, q->method);
	digest_adds(&d, "\n");
	digest_adds(&d, buf_str(&canonical_path));
	digest_adds(&d, "\n");
	digest_adds(&d, query);
	digest_adds(&d, "\n");
	digest_headers(&d, headers);
	digest_adds(&d, "\n");
	digest_adds(&d, names);
	digest_adds(&d, "\n");
	digest_adds(&d, body.text);
	return digest_end(&d, ret, err);
}

static int sign_text(const struct sigv4_request *q, const char *secret,
		     const char *date, const char *text, struct hex *ret,
		     struct error *err)
{
	unsigned char key[HASH_LEN];
	char first[SECRET_MAX + 8];
	char day[9];
	bool ok;

	snprintf(first, sizeof(first), "AWS4%s", secret);
	snprintf(day, sizeof(day), "%.8s", date);
	ok = hmac((unsigned char *)first, strlen(first), day, key) &&
	     hmac(key, HASH_LEN, q->region, key) &&
	     hmac(key, HASH_LEN, q->service, key) &&
	     hmac(key, HASH_LEN, "aws4_request", key) &&
	     hmac(key, HASH_LEN, text, key);
	OPENSSL_cleanse(first, sizeof(first));
	if (ok)
		to_hex(key, ret); /* by now the signature */
	OPENSSL_cleanse(key, sizeof(key));
	return ok ? 0 : err_set(err, ERR_BUG, "libcrypto gives no HMAC");
}

static int check(const struct sigv4_request *q, const struct credentials *c,
		 struct error *err)
{
	if (!is_scope_word(q->region))
		return err_set(err, ERR_INVALID, "malformed region");
	if (!is_scope_word(q->service))
		return err_set(err, ERR_INVALID, "malformed signing name");
	if (!is_token(q->method))
		return err_set(err, ERR_INVALID, "malformed HTTP method");
	if (!*q->host || !is_sendable(q->host))
		return err_set(err, ERR_INVALID, "malformed host");
	if (!is_scope_word(c->access_key))
		return err_set(err, ERR_INVALID, "malformed access key id");
	if (!*c->secret_key || strlen(c->secret_key) > SECRET_MAX)
		return err_set(err, ERR_INVALID, "malformed secret key");
	if (c->session_token && !is_sendable(c->session_token))
		return err_set(err, ERR_INVALID, "malformed session token");
	if (q->time < 0 || q->time > LAST_SECOND)
		return err_set(err, ERR_INVALID, "no such time");
	return 0;
}

static void write_date(int64_t when, char date[17])
{
	time_t t = (time_t)when;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(date, 17, "%Y%m%dT%H%M%SZ", &tm);
}

static int authorize(const struct sigv4_request *q, const struct credentials *c,
		     const struct header_list *headers, const char *path,
		     const char *query, struct sigv4_signature *s,
		     struct error *err)
{
	auto_buf struct buf names = BUF_INIT(SIZE_MAX / 4);
	auto_free char *scope = xasprintf("%.8s/%s/%s/aws4_request", s->date,
					  q->region, q->service);
	auto_free char *text = NULL;
	struct hex hash;
	struct hex signature;
	int r;

	signed_names(headers, &names);
	r = hash_request(q, path, query, headers, buf_str(&names), &hash, err);
	if (r < 0)
		return r;
	text = xasprintf(ALGORITHM "\n%s\n%s\n%s", s->date, scope, hash.text);
	r = sign_text(q, c->secret_key, s->date, text, &signature, err);
	if (r < 0)
		return r;
	s->authorization = xasprintf(
		ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		c->access_key, scope, buf_str(&names), signature.text);
	return 0;
}

int sigv4_sign(const struct sigv4_request *request,
	       const struct credentials *credentials,
	       struct sigv4_signature *ret, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(TARGET_MAX);
	auto_buf struct buf query = BUF_INIT(TARGET_MAX);
	struct header_list headers = { .count = 0 };
	struct sigv4_signature s = { 0 };
	int r = check(request, credentials, err);

	if (r < 0)
		return r;
	write_date(request->time, s.date);
	add_path(&path, request->path);
	add_query(&query, request->query, request->query_count);
	if (path.is_truncated || query.is_truncated)
		return err_set(err, ERR_INVALID,
			       "path or query longer than %d bytes",
			       TARGET_MAX);
	r = collect_headers(request, credentials, s.date, &headers, err);
	if (r == 0)
		r = authorize(request, credentials, &headers, buf_str(&path),
			      buf_str(&query), &s, err);
	header_list_release(&headers);
	if (r < 0)
		return r;
	s.target = xasprintf("%s%s%s", buf_str(&path), query.len ? "?" : "",
			     buf_str(&query));
	*ret = s;
	return 0;
}
