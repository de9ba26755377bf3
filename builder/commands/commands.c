#include "builder/commands/commands.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/wire.h"
#include "builder/commands/call.h"
#include "builder/commands/command.h"
#include "builder/store/store.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define ARGV_MAX   128
#define OUTPUT_MAX (16u << 20) /* one listing */
#define USAGE_MAX  1024

struct request {
	json_t *argv;
	const char *user;
	bool tty;
};

static const struct json_field request_fields[] = {
	JSON_FIELD(struct request, argv, "argv", JSON_FIELD_ARRAY,
		   JSON_REQUIRED),
	JSON_FIELD(struct request, user, "user", JSON_FIELD_STRING,
		   JSON_OPTIONAL),
	JSON_FIELD(struct request, tty, "tty", JSON_FIELD_BOOL, JSON_OPTIONAL),
	{ 0 },
};

static int read_request(const json_t *doc, struct request *ret,
			struct error *err)
{
	int r;

	r = json_read(doc, request_fields, "command", ret, err);
	if (r < 0)
		return r;
	/* Only an absent user is the local administrator; null is a mistake
	 * that must not turn into all rights. */
	if (!ret->user && json_object_get(doc, "user"))
		return err_set(err, ERR_INVALID,
			       "command.user: expected a string");
	return 0;
}

/* The command line as C strings, borrowed from the request; the count. */
static int read_argv(const json_t *array, const char **argv, struct error *err)
{
	size_t count = json_array_size(array);

	if (count > ARGV_MAX)
		return err_set(err, ERR_LIMIT, "more than %d words", ARGV_MAX);
	for (size_t i = 0; i < count; i++) {
		const json_t *word = json_array_get(array, i);

		argv[i] = json_string_value(word);
		if (!argv[i] || strlen(argv[i]) != json_string_length(word))
			return err_set(err, ERR_INVALID,
				       "word %zu of the command is not text",
				       i + 1);
	}
	return (int)count;
}

static int who_is_it(struct call *c, const char *name, struct error *err)
{
	struct user user = { 0 };
	int r;

	c->is_admin = true;
	if (!name)
		return 0;
	c->is_admin = false;
	r = store_user_get(c->store, name, &user, err);
	if (r == -ERR_NOTFOUND)
		return err_set(err, ERR_DENIED, "your user no longer exists");
	if (r < 0)
		return r;
	c->user = name;
	c->is_admin = user.is_admin;
	user_release(&user);
	return 0;
}

/* One text for an app that is missing and one that is not for them to see. */
static int no_such_app(struct call *c, const char *name, struct error *err)
{
	auto_free const char **names = NULL;
	struct app *apps = NULL;
	const char *nearest;
	int count;

	count = store_apps(c->store, c->user, &apps, err);
	if (count < 0)
		return count;
	names = xcalloc((size_t)count + 1, sizeof(*names));
	for (int i = 0; i < count; i++)
		names[i] = apps[i].name;
	nearest = text_nearest(name, names);
	if (nearest)
		err_set(err, ERR_NOTFOUND,
			"app '%.48s' not found: did you mean '%s'?", name,
			nearest);
	else
		err_set(err, ERR_NOTFOUND,
			"app '%.48s' not found (apps:list shows yours)", name);
	for (int i = 0; i < count; i++)
		app_release(&apps[i]);
	free(apps);
	return -ERR_NOTFOUND;
}

static int find_app(struct call *c, const char *name, struct error *err)
{
	int role = ROLE_ADMIN;
	int r;

	r = store_app_get(c->store, name, &c->app, err);
	if (r == 0 && c->user)
		role = store_role(c->store, c->app.id, c->user, err);
	if (r == -ERR_NOTFOUND || role == ROLE_NONE)
		return no_such_app(c, name, err);
	if (r < 0 || role < 0)
		return r < 0 ? r : role;
	c->role = (enum role)role;
	if (c->role < c->command->role)
		return err_set(err, ERR_DENIED,
			       "%s needs the role %s on '%s', you have %s",
			       c->command->name, role_name(c->command->role),
			       c->app.name, role_name(c->role));
	return 0;
}

static int take_app(struct call *c, struct error *err)
{
	const char *name = call_option(c, "app");

	if (!c->command->takes_app && name)
		return call_usage(c, err, "%s takes no app", c->command->name);
	if (!c->command->takes_app)
		return 0;
	if (!name)
		name = args_shift(&c->args);
	if (!name)
		return call_usage(c, err, "which app?");
	return find_app(c, name, err);
}

