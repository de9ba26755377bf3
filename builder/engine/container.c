#include "builder/engine/container.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "builder/engine/engine.h"
#include "builder/engine/engine_json.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CALL_TIMEOUT_MS	  60000
#define START_TIMEOUT_MS  120000
#define REMOVE_TIMEOUT_MS 60000
#define STOP_GRACE_MS	  30000 /* for the engine, beyond the container's own */
#define PATH_MAX_BYTES	  4096
#define EXIT_BY_SIGKILL	  137
#define OOM_LOOKS	  5
#define OOM_PAUSE_MS	  200

/*
 * Dropped from Docker's default set: what no web application needs and what
 * reaches beyond its container.
 */
static const char *const dropped_caps[] = { "AUDIT_WRITE", "MKNOD", "NET_RAW",
					    "SETFCAP" };

/* "/containers/ID", ID percent-encoded. */
static void container_path(struct buf *path, const char *id, const char *rest)
{
	buf_adds(path, "/containers/");
	engine_query(path, id);
	buf_adds(path, rest);
}

/* ---- creating ---- */

static json_t *string_array(const char *const *items, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; items && i < count && items[i]; i++)
		json_array_append_new(
			list, json_string_safe(items[i], strlen(items[i])));
	return list;
}

static json_t *restart_policy(bool always)
{
	return json_pack("{s:s}", "Name", always ? "always" : "no");
}

static json_t *log_config(const struct container_spec *spec)
{
	char size[32];
	char files[32];
	json_t *options = json_object();

	if (spec->log_size > 0) {
		snprintf(size, sizeof(size), "%" PRId64, spec->log_size);
		json_object_set_new(options, "max-size", json_string(size));
		snprintf(files, sizeof(files), "%" PRId64,
			 spec->log_files > 0 ? spec->log_files : 1);
		json_object_set_new(options, "max-file", json_string(files));
	}
	return json_pack("{s:s, s:o}", "Type", "json-file", "Config", options);
}

static json_t *host_config(const struct container_spec *spec)
{
	json_t *host = json_pack(
		"{s:o, s:o, s:b, s:[s], s:s, s:o}", "RestartPolicy",
		restart_policy(spec->restart_always), "LogConfig",
		log_config(spec), "Init", 1, "SecurityOpt", "no-new-privileges",
		"NetworkMode", spec->network, "CapDrop",
		string_array(dropped_caps, ARRAY_SIZE(dropped_caps)));

	if (spec->memory > 0) {
		json_object_set_new(host, "Memory", json_integer(spec->memory));
		/* Equal to Memory: none of it may be swap. */
		json_object_set_new(host, "MemorySwap",
				    json_integer(spec->memory));
	}
	if (spec->milli_cpus > 0)
		json_object_set_new(host, "NanoCpus",
				    json_integer(spec->milli_cpus * 1000000));
	if (spec->pids > 0)
		json_object_set_new(host, "PidsLimit",
				    json_integer(spec->pids));
	return host;
}

static json_t *networking_config(const struct container_spec *spec)
{
	json_t *endpoint = json_object();

	if (spec->network_alias)
		json_object_set_new(endpoint, "Aliases",
				    json_pack("[s]", spec->network_alias));
	return json_pack("{s:{s:o}}", "EndpointsConfig", spec->network,
			 endpoint);
}

static json_t *create_body(const struct container_spec *spec)
{
	json_t *body = json_pack("{s:s, s:o, s:o}", "Image", spec->image,
				 "HostConfig", host_config(spec),
				 "NetworkingConfig", networking_config(spec));

	if (spec->command)
		json_object_set_new(body, "Cmd",
				    string_array(spec->command, SIZE_MAX));
	if (spec->env)
		json_object_set_new(body, "Env",
				    string_array(spec->env, SIZE_MAX));
	if (spec->labels)
		json_object_set(body, "Labels", spec->labels);
	if (spec->hostname)
		json_object_set_new(body, "Hostname",
				    json_string(spec->hostname));
	if (spec->stop_timeout_s > 0)
		json_object_set_new(body, "StopTimeout",
				    json_integer(spec->stop_timeout_s));
	return body;
}

