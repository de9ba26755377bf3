/*
 * What a message asks for, who may ask, and the answer (docs/PROTOCOL.md).
 */
#include "builder/control/server.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/wire.h"
#include "builder/jobs/policy.h"
#include "builder/source/repo.h"
#include "builder/store/app_url.h"
#include "builder/store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COMMAND_CLIENT_FD  4
#define COMMAND_REQUEST_FD 5
#define DESCRIPTION_MAX	   1000

static void reply(struct client *c, json_t *msg)
{
	wire_add_message(&c->out, msg);
}

static int not_found(const char *app, struct error *err)
{
	return err_set(err, ERR_NOTFOUND, "app '%s' not found", app);
}

/* ---- ping, whois ---- */

static int on_ping(struct server *s, struct client *c, const json_t *msg,
		   struct error *err)
{
	(void)s;
	(void)msg;
	(void)err;
	reply(c, json_pack("{s:s, s:s}", "type", "pong", "version",
			   SLIPWAY_VERSION));
	return 0;
}

static int on_whois(struct server *s, struct client *c, const json_t *msg,
		    struct error *err)
{
	struct user user = { NULL };
	int r = store_whois(s->store, json_get_str(msg, "fingerprint", ""),
			    json_get_str(msg, "key", ""), &user, err);

	if (r < 0)
		return r;
	reply(c, json_pack("{s:s, s:s, s:b}", "type", "user", "user", user.name,
			   "admin", (int)user.is_admin));
	user_release(&user);
	return 0;
}

/* ---- authorize ---- */

static int create_app(struct server *s, const char *name, const char *user,
		      struct app *ret, struct error *err)
{
	struct user u = { NULL };
	int r = store_user_get(s->store, user, &u, err);

	user_release(&u);
	if (r == 0)
		r = store_app_room(s->store, s->cfg->router_max_apps, err);
	if (r == 0)
		r = store_app_create(s->store, name, user,
				     s->cfg->deploy_target, ret, err);
	if (r < 0)
		return r;
	r = repo_create(s->cfg, ret->id, err);
	if (r < 0) {
		struct error ignored;

		if (store_app_remove(s->store, ret->id, &ignored) < 0)
			log_error("app=%s %s", name, ignored.msg);
		app_release(ret);
		return r;
	}
	log_info("app=%s user=%s created", name, user);
	return 0;
}

/* The app, if `user` has at least this role on it.  0 or -code. */
static int allowed_app(struct server *s, const char *name, const char *user,
		       enum role role, struct app *ret, struct error *err)
{
	int has;
	int r = store_app_get(s->store, name, ret, err);

	if (r == -ERR_NOTFOUND)
		return not_found(name, err);
	if (r < 0)
		return r;
	has = store_role(s->store, ret->id, user, err);
	if (has >= (int)role)
		return 0;
	app_release(ret);
	if (has < 0)
		return has;
	if (has == ROLE_NONE)
		return not_found(name, err);
	return err_set(err, ERR_DENIED,
		       "you may see app '%s' but not deploy it (your role: "
		       "%s)",
		       name, role_name((enum role)has));
}

static int on_authorize(struct server *s, struct client *c, const json_t *msg,
			struct error *err)
{
	const char *user = json_get_str(msg, "user", "");
	const char *name = json_get_str(msg, "app", "");
	bool is_push = strcmp(json_get_str(msg, "action", ""), "push") == 0;
	auto_free char *git_dir = NULL;
	struct app app = { 0 };
	bool created = false;
	int r = allowed_app(s, name, user, is_push ? ROLE_DEPLOY : ROLE_VIEW,
			    &app, err);

	/* Not there at all (rather than not for this user to see)? */
	if (r == -ERR_NOTFOUND && is_push) {
		struct app hidden = { 0 };
		struct error ignored;

		if (store_app_get(s->store, name, &hidden, &ignored) ==
		    -ERR_NOTFOUND) {
			r = create_app(s, name, user, &app, err);
			created = r == 0;
		}
		app_release(&hidden);
	}
	if (r < 0)
		return r;
	git_dir = repo_path(s->cfg, app.id);
	reply(c,
	      json_pack("{s:s, s:s, s:s, s:b}", "type", "authorized", "app",
			app.name, "git_dir", git_dir, "created", (int)created));
	app_release(&app);
	return 0;
}

/* ---- push, attach, cancel ---- */

