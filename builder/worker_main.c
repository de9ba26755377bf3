/*
 * slipway-worker: one piece of work of the builder in a process of its own:
 *
 *   slipway-worker job ID   a push or a release; fd 4 hears of new output
 *   slipway-worker command  fd 4 the client, fd 5 its request
 *   slipway-worker watch    keeps routes and containers as recorded
 *
 * fd 3 holds the configuration.  Started by slipway-builder only.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/wire.h"
#include "builder/commands/commands.h"
#include "builder/jobs/worker.h"
#include "builder/store/store.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CONFIG_FD = 3, NOTIFY_FD = 4, CLIENT_FD = 4, REQUEST_FD = 5 };
enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int run_job(const struct config *cfg, struct store *store,
		   const char *id, struct error *err)
{
	struct job job = { 0 };
	char *end;
	long long number = strtoll(id, &end, 10);
	int r;

	if (number <= 0 || *end)
		return err_set(err, ERR_INVALID, "'%s' is not a job", id);
	worker_catch_signals();
	r = store_job_get(store, number, &job, err);
	if (r == 0 && job.kind == JOB_RELEASE)
		r = release_job_run(cfg, store, &job, NOTIFY_FD, err);
	else if (r == 0)
		r = push_job_run(cfg, store, &job, NOTIFY_FD, err);
	job_release(&job);
	return r;
}

static int run_command(const struct config *cfg, struct store *store,
		       struct error *err)
{
	auto_buf struct buf text = BUF_INIT(WIRE_MAX);
	json_auto_t *request = NULL;
	int r = buf_read_fd(&text, REQUEST_FD, err);

	signal(SIGPIPE, SIG_IGN);
	if (r == 0)
		r = json_parse(buf_slice(&text), "command", &request, err);
	if (r == 0)
		r = commands_main(cfg, store, CLIENT_FD, request, err);
	return r;
}

static int run(const struct config *cfg, struct store *store, int argc,
	       char **argv, struct error *err)
{
	if (argc == 3 && strcmp(argv[1], "job") == 0)
		return run_job(cfg, store, argv[2], err);
	if (argc == 2 && strcmp(argv[1], "command") == 0)
		return run_command(cfg, store, err);
	if (argc == 2 && strcmp(argv[1], "watch") == 0) {
		worker_catch_signals();
		return watch_run(cfg, store, err);
	}
	return err_set(err, ERR_INVALID,
		       "usage: slipway-worker job ID | command | watch");
}

int main(int argc, char **argv)
{
	auto_free char *path = NULL;
	struct store *store = NULL;
	struct error err = ERROR_INIT;
	struct config cfg;
	int r;

	log_init("worker", LOG_INFO);
	config_init(&cfg);
	r = config_read_fd(&cfg, CONFIG_FD, &err);
	if (r == 0) {
		log_init("worker",
			 (enum log_level)log_level_from_name(cfg.log_level));
		path = xasprintf("%s/slipway.db", cfg.data);
		r = store_open(path, &store, &err);
	}
	if (r == 0)
		r = run(&cfg, store, argc, argv, &err);
	if (r < 0)
		log_error("%s", err.msg);
	store_close(store);
	config_release(&cfg);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