int container_create(struct engine *e, const struct container_spec *spec,
		     char **ret_id, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	json_auto_t *body = create_body(spec);
	json_auto_t *reply = NULL;
	const char *id;
	int r;

	if (!body)
		return err_set(err, ERR_INVALID,
			       "container '%s': not valid UTF-8", spec->name);
	buf_adds(&path, "/containers/create?name=");
	engine_query(&path, spec->name);
	r = engine_call(e, "POST", buf_str(&path), body, CALL_TIMEOUT_MS,
			&reply, err);
	/* Podman's answer to a name that is taken is 500. */
	if (r == -ERR_PEER && strstr(err->msg, "already in use")) {
		err->code = ERR_EXISTS;
		r = -ERR_EXISTS;
	}
	if (r < 0)
		return err_wrap(err, r, "create container '%s'", spec->name);
	id = json_get_str(reply, "Id", NULL);
	if (!id || !*id)
		return err_set(err, ERR_PROTO,
			       "create container '%s': the reply has no id",
			       spec->name);
	*ret_id = xstrdup(id);
	return 0;
}

/* ---- life ---- */

int container_start(struct engine *e, const char *id, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	int r;

	container_path(&path, id, "/start");
	r = engine_call(e, "POST", buf_str(&path), NULL, START_TIMEOUT_MS, NULL,
			err);
	return r < 0 ? err_wrap(err, r, "start container") : 0;
}

int container_stop(struct engine *e, const char *id, int timeout_s,
		   struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	int r;

	container_path(&path, id, "/stop");
	buf_addf(&path, "?t=%d", timeout_s);
	r = engine_call(e, "POST", buf_str(&path), NULL,
			timeout_s * 1000 + STOP_GRACE_MS, NULL, err);
	return r < 0 ? err_wrap(err, r, "stop container") : 0;
}

/* Somebody else's removal is under way: wait for its end. */
static int wait_removed(struct engine *e, const char *id, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	const struct timespec pause = { 0, 100 * 1000 * 1000 };
	int64_t deadline = clock_ms() + REMOVE_TIMEOUT_MS;

	container_path(&path, id, "/json");
	for (;;) {
		int r = engine_call(e, "GET", buf_str(&path), NULL,
				    CALL_TIMEOUT_MS, NULL, err);

		if (r == -ERR_NOTFOUND)
			return 0;
		if (r < 0)
			return r;
		if (clock_ms() > deadline)
			return err_set(err, ERR_TIMEOUT,
				       "its removal does not end");
		nanosleep(&pause, NULL);
	}
}

int container_remove(struct engine *e, const char *id, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	int r;

	container_path(&path, id, "?force=1&v=1");
	r = engine_call(e, "DELETE", buf_str(&path), NULL, REMOVE_TIMEOUT_MS,
			NULL, err);
	if (r == -ERR_EXISTS && strstr(err->msg, "already in progress"))
		r = wait_removed(e, id, err);
	if (r == 0 || r == -ERR_NOTFOUND)
		return 0;
	return err_wrap(err, r, "remove container");
}

int container_set_restart(struct engine *e, const char *id, bool always,
			  struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	json_auto_t *body =
		json_pack("{s:o}", "RestartPolicy", restart_policy(always));
	int r;

	container_path(&path, id, "/update");
	r = engine_call(e, "POST", buf_str(&path), body, CALL_TIMEOUT_MS, NULL,
			err);
	return r < 0 ? err_wrap(err, r, "change the restart policy") : 0;
}

/* ---- looking ---- */

static int inspect(struct engine *e, const char *id, json_t **ret,
		   struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	int r;

	container_path(&path, id, "/json");
	r = engine_call(e, "GET", buf_str(&path), NULL, CALL_TIMEOUT_MS, ret,
			err);
	return r < 0 ? err_wrap(err, r, "inspect container") : 0;
}

int container_inspect(struct engine *e, const char *id, const char *network,
		      struct container_state *ret, struct error *err)
{
	json_auto_t *doc = NULL;
	int r = inspect(e, id, &doc, err);

