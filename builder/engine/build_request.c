#include "builder/engine/build_request.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "builder/engine/base64url.h"
#include "builder/engine/build.h"
#include "builder/engine/engine.h"
#include "builder/engine/grpc_calls.h"

#include <inttypes.h>
#include <string.h>

#define HUB_KEY "https://index.docker.io/v1/"

static void add_text(struct buf *path, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	buf_addf(path, "&%s=", key);
	engine_query(path, value);
}

static void add_json(struct buf *path, const char *key, const json_t *value)
{
	auto_free char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	if (json_object_size(value))
		add_text(path, key, text);
}

int build_request_path(const struct build_spec *spec, bool is_buildkit,
		       const char *session_id, struct buf *path,
		       struct error *err)
{
	buf_addf(path, "/build?version=%d", is_buildkit ? 2 : 1);
	/* Containers of failed steps would stay without forcerm. */
	buf_adds(path, "&rm=1&forcerm=1");
	add_text(path, "t", spec->tag);
	add_text(path, "dockerfile", spec->dockerfile);
	add_text(path, "target", spec->stage);
	add_json(path, "buildargs", spec->args);
	add_json(path, "labels", spec->labels);
	if (spec->no_cache)
		buf_adds(path, "&nocache=1");
	if (spec->pull)
		buf_adds(path, "&pull=1");
	if (spec->memory > 0)
		buf_addf(path, "&memory=%" PRId64 "&memswap=%" PRId64,
			 spec->memory, spec->memory);
	add_text(path, "cgroupparent", spec->cgroup_parent);
	add_text(path, "session", session_id);
	return buf_check(path, "build arguments and labels", err);
}

void build_request_credentials(const struct build_credential *list,
			       size_t count, struct buf *header)
{
	json_auto_t *doc = json_object();
	auto_free char *text = NULL;

	for (size_t i = 0; i < count; i++) {
		const char *host = grpc_registry_name(list[i].host);

		if (strcmp(host, "docker.io") == 0)
			host = HUB_KEY;
		json_object_set_new(doc, host,
				    json_pack("{s:s, s:s}", "username",
					      list[i].username, "password",
					      list[i].password));
	}
	text = json_dumps(doc, JSON_COMPACT);
	buf_adds(header, "X-Registry-Config: ");
	if (text) {
		base64url_add(header, slice_str(text));
		explicit_bzero(text, strlen(text));
	}
}
