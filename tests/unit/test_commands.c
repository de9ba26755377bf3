/* builder/commands: words and options, tables, the commands themselves with a
 * client at the other end of a socket. */
#include "builder/commands/commands.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/wire.h"
#include "builder/commands/args.h"
#include "builder/commands/command.h"
#include "builder/commands/listing.h"
#include "builder/rollout/target.h"
#include "builder/rollout/targets.h"
#include "builder/source/repo.h"
#include "builder/store/app_lock.h"
#include "builder/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ED                                                                     \
	"AAAAC3NzaC1lZDI1NTE5AAAAIPEa/1f2h66g3EMoPF++Dy0/y9ECa/S/CfgTJsq8bfo5"
#define ED_FINGERPRINT "SHA256:xSMqYlQ6OVTS4u+/sMrFCDu/oFv0U/r6sHN5Q5srtc0"

static char dir[] = "/tmp/slipway-test-commands-XXXXXX";
static struct config cfg;
static struct store *st;
static struct error err;

/* ---- a target that remembers what it was asked ---- */

static struct {
	int opened;
	int closed;
	int destroyed;
	char renamed[64];
	int fail; /* code that destroy and rename fail with */
	struct target_log_options options;
	char process[64];
	char grep[64];
	int log_lines; /* to print, then wait when following */
} fake;

static int fake_processes(struct target *t, const struct app *app,
			  struct target_process **ret, struct error *e)
{
	struct target_process *p = xcalloc(2, sizeof(*p));

	(void)t;
	(void)app;
	(void)e;
	p[0] = (struct target_process){
		"web", 1, 3, "up", "2026-11-22T10:00:00Z", "10.0.0.2"
	};
	p[1] = (struct target_process){ "worker",  12, 3,
					"crashed", "", "exit \x1b[31m1" };
	*ret = p;
	return 2;
}

static int fake_logs(struct target *t, const struct app *app,
		     const struct target_log_options *options,
		     int (*sink)(void *ctx, struct slice line), void *ctx,
		     struct error *e)
{
	(void)t;
	(void)app;
	fake.options = *options;
	snprintf(fake.process, sizeof(fake.process), "%s",
		 options->process ? options->process : "");
	snprintf(fake.grep, sizeof(fake.grep), "%s",
		 options->grep ? options->grep : "");
	for (int i = 0; i < fake.log_lines; i++)
		if (sink(ctx, slice_str("2026-11-22T10:00:00Z app[web.1]: "
					"hello\x1b[2J")) != 0)
			return err_set(e, ERR_CANCELED, "stopped");
	while (options->follow)
		pause();
	return 0;
}

static int fake_destroy(struct target *t, const struct app *app,
			struct error *e)
{
	(void)t;
	(void)app;
	if (fake.fail)
		return err_set(e, (enum err_code)fake.fail, "engine is down");
	fake.destroyed++;
	return 0;
}

static int fake_rename(struct target *t, const struct app *app, struct error *e)
{
	(void)t;
	if (fake.fail)
		return err_set(e, (enum err_code)fake.fail, "router is down");
	snprintf(fake.renamed, sizeof(fake.renamed), "%s", app->name);
	return 0;
}

static void fake_close(struct target *t)
{
	(void)t;
	fake.closed++;
}

static const struct target_ops fake_ops = {
	.processes = fake_processes,
	.logs = fake_logs,
	.destroy = fake_destroy,
	.rename = fake_rename,
	.close = fake_close,
};
static struct target fake_target = { &fake_ops };

/* In the place of the one in builder/rollout/. */
int target_open(const struct config *c, struct store *store, const char *name,
		struct target **ret, struct error *e)
{
	(void)c;
	(void)store;
	(void)e;
	assert_string_equal(name, "local");
	fake.opened++;
	*ret = &fake_target;
	return 0;
}

/* ---- a client ---- */

struct answer {
	struct buf out;
	struct buf errors;
	int status; /* -1 = there was no exit message */
};

static struct answer a = { BUF_INIT(1 << 20), BUF_INIT(1 << 20), -1 };

static void read_answer(int fd)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	struct wire_frame frame;

	buf_reset(&a.out);
	buf_reset(&a.errors);
	a.status = -1;
	while (wire_recv(fd, &in, &frame, &err) == 1) {
		json_t *msg = NULL;
		const char *type;

		if (frame.kind == WIRE_STDOUT)
			buf_add(&a.out, frame.payload.ptr, frame.payload.len);
		if (frame.kind == WIRE_STDERR)
			buf_add(&a.errors, frame.payload.ptr,
				frame.payload.len);
		if (frame.kind != WIRE_MESSAGE)
			continue;
		assert_int_equal(a.status, -1);
		assert_int_equal(wire_message(&frame, &msg, &type, &err), 0);
		assert_string_equal(type, "exit");
		a.status =
			(int)json_integer_value(json_object_get(msg, "status"));
		json_decref(msg);
	}
}

static json_t *make_request(const char *user, const char *line)
{
	auto_free char *copy = xstrdup(line);
	json_t *argv = json_array();
	json_t *request;
	char *rest = copy;
	char *word;

	/* A word of its own: '' is the empty one. */
	while ((word = strsep(&rest, " ")))
		if (*word)
			json_array_append_new(
				argv,
				json_string(strcmp(word, "''") ? word : ""));
	request = json_pack("{s:s, s:o}", "type", "command", "argv", argv);
	if (user)
		json_object_set_new(request, "user", json_string(user));
	return request;
}

/* Run `line` as `user` (NULL = local) with this input; the status. */
static int run_with(const char *user, const char *line, const char *input,
		    bool has_tty)
{
	json_t *request = make_request(user, line);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	if (has_tty)
		json_object_set_new(request, "tty", json_true());
	if (input && *input)
		assert_int_equal(wire_send_data(fds[0], WIRE_STDIN, input,
						strlen(input), &err),
				 0);
	if (input)
		assert_int_equal(
			wire_send_data(fds[0], WIRE_STDIN, "", 0, &err), 0);
	assert_int_equal(commands_main(&cfg, st, fds[1], request, &err), 0);
	close(fds[1]);
	read_answer(fds[0]);
	close(fds[0]);
	json_decref(request);
	return a.status;
}

static int run(const char *user, const char *line)
{
	return run_with(user, line, NULL, false);
}

static void expect(const char *what, const struct buf *b, const char *part)
{
	if (!strstr(buf_str(b), part))
		fail_msg("%s '%s' has no '%s'", what, buf_str(b), part);
}

#define out_has(part)	 expect("output", &a.out, (part))
#define errors_has(part) expect("errors", &a.errors, (part))
#define out_is(text)	 assert_string_equal(buf_str(&a.out), (text))
#define errors_is(text)	 assert_string_equal(buf_str(&a.errors), (text))

static json_t *out_json(void)
{
	json_t *doc = NULL;

	assert_int_equal(json_parse(buf_slice(&a.out), "out", &doc, &err), 0);
	return doc;
}

/* ---- the world ---- */

