#include "builder/aws/credentials_private.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/wipe.h"
#include "builder/aws/aws_file.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/aws_url.h"
#include "builder/aws/imds.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_ORIGIN	 "http://169.254.170.2"
#define AGENT_TIMEOUT_MS 2000
#define AGENT_TRIES	 3
#define AGENT_BETWEEN_MS 1000
#define ROLES_PATH	 "/latest/meta-data/iam/security-credentials/"
#define ROLE_MAX	 64

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* ---- containers ---- */

int credentials_container_url(const char *relative, const char *full,
			      char **ret_url, struct error *err)
{
	auto_free char *text = NULL;
	struct aws_url url = { 0 };
	bool is_safe;
	int r;

	if (!relative && !full)
		return 0;
	if (relative && *relative != '/')
		return err_set(err, ERR_INVALID,
			       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must "
			       "begin with /");
	text = relative ? xasprintf("%s%s", AGENT_ORIGIN, relative)
			: xstrdup(full);
	r = aws_url_parse(text, &url, err);
	if (r < 0)
		return err_wrap(err, r, "AWS_CONTAINER_CREDENTIALS_%s_URI",
				relative ? "RELATIVE" : "FULL");
	is_safe = aws_url_may_give_credentials(&url);
	aws_url_release(&url);
	if (!is_safe)
		return err_set(err, ERR_INVALID,
			       "AWS_CONTAINER_CREDENTIALS_FULL_URI must be "
			       "https, or http on the loopback interface or "
			       "at the address of the ECS or EKS agent");
	*ret_url = TAKE_PTR(text);
	return 1;
}

/* The Authorization value: of the file, which rotates, else the variable.
 * "" = none. */
static int read_token(struct buf *token, struct error *err)
{
	const char *path = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *text = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct slice s;
	int r;

	if (path) {
		r = aws_file_read(path, token, err);
		if (r == 0)
			r = err_set(err, ERR_INVALID, "no such file");
		if (r < 0) {
			err->code = ERR_INVALID;
			return err_wrap(err, -ERR_INVALID, "'%s'", path);
		}
	} else if (text) {
		buf_adds(token, text);
	}
	while (path && token->len && token->data[token->len - 1] == '\n')
		token->data[--token->len] = '\0';
	s = buf_slice(token);
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' || s.ptr[i] >= 0x7f)
			return err_set(err, ERR_INVALID,
				       "the container's authorization token "
				       "has a line break or control character");
	return buf_check(token, "the container's authorization token", err);
}

static int ask_agent(struct aws_http *http, const char *url,
		     const char *authorization, struct aws_http_reply *reply,
		     struct error *err)
{
	const char *headers[] = { "Accept: application/json", authorization,
				  NULL };
	struct aws_http_request q = { .method = "GET",
				      .url = url,
				      .headers = headers,
				      .body = { "", 0 },
				      .connect_ms = AGENT_TIMEOUT_MS,
				      .total_ms = AGENT_TIMEOUT_MS,
				      .avoid_proxy = true };
	int r = 0;

	for (int i = 0; i < AGENT_TRIES; i++) {
		if (i > 0)
			poll(NULL, 0, AGENT_BETWEEN_MS);
		r = aws_http_exchange(http, &q, reply, err);
		if (r == 0 && (reply->status < 500 || i == AGENT_TRIES - 1))
			break;
	}
	if (r == 0 && reply->status != 200)
		r = err_set(err, reply->status < 500 ? ERR_DENIED : ERR_SYS,
			    "status %ld", reply->status);
	return r < 0 ? err_wrap(err, r, "container credentials") : 0;
}

int credentials_from_container(struct aws_http *http, struct credentials *ret,
			       struct error *err)
{
	static const struct credentials_form form = {
		.token = "Token",
		.must_expire = true,
		.source = "container",
	};
	auto_free char *url = NULL;
	auto_wiped struct buf token = BUF_INIT(CREDENTIALS_VALUE_MAX);
	struct aws_http_reply reply = { .body = BUF_INIT(
						CREDENTIALS_REPLY_MAX) };
	char *authorization = NULL;
	int r = credentials_container_url(
		variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"), &url, err);

	if (r <= 0)
		return r;
	r = read_token(&token, err);
	if (r < 0)
		return r;
	if (token.len)
		authorization = xasprintf("Authorization: %s", buf_str(&token));
	r = ask_agent(http, url, authorization, &reply, err);
	wipe_text(authorization);
	if (r == 0)
		r = credentials_parse(buf_slice(&reply.body), &form,
				      "container credentials", ret, err);
	wipe_buf(&reply.body);
	return r < 0 ? r : 1;
}

/* ---- instances ---- */

/* The name of the instance's role as a path; 0 when it has none. */
static int find_role(struct imds *m, struct aws_http *http, char **ret_path,
		     struct error *err)
{
	auto_buf struct buf list = BUF_INIT(CREDENTIALS_REPLY_MAX);
	struct slice rest;
	struct slice name;
	int r = imds_get(m, http, ROLES_PATH, &list, err);

	if (r <= 0)
		return r;
	rest = buf_slice(&list);
	if (!slice_line(&rest, &name))
		return 0;
	name = slice_trim(name);
	for (size_t i = 0; i < name.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-",
			    name.ptr[i]) ||
		    !name.ptr[i] || i == ROLE_MAX)
			return err_set(err, ERR_INVALID,
				       "instance metadata: the role's name "
				       "is none");
	*ret_path = xasprintf("%s%.*s", ROLES_PATH, (int)name.len, name.ptr);
	return name.len > 0;
}

int credentials_from_instance(const struct aws_environment *env,
			      struct aws_http *http, struct credentials *ret,
			      struct error *err)
{
	static const struct credentials_form form = {
		.token = "Token",
		.must_expire = true,
		.has_code = true,
		.source = CREDENTIALS_INSTANCE,
	};
	auto_wiped struct buf text = BUF_INIT(CREDENTIALS_REPLY_MAX);
	auto_free char *path = NULL;
	struct imds m;
	int r = imds_init(&m, env, err);

	if (r == 0)
		r = find_role(&m, http, &path, err);
	if (r > 0)
		r = imds_get(&m, http, path, &text, err);
	imds_release(&m);
	if (r <= 0)
		return r;
	r = credentials_parse(buf_slice(&text), &form, "instance metadata", ret,
			      err);
	return r < 0 ? r : 1;
}
