#include "builder/rollout/ecs/publish.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/ecr.h"
#include "builder/engine/image.h"
#include "builder/engine/image_push.h"
#include "builder/rollout/target.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define ID_DIGITS	12
#define PUSH_IDLE_MS	(10 * 60 * 1000)
#define CONFIRM_TRIES	5
#define CONFIRM_WAIT_MS 1000

struct publishing {
	struct aws *aws;
	struct engine *engine;
	const struct ecs_publication *what;
	const struct target_report *report;
	const char *tag;
};

char *ecs_image_tag(int64_t version, const char *image)
{
	const char *colon = strchr(image, ':');

	return xasprintf("v%" PRId64 "-%.*s", version, ID_DIGITS,
			 colon ? colon + 1 : image);
}

bool ecs_is_image_tag(const char *tag)
{
	size_t digits = *tag == 'v' ? strspn(tag + 1, "0123456789") : 0;
	const char *id = tag + 1 + digits;

	return digits && *id == '-' && strlen(id + 1) == ID_DIGITS &&
	       strspn(id + 1, "0123456789abcdef") == ID_DIGITS;
}

static void detail(const struct publishing *p, const char *verb,
		   const char *digest)
{
	auto_free char *line =
		xasprintf("%s %s:%s%s%s", verb, p->what->repository, p->tag,
			  *digest ? " at " : "", digest);

	p->report->detail(p->report->ctx, line);
}

/* ---- pushing ---- */

static void on_progress(void *ctx, const char *text)
{
	const struct publishing *p = ctx;

	p->report->progress(p->report->ctx, text);
}

static bool is_canceled(void *ctx)
{
	const struct publishing *p = ctx;

	return p->report->is_canceled(p->report->ctx);
}

static int push_once(struct publishing *p, char **ret_digest, struct error *err)
{
	struct ecr_login login = { .password = NULL };
	struct image_push push = {
		.repository = p->what->uri,
		.tag = p->tag,
		.idle_timeout_ms = PUSH_IDLE_MS,
		.progress = on_progress,
		.is_canceled = is_canceled,
		.ctx = p,
	};
	int r = ecr_login(p->aws, &login, err);

	if (r < 0)
		return r;
	push.username = login.username;
	push.password = login.password;
	push.registry = login.registry;
	r = image_push(p->engine, &push, ret_digest, err);
	ecr_login_release(&login);
	return r;
}

static int push(struct publishing *p, char **ret_digest, struct error *err)
{
	int r;

	detail(p, "pushing", "");
	p->report->busy(p->report->ctx, "pushing to ECR");
	r = push_once(p, ret_digest, err);
	/* A token can end between its making and the last layer. */
	if (r == -ERR_DENIED)
		r = push_once(p, ret_digest, err);
	p->report->busy(p->report->ctx, NULL);
	return r;
}

/* What the engine said it pushed against what ECR has under the tag. */
static int confirm(struct publishing *p, const char *digest, struct error *err)
{
	auto_free char *found = NULL;
	int r = -ERR_NOTFOUND;

	for (int i = 0; r == -ERR_NOTFOUND && i < CONFIRM_TRIES; i++) {
		if (i)
			poll(NULL, 0, CONFIRM_WAIT_MS);
		r = ecr_find_tag(p->aws, p->what->repository, p->tag, &found,
				 err);
	}
	if (r < 0)
		return r;
	if (strcmp(found, digest) != 0)
		return err_set(err, ERR_PEER,
			       "ECR has %s as '%s:%s'; the engine pushed %s",
			       found, p->what->repository, p->tag, digest);
	return 0;
}

/* Under a name of the registry's for as long as the push takes. */
static int tag_and_push(struct publishing *p, char **ret_digest,
			struct error *err)
{
	auto_free char *name = xasprintf("%s:%s", p->what->uri, p->tag);
	auto_free char *digest = NULL;
	struct error ignored;
	int r = image_tag(p->engine, p->what->image, p->what->uri, p->tag, err);

	if (r < 0)
		return r;
	r = push(p, &digest, err);
	(void)!image_untag(p->engine, name, &ignored);
	/* Somebody else pushed the same meanwhile. */
	if (r == -ERR_EXISTS)
		return ecr_find_tag(p->aws, p->what->repository, p->tag,
				    ret_digest, err);
	if (r == 0)
		r = confirm(p, digest, err);
	if (r == 0)
		*ret_digest = TAKE_PTR(digest);
	return r;
}

int ecs_publish(struct aws *a, struct engine *engine,
		const struct ecs_publication *what,
		const struct target_report *report, char **ret_image,
		struct error *err)
{
	auto_free char *tag = ecs_image_tag(what->version, what->image);
	auto_free char *digest = NULL;
	struct publishing p = { a, engine, what, report, tag };
	int r = ecr_find_tag(a, what->repository, tag, &digest, err);

	if (r == 0) {
		detail(&p, "ECR has", digest);
	} else if (r == -ERR_NOTFOUND) {
		r = tag_and_push(&p, &digest, err);
		if (r == 0)
			detail(&p, "pushed", digest);
	}
	if (r < 0)
		return r;
	*ret_image = xasprintf("%s@%s", what->uri, digest);
	return 0;
}