static void remove_tree(const char *path)
{
	const char *const argv[] = { "rm", "-rf", path, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static int set_up(void **state)
{
	auto_free char *data = NULL;
	auto_free char *db = NULL;
	auto_free char *builds = NULL;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	if (!mkdtemp(dir))
		return -1;
	data = xasprintf("%s", dir);
	db = xasprintf("%s/slipway.db", dir);
	builds = xasprintf("%s/builds", dir);
	mkdir(builds, 0700);
	config_init(&cfg);
	if (config_set(&cfg, "slipway.data", data, &err) < 0 ||
	    config_set(&cfg, "ssh.listen", ":2222", &err) < 0 ||
	    store_open(db, &st, &err) < 0 ||
	    store_user_add(st, "root", true, &err) < 0 ||
	    store_user_add(st, "alice", false, &err) < 0 ||
	    store_user_add(st, "bob", false, &err) < 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_close(st);
	st = NULL;
	config_release(&cfg);
	remove_tree(dir);
	return 0;
}

static int64_t app_id(const char *name)
{
	struct app app = { 0 };
	int64_t id;

	assert_int_equal(store_app_get(st, name, &app, &err), 0);
	id = app.id;
	app_release(&app);
	return id;
}

static int64_t add_job(const char *app, enum job_state state)
{
	char ref[] = "refs/heads/main";
	char commit[] = "0123456789012345678901234567890123456789";
	char user[] = "alice";
	struct job j = { .app_id = app_id(app),
			 .user = user,
			 .ref = ref,
			 .commit = commit };
	int64_t id = 0;

	assert_int_equal(store_job_add(st, &j, &id, &err), 0);
	if (state != JOB_QUEUED)
		assert_int_equal(store_job_start(st, id, &err), 0);
	if (job_state_is_final(state))
		assert_int_equal(
			store_job_finish(st, id, state, "[]", "", &err), 1);
	return id;
}

static void add_release(const char *app, int64_t job_id)
{
	char image[] = "sha256:1";
	char commit[] = "0123456789012345678901234567890123456789";
	char processes[] = "[{\"type\":\"web\"},{\"type\":\"worker\"}]";
	struct release r = { .app_id = app_id(app),
			     .job_id = job_id,
			     .image = image,
			     .commit = commit,
			     .processes = processes };
	int64_t version;

	assert_int_equal(store_release_add(st, &r, &version, &err), 0);
	assert_int_equal(store_release_live(st, r.app_id, version, &err), 0);
}

static char *log_path(int64_t id)
{
	return xasprintf("%s/builds/%lld.log", dir, (long long)id);
}

static void append_log(int64_t id, const char *text)
{
	auto_free char *path = log_path(id);
	auto_close int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* ---- words and options ---- */

static const struct option_spec test_common[] = {
	{ 'a', "app", "APP", "" },
	{ 'q', "quiet", NULL, "" },
	{ 0, NULL, NULL, NULL },
};
static const struct option_spec test_own[] = {
	{ 't', "tail", NULL, "" },
	{ 'n', "num", "N", "" },
	{ 0, NULL, NULL, NULL },
};

static struct args args;

static int parse(const char *const *argv)
{
	size_t argc = 0;

	while (argv[argc])
		argc++;
	return args_parse(argv, argc, test_common, test_own, &args, &err);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void options_come_in_every_usual_form(void **state)
{
	(void)state;
	assert_int_equal(PARSE("one", "-n5", "two", "-t"), 0);
	assert_int_equal(args.count, 2);
	assert_string_equal(args.words[1], "two");
	assert_string_equal(args_option(&args, "num"), "5");
	assert_string_equal(args_option(&args, "tail"), "");
	assert_null(args_option(&args, "quiet"));
	assert_int_equal(PARSE("-n", "-5", "--app", "x"), 0);
	assert_string_equal(args_option(&args, "num"), "-5");
	assert_string_equal(args_option(&args, "app"), "x");
	assert_int_equal(PARSE("-tqn7"), 0);
	assert_string_equal(args_option(&args, "num"), "7");
	assert_non_null(args_option(&args, "quiet"));
	assert_int_equal(PARSE("--num=1", "--num=2", "--app=", "-"), 0);
	assert_string_equal(args_option(&args, "num"), "2");
	assert_string_equal(args_option(&args, "app"), "");
	assert_string_equal(args.words[0], "-");
	assert_int_equal(PARSE("-t", "--", "-n", "--", "x"), 0);
	assert_int_equal(args.count, 3);
	assert_string_equal(args_shift(&args), "-n");
	assert_string_equal(args_shift(&args), "--");
	assert_string_equal(args_shift(&args), "x");
	assert_null(args_shift(&args));
}

static void wrong_options_are_named(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--tial"), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "did you mean '--tail'"));
	assert_int_equal(PARSE("-x"), -ERR_INVALID);
	assert_int_equal(PARSE("-tx"), -ERR_INVALID);
	assert_int_equal(PARSE("-n"), -ERR_INVALID);
	assert_int_equal(PARSE("--num"), -ERR_INVALID);
	assert_int_equal(PARSE("--tail=yes"), -ERR_INVALID);
	assert_int_equal(PARSE("--nu"), -ERR_INVALID);
	assert_int_equal(PARSE("--=x"), -ERR_INVALID);
}

static void words_and_options_are_bounded(void **state)
{
	const char *argv[ARGS_MAX + 2];

	(void)state;
	for (size_t i = 0; i <= ARGS_MAX; i++)
		argv[i] = "w";
	argv[ARGS_MAX + 1] = NULL;
	assert_int_equal(parse(argv), -ERR_LIMIT);
	argv[ARGS_MAX] = NULL;
	assert_int_equal(parse(argv), 0);
	for (size_t i = 0; i < ARGS_MAX; i++)
		argv[i] = "-tttt";
	assert_int_equal(parse(argv), -ERR_LIMIT);
}

static void numbers_have_a_range_and_no_frills(void **state)
{
	static const char *const wrong[] = {
		"",   "-1", "+1",
		"1x", " 1", "0x1",
		"11", "0",  "99999999999999999999999"
	};
	int64_t n = 0;

	(void)state;
	assert_int_equal(args_number("10", "-n", 1, 10, &n, &err), 0);
	assert_int_equal(n, 10);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(args_number(wrong[i], "-n", 1, 10, &n, &err),
				 -ERR_INVALID);
	assert_int_equal(n, 10);
}

/* ---- tables ---- */

static void tables_are_aligned_by_what_is_seen(void **state)
{
	static const struct column columns[] = {
		{ "NAME", "n", COLUMN_TEXT },	  { "V", "v", COLUMN_VERSION },
		{ "COMMIT", "c", COLUMN_COMMIT }, { "OK", "ok", COLUMN_TEXT },
		{ "TIME", "t", COLUMN_DURATION }, { "LAST", "l", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	auto_buf struct buf b = BUF_INIT(4096);
	json_t *rows = json_pack("[{s:s, s:i, s:s, s:b, s:i, s:n}, {s:s, s:i, "
				 "s:s, s:b, s:i, s:s}]",
				 "n", "gr\xc3\xbc\xc3\x9f", "v", 0, "c", "",
				 "ok", 1, "t", 0, "l", "n", "longer", "v", 12,
				 "c", "0123456789", "ok", 0, "t", 6300, "l",
				 "a\x1b[31m\tb\nc");

	(void)state;
	listing_table(rows, columns, true, &b);
	assert_string_equal(buf_str(&b),
			    "NAME    V    COMMIT   OK   TIME  LAST\n"
			    "gr\xc3\xbc\xc3\x9f    -    -        yes  -     -\n"
			    "longer  v12  0123456  no   6.3s  a bc\n");
	buf_reset(&b);
	listing_table(rows, columns, false, &b);
	assert_string_equal(buf_str(&b),
			    "gr\xc3\xbc\xc3\x9f    -    -        yes  -     -\n"
			    "longer  v12  0123456  no   6.3s  a bc\n");
	buf_reset(&b);
	listing_fields(json_array_get(rows, 1), columns, &b);
	assert_string_equal(buf_str(&b), "NAME:    longer\n"
					 "V:       v12\n"
					 "COMMIT:  0123456\n"
					 "OK:      no\n"
					 "TIME:    6.3s\n"
					 "LAST:    a bc\n");
	json_decref(rows);
}

static void every_command_is_described_and_found_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *c = &commands[i];

		assert_non_null(c->run);
		assert_non_null(c->group);
		assert_non_null(c->synopsis);
		assert_non_null(c->help);
		assert_true(c->min_words <= c->max_words);
		assert_true(!c->takes_app || c->role != ROLE_NONE);
		assert_ptr_equal(command_find(c->name), c);
		for (size_t n = 0; n < COMMAND_ALIASES && c->aliases[n]; n++)
			assert_ptr_equal(command_find(c->aliases[n]), c);
	}
	assert_null(command_find(""));
	assert_null(command_find("apps:"));
}

/* ---- asking for a command ---- */

static void unknown_commands_suggest_the_nearest(void **state)
{
	(void)state;
	assert_int_equal(run(NULL, "app:list"), COMMAND_UNKNOWN);
	errors_is("slipway: unknown command 'app:list' \xe2\x80\x94 did you "
		  "mean 'apps:list'?\n");
	assert_int_equal(run(NULL, "lists"), COMMAND_UNKNOWN);
	assert_int_equal(run(NULL, "builds:lsit x"), COMMAND_UNKNOWN);
	errors_has("'builds:list'");
	/* "keys add", as other systems write it */
	assert_int_equal(run(NULL, "ssh-keys add x"), COMMAND_UNKNOWN);
	errors_has("'keys:add'");
	assert_int_equal(run(NULL, "users:set_admin"), COMMAND_UNKNOWN);
	errors_has("'users:set-admin'");
	assert_int_equal(run(NULL, "xyzzyplugh"), COMMAND_UNKNOWN);
	errors_has("'help'");
	assert_int_equal(run(NULL, "a\x1b[2Jb"), COMMAND_UNKNOWN);
	assert_null(strchr(buf_str(&a.errors), '\x1b'));
}

static void help_lists_and_describes(void **state)
{
	(void)state;
	assert_int_equal(run("alice", ""), 0);
	out_has("apps:create");
	assert_null(strstr(buf_str(&a.out), "users:add"));
	assert_int_equal(run("root", "help"), 0);
	out_has("users:add");
	assert_int_equal(run("alice", "help logs"), 0);
	out_has("usage: logs [-t] [-n N] [-p PROCESS] [--since TIME] "
		"[--grep TEXT] APP\n");
	out_has("-n, --num N");
	assert_int_equal(run("alice", "logs --help"), 0);
	out_has("usage: logs ");
	assert_int_equal(run("alice", "help app:list"), COMMAND_UNKNOWN);
	errors_has("'apps:list'");
	assert_int_equal(run("alice", "version"), 0);
	out_has("slipway ");
}

static void wrong_usage_shows_the_synopsis(void **state)
{
	(void)state;
	assert_int_equal(run(NULL, "apps:create"), COMMAND_USAGE);
	errors_has("usage: apps:create [--target TARGET] NAME\n");
	assert_int_equal(run(NULL, "apps:create a b"), COMMAND_USAGE);
	errors_has("unexpected 'b'");
	assert_int_equal(run(NULL, "apps:info"), COMMAND_USAGE);
	assert_int_equal(run(NULL, "apps:list -a x"), COMMAND_USAGE);
	assert_int_equal(run(NULL, "apps:list --jsno"), COMMAND_USAGE);
	errors_has("'--json'");
	assert_int_equal(run(NULL, "apps:exists --json x"), COMMAND_FAILED);
}

static void requests_that_are_no_command_are_refused(void **state)
{
	static const char *const requests[] = {
		"{}",
		"{\"argv\":\"apps:list\"}",
		"{\"argv\":[\"apps:list\"],\"user\":null}",
		"{\"argv\":[\"apps:list\"],\"user\":7}",
		"{\"argv\":[\"apps:list\"],\"tty\":\"yes\"}",
	};
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	struct wire_frame frame;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		json_t *request = NULL;

		assert_int_equal(
			json_parse(slice_str(requests[i]), "x", &request, &err),
			0);
		assert_int_equal(commands_main(&cfg, st, fds[1], request, &err),
				 -ERR_INVALID);
		assert_int_equal(wire_recv(fds[0], &in, &frame, &err), 1);
		assert_int_equal(frame.kind, WIRE_MESSAGE);
		assert_non_null(strstr(frame.payload.ptr, "\"invalid\""));
		json_decref(request);
	}
	close(fds[0]);
	close(fds[1]);
}

static void a_removed_user_may_nothing(void **state)
{
	(void)state;
	assert_int_equal(run("nobody", "apps:list"), COMMAND_FAILED);
	errors_has("no longer exists");
	assert_int_equal(run("", "apps:list"), COMMAND_FAILED);
	out_is("");
}

/* ---- apps ---- */

static void an_app_is_made_with_its_repository(void **state)
{
	auto_free char *git_dir = NULL;
	struct stat s;
	json_t *doc;

	(void)state;
	assert_int_equal(run("alice", "apps:create shop"), 0);
	out_has("http://shop.localhost:8080");
	out_has("ssh://git@localhost:2222/shop");
	git_dir = repo_path(&cfg, app_id("shop"));
	assert_int_equal(stat(git_dir, &s), 0);
	assert_int_equal(run("bob", "apps:create shop"), COMMAND_FAILED);
	errors_is("slipway: the name 'shop' is taken\n");
	assert_int_equal(run("bob", "apps:create Shop"), COMMAND_FAILED);
	assert_int_equal(run("bob", "apps:create www"), COMMAND_FAILED);
	assert_int_equal(run("alice", "apps:info shop --json"), 0);
	doc = out_json();
	assert_string_equal(json_get_str(doc, "url", ""),
			    "http://shop.localhost:8080");
	assert_string_equal(json_get_str(doc, "owner", ""), "alice");
	assert_string_equal(json_get_str(doc, "role", ""), "admin");
	assert_true(json_is_null(json_object_get(doc, "deploy_branch")));
	json_decref(doc);
	assert_int_equal(run("alice", "apps:info -a shop"), 0);
	out_has("Deploy branch:  main or master\n");
	assert_int_equal(run(NULL, "apps:create blog --json"), 0);
	doc = out_json();
	assert_string_equal(json_get_str(doc, "name", ""), "blog");
	json_decref(doc);
	assert_int_equal(config_set(&cfg, "router.max-apps", "2", &err), 0);
	assert_int_equal(run("bob", "apps:create third"), COMMAND_FAILED);
	errors_has("at most 2 apps");
}

static void lists_show_what_one_may_see(void **state)
{
	json_t *doc;

	(void)state;
	assert_int_equal(run("alice", "apps"), 0);
	out_is("");
	errors_has("no apps yet");
	assert_int_equal(run("alice", "apps --json"), 0);
	out_is("[]\n");
	run("alice", "apps:create shop");
	run("bob", "apps:create blog");
	assert_int_equal(run("alice", "apps:list"), 0);
	out_is("NAME  RELEASE  URL                         OWNER\n"
	       "shop  -        http://shop.localhost:8080  alice\n");
	assert_int_equal(run("alice", "apps:list -q"), 0);
	out_is("shop  -  http://shop.localhost:8080  alice\n");
	assert_int_equal(run("root", "apps:list --json"), 0);
	doc = out_json();
	assert_int_equal(json_array_size(doc), 2);
	json_decref(doc);
}

static void a_hidden_app_reads_like_a_missing_one(void **state)
{
	auto_free char *hidden = NULL;

	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run("bob", "apps:info shop"), COMMAND_FAILED);
	hidden = xstrdup(buf_str(&a.errors));
	assert_int_equal(run("alice", "apps:destroy shop --force"), 0);
	assert_int_equal(run("bob", "apps:info shop"), COMMAND_FAILED);
	errors_is(hidden);
	run("alice", "apps:create shop");
	/* neither does the suggestion tell */
	assert_int_equal(run("bob", "apps:info shp"), COMMAND_FAILED);
	assert_null(strstr(buf_str(&a.errors), "shop"));
	assert_int_equal(run("alice", "apps:info shp"), COMMAND_FAILED);
	errors_has("did you mean 'shop'?");
}

static void exists_is_told_by_the_status_alone(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run("alice", "apps:exists shop"), 0);
	out_is("");
	errors_is("");
	assert_int_equal(run("bob", "apps:exists shop"), COMMAND_FAILED);
	errors_is("");
	assert_int_equal(run("alice", "apps:exists"), COMMAND_USAGE);
}

static void each_command_wants_its_role(void **state)
{
	static const struct {
		const char *line;
		enum role least;
	} lines[] = {
		{ "apps:info shop", ROLE_VIEW },
		{ "apps:exists shop", ROLE_VIEW },
		{ "git:report shop", ROLE_VIEW },
		{ "builds shop", ROLE_VIEW },
		{ "builds:info shop 1", ROLE_VIEW },
		{ "builds:output shop 1", ROLE_VIEW },
		{ "releases shop", ROLE_VIEW },
		{ "releases:info shop v1", ROLE_VIEW },
		{ "ps shop", ROLE_VIEW },
		{ "logs shop", ROLE_VIEW },
		{ "access shop", ROLE_VIEW },
		{ "git:set shop deploy-branch live", ROLE_OPERATE },
		{ "apps:set shop target local", ROLE_OPERATE },
		{ "config shop", ROLE_OPERATE },
		{ "config:get shop A", ROLE_OPERATE },
		{ "config:set shop A=2 --no-restart", ROLE_OPERATE },
		{ "config:unset shop NONE --no-restart", ROLE_OPERATE },
		{ "access:add shop root view", ROLE_ADMIN },
		{ "access:remove shop root", ROLE_ADMIN },
	};

	(void)state;
	run("alice", "apps:create shop");
	append_log(add_job("shop", JOB_SUCCEEDED), "done\n");
	add_release("shop", 1);
	run("alice", "config:set shop A=1 --no-restart");
	for (int role = ROLE_NONE; role <= ROLE_ADMIN; role++) {
		assert_int_equal(store_grant_set(st, app_id("shop"), "bob",
						 (enum role)role, &err),
				 0);
		for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
			bool may = role >= (int)lines[i].least;

			if (run("bob", lines[i].line) !=
			    (may ? COMMAND_OK : COMMAND_FAILED))
				fail_msg("%s as %s: %s", lines[i].line,
					 role_name((enum role)role),
					 buf_str(&a.errors));
			if (!may && role != ROLE_NONE)
				errors_has("needs the role");
		}
	}
}

static void destroying_needs_the_name(void **state)
{
	int64_t id;
	auto_free char *git_dir = NULL;
	auto_free char *log = NULL;
	struct stat s;

	(void)state;
	run("alice", "apps:create shop");
	id = app_id("shop");
	git_dir = repo_path(&cfg, id);
	append_log(add_job("shop", JOB_SUCCEEDED), "done\n");
	log = log_path(1);
	add_release("shop", 1);
	assert_int_equal(run("alice", "apps:destroy shop --confirm sho"),
			 COMMAND_FAILED);
	assert_int_equal(run_with("alice", "apps:destroy shop", "", false),
			 COMMAND_USAGE);
	errors_has("--confirm shop");
	assert_int_equal(run_with("alice", "apps:destroy shop", "no\n", false),
			 COMMAND_FAILED);
	errors_has("nothing was destroyed");
	assert_int_equal(
		run_with("alice", "apps:destroy shop", "shop2\n", false),
		COMMAND_FAILED);
	assert_int_equal(fake.opened, 0);
	assert_int_equal(app_id("shop"), id);
	assert_int_equal(
		run_with("alice", "apps:destroy shop", " shop \r\n", false), 0);
	out_has("Destroyed shop\n");
	assert_int_equal(fake.destroyed, 1);
	assert_int_equal(fake.closed, 1);
	assert_int_equal(run("alice", "apps:info shop"), COMMAND_FAILED);
	assert_int_equal(stat(git_dir, &s), -1);
	assert_int_equal(stat(log, &s), -1);
}

static void in_a_raw_terminal_typing_is_shown(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(
		run_with("alice", "apps:destroy shop", "shox\x7fp\r", true), 0);
	out_has("shox\b \bp\n");
	run("alice", "apps:create shop");
	assert_int_equal(
		run_with("alice", "apps:destroy shop", "sh\x03op\r", true),
		COMMAND_FAILED);
	assert_int_equal(run("alice", "apps:exists shop"), 0);
}

static void a_line_without_end_is_bounded(void **state)
{
	char text[2001];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	run("alice", "apps:create shop");
	assert_int_equal(run_with("alice", "apps:destroy shop", text, false),
			 COMMAND_FAILED);
	errors_has("longer than");
	assert_int_equal(run("alice", "apps:exists shop"), 0);
}

static void nothing_is_destroyed_or_renamed_during_a_deploy(void **state)
{
	auto_close int lock = -1;
	int64_t job;

	(void)state;
	run("alice", "apps:create shop");
	job = add_job("shop", JOB_RUNNING);
	assert_int_equal(run("alice", "apps:destroy shop --force"),
			 COMMAND_FAILED);
	errors_has("build 1 of shop is running (pushed by alice)");
	assert_int_equal(run("alice", "apps:rename shop store"),
			 COMMAND_FAILED);
	assert_int_equal(store_job_finish(st, job, JOB_FAILED, "", "", &err),
			 1);
	assert_int_equal(app_lock_take(dir, app_id("shop"), 0, &lock, &err), 0);
	assert_int_equal(run("alice", "apps:destroy shop --force"),
			 COMMAND_FAILED);
	errors_has("somebody is deploying");
	assert_int_equal(run("alice", "apps:exists shop"), 0);
}

static void a_target_that_fails_leaves_the_app(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	add_release("shop", 0);
	fake.fail = ERR_PEER;
	assert_int_equal(run("alice", "apps:destroy shop --force"),
			 COMMAND_FAILED);
	errors_has("engine is down");
	assert_int_equal(run("alice", "apps:rename shop store"),
			 COMMAND_FAILED);
	errors_has("router is down");
	assert_int_equal(run("alice", "apps:exists shop"), 0);
	assert_int_equal(run("alice", "apps:exists store"), COMMAND_FAILED);
	assert_int_equal(fake.opened, fake.closed);
	fake.fail = 0;
	assert_int_equal(run("alice", "apps:destroy shop --force"), 0);
}

static void a_renamed_app_has_one_name(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	run("bob", "apps:create blog");
	add_release("shop", 0);
	assert_int_equal(run("alice", "apps:rename shop blog"), COMMAND_FAILED);
	errors_has("taken");
	assert_int_equal(run("alice", "apps:rename shop git"), COMMAND_FAILED);
	assert_int_equal(run("alice", "apps:rename shop store"), 0);
	assert_string_equal(fake.renamed, "store");
	out_has("http://store.localhost:8080");
	errors_has("git remote set-url");
	assert_int_equal(run("alice", "apps:info shop"), COMMAND_FAILED);
	assert_int_equal(run("alice", "apps:info store"), 0);
}

/* ---- git ---- */

static void the_deploy_branch_is_a_branch_name(void **state)
{
	static const char *const wrong[] = { "a..b",   "-x", "HEAD", "a~1",
					     "a.lock", "/a", "a//b", "@{x" };
	json_t *doc;

	(void)state;
	run("alice", "apps:create shop");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		auto_free char *line =
			xasprintf("git:set shop deploy-branch -- %s", wrong[i]);

		if (run("alice", line) != COMMAND_USAGE)
			fail_msg("'%s' was taken", wrong[i]);
	}
	assert_int_equal(run("alice", "git:set shop branch x"), COMMAND_USAGE);
	assert_int_equal(run("alice", "git:set shop deploy-branch a/live"), 0);
	out_has("a/live");
	assert_int_equal(run("alice", "git:report shop"), 0);
	out_has("Deploy branch:  a/live\n");
	assert_int_equal(
		run("alice", "git:set shop deploy-branch refs/heads/x --json"),
		0);
	doc = out_json();
	assert_string_equal(json_get_str(doc, "deploy_branch", ""), "x");
	json_decref(doc);
	assert_int_equal(run("alice", "git:set shop deploy-branch y --unset"),
			 COMMAND_USAGE);
	assert_int_equal(run("alice", "git:set shop deploy-branch ''"), 0);
	assert_int_equal(run("alice", "git:report shop"), 0);
	out_has("main or master");
}

