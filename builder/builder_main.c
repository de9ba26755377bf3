/*
 * slipway-builder: the deploy service.  Started by `slipway serve`:
 *
 *   slipway-builder --config-fd N                  serve the control socket
 *   slipway-builder --config-fd N --router-config [--as-root]
 *                                                  write haproxy.cfg and end
 *   slipway-builder --config-fd N --check          see builder/check.h
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "builder/check.h"
#include "builder/control/server.h"
#include "builder/rollout/router/haproxy.h"
#include "builder/store/store.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum mode { MODE_SERVE, MODE_ROUTER_CONFIG, MODE_CHECK };

struct arguments {
	enum mode mode;
	int config_fd;
	bool as_root;
};

static int parse(int argc, char **argv, struct arguments *args)
{
	static const struct option longs[] = {
		{ "config-fd", required_argument, NULL, 'f' },
		{ "router-config", no_argument, NULL, 'r' },
		{ "as-root", no_argument, NULL, 'R' },
		{ "check", no_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	args->config_fd = -1;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (c == 'f')
			args->config_fd = (int)strtol(optarg, NULL, 10);
		else if (c == 'r')
			args->mode = MODE_ROUTER_CONFIG;
		else if (c == 'R')
			args->as_root = true;
		else if (c == 'c')
			args->mode = MODE_CHECK;
		else
			return -1;
	}
	return args->config_fd < 3 || optind != argc ? -1 : 0;
}

static int run_server(const struct config *cfg, struct error *err)
{
	auto_free char *path = xasprintf("%s/slipway.db", cfg->data);
	struct store *store = NULL;
	int r = store_open(path, &store, err);

	if (r == 0)
		r = server_run(cfg, store, err);
	store_close(store);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .mode = MODE_SERVE };
	struct error err = ERROR_INIT;
	struct config cfg;
	int r;

	log_init("builder", LOG_INFO);
	if (parse(argc, argv, &args) < 0) {
		fprintf(stderr, "slipway-builder is started by `slipway "
				"serve`; see slipway-builder(8)\n");
		return EXIT_USAGE;
	}
	umask(027);
	config_init(&cfg);
	r = config_read_fd(&cfg, args.config_fd, &err);
	if (r == 0) {
		log_init("builder",
			 (enum log_level)log_level_from_name(cfg.log_level));
		if (args.mode == MODE_ROUTER_CONFIG)
			r = router_haproxy_write(&cfg, args.as_root, &err);
		else if (args.mode == MODE_CHECK)
			r = check_run(&cfg);
		else
			r = run_server(&cfg, &err);
	}
	if (r < 0)
		log_error("%s", err.msg);
	config_release(&cfg);
	return r < 0 ? EXIT_FAILED : r;
}
