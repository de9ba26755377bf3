#include "receiver/builder_client.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/wire.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char silent[] = "the deploy service does not answer";

void builder_user_release(struct builder_user *u)
{
	if (!u)
		return;
	free(u->name);
	memset(u, 0, sizeof(*u));
}

void builder_grant_release(struct builder_grant *g)
{
	if (!g)
		return;
	free(g->app);
	free(g->git_dir);
	memset(g, 0, sizeof(*g));
}

/* A socket timeout shows as EAGAIN. */
static int name_timeout(int r, struct error *err)
{
	if (r == -ERR_SYS && (err->sys == EAGAIN || err->sys == EINPROGRESS))
		return err_set(err, ERR_TIMEOUT, "%s within %d s", silent,
			       BUILDER_TIMEOUT_MS / 1000);
	return r;
}

int builder_connect(const char *socket, struct error *err)
{
	int fd = io_unix_connect_for(socket, BUILDER_TIMEOUT_MS, err);

	return fd < 0 ? name_timeout(fd, err) : fd;
}

/* `request` is taken over; NULL when a string in it was not UTF-8. */
static int call(const char *socket, json_t *request, json_t **ret_reply,
		struct error *err)
{
	auto_close int fd = -1;

	if (!request)
		return err_set(err, ERR_INVALID, "not valid UTF-8");
	fd = builder_connect(socket, err);
	if (fd < 0) {
		json_decref(request);
		return fd;
	}
	return name_timeout(wire_call(fd, request, ret_reply, err), err);
}

int builder_whois(const char *socket, const char *fingerprint, const char *key,
		  struct builder_user *ret, struct error *err)
{
	struct answer {
		const char *user;
		bool is_admin;
	} a = { NULL, false };
	static const struct json_field fields[] = {
		JSON_FIELD(struct answer, user, "user", JSON_FIELD_STRING,
			   JSON_REQUIRED),
		JSON_FIELD(struct answer, is_admin, "admin", JSON_FIELD_BOOL,
			   JSON_OPTIONAL),
		{ NULL, JSON_FIELD_STRING, JSON_OPTIONAL, 0 }
	};
	json_auto_t *reply = NULL;
	int r = call(socket,
		     json_pack("{s:s, s:s, s:s}", "type", "whois",
			       "fingerprint", fingerprint, "key", key),
		     &reply, err);

	if (r == 0)
		r = json_read(reply, fields, "user", &a, err);
	if (r < 0)
		return r;
	if (!*a.user)
		return err_set(err, ERR_PROTO, "the key belongs to no name");
	ret->name = xstrdup(a.user);
	ret->is_admin = a.is_admin;
	return 0;
}

int builder_authorize(const char *socket, const char *user, const char *app,
		      const char *action, struct builder_grant *ret,
		      struct error *err)
{
	struct answer {
		const char *app;
		const char *git_dir;
		bool created;
	} a = { NULL, NULL, false };
	static const struct json_field fields[] = {
		JSON_FIELD(struct answer, app, "app", JSON_FIELD_STRING,
			   JSON_REQUIRED),
		JSON_FIELD(struct answer, git_dir, "git_dir", JSON_FIELD_STRING,
			   JSON_REQUIRED),
		JSON_FIELD(struct answer, created, "created", JSON_FIELD_BOOL,
			   JSON_OPTIONAL),
		{ NULL, JSON_FIELD_STRING, JSON_OPTIONAL, 0 }
	};
	json_auto_t *reply = NULL;
	int r = call(socket,
		     json_pack("{s:s, s:s, s:s, s:s}", "type", "authorize",
			       "user", user, "app", app, "action", action),
		     &reply, err);

	if (r == 0)
		r = json_read(reply, fields, "authorized", &a, err);
	if (r < 0)
		return r;
	if (a.git_dir[0] != '/')
		return err_set(err, ERR_PROTO, "no absolute git_dir");
	ret->app = xstrdup(a.app);
	ret->git_dir = xstrdup(a.git_dir);
	ret->is_new = a.created;
	return 0;
}