/* ---- builds, releases, what runs ---- */

static void builds_are_listed_and_described(void **state)
{
	json_t *doc;

	(void)state;
	run("alice", "apps:create shop");
	run("alice", "apps:create blog");
	assert_int_equal(run("alice", "builds:info shop"), COMMAND_FAILED);
	errors_has("never pushed");
	add_job("shop", JOB_SUCCEEDED);
	add_job("blog", JOB_RUNNING);
	add_job("shop", JOB_QUEUED);
	assert_int_equal(store_journal(st, 1, "build", "done", "4s", &err), 0);
	assert_int_equal(run("alice", "builds shop"), 0);
	out_has("BUILD  STATE      COMMIT   RELEASE  USER");
	out_has("\n3      queued     0123456  -        alice");
	assert_int_equal(run("alice", "builds:list shop -n 1 --json"), 0);
	doc = out_json();
	assert_int_equal(json_array_size(doc), 1);
	json_decref(doc);
	assert_int_equal(run("alice", "builds:info shop 1"), 0);
	out_has("State:       succeeded\n");
	out_has("build  done   4s\n");
	assert_int_equal(run("alice", "builds:info shop 1 --json"), 0);
	doc = out_json();
	assert_int_equal(json_array_size(json_object_get(doc, "journal")), 1);
	json_decref(doc);
	assert_int_equal(run("alice", "builds:info shop"), 0);
	out_has("Build:       3\n");
	/* the one that runs is the current one, though others wait */
	add_job("shop", JOB_RUNNING);
	add_job("shop", JOB_QUEUED);
	assert_int_equal(run("alice", "builds:info shop current"), 0);
	out_has("Build:       4\n");
	assert_int_equal(run("alice", "builds:info shop 2"), COMMAND_FAILED);
	errors_has("shop has no build 2");
	assert_int_equal(run("alice", "builds:info shop x"), COMMAND_USAGE);
	assert_int_equal(run("alice", "builds:list shop -n 0"), COMMAND_USAGE);
}

