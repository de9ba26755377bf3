#include "builder/aws/aws_http.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define POLL_MS 200
/* Of headers: no service sends a hundredth of it. */
#define HEAD_MAX	(64 * 1024)
#define RETRY_AFTER_MAX 86400000LL /* ms; more makes no sense */

/* Poll and perform by hand: curl_easy_perform() asks its progress callback
 * once a second only. */
struct aws_http {
	CURLM *multi;
	CURL *easy;
};

struct exchange {
	const struct aws_http_request *request;
	struct aws_http_reply *reply;
	size_t head_len;
	bool is_too_long;
	char detail[CURL_ERROR_SIZE];
};

struct aws_http *aws_http_new(void)
{
	struct aws_http *h = xcalloc(1, sizeof(*h));

	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	return h;
}

void aws_http_free(struct aws_http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	free(h);
}

/* ---- what comes back ---- */

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct exchange *x = ctx;
	size_t len = size * count;

	buf_add(&x->reply->body, data, len);
	if (x->reply->body.is_truncated) {
		x->is_too_long = true;
		return 0;
	}
	return len;
}

static void copy_value(char *out, size_t size, struct slice value)
{
	snprintf(out, size, "%.*s", (int)value.len, value.ptr);
}

/* A whole number of at most nine digits; -1 for anything else. */
static int64_t read_number(struct slice value)
{
	int64_t n = 0;

	if (value.len == 0 || value.len > 9)
		return -1;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return -1;
		n = 10 * n + (value.ptr[i] - '0');
	}
	return n;
}

static int64_t read_date(struct slice value)
{
	char text[64];

	if (value.len >= sizeof(text))
		return 0;
	copy_value(text, sizeof(text), value);
	return curl_getdate(text, NULL) > 0 ? curl_getdate(text, NULL) : 0;
}

static void read_retry_after(struct slice value, int64_t unit_ms,
			     struct aws_http_reply *reply)
{
	int64_t n = read_number(value);

	if (n >= 0)
		reply->retry_after_ms = n * unit_ms < RETRY_AFTER_MAX
						? n * unit_ms
						: RETRY_AFTER_MAX;
}

static bool is_named(struct slice name, const char *wanted)
{
	return name.len == strlen(wanted) &&
	       strncasecmp(name.ptr, wanted, name.len) == 0;
}

static void read_header(struct aws_http_reply *reply, struct slice name,
			struct slice value)
{
	if (is_named(name, "x-amzn-ErrorType"))
		copy_value(reply->error_type, sizeof(reply->error_type), value);
	else if (is_named(name, "x-amzn-RequestId"))
		copy_value(reply->request_id, sizeof(reply->request_id), value);
	else if (is_named(name, "Date"))
		reply->date = read_date(value);
	else if (is_named(name, "x-amz-retry-after"))
		read_retry_after(value, 1, reply);
	else if (is_named(name, "Retry-After") && reply->status == 503 &&
		 reply->retry_after_ms < 0)
		read_retry_after(value, 1000, reply);
}

/* A status line begins a head: an interim reply's is forgotten. */
static void begin_head(struct aws_http_reply *reply, struct slice line)
{
	const char *space = memchr(line.ptr, ' ', line.len);

	reply->error_type[0] = reply->request_id[0] = '\0';
	reply->date = 0;
	reply->retry_after_ms = -1;
	reply->status = 0;
	if (space && line.ptr + line.len - space > 3)
		reply->status =
			(long)read_number((struct slice){ space + 1, 3 });
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
	struct exchange *x = ctx;
	struct slice line = { data, size * count };
	const char *colon;

	x->head_len += line.len;
	if (x->head_len > HEAD_MAX) {
		x->is_too_long = true;
		return 0;
	}
	if (slice_starts(line, "HTTP/")) {
		begin_head(x->reply, line);
		return line.len;
	}
	colon = memchr(line.ptr, ':', line.len);
	if (colon) {
		struct slice name = { data, (size_t)(colon - data) };
		struct slice value = { colon + 1, line.len - name.len - 1 };

		read_header(x->reply, name, slice_trim(value));
	}
	return line.len;
}

/* ---- one exchange ---- */

static struct curl_slist *make_headers(const char *const *headers)
{
	/* Not what curl adds on its own: nothing waits for a "100". */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (size_t i = 0; headers && headers[i]; i++)
		list = curl_slist_append(list, headers[i]);
	return list;
}

