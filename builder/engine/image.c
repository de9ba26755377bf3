#include "builder/engine/image.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/engine/engine.h"
#include "builder/engine/engine_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define CALL_TIMEOUT_MS 60000
#define PATH_MAX_BYTES	2048

void image_path(struct buf *path, const char *ref, const char *rest)
{
	buf_adds(path, "/images/");
	for (const char *p = ref; *p; p++) {
		char one[2] = { *p, '\0' };

		if (strchr("/:@", *p))
			buf_addc(path, *p);
		else
			engine_query(path, one);
	}
	buf_adds(path, rest);
}

void image_info_release(struct image_info *i)
{
	if (!i)
		return;
	free(i->id);
	free(i->architecture);
	i->id = NULL;
	i->architecture = NULL;
}

int image_inspect(struct engine *e, const char *ref, struct image_info *ret,
		  struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	json_auto_t *doc = NULL;
	int r;

	image_path(&path, ref, "/json");
	r = engine_call(e, "GET", buf_str(&path), NULL, CALL_TIMEOUT_MS, &doc,
			err);
	if (r < 0)
		return err_wrap(err, r, "inspect image");
	image_info_from_json(doc, ret);
	if (!*ret->id) {
		image_info_release(ret);
		return err_set(err, ERR_PROTO,
			       "inspect image '%s': the reply has no id", ref);
	}
	return 0;
}

int image_tag(struct engine *e, const char *ref, const char *repo,
	      const char *tag, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	int r;

	image_path(&path, ref, "/tag?repo=");
	engine_query(&path, repo);
	buf_adds(&path, "&tag=");
	engine_query(&path, tag);
	r = engine_call(e, "POST", buf_str(&path), NULL, CALL_TIMEOUT_MS, NULL,
			err);
	return r < 0 ? err_wrap(err, r, "tag image '%s:%s'", repo, tag) : 0;
}

int image_untag(struct engine *e, const char *ref, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	int r;

	image_path(&path, ref, "");
	r = engine_call(e, "DELETE", buf_str(&path), NULL, CALL_TIMEOUT_MS,
			NULL, err);
	if (r == 0 || r == -ERR_NOTFOUND || r == -ERR_EXISTS)
		return 0;
	return err_wrap(err, r, "remove image '%s'", ref);
}

int image_tags(struct engine *e, const char *repo, char ***ret,
	       struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	json_auto_t *filters = json_pack("{s:[s]}", "reference", repo);
	auto_free char *text =
		filters ? json_dumps(filters, JSON_COMPACT) : NULL;
	json_auto_t *doc = NULL;
	int r;

	if (!text)
		return err_set(err, ERR_BUG, "list images: bad name");
	buf_adds(&path, "/images/json?filters=");
	engine_query(&path, text);
	r = engine_call(e, "GET", buf_str(&path), NULL, CALL_TIMEOUT_MS, &doc,
			err);
	if (r < 0)
		return err_wrap(err, r, "list images of '%s'", repo);
	*ret = image_tags_from_json(doc, repo);
	return 0;
}

int engine_disk_free(struct engine *e, int64_t *ret_bytes, struct error *err)
{
	json_auto_t *doc = NULL;
	struct statvfs fs;
	const char *root;
	int r;

	if (!engine_is_local(e))
		return err_set(err, ERR_NOTFOUND,
			       "the engine is on another machine");
	r = engine_call(e, "GET", "/info", NULL, CALL_TIMEOUT_MS, &doc, err);
	if (r < 0)
		return err_wrap(err, r, "ask the engine for its folder");
	root = json_get_str(doc, "DockerRootDir", "");
	if (root[0] != '/' || statvfs(root, &fs) < 0)
		return err_set(err, ERR_NOTFOUND,
			       "the engine's folder '%s' cannot be seen", root);
	*ret_bytes = (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize);
	return 0;
}