static void the_output_of_a_build_is_read_again(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	append_log(add_job("shop", JOB_FAILED), "-----> one\n-----> two\n");
	assert_int_equal(run("alice", "builds:output shop"), 0);
	out_is("-----> one\n-----> two\n");
	add_job("shop", JOB_FAILED);
	assert_int_equal(run("alice", "builds:output shop current"), 0);
	out_is("");
	errors_has("printed nothing");
	assert_int_equal(run("alice", "builds:output shop 1"), 0);
	out_is("-----> one\n-----> two\n");
}

/* In a process of its own, as in life: a worker ends when its client goes. */
static pid_t start(const char *user, const char *line, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		json_t *request = make_request(user, line);
		auto_free char *db = xasprintf("%s/slipway.db", dir);
		struct store *mine = NULL;

		close(fds[0]);
		alarm(20);
		if (store_open(db, &mine, &err) < 0)
			_exit(99);
		_exit(commands_main(&cfg, mine, fds[1], request, &err) < 0 ? 3
									   : 0);
	}
	close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

static int end_of(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void wait_for_output(int fd, const char *text)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	struct wire_frame frame;

	assert_int_equal(io_wait_readable(fd, 10000, &err), 1);
	assert_int_equal(wire_recv(fd, &in, &frame, &err), 1);
	assert_int_equal(frame.kind, WIRE_STDOUT);
	assert_true(slice_eq(frame.payload, text));
}