static void set_body(CURL *easy, const struct aws_http_request *q)
{
	if (q->body.len || strcmp(q->method, "POST") == 0) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)q->body.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
				 q->body.len ? q->body.ptr : "");
	} else if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
}

static int prepare(CURL *easy, struct exchange *x,
		   const struct curl_slist *headers, struct error *err)
{
	const struct aws_http_request *q = x->request;
	const char *bundle = secure_getenv("AWS_CA_BUNDLE");

	curl_easy_reset(easy);
	if (curl_easy_setopt(easy, CURLOPT_URL, q->url) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") !=
		    CURLE_OK)
		return err_set(err, ERR_BUG, "curl refuses its options");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION,
			 (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "slipway/" SLIPWAY_VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)q->total_ms);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT,
			 q->is_sent_once ? 1L : 0L);
	if (q->avoid_proxy)
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (bundle && *bundle)
		curl_easy_setopt(easy, CURLOPT_CAINFO, bundle);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->detail);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
	set_body(easy, q);
	return 0;
}

static bool is_canceled(const struct aws_http_request *q)
{
	return q->is_canceled && q->is_canceled(q->ctx);
}

/* *ret_code: how curl ended it.  -ERR_CANCELED, or -ERR_BUG. */
static int drive(struct aws_http *h, const struct aws_http_request *q,
		 CURLcode *ret_code, struct error *err)
{
	int running = 1;
	int left;
	CURLMsg *m;

	while (running) {
		if (curl_multi_perform(h->multi, &running) != CURLM_OK ||
		    (running && curl_multi_poll(h->multi, NULL, 0, POLL_MS,
						NULL) != CURLM_OK))
			return err_set(err, ERR_BUG, "curl does not run");
		if (running && is_canceled(q))
			return err_set(err, ERR_CANCELED, "canceled");
	}
	m = curl_multi_info_read(h->multi, &left);
	if (!m || m->msg != CURLMSG_DONE)
		return err_set(err, ERR_BUG, "curl does not end");
	*ret_code = m->data.result;
	return 0;
}

static int translate(CURLcode code, const struct exchange *x, struct error *err)
{
	const char *why = x->detail[0] ? x->detail : curl_easy_strerror(code);

	if (x->is_too_long)
		return err_set(err, ERR_LIMIT, "the reply is over %zu bytes",
			       x->reply->body.max);
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ERR_TIMEOUT, "no answer in time (%s)", why);
	case CURLE_UNSUPPORTED_PROTOCOL: /* also for a reply of HTTP/0.9 */
	case CURLE_WEIRD_SERVER_REPLY:
		if (x->reply->was_sent)
			return err_set(err, ERR_PROTO,
				       "what answers speaks no HTTP");
		__attribute__((fallthrough));
	case CURLE_URL_MALFORMAT:
		return err_set(err, ERR_INVALID, "not an http URL: %s",
			       x->request->url);
	default:
		return err_set(err, ERR_SYS, "%s", why);
	}
}

int aws_http_exchange(struct aws_http *h,
		      const struct aws_http_request *request,
		      struct aws_http_reply *ret, struct error *err)
{
	struct exchange x = { .request = request, .reply = ret };
	struct curl_slist *headers = make_headers(request->headers);
	CURLcode code = CURLE_OK;
	long sent = 0;
	int r;

	buf_reset(&ret->body);
	begin_head(ret, (struct slice){ "", 0 });
	ret->was_sent = false;
	r = h->easy && h->multi && headers
		    ? prepare(h->easy, &x, headers, err)
		    : err_set(err, ERR_BUG, "curl does not start");
	if (r == 0) {
		curl_multi_add_handle(h->multi, h->easy);
		r = drive(h, request, &code, err);
		curl_easy_getinfo(h->easy, CURLINFO_REQUEST_SIZE, &sent);
		ret->was_sent = sent > 0;
		curl_multi_remove_handle(h->multi, h->easy);
	}
	if (r == 0 && code != CURLE_OK)
		r = translate(code, &x, err);
	/* Nothing that points into this frame stays behind. */
	if (h->easy)
		curl_easy_reset(h->easy);
	for (struct curl_slist *l = headers; l; l = l->next)
		OPENSSL_cleanse(l->data, strlen(l->data));
	curl_slist_free_all(headers);
	return r;
}