static int add_job(struct server *s, const struct app *app, const json_t *msg,
		   const struct push_plan *plan, int64_t *ret_id,
		   struct error *err)
{
	auto_free char *request = json_dumps(msg, JSON_COMPACT);
	struct job job = {
		.app_id = app->id,
		.app = app->name,
		.user = (char *)json_get_str(msg, "user", ""),
		.fingerprint = (char *)json_get_str(msg, "fingerprint", ""),
		.ref = plan->deploy ? (char *)plan->deploy->ref : (char *)"",
		.commit = plan->deploy ? (char *)plan->deploy->new_oid
				       : (char *)"",
		.request = request,
	};
	int r;

	if (!request)
		return err_set(err, ERR_PROTO, "the push cannot be stored");
	r = store_job_add(s->store, &job, ret_id, err);
	if (r < 0)
		return r;
	job.id = *ret_id;
	return queue_add(s, &job, err);
}

/* A new job is the client's to watch, and perhaps to start at once. */
static void watch_job(struct server *s, struct client *c, int64_t id)
{
	reply(c, json_pack("{s:s, s:I}", "type", "accepted", "job",
			   (json_int_t)id));
	c->is_pusher = true;
	client_watch(s, c, id, 0);
	queue_run(s);
}

static int push_to(struct server *s, struct client *c, const struct app *app,
		   const json_t *msg, struct error *err)
{
	auto_free char *url = app_git_url(s->cfg, app->name);
	struct push_plan plan;
	bool has_work = false;
	int64_t id = 0;
	int r = push_plan_make(msg, app->deploy_branch, url, &plan, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < plan.count; i++)
		has_work |= plan.verdicts[i].meaning != MEANING_REFUSE;
	if (has_work) {
		r = add_job(s, app, msg, &plan, &id, err);
	} else {
		reply(c, json_pack("{s:s, s:o}", "type", "verdicts", "results",
				   push_plan_results(&plan)));
		c->state = CLIENT_CLOSING;
	}
	push_plan_release(&plan);
	if (r < 0 || !has_work)
		return r;
	watch_job(s, c, id);
	return 0;
}

static int on_push(struct server *s, struct client *c, const json_t *msg,
		   struct error *err)
{
	struct app app = { 0 };
	int r;

	if (s->is_stopping)
		return err_set(err, ERR_PEER, "the server is stopping");
	r = allowed_app(s, json_get_str(msg, "app", ""),
			json_get_str(msg, "user", ""), ROLE_DEPLOY, &app, err);
	if (r < 0)
		return r;
	r = push_to(s, c, &app, msg, err);
	app_release(&app);
	return r;
}

/* ---- release ---- */

static int add_release_job(struct server *s, const struct app *app,
			   const json_t *msg, int64_t *ret_id,
			   struct error *err)
{
	auto_free char *request = json_dumps(msg, JSON_COMPACT);
	struct release live = { 0 };
	struct job job = {
		.kind = JOB_RELEASE,
		.app_id = app->id,
		.app = app->name,
		.user = (char *)json_get_str(msg, "user", ""),
		.ref = (char *)"",
		.request = request,
	};
	int r = store_release_get(s->store, app->id, 0, &live, err);

	if (r < 0)
		return r;
	job.commit = live.commit;
	r = store_job_add(s->store, &job, ret_id, err);
	job.id = *ret_id;
	if (r == 0)
		r = queue_add(s, &job, err);
	release_release(&live);
	return r;
}

/* The worker of a command asks, when it has checked the rights. */
static int on_release(struct server *s, struct client *c, const json_t *msg,
		      struct error *err)
{
	struct app app = { 0 };
	int64_t id = 0;
	int r;

	if (!c->is_trusted)
		return err_set(err, ERR_DENIED, "not for the receiver");
	if (s->is_stopping)
		return err_set(err, ERR_PEER, "the server is stopping");
	if (strlen(json_get_str(msg, "description", "")) > DESCRIPTION_MAX)
		return err_set(err, ERR_PROTO, "release.description: too long");
	r = store_app_get(s->store, json_get_str(msg, "app", ""), &app, err);
	if (r == 0)
		r = add_release_job(s, &app, msg, &id, err);
	app_release(&app);
	if (r < 0)
		return r;
	watch_job(s, c, id);
	return 0;
}

static int on_attach(struct server *s, struct client *c, const json_t *msg,
		     struct error *err)
{
	json_int_t id = json_integer_value(json_object_get(msg, "job"));
	json_int_t offset = json_integer_value(json_object_get(msg, "offset"));
	struct job job = { 0 };
	int r = store_job_get(s->store, id, &job, err);