static void a_running_build_is_followed_to_its_end(void **state)
{
	int64_t id;
	pid_t pid;
	int fd;

	(void)state;
	run("alice", "apps:create shop");
	id = add_job("shop", JOB_RUNNING);
	pid = start("alice", "builds:output shop", &fd);
	append_log(id, "one\n");
	wait_for_output(fd, "one\n");
	append_log(id, "two\n");
	wait_for_output(fd, "two\n");
	append_log(id, "last\n");
	assert_int_equal(store_job_finish(st, id, JOB_FAILED, "", "", &err), 1);
	read_answer(fd);
	out_is("last\n");
	assert_int_equal(a.status, 0);
	assert_int_equal(end_of(pid), 0);
	close(fd);
}

static void a_follower_who_leaves_ends_the_command(void **state)
{
	pid_t pid;
	int fd;

	(void)state;
	run("alice", "apps:create shop");
	append_log(add_job("shop", JOB_RUNNING), "one\n");
	pid = start("alice", "builds:output shop", &fd);
	wait_for_output(fd, "one\n");
	close(fd);
	assert_int_equal(end_of(pid), 3);

	add_release("shop", 1);
	fake.log_lines = 1;
	pid = start("alice", "logs shop -t", &fd);
	wait_for_output(fd, "2026-11-22T10:00:00Z app[web.1]: hello\n");
	/* no further line comes: only the hang-up can end it */
	close(fd);
	assert_int_equal(end_of(pid), COMMAND_FAILED);
}

