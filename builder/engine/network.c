#include "builder/engine/network.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/engine/container.h"
#include "builder/engine/engine.h"
#include "builder/engine/engine_json.h"

#include <string.h>

#define CALL_TIMEOUT_MS 60000
#define PATH_MAX_BYTES	1024

static void network_path(struct buf *path, const char *name)
{
	buf_adds(path, "/networks/");
	engine_query(path, name);
}

int network_subnets(struct engine *e, char ***ret, struct error *err)
{
	json_auto_t *doc = NULL;
	int r = engine_call(e, "GET", "/networks", NULL, CALL_TIMEOUT_MS, &doc,
			    err);

	if (r < 0)
		return err_wrap(err, r, "list networks");
	*ret = network_subnets_from_json(doc);
	return 0;
}

int network_exists(struct engine *e, const char *name, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	json_auto_t *doc = NULL;
	int r;

	network_path(&path, name);
	r = engine_call(e, "GET", buf_str(&path), NULL, CALL_TIMEOUT_MS, &doc,
			err);
	if (r == -ERR_NOTFOUND)
		return 0;
	if (r < 0)
		return err_wrap(err, r, "inspect network '%s'", name);
	/* The engine also finds by the first digits of an id. */
	return strcmp(json_get_str(doc, "Name", ""), name) == 0;
}

int network_create(struct engine *e, const char *name, const char *subnet,
		   const char *owner, struct error *err)
{
	json_auto_t *body =
		json_pack("{s:s, s:b, s:s, s:{s:s, s:[{s:s}]}, s:{s:s}}",
			  "Name", name, "CheckDuplicate", 1, "Driver", "bridge",
			  "IPAM", "Driver", "default", "Config", "Subnet",
			  subnet, "Labels", LABEL_OWNER, owner);
	int r;

	if (!body)
		return err_set(err, ERR_BUG, "create network: bad text");
	r = engine_call(e, "POST", "/networks/create", body, CALL_TIMEOUT_MS,
			NULL, err);
	/* The engine has said this with 400, 403 and 500. */
	if (r < 0 &&
	    (strstr(err->msg, "overlap") || strstr(err->msg, "already used"))) {
		err->code = ERR_INVALID;
		r = -ERR_INVALID;
	} else if (r < 0 && strstr(err->msg, "already exists")) {
		err->code = ERR_EXISTS;
		r = -ERR_EXISTS;
	}
	return r < 0 ? err_wrap(err, r, "create network '%s'", name) : 0;
}

int network_remove(struct engine *e, const char *name, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	int r;

	network_path(&path, name);
	r = engine_call(e, "DELETE", buf_str(&path), NULL, CALL_TIMEOUT_MS,
			NULL, err);
	if (r == 0 || r == -ERR_NOTFOUND)
		return 0;
	return err_wrap(err, r, "remove network '%s'", name);
}
