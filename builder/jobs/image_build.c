#include "builder/jobs/image_build.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "builder/engine/build.h"
#include "builder/engine/container.h"
#include "builder/engine/engine.h"
#include "builder/engine/image.h"
#include "builder/jobs/deploy.h"
#include "builder/jobs/push_options.h"
#include "builder/jobs/transcript.h"
#include "builder/jobs/worker.h"
#include "builder/rollout/image_name.h"
#include "builder/source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_MAX 65536
#define SHORT_IMAGE  19 /* "sha256:" and 12 digits */

struct building {
	struct deploy *deploy;
	struct context *context;
	struct error read_error; /* why the context stopped */
	bool read_failed;
};

static ssize_t on_read(void *ctx, char *data, size_t size)
{
	struct building *b = ctx;
	ssize_t n = context_read(b->context, data, size, &b->read_error);

	if (n < 0) {
		b->read_failed = true;
		return -1;
	}
	return n;
}

static void on_line(void *ctx, struct slice line)
{
	struct building *b = ctx;

	/* BuildKit's blank lines between steps; and our tag is ours alone. */
	if (line.len == 0 || slice_starts(line, "Successfully tagged "))
		return;
	transcript_output(b->deploy->out, line);
}

static bool on_is_canceled(void *ctx)
{
	struct building *b = ctx;

	transcript_tick(b->deploy->out);
	return worker_is_canceled();
}

static void on_step(void *ctx, const char *name)
{
	struct building *b = ctx;

	transcript_busy(b->deploy->out, name);
}

/* ---- credentials of registries ---- */

struct passwords {
	struct build_credential list[CONFIG_SUBS_MAX];
	char *texts[CONFIG_SUBS_MAX];
	size_t count;
};

static void passwords_release(struct passwords *p)
{
	for (size_t i = 0; i < p->count; i++) {
		explicit_bzero(p->texts[i], strlen(p->texts[i]));
		free(p->texts[i]);
	}
	p->count = 0;
}

static int read_password(const char *path, char **ret, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_buf struct buf b = BUF_INIT(PASSWORD_MAX);
	int r;

	if (fd < 0)
		return err_errno(err, errno, "open the password file '%s'",
				 path);
	r = buf_read_fd(&b, fd, err);
	if (r < 0)
		return err_wrap(err, r, "password file '%s'", path);
	*ret = slice_dup(slice_trim(buf_slice(&b)));
	explicit_bzero(b.data, b.len);
	return 0;
}

static int read_passwords(const struct config *cfg, struct passwords *p,
			  struct error *err)
{
	for (size_t i = 0; i < cfg->registries_count; i++) {
		const struct config_registry *reg = &cfg->registries[i];
		char *text = NULL;
		int r = read_password(reg->password_file, &text, err);

		if (r < 0)
			return r;
		p->texts[i] = text;
		p->list[i] = (struct build_credential){ reg->host,
							reg->username, text };
		p->count = i + 1;
	}
	return 0;
}

/* ---- telling ---- */

/* Evidence for a failed step: its name, exit code and last output. */
static int tell_failure(struct deploy *d, const struct build_result *result,
			int r, struct error *err)
{
	auto_free char *said = xstrdup(err->msg);
	struct slice rest =
		slice_str(result->failed_output ? result->failed_output : "");
	struct slice line;

	if (!result->failed_step) {
		transcript_error(d->out, "build failed: %s", said);
		return err_wrap(err, r, "build failed");
	}
	if (result->exit_code)
		transcript_error(d->out, "%s exited %d", result->failed_step,
				 result->exit_code);
	else
		transcript_error(d->out, "%s: %s", result->failed_step, said);
	if (rest.len)
		transcript_error(d->out, "its last output:");
	while (slice_line(&rest, &line))
		transcript_error(d->out, "  %.*s", (int)line.len, line.ptr);
	if (result->exit_code == 137)
		transcript_error(d->out, "137 often means: out of memory");
	if (result->exit_code)
		err_set(err, ERR_PEER, "build failed: %.120s exited %d",
			result->failed_step, result->exit_code);
	else
		err_set(err, ERR_PEER, "build failed: %.120s: %.200s",
			result->failed_step, said);
	return -ERR_PEER;
}