static void a_client_who_leaves_in_the_middle_ends_it_too(void **state)
{
	pid_t pid;
	int fd;

	(void)state;
	run("alice", "apps:create shop");
	add_release("shop", 0);
	fake.log_lines = 1000000;
	pid = start("alice", "logs shop -n 1000", &fd);
	assert_int_equal(io_wait_readable(fd, 10000, &err), 1);
	close(fd);
	assert_int_equal(end_of(pid), 3);
}

static void releases_are_listed_and_described(void **state)
{
	json_t *doc;

	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run("alice", "releases shop"), 0);
	errors_has("nothing was deployed yet");
	assert_int_equal(run("alice", "releases:info shop"), COMMAND_FAILED);
	errors_has("no release is live");
	add_release("shop", 0);
	add_release("shop", 0);
	assert_int_equal(run("alice", "releases shop"), 0);
	out_has("\nv2       live   0123456");
	out_has("\nv1       old    0123456");
	assert_int_equal(run("alice", "releases:info shop v1"), 0);
	out_has("Processes:    web, worker\n");
	assert_int_equal(run("alice", "releases:info shop 2 --json"), 0);
	doc = out_json();
	assert_int_equal(json_integer_value(json_object_get(doc, "version")),
			 2);
	assert_int_equal(json_array_size(json_object_get(doc, "processes")), 2);
	json_decref(doc);
	assert_int_equal(run("alice", "releases:info shop v3"), COMMAND_FAILED);
	assert_int_equal(run("alice", "releases:info shop vv"), COMMAND_USAGE);
	assert_int_equal(run("alice", "releases:info shop v"), COMMAND_USAGE);
}

static void processes_are_asked_of_the_target(void **state)
{
	json_t *doc;

	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run("alice", "ps shop"), 0);
	errors_has("never deployed");
	assert_int_equal(fake.opened, 0);
	add_release("shop", 0);
	assert_int_equal(run("alice", "ps shop"), 0);
	out_is("PROCESS    RELEASE  STATE    SINCE                 DETAIL\n"
	       "web.1      v3       up       2026-11-22T10:00:00Z  10.0.0.2\n"
	       "worker.12  v3       crashed  -                     exit 1\n");
	assert_int_equal(run("alice", "ps shop --json"), 0);
	doc = out_json();
	assert_int_equal(json_array_size(doc), 2);
	json_decref(doc);
	assert_int_equal(fake.closed, fake.opened);
}

static void log_options_reach_the_target(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run("alice", "logs shop"), 0);
	assert_int_equal(fake.opened, 0);
	add_release("shop", 0);
	fake.log_lines = 2;
	assert_int_equal(run("alice", "logs shop"), 0);
	out_is("2026-11-22T10:00:00Z app[web.1]: hello\n"
	       "2026-11-22T10:00:00Z app[web.1]: hello\n");
	assert_int_equal(fake.options.tail, 100);
	assert_false(fake.options.follow);
	assert_int_equal(run("alice", "logs -n 7 -p web.1 shop"), 0);
	assert_int_equal(fake.options.tail, 7);
	assert_string_equal(fake.process, "web.1");
	assert_int_equal(run("alice", "logs shop -n x"), COMMAND_USAGE);
	assert_int_equal(run("alice", "logs shop -p a/b"), COMMAND_USAGE);
	assert_int_equal(run("alice", "logs shop --json"), COMMAND_USAGE);
}

static void logs_are_chosen_by_time_and_text(void **state)
{
	int64_t now = time(NULL);

	(void)state;
	run("alice", "apps:create shop");
	add_release("shop", 0);
	assert_int_equal(run("alice", "logs shop"), 0);
	assert_int_equal(fake.options.since, 0);
	assert_null(fake.options.grep);
	assert_int_equal(run("alice", "logs shop --since 10m --grep error"), 0);
	assert_in_range(fake.options.since, now - 601, now - 590);
	assert_string_equal(fake.grep, "error");
	assert_int_equal(fake.options.tail, 100000); /* all of it */
	assert_int_equal(run("alice", "logs shop -n 5 --since 2h"), 0);
	assert_int_equal(fake.options.tail, 5);
	assert_in_range(fake.options.since, now - 7201, now - 7190);
	assert_int_equal(
		run("alice", "logs shop --since 2026-11-22T12:15:00+02:00"), 0);
	assert_int_equal(fake.options.since, 1795342500);
	assert_int_equal(run("alice", "logs shop --since 900000d"), 0);
	assert_int_equal(fake.options.since, 1);
	assert_int_equal(run("alice", "logs shop --since yesterday"),
			 COMMAND_USAGE);
	assert_int_equal(run("alice", "logs shop --since 2026-11-22T10:15"),
			 COMMAND_USAGE);
	assert_int_equal(run("alice", "logs shop --grep="), COMMAND_USAGE);
}

/* ---- users, keys, access ---- */

/* ---- config vars ---- */

static void vars_wait_for_the_first_deploy(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run("alice", "config shop"), 0);
	errors_has("no config vars");
	assert_int_equal(run("alice", "config:set shop B=x=y A="), 0);
	out_is("Set B, A: stored for the first deploy\n");
	assert_int_equal(run("alice", "config:set shop B=x=y"), 0);
	out_is("Nothing changed\n");
	assert_int_equal(run("alice", "config shop"), 0);
	out_has("B:  x=y\n");
	assert_int_equal(run("alice", "config:get shop B"), 0);
	out_is("x=y\n");
	assert_int_equal(run("alice", "config:unset shop B C B"), 0);
	out_is("Unset B: stored for the first deploy\n");
	errors_is("shop has no C\n");
	assert_int_equal(run("alice", "config:get shop B"), COMMAND_FAILED);
	assert_int_equal(run("alice", "config shop --json"), 0);
	out_is("{\n  \"A\": \"\"\n}\n");
}

static void vars_for_a_shell_are_quoted(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(
		run_with("alice", "config:set shop A", "it's\n$HOME\n", false),
		0);
	assert_int_equal(run("alice", "config shop -s"), 0);
	out_is("A='it'\\''s\n$HOME'\n");
}

