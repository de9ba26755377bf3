/*
 * slipway: `slipway serve` starts everything, `slipway check` tells what is
 * wrong with a configuration or a machine, and any other word is a command
 * for the control socket of a running server.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "ctl/client.h"
#include "ctl/config_file.h"
#include "ctl/serve.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX 128

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct arguments {
	const char *config; /* NULL = the default place, if it exists */
	const char *socket; /* NULL = the configuration's */
	const char *options[OPTIONS_MAX];
	size_t options_count;
};

static const char usage[] =
	"usage: slipway [-c FILE] [-o section.key=value]... serve\n"
	"       slipway [-c FILE] [-o section.key=value]... check\n"
	"       slipway [--socket PATH] COMMAND [ARGUMENT]...\n"
	"\n"
	"`slipway help` lists the commands of a running server; slipway(1).\n";

/*
 * Parse options up to the first word; `serve` and `check` may have theirs
 * behind it as well.  The index of the first word, or -1.
 */
static int parse(int argc, char **argv, struct arguments *args)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "option", required_argument, NULL, 'o' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+c:o:s:hV", longs, NULL)) >= 0) {
		switch (c) {
		case 'c':
			args->config = optarg;
			break;
		case 's':
			args->socket = optarg;
			break;
		case 'o':
			if (args->options_count == OPTIONS_MAX)
				return -1;
			args->options[args->options_count++] = optarg;
			break;
		case 'V':
			printf("slipway %s\n", SLIPWAY_VERSION);
			exit(EXIT_OK);
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_OK);
		default:
			return -1;
		}
	}
	return optind;
}

static char *default_config(void)
{
	const char *home = getenv("HOME");
	char *path = NULL;

	if (geteuid() == 0)
		path = xstrdup("/etc/slipway/slipway.conf");
	else if (home)
		path = xasprintf("%s/.config/slipway/slipway.conf", home);
	if (path && access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static int load(const struct arguments *args, struct config *cfg,
		struct error *err)
{
	auto_free char *fallback = args->config ? NULL : default_config();
	const char *path = args->config ? args->config : fallback;
	int r = path ? config_file_read(cfg, path, err) : 0;

	for (size_t i = 0; i < args->options_count && r == 0; i++) {
		r = config_set_option(cfg, args->options[i], err);
		if (r < 0)
			r = err_wrap(err, r, "-o");
	}
	if (r == 0 && args->socket)
		r = config_set(cfg, "slipway.socket", args->socket, err);
	if (r == 0)
		r = config_check(cfg, err);
	return r;
}

/* Exit status, or -code. */
static int run(const struct config *cfg, int argc, char **argv,
	       struct error *err)
{
	int r;

	if (strcmp(argv[0], "serve") == 0) {
		log_init("serve",
			 (enum log_level)log_level_from_name(cfg->log_level));
		return serve(cfg, err);
	}
	if (strcmp(argv[0], "check") == 0) {
		log_init("check", LOG_WARN);
		r = serve_check(cfg, err);
		return r > 0 ? EXIT_FAILED : r;
	}
	return client_run(cfg->socket, argc, argv, err);
}

int main(int argc, char **argv)
{
	struct arguments args = { .config = NULL };
	struct error err = ERROR_INIT;
	struct config cfg;
	int first = parse(argc, argv, &args);
	int words;
	int r;

	if (first < 0 || first >= argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	argv += first;
	words = argc - first;
	if (strcmp(argv[0], "serve") == 0 || strcmp(argv[0], "check") == 0) {
		char **rest = argv;

		/* getopt wants a program name in front: the word itself. */
		optind = 1;
		first = parse(words, rest, &args);
		if (first < 0 || first < words) {
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	config_init(&cfg);
	r = load(&args, &cfg, &err);
	if (r == 0)
		r = run(&cfg, words, argv, &err);
	if (r < 0) {
		fprintf(stderr, "slipway: %s\n", err.msg);
		r = err.code == ERR_INVALID ? EXIT_USAGE : EXIT_FAILED;
	}
	config_release(&cfg);
	return r;
}
