#include "builder/engine/http.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/engine/engine_private.h"
#include "builder/engine/message.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX 16384

int engine_set_url(struct engine *e, const char *url, struct error *err)
{
	struct sockaddr_un addr;

	e->url = xstrdup(url);
	if (strncmp(url, "unix://", 7) == 0) {
		if (url[7] != '/' || strlen(url + 7) >= sizeof(addr.sun_path))
			return err_set(err, ERR_INVALID,
				       "engine '%s': expected unix:///PATH of "
				       "at most %zu bytes",
				       url, sizeof(addr.sun_path) - 1);
		e->unix_path = xstrdup(url + 7);
		e->base = xstrdup("http://localhost");
		return 0;
	}
	if (strncmp(url, "tcp://", 6) == 0 && url[6] &&
	    !strpbrk(url + 6, "/?#@ ")) {
		e->base = xasprintf("http://%s", url + 6);
		return 0;
	}
	return err_set(err, ERR_INVALID,
		       "engine '%s': expected unix:///PATH or tcp://HOST:PORT",
		       url);
}

int http_prepare(struct engine *e, CURL *easy, const char *path,
		 struct error *err)
{
	auto_free char *url =
		xasprintf("%s%s%s", e->base, e->prefix ? e->prefix : "", path);

	curl_easy_reset(easy);
	if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK)
		return err_set(err, ERR_BUG, "bad engine path '%s'", path);
	if (e->unix_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, e->unix_path);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	/* Whatever http_proxy says: the engine is not behind a proxy. */
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "slipway/" SLIPWAY_VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)ENGINE_CONNECT_MS);
	return 0;
}

/* ---- errors ---- */

static const char *user_name(void)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw ? pw->pw_name : "this user";
}

static int connect_error(const struct engine *e, int sys, struct error *err)
{
	switch (sys) {
	case ENOENT:
	case ENOTDIR:
		return err_set(err, ERR_NOTFOUND,
			       "no Docker Engine at %s: there is no such "
			       "socket (is Docker installed and running?)",
			       e->url);
	case ECONNREFUSED:
		return err_set(err, ERR_PEER,
			       "no Docker Engine at %s: nobody listens there "
			       "(the engine is stopped or starting)",
			       e->url);
	case EACCES:
	case EPERM:
		return err_set(err, ERR_DENIED,
			       "no permission for the engine at %s: add user "
			       "'%s' to the group of the socket (docker)",
			       e->url, user_name());
	default:
		return err_set(err, ERR_PEER, "connect to the engine at %s: %s",
			       e->url,
			       sys ? strerror(sys) : "cannot be reached");
	}
}

long http_status(CURL *easy)
{
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

int http_curl_error(const struct engine *e, CURL *easy, CURLcode code,
		    struct error *err)
{
	long sys = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &sys);
		return connect_error(e, (int)sys, err);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ERR_TIMEOUT,
			       "the engine at %s does not answer (it hangs, or "
			       "is very busy)",
			       e->url);
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return err_set(err, ERR_PEER,
			       "the engine went away (it was stopped, or "
			       "crashed)");
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(err, ERR_PROTO,
			       "what answers at %s is not a Docker Engine",
			       e->url);
	default:
		return err_set(err, ERR_PEER, "the engine at %s: %s", e->url,
			       curl_easy_strerror(code));
	}
}

int http_status_error(long status, struct slice body, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(ERR_MSG_MAX);
	enum err_code code = ERR_PEER;

	message_from_reply(body, &text);
	if (text.len == 0)
		buf_addf(&text, "the engine answered HTTP %ld", status);
	if (strstr(buf_str(&text), "no space left on device"))
		code = ERR_LIMIT;
	else if (status == 404)
		code = ERR_NOTFOUND;
	else if (status == 409)
		code = ERR_EXISTS;
	else if (status == 400)
		code = ERR_INVALID;
	else if (status == 401 || status == 403)
		code = ERR_DENIED;
	return err_set(err, code, "%s", buf_str(&text));
}

/* ---- a raw connection ---- */

/*
 * curl makes the connection (it knows unix sockets and TCP alike), and we
 * keep a duplicate of its socket.
 */
static int connect_raw(struct engine *e, struct error *err)
{
	CURL *easy = curl_easy_init();
	curl_socket_t sock = CURL_SOCKET_BAD;
	CURLcode code;
	int r;

	if (!easy)
		return err_set(err, ERR_BUG, "curl does not start");
	r = http_prepare(e, easy, "/", err);
	if (r == 0) {
		curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
		code = curl_easy_perform(easy);
		if (code == CURLE_OK)
			code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET,
						 &sock);
		if (code != CURLE_OK)
			r = http_curl_error(e, easy, code, err);
	}
	if (r == 0) {
		r = fcntl(sock, F_DUPFD_CLOEXEC, 3);
		if (r < 0)
			r = err_errno(err, errno, "dup");
	}
	curl_easy_cleanup(easy);
	return r;
}

/* Read until the end of the reply's head; its length. */
static int read_head(int fd, struct buf *head, struct error *err)
{
	int64_t deadline = clock_ms() + ENGINE_CONNECT_MS;
	char data[2048];

	for (;;) {
		const char *end =
			head->len ? memmem(head->data, head->len, "\r\n\r\n", 4)
				  : NULL;
		int64_t left = deadline - clock_ms();
		ssize_t n;
		int r;

		if (end)
			return (int)(end - head->data) + 4;
		if (head->len >= HEAD_MAX / 2)
			return err_set(err, ERR_PROTO,
				       "the engine's reply has no end");
		r = io_wait_readable(fd, left > 0 ? (int)left : 0, err);
		if (r < 0)
			return r;
		if (r == 0)
			return err_set(err, ERR_TIMEOUT,
				       "the engine does not answer");
		n = recv(fd, data, sizeof(data), 0);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return err_set(err, ERR_PEER, "the engine went away");
		buf_add(head, data, (size_t)n);
	}
}

static int send_all(int fd, struct slice s, struct error *err)
{
	while (s.len) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "send to the engine");
		s.ptr += n;
		s.len -= (size_t)n;
	}
	return 0;
}

int http_upgrade(struct engine *e, struct slice request, struct buf *ret_rest,
		 struct error *err)
{
	auto_close int fd = connect_raw(e, err);
	auto_buf struct buf head = BUF_INIT(HEAD_MAX);
	int len;
	int r;

	if (fd < 0)
		return fd;
	r = io_set_nonblock(fd, false, err);
	if (r == 0)
		r = send_all(fd, request, err);
	if (r < 0)
		return r;
	len = read_head(fd, &head, err);
	if (len < 0)
		return len;
	if (slice_starts(buf_slice(&head), "HTTP/1.1 404"))
		return err_set(err, ERR_NOTFOUND,
			       "the engine has no such endpoint");
	if (!slice_starts(buf_slice(&head), "HTTP/1.1 101"))
		return err_set(err, ERR_PROTO, "the engine did not upgrade");
	buf_add(ret_rest, head.data + len, head.len - (size_t)len);
	r = io_set_nonblock(fd, true, err);
	return r < 0 ? r : TAKE_FD(fd);
}