static void a_value_never_shows_in_an_error(void **state)
{
	static const char *const lines[] = {
		"config:set shop A-B=s3cret",
		"config:set shop 9=s3cret",
		"config:set shop s3cret/s3cret",
		"config:set shop A=1 A.s3cret",
		"config:set shop PORT=s3cret",
		"config:unset shop s3cret=",
		"config:get shop s3cret/",
		"config:set shop A=ssm:s3cret",
		"config:set shop A=secretsmanager:s3cret",
	};

	(void)state;
	run("alice", "apps:create shop");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_true(run("alice", lines[i]) > 0);
		assert_null(strstr(buf_str(&a.errors), "s3cret"));
		assert_null(strstr(buf_str(&a.out), "s3cret"));
	}
	assert_int_equal(run("alice", "config shop --json"), 0);
	out_is("{}\n");
}

static void a_secret_is_not_echoed(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run_with("alice", "config:set shop A",
				  "s3x\x7f"
				  "cret\r",
				  true),
			 0);
	errors_has("Value of A: ");
	assert_null(strstr(buf_str(&a.out), "s3"));
	run("alice", "config:get shop A");
	out_is("s3cret\n");
	assert_int_equal(run_with("alice", "config:set shop A", "", false),
			 COMMAND_USAGE);
	errors_has("no value for A came");
	assert_int_equal(run_with("alice", "config:set shop A B", "x", false),
			 COMMAND_USAGE);
}

/* A builder for one request: what it was asked goes to a file, then it says
 * `end`. */
static pid_t start_builder(const char *end)
{
	auto_free char *path = xasprintf("%s/socket", dir);
	auto_free char *asked = xasprintf("%s/asked", dir);
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	struct wire_frame frame;
	auto_close int listener = -1;
	int fd;
	pid_t pid;

	assert_int_equal(config_set(&cfg, "slipway.socket", path, &err), 0);
	listener = io_unix_listen(path, 0600, &err);
	assert_true(listener >= 0);
	pid = fork();
	if (pid != 0)
		return pid;
	fd = accept(listener, NULL, NULL);
	if (wire_recv(fd, &in, &frame, &err) == 1) {
		FILE *f = fopen(asked, "w");

		fwrite(frame.payload.ptr, 1, frame.payload.len, f);
		fclose(f);
	}
	if (wire_send(fd, json_pack("{s:s, s:i}", "type", "accepted", "job", 1),
		      &err) < 0 ||
	    wire_send_data(fd, WIRE_STDERR, "-----> x\n", 9, &err) < 0 ||
	    wire_send(fd, json_loads(end, 0, NULL), &err) < 0)
		_exit(1);
	_exit(0);
}

static void asked_has(const char *part)
{
	auto_free char *path = xasprintf("%s/asked", dir);
	auto_buf struct buf text = BUF_INIT(65536);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(buf_read_fd(&text, fd, &err), 0);
	expect("request", &text, part);
	assert_null(strstr(buf_str(&text), "s3cret"));
}

static void what_is_live_is_released_again(void **state)
{
	pid_t pid;

	(void)state;
	run("alice", "apps:create shop");
	add_release("shop", 1);
	pid = start_builder("{\"type\":\"released\",\"ok\":true,"
			    "\"release\":2,\"reason\":\"\"}");
	assert_int_equal(run("alice", "config:set shop A=s3cret B=1"), 0);
	waitpid(pid, NULL, 0);
	out_is("Set A, B: v2 is live\n");
	errors_is("-----> x\n");
	asked_has("\"type\":\"release\"");
	asked_has("\"app\":\"shop\"");
	asked_has("\"user\":\"alice\"");
	asked_has("\"description\":\"Set A, B\"");
}

static void a_release_that_fails_keeps_the_vars(void **state)
{
	pid_t pid;

	(void)state;
	run("alice", "apps:create shop");
	add_release("shop", 1);
	pid = start_builder("{\"type\":\"released\",\"ok\":false,"
			    "\"release\":2,\"reason\":\"v2 failed: no\"}");
	assert_int_equal(run("alice", "config:set shop -q A=1"),
			 COMMAND_FAILED);
	waitpid(pid, NULL, 0);
	errors_is("slipway: the config vars are stored, but: v2 failed: no\n");
	run("alice", "config:get shop A");
	out_is("1\n");
	assert_int_equal(run("alice", "config shop"), 0);
	errors_has("changed since v1 went live");
	/* The same again is a second try. */
	pid = start_builder("{\"type\":\"released\",\"ok\":true,"
			    "\"release\":3,\"reason\":\"\"}");
	assert_int_equal(run("alice", "config:set shop A=1"), 0);
	waitpid(pid, NULL, 0);
	out_is("Config vars set before: v3 is live\n");
}

static void a_builder_that_is_away_is_told(void **state)
{
	auto_free char *path = xasprintf("%s/nobody", dir);

	(void)state;
	assert_int_equal(config_set(&cfg, "slipway.socket", path, &err), 0);
	run("alice", "apps:create shop");
	add_release("shop", 1);
	assert_int_equal(run("alice", "config:set shop A=1"), COMMAND_FAILED);
	errors_has("the config vars are stored, but");
	assert_int_equal(run("alice", "config:set shop B=1 --no-restart"), 0);
	out_is("Set B: stored for the next release\n");
}

/* ---- targets ---- */

static void targets_are_listed_and_chosen(void **state)
{
	(void)state;
	assert_int_equal(config_set(&cfg, "target.blue.type", "docker", &err),
			 0);
	assert_int_equal(run("alice", "targets --json"), 0);
	out_has("\"name\": \"local\"");
	out_has("\"name\": \"blue\"");
	assert_int_equal(run("alice", "apps:create shop --target bleu"),
			 COMMAND_FAILED);
	errors_has("did you mean 'blue'?");
	assert_int_equal(run("alice", "apps:create shop --target blue"), 0);
	run("alice", "apps:info shop");
	out_has("blue");
	assert_int_equal(run("alice", "apps:set shop target local"), 0);
	out_is("shop runs on local\n");
	assert_int_equal(run("alice", "apps:set shop colour blue"),
			 COMMAND_USAGE);
	add_release("shop", 1);
	assert_int_equal(run("alice", "apps:set shop target blue"),
			 COMMAND_FAILED);
	errors_has("v1 is live on 'local'");
	assert_int_equal(fake.destroyed, 0);
}

static void users_are_for_administrators(void **state)
{
	json_t *doc;

	(void)state;
	assert_int_equal(run("alice", "users:list"), COMMAND_FAILED);
	errors_has("for administrators");
	assert_int_equal(run("alice", "users:add eve --admin"), COMMAND_FAILED);
	assert_int_equal(run("alice", "users:set-admin alice on"),
			 COMMAND_FAILED);
	assert_int_equal(run("root", "users:add eve --admin"), 0);
	assert_int_equal(run(NULL, "users --json"), 0);
	doc = out_json();
	assert_int_equal(json_array_size(doc), 4);
	json_decref(doc);
	assert_int_equal(run("eve", "users:set-admin bob on"), 0);
	assert_int_equal(run("bob", "users:set-admin eve off"), 0);
	assert_int_equal(run("eve", "users:list"), COMMAND_FAILED);
	assert_int_equal(run("bob", "users:set-admin eve maybe"),
			 COMMAND_USAGE);
	assert_int_equal(run("bob", "users:remove eve"), 0);
	assert_int_equal(run("bob", "users:remove eve"), COMMAND_FAILED);
	assert_int_equal(run("bob", "users:add Eve"), COMMAND_FAILED);
}

