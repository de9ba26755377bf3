#include "builder/rollout/ecs/check.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_target.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/aws/aws.h"

static int find_identity(struct aws *a, struct buf *label, struct error *err)
{
	json_auto_t *input = json_object();
	json_auto_t *reply = NULL;
	int r = aws_call(a, AWS_STS, "GetCallerIdentity", input, &reply, err);

	if (r == 0)
		buf_addf(label, " (%s in %s)", json_get_str(reply, "Arn", "?"),
			 aws_region(a));
	return r;
}

static int find_cluster(struct aws *a, const struct config_target *t,
			struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:i}", "cluster", t->cluster, "maxResults", 1);
	json_auto_t *reply = NULL;
	int r = aws_call(a, AWS_ECS, "ListServices", input, &reply, err);

	return r < 0 ? err_wrap(err, r, "cluster %s", t->cluster) : 0;
}

int ecs_check(const struct config_target *t, struct buf *label,
	      struct error *err)
{
	const struct aws_options options = {
		.region = *t->region ? t->region : NULL,
		.profile = *t->profile ? t->profile : NULL,
		.endpoint_url = *t->endpoint_url ? t->endpoint_url : NULL,
	};
	struct aws *a = NULL;
	int r = aws_open(&options, &a, err);

	if (r == 0)
		r = find_identity(a, label, err);
	if (r == 0)
		r = find_cluster(a, t, err);
	aws_close(a);
	return r;
}
