#include "builder/check.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/proc.h"
#include "base/text.h"
#include "builder/engine/engine.h"
#include "builder/engine/image.h"
#include "builder/rollout/ecs/check.h"
#include "builder/rollout/router/haproxy.h"
#include "builder/store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_TIMEOUT_MS 10000
#define OUTPUT_MAX	   65536
#define LABEL_MAX	   4096

static int line(const char *what, int r, const struct error *err)
{
	if (r < 0)
		printf("FAIL  %s: %s\n", what, err->msg);
	else
		printf("ok    %s\n", what);
	return r < 0;
}

static int check_store(const struct config *cfg)
{
	auto_free char *path = xasprintf("%s/slipway.db", cfg->data);
	auto_free char *label = xasprintf("store (%s)", path);
	struct store *store = NULL;
	struct error err;
	int r = store_open(path, &store, &err);

	store_close(store);
	return line(label, r, &err);
}

static int check_engine(const struct config *cfg)
{
	auto_buf struct buf label = BUF_INIT(256);
	struct engine *engine = NULL;
	struct error err;
	int64_t bytes;
	int r = engine_open(cfg->engine, &engine, &err);

	buf_adds(&label, "engine");
	if (r == 0) {
		const struct engine_info *info = engine_info(engine);

		buf_addf(&label, " (%s, API %s, %s", info->server, info->api,
			 info->has_buildkit ? "BuildKit" : "classic builder");
		if (engine_disk_free(engine, &bytes, &err) == 0) {
			buf_adds(&label, ", ");
			text_add_size(&label, (uint64_t)bytes);
			buf_adds(&label, " free");
		}
		buf_addc(&label, ')');
	}
	engine_close(engine);
	return line(buf_str(&label), r, &err);
}

/* Let HAProxy itself read the configuration that it would get. */
static int check_router(const struct config *cfg)
{
	const char *argv[] = { cfg->router_program, "-c", "-q", "-f",
			       "/dev/stdin",	    NULL };
	struct proc_spec spec = { .path = cfg->router_program, .argv = argv };
	auto_buf struct buf text = BUF_INIT(16 << 20);
	auto_buf struct buf out = BUF_INIT(OUTPUT_MAX);
	auto_buf struct buf errors = BUF_INIT(OUTPUT_MAX);
	struct error err;
	int r = router_haproxy_config(cfg, false, &text, &err);

	if (r == 0)
		r = proc_run(&spec, buf_slice(&text), &out, &errors,
			     PROGRAM_TIMEOUT_MS, &err);
	if (r > 0)
		r = err_set(&err, ERR_PEER, "%s", buf_str(&errors));
	return line("router configuration", r, &err);
}

static int check_password_files(const struct config *cfg)
{
	int problems = 0;

	for (size_t i = 0; i < cfg->registries_count; i++) {
		const struct config_registry *reg = &cfg->registries[i];
		auto_free char *label = xasprintf("registry %s", reg->host);
		auto_close int fd =
			open(reg->password_file, O_RDONLY | O_CLOEXEC);
		struct error err;
		int r = fd < 0 ? err_set(&err, ERR_NOTFOUND,
					 "cannot read the password file '%s'",
					 reg->password_file)
			       : 0;

		problems += line(label, r, &err);
	}
	return problems;
}

static int check_targets(const struct config *cfg)
{
	int problems = 0;

	for (size_t i = 0; i < cfg->targets_count; i++) {
		const struct config_target *t = &cfg->targets[i];
		auto_buf struct buf label = BUF_INIT(LABEL_MAX);
		struct error err;
		int r;

		if (strcmp(t->type, TARGET_TYPE_ECS) != 0)
			continue;
		buf_addf(&label, "target %s", t->name);
		r = ecs_check(t, &label, &err);
		problems += line(buf_str(&label), r, &err);
	}
	return problems;
}

int check_run(const struct config *cfg)
{
	return check_store(cfg) + check_engine(cfg) + check_router(cfg) +
	       check_password_files(cfg) + check_targets(cfg);
}