static int check_words(struct call *c, struct error *err)
{
	if (c->args.count < c->command->min_words)
		return call_usage(c, err, "too few words");
	if (c->args.count > c->command->max_words)
		return call_usage(c, err, "unexpected '%.40s'",
				  c->args.words[c->command->max_words]);
	if (call_option(c, "json") && !c->command->has_json)
		return call_usage(c, err, "%s has no --json", c->command->name);
	return 0;
}

static int run_command(struct call *c, const char *const *argv, size_t argc,
		       struct error *err)
{
	int r;

	r = args_parse(argv, argc, common_options, c->command->options,
		       &c->args, err);
	if (r < 0) {
		c->status = COMMAND_USAGE;
		return r;
	}
	if (call_option(c, "help"))
		return cmd_help(c, err);
	if (c->command->needs_admin && !c->is_admin)
		return err_set(err, ERR_DENIED, "%s is for administrators",
			       c->command->name);
	r = take_app(c, err);
	if (r < 0)
		return r;
	r = check_words(c, err);
	if (r < 0)
		return r;
	return c->command->run(c, err);
}

static int unknown_command(struct call *c, const char *const *argv, size_t argc,
			   struct error *err)
{
	const struct command *near =
		command_nearest(argv[0], argc > 1 ? argv[1] : NULL);

	c->status = COMMAND_UNKNOWN;
	if (near)
		return err_set(err, ERR_NOTFOUND,
			       "unknown command '%.40s' \xe2\x80\x94 did you "
			       "mean '%s'?",
			       argv[0], near->name);
	return err_set(err, ERR_NOTFOUND,
		       "unknown command '%.40s' \xe2\x80\x94 'help' lists "
		       "them all",
		       argv[0]);
}

static int dispatch(struct call *c, const char *const *argv, size_t argc,
		    struct error *err)
{
	c->command = argc ? command_find(argv[0]) : command_find("help");
	if (!c->command)
		return unknown_command(c, argv, argc, err);
	return run_command(c, argc ? argv + 1 : argv, argc ? argc - 1 : 0, err);
}

static void tell_failure(struct call *c, const struct error *err)
{
	auto_buf struct buf usage = BUF_INIT(USAGE_MAX);
	char text[ERR_MSG_MAX];

	if (c->command && c->command->is_probe && err->code == ERR_NOTFOUND &&
	    c->status == 0)
		return;
	call_error(c, "slipway: %s",
		   err_public(err, c->cfg->data, text, sizeof(text)));
	if (c->status == COMMAND_USAGE && c->command) {
		command_usage(c->command, &usage);
		call_error(c, "%s", buf_str(&usage));
	}
}

/* A client that stopped reading must not hold the worker for ever. */
static int limit_waiting(int fd, struct error *err)
{
	struct timeval limit = { SEND_TIMEOUT_MS / 1000, 0 };

	signal(SIGPIPE, SIG_IGN);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_errno(err, errno, "SO_SNDTIMEO");
	limit.tv_sec = INPUT_TIMEOUT_MS / 1000;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return err_errno(err, errno, "SO_RCVTIMEO");
	return 0;
}

static int run_request(struct call *c, const struct request *request,
		       struct error *err)
{
	const char *argv[ARGV_MAX];
	struct error failure = ERROR_INIT;
	int argc;
	int r;

	argc = read_argv(request->argv, argv, &failure);
	r = argc < 0 ? argc : who_is_it(c, request->user, &failure);
	if (r == 0)
		r = dispatch(c, argv, (size_t)argc, &failure);
	if (r < 0) {
		tell_failure(c, &failure);
		if (c->status == 0)
			c->status = COMMAND_FAILED;
	}
	r = call_flush(c, err);
	if (r < 0)
		return r;
	return wire_send(
		c->fd,
		json_pack("{s:s, s:i}", "type", "exit", "status", c->status),
		err);
}

int commands_main(const struct config *cfg, struct store *store, int client_fd,
		  const json_t *request, struct error *err)
{
	struct request fields = { 0 };
	struct call c = {
		.cfg = cfg,
		.store = store,
		.fd = client_fd,
		.out = BUF_INIT(OUTPUT_MAX),
	};
	int r;

	r = limit_waiting(client_fd, err);
	if (r < 0)
		return r;
	r = read_request(request, &fields, err);
	if (r < 0) {
		struct error ignored = ERROR_INIT;

		if (wire_send(client_fd, wire_error(err), &ignored) < 0)
			return r;
		return r;
	}
	c.has_tty = fields.tty;
	r = run_request(&c, &fields, err);
	call_release(&c);
	return r;
}