static void who_am_i(void **state)
{
	(void)state;
	assert_int_equal(run(NULL, "whoami"), 0);
	out_is("the local administrator\n");
	assert_int_equal(run("root", "whoami"), 0);
	out_is("root (administrator)\n");
	assert_int_equal(run("alice", "whoami --json"), 0);
	out_has("\"user\": \"alice\"");
	out_has("\"local\": false");
}

static void keys_come_on_standard_input(void **state)
{
	(void)state;
	assert_int_equal(run_with("alice", "keys:add",
				  "ssh-ed25519 " ED " alice@home office\n",
				  false),
			 0);
	out_is(ED_FINGERPRINT "\n");
	errors_is("Added the key 'alice@home-office' of alice\n");
	assert_int_equal(run_with("bob", "keys:add laptop",
				  "ssh-ed25519 " ED "\n", false),
			 COMMAND_FAILED);
	errors_has("belongs to 'alice'");
	assert_int_equal(run("alice", "keys:list"), 0);
	out_has("alice  alice@home-office  ssh-ed25519  " ED_FINGERPRINT
		"  -\n");
	assert_int_equal(run("alice", "keys:remove alice@home-office"), 0);
	assert_int_equal(run_with("bob", "keys:add laptop -q",
				  "ssh-ed25519 " ED "\n", false),
			 0);
	out_is(ED_FINGERPRINT "\n");
	errors_is("");
}

static void keys_come_as_words(void **state)
{
	(void)state;
	assert_int_equal(run(NULL, "keys:add alice laptop ssh-ed25519 " ED
				   " any comment"),
			 0);
	out_is(ED_FINGERPRINT "\n");
	assert_int_equal(run("root", "keys:list alice"), 0);
	out_has("alice  laptop  ssh-ed25519");
	assert_int_equal(run("root", "keys:remove " ED_FINGERPRINT), 0);
	assert_int_equal(run(NULL, "keys:add alice ssh-ed25519 " ED " here"),
			 0);
	assert_int_equal(run(NULL, "keys:remove alice here"), 0);
	assert_int_equal(run("alice", "keys:add mine ssh-ed25519 " ED), 0);
	errors_has("'mine' of alice");
	assert_int_equal(run(NULL, "keys:add alice a b ssh-ed25519 " ED),
			 COMMAND_USAGE);
	assert_int_equal(run(NULL, "keys:add ssh-ed25519 " ED), COMMAND_USAGE);
	errors_has("whose key?");
	assert_int_equal(run(NULL, "keys:add carol x ssh-ed25519 " ED),
			 COMMAND_FAILED);
	errors_has("users:add carol");
}

static void others_keys_are_for_administrators(void **state)
{
	(void)state;
	assert_int_equal(run("alice", "keys:add bob x ssh-ed25519 " ED),
			 COMMAND_FAILED);
	errors_has("for administrators");
	assert_int_equal(run("root", "keys:add bob x ssh-ed25519 " ED), 0);
	assert_int_equal(run("alice", "keys:list bob"), COMMAND_FAILED);
	assert_int_equal(run("alice", "keys:remove bob x"), COMMAND_FAILED);
	assert_int_equal(run("alice", "keys:remove " ED_FINGERPRINT),
			 COMMAND_FAILED);
	assert_int_equal(run("alice", "keys:list"), 0);
	out_is("");
	assert_int_equal(run("bob", "keys"), 0);
	out_has("bob   x");
	/* one word is an administrator's own key unless there is such a user */
	assert_int_equal(run("bob", "keys:remove x"), 0);
	assert_int_equal(run("root", "keys:add bob ssh-ed25519 " ED " c"), 0);
	errors_has("'c' of bob");
	assert_int_equal(run("root", "keys:remove bob c"), 0);
	assert_int_equal(run("root", "keys:add desk ssh-ed25519 " ED), 0);
	errors_has("'desk' of root");
}

static void access_is_given_and_taken(void **state)
{
	(void)state;
	run("alice", "apps:create shop");
	assert_int_equal(run("alice", "access:add shop bob"), COMMAND_USAGE);
	assert_int_equal(run("alice", "access:add shop bob owner"),
			 COMMAND_USAGE);
	assert_int_equal(run("alice", "access:add shop bob view -p deploy"),
			 COMMAND_USAGE);
	assert_int_equal(run("alice", "access:add shop carol view"),
			 COMMAND_FAILED);
	assert_int_equal(run("alice", "access:add shop bob view"), 0);
	assert_int_equal(run("bob", "access shop"), 0);
	out_is("USER   ROLE\nalice  admin\nbob    view\n");
	assert_int_equal(run("alice", "access:add shop bob -p view,operate"),
			 0);
	assert_int_equal(store_role(st, app_id("shop"), "bob", &err),
			 ROLE_OPERATE);
	assert_int_equal(run("alice", "access:remove shop bob"), 0);
	assert_int_equal(run("alice", "access:remove shop bob"),
			 COMMAND_FAILED);
	assert_int_equal(run("bob", "access shop"), COMMAND_FAILED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_come_in_every_usual_form),
		cmocka_unit_test(wrong_options_are_named),
		cmocka_unit_test(words_and_options_are_bounded),
		cmocka_unit_test(numbers_have_a_range_and_no_frills),
		cmocka_unit_test(tables_are_aligned_by_what_is_seen),
		cmocka_unit_test(every_command_is_described_and_found_once),
		T(unknown_commands_suggest_the_nearest),
		T(help_lists_and_describes),
		T(wrong_usage_shows_the_synopsis),
		T(requests_that_are_no_command_are_refused),
		T(a_removed_user_may_nothing),
		T(an_app_is_made_with_its_repository),
		T(lists_show_what_one_may_see),
		T(a_hidden_app_reads_like_a_missing_one),
		T(exists_is_told_by_the_status_alone),
		T(each_command_wants_its_role),
		T(destroying_needs_the_name),
		T(in_a_raw_terminal_typing_is_shown),
		T(a_line_without_end_is_bounded),
		T(nothing_is_destroyed_or_renamed_during_a_deploy),
		T(a_target_that_fails_leaves_the_app),
		T(a_renamed_app_has_one_name),
		T(the_deploy_branch_is_a_branch_name),
		T(builds_are_listed_and_described),
		T(the_output_of_a_build_is_read_again),
		T(a_running_build_is_followed_to_its_end),
		T(a_follower_who_leaves_ends_the_command),
		T(a_client_who_leaves_in_the_middle_ends_it_too),
		T(releases_are_listed_and_described),
		T(processes_are_asked_of_the_target),
		T(log_options_reach_the_target),
		T(logs_are_chosen_by_time_and_text),
		T(vars_wait_for_the_first_deploy),
		T(vars_for_a_shell_are_quoted),
		T(a_value_never_shows_in_an_error),
		T(a_secret_is_not_echoed),
		T(what_is_live_is_released_again),
		T(a_release_that_fails_keeps_the_vars),
		T(a_builder_that_is_away_is_told),
		T(targets_are_listed_and_chosen),
		T(users_are_for_administrators),
		T(who_am_i),
		T(keys_come_on_standard_input),
		T(keys_come_as_words),
		T(others_keys_are_for_administrators),
		T(access_is_given_and_taken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