	if (r < 0)
		return r;
	job_release(&job);
	reply(c, json_pack("{s:s, s:I}", "type", "accepted", "job", id));
	c->is_pusher = true;
	client_watch(s, c, id, offset > 0 ? offset : 0);
	return 0;
}

static int on_cancel(struct server *s, struct client *c, const json_t *msg,
		     struct error *err)
{
	if (!c->is_trusted)
		return err_set(err, ERR_DENIED, "not for the receiver");
	queue_cancel(s, json_integer_value(json_object_get(msg, "job")));
	reply(c, json_pack("{s:s}", "type", "done"));
	return 0;
}

/* ---- command ---- */

static int request_memfd(const json_t *msg, struct error *err)
{
	auto_close int fd = memfd_create("slipway-request", MFD_CLOEXEC);
	auto_free char *text = json_dumps(msg, JSON_COMPACT);
	int r;

	if (fd < 0)
		return err_errno(err, errno, "memfd_create");
	if (!text)
		return err_set(err, ERR_PROTO, "malformed command");
	r = io_write_all(fd, text, strlen(text), err);
	explicit_bzero(text,
		       strlen(text)); /* a secret may be among the words */
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, errno, "lseek");
	return TAKE_FD(fd);
}

static pid_t *free_command_slot(struct server *s)
{
	for (size_t i = 0; i < COMMANDS_MAX; i++)
		if (!s->commands[i])
			return &s->commands[i];
	return NULL;
}

/* A worker of its own gets the connection. */
static int on_command(struct server *s, struct client *c, const json_t *msg,
		      struct error *err)
{
	pid_t *slot = free_command_slot(s);
	auto_close int request = -1;
	struct proc_fd fds[2];
	int r;

	if (!c->is_trusted && !json_get_str(msg, "user", NULL))
		return err_set(err, ERR_DENIED, "a command needs a user");
	if (!json_is_array(json_object_get(msg, "argv")))
		return err_set(err, ERR_PROTO, "command.argv: missing");
	if (!slot || s->is_stopping)
		return err_set(err, ERR_LIMIT,
			       "too many commands are running; try again "
			       "later");
	request = request_memfd(msg, err);
	if (request < 0)
		return request;
	r = io_set_nonblock(c->fd, false, err);
	if (r < 0)
		return r;
	fds[0] = (struct proc_fd){ c->fd, COMMAND_CLIENT_FD };
	fds[1] = (struct proc_fd){ request, COMMAND_REQUEST_FD };
	r = server_spawn(s, "command", NULL, fds, 2, slot, err);
	if (r < 0) {
		*slot = 0;
		return r;
	}
	/* It is the worker's now; our copy is closed when `out` is empty. */
	c->state = CLIENT_CLOSING;
	return 0;
}

static const struct {
	const char *type;
	int (*handle)(struct server *s, struct client *c, const json_t *msg,
		      struct error *err);
	bool may_repeat; /* the connection stays open after an error */
} requests[] = {
	{ "ping", on_ping, true },	     { "whois", on_whois, true },
	{ "authorize", on_authorize, true }, { "push", on_push, false },
	{ "attach", on_attach, false },	     { "cancel", on_cancel, true },
	{ "command", on_command, false },    { "release", on_release, false },
};

void server_request(struct server *s, struct client *c, struct slice payload)
{
	struct wire_frame frame = { WIRE_MESSAGE, payload };
	json_auto_t *msg = NULL;
	const char *type = "";
	const char *name = "?";
	struct error err = ERROR_INIT;
	bool may_repeat = false;
	int r = wire_message(&frame, &msg, &type, &err);

	if (r == 0)
		r = err_set(&err, ERR_PROTO, "unknown request '%s'", type);
	for (size_t i = 0; msg && i < ARRAY_SIZE(requests); i++) {
		if (strcmp(requests[i].type, type) != 0)
			continue;
		name = requests[i].type;
		may_repeat = requests[i].may_repeat;
		r = requests[i].handle(s, c, msg, &err);
		break;
	}
	json_wipe(msg); /* passwords and the like in words of a command */
	if (r == 0)
		return;
	if (err.code == ERR_SYS || err.code == ERR_BUG)
		log_error("request=%s %s", name, err.msg);
	err_public(&err, s->cfg->data, err.msg, sizeof(err.msg));
	reply(c, wire_error(&err));
	if (!may_repeat)
		c->state = CLIENT_CLOSING;
}