static void tell_success(struct deploy *d, struct engine *engine,
			 const struct build_result *result, int64_t ms)
{
	auto_buf struct buf text = BUF_INIT(256);
	struct image_info info = { NULL };
	struct error ignored;

	buf_addf(&text, "Image %.*s…", SHORT_IMAGE, result->image);
	if (image_inspect(engine, result->image, &info, &ignored) == 0) {
		buf_addc(&text, ' ');
		text_add_size(&text, (uint64_t)info.size);
	}
	image_info_release(&info);
	buf_adds(&text, " in ");
	text_add_duration(&text, ms);
	if (result->steps)
		buf_addf(&text, " (%d of %d steps cached)",
			 result->steps_cached, result->steps);
	transcript_detail(d->out, "%s", buf_str(&text));
}

static void tell_context(struct deploy *d, const struct context *context)
{
	const struct context_stats *stats = context_stats(context);
	auto_buf struct buf text = BUF_INIT(128);

	text_add_size(&text, stats->bytes);
	transcript_detail(d->out,
			  "Context: %" PRIu64 " files, %s (%" PRIu64
			  " left out by .dockerignore)",
			  stats->files, buf_str(&text), stats->excluded);
}

static int run_build(struct building *b, struct engine *engine,
		     struct build_spec *spec, char **ret_image,
		     struct error *err)
{
	struct deploy *d = b->deploy;
	struct build_result result = { NULL };
	int64_t began = clock_ms();
	int r = build_run(engine, spec, &result, err);

	transcript_busy(d->out, NULL);
	if (r == 0) {
		tell_context(d, b->context);
		tell_success(d, engine, &result, clock_ms() - began);
		*ret_image = xstrdup(result.image);
	} else if (b->read_failed) {
		*err = b->read_error;
		r = -(int)err->code;
		transcript_error(d->out, "build context: %s", err->msg);
	} else if (r == -ERR_CANCELED) {
		err_set(err, ERR_CANCELED, "canceled during the build");
	} else {
		r = tell_failure(d, &result, r, err);
	}
	build_result_release(&result);
	return r;
}

static int builder_kind(const char *name)
{
	if (strcmp(name, "buildkit") == 0)
		return BUILDER_BUILDKIT;
	return strcmp(name, "classic") == 0 ? BUILDER_CLASSIC : BUILDER_AUTO;
}

static int build_with(struct deploy *d, struct engine *engine,
		      struct building *b, const struct passwords *passwords,
		      const char *dockerfile, char **ret_image,
		      struct error *err)
{
	auto_free char *owner = NULL;
	auto_free char *repository = NULL;
	auto_free char *tag = NULL;
	json_auto_t *labels = NULL;
	struct build_spec spec = {
		.dockerfile = dockerfile,
		.stage = d->options->stage,
		.args = d->options->build_args,
		.no_cache = d->options->no_cache,
		.pull = d->options->pull,
		.memory = d->cfg->build_memory,
		.credentials = passwords->list,
		.credentials_count = passwords->count,
		.timeout_ms = d->cfg->build_timeout_ms,
		.idle_timeout_ms = d->cfg->build_idle_timeout_ms,
		.read = on_read,
		.line = on_line,
		.is_canceled = on_is_canceled,
		.step = on_step,
		.ctx = b,
	};
	int r = store_owner(d->store, &owner, err);

	if (r < 0)
		return r;
	repository = image_repository(owner, d->app->id);
	tag = xasprintf("%s:%" PRId64, repository, d->release.version);
	spec.tag = tag;
	spec.builder = builder_kind(d->cfg->build_builder);
	labels = json_pack("{s:s}", LABEL_OWNER, owner);
	spec.labels = labels;
	return run_build(b, engine, &spec, ret_image, err);
}

int image_build(struct deploy *d, struct engine *engine, struct source *src,
		const char *dockerfile, char **ret_image, struct error *err)
{
	struct building b = { .deploy = d };
	struct passwords passwords = { .count = 0 };
	int r = context_open(src, dockerfile, &b.context, err);

	if (r < 0) {
		transcript_error(d->out, "%s", err->msg);
		return r;
	}
	transcript_step(d->out, "Building from %s", dockerfile);
	transcript_busy(d->out, "build");
	r = read_passwords(d->cfg, &passwords, err);
	if (r == 0)
		r = build_with(d, engine, &b, &passwords, dockerfile, ret_image,
			       err);
	passwords_release(&passwords);
	context_close(b.context);
	return r;
}