	if (r == 0)
		container_state_from_json(doc, network, ret);
	return r;
}

bool container_was_killed(const struct container_state *s)
{
	return s->exit_code == EXIT_BY_SIGKILL;
}

void container_learn_oom(struct engine *e, const char *id,
			 struct container_state *ret)
{
	for (int i = 0; i < OOM_LOOKS; i++) {
		json_auto_t *doc = NULL;
		struct error ignored;

		if (ret->is_oom_killed || !container_was_killed(ret))
			return;
		poll(NULL, 0, OOM_PAUSE_MS);
		if (inspect(e, id, &doc, &ignored) < 0)
			return;
		ret->is_oom_killed =
			json_is_true(json_at(doc, "State", "OOMKilled", NULL));
	}
}

void container_state_release(struct container_state *s)
{
	if (!s)
		return;
	free(s->health_log);
	free(s->error);
	s->health_log = NULL;
	s->error = NULL;
}

static void add_filters(struct buf *path, const char *owner, int64_t app_id)
{
	json_auto_t *labels = json_array();
	json_auto_t *filters = NULL;
	auto_free char *text = NULL;
	auto_free char *app = xasprintf("%s=%" PRId64, LABEL_APP, app_id);
	auto_free char *mine = xasprintf("%s=%s", LABEL_OWNER, owner);

	/* Whoever runs one of our images has its label of the owner, too, but
	 * not one of an app. */
	json_array_append_new(labels, json_string(mine));
	json_array_append_new(labels, json_string(app_id ? app : LABEL_APP));
	filters = json_pack("{s:O}", "label", labels);
	text = json_dumps(filters, JSON_COMPACT);
	engine_query(path, text ? text : "{}");
}

int container_list(struct engine *e, const char *owner, int64_t app_id,
		   struct container **ret, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	json_auto_t *doc = NULL;
	int r;

	if (!*owner)
		return err_set(err, ERR_BUG, "list containers of nobody");
	buf_adds(&path, "/containers/json?all=1&filters=");
	add_filters(&path, owner, app_id);
	r = engine_call(e, "GET", buf_str(&path), NULL, CALL_TIMEOUT_MS, &doc,
			err);
	if (r < 0)
		return err_wrap(err, r, "list containers");
	return container_list_from_json(doc, ret);
}

void container_release(struct container *c)
{
	if (!c)
		return;
	free(c->id);
	free(c->name);
	free(c->image);
	free(c->process);
	free(c->state);
	free(c->status);
	memset(c, 0, sizeof(*c));
}

/* ---- logs ---- */

struct log_reader {
	struct log_splitter splitter;
	log_line_fn sink;
	void *ctx;
};

static int on_log(void *ctx, struct slice data)
{
	struct log_reader *reader = ctx;

	return log_splitter_feed(&reader->splitter, data, reader->sink,
				 reader->ctx);
}

static void log_path(struct buf *path, const char *id,
		     const struct log_options *options)
{
	container_path(path, id, "/logs?stdout=1&stderr=1");
	buf_addf(path, "&follow=%d&timestamps=%d", options->follow,
		 options->timestamps);
	if (options->tail >= 0)
		buf_addf(path, "&tail=%d", options->tail);
	if (options->since) {
		buf_adds(path, "&since=");
		engine_query(path, options->since);
	}
}

int container_logs(struct engine *e, const char *id,
		   const struct log_options *options, log_line_fn sink,
		   void *ctx, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	struct log_reader reader = { .sink = sink, .ctx = ctx };
	json_auto_t *doc = NULL;
	int r = inspect(e, id, &doc, err);

	if (r < 0)
		return r;
	log_splitter_init(&reader.splitter, container_has_tty(doc));
	log_path(&path, id, options);
	r = engine_stream(e, "GET", buf_str(&path), on_log, &reader,
			  options->timeout_ms, err);
	if (r == -ERR_CANCELED)
		r = 0; /* the sink had enough */
	else
		(void)log_splitter_end(&reader.splitter, sink, ctx);
	log_splitter_release(&reader.splitter);
	return r < 0 ? err_wrap(err, r, "read logs") : 0;
}
