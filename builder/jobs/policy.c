#include "builder/jobs/policy.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "builder/source/repo.h"

#include <stdio.h>
#include <string.h>

static const char heads[] = "refs/heads/";
static const char tags[] = "refs/tags/";

void push_plan_release(struct push_plan *p)
{
	if (!p)
		return;
	free(p->verdicts);
	memset(p, 0, sizeof(*p));
}

static void refuse(struct verdict *v, const char *reason)
{
	v->meaning = MEANING_REFUSE;
	snprintf(v->reason, sizeof(v->reason), "%s", reason);
}

static void judge_branch(struct verdict *v, const char *deploy_branch,
			 const char *url)
{
	const char *branch = v->ref + strlen(heads);
	bool is_deletion = strcmp(v->new_oid, OID_ZERO) == 0;
	bool deploys = deploy_branch ? strcmp(branch, deploy_branch) == 0
				     : strcmp(branch, "main") == 0 ||
					       strcmp(branch, "master") == 0;

	if (deploys && is_deletion) {
		refuse(v, "deleting the deploy branch is refused; to remove "
			  "the app: apps:destroy");
	} else if (deploys) {
		v->meaning = MEANING_DEPLOY;
	} else if (is_deletion) {
		v->meaning = MEANING_STORE;
	} else {
		v->meaning = MEANING_REFUSE;
		snprintf(v->reason, sizeof(v->reason),
			 "not the deploy branch; type: git push %s %s:%s", url,
			 branch, deploy_branch ? deploy_branch : "main");
	}
}

static void judge(struct verdict *v, const char *deploy_branch, const char *url)
{
	if (!ref_name_is_valid(v->ref))
		refuse(v, "funny refname");
	else if (strncmp(v->ref, heads, strlen(heads)) == 0)
		judge_branch(v, deploy_branch, url);
	else if (strncmp(v->ref, tags, strlen(tags)) == 0)
		v->meaning = MEANING_STORE;
	else
		refuse(v, "only branches and tags can be pushed");
}

static int read_update(const json_t *doc, struct verdict *v, struct error *err)
{
	static const struct json_field fields[] = {
		JSON_FIELD(struct verdict, ref, "ref", JSON_FIELD_STRING,
			   JSON_REQUIRED),
		JSON_FIELD(struct verdict, old_oid, "old", JSON_FIELD_STRING,
			   JSON_REQUIRED),
		JSON_FIELD(struct verdict, new_oid, "new", JSON_FIELD_STRING,
			   JSON_REQUIRED),
		{ NULL, JSON_FIELD_STRING, JSON_OPTIONAL, 0 },
	};
	int r = json_read(doc, fields, "push.updates", v, err);

	if (r < 0)
		return err_set(err, ERR_PROTO, "push.updates: malformed");
	if (!oid_is_valid(v->old_oid) || !oid_is_valid(v->new_oid))
		return err_set(err, ERR_PROTO, "push.updates: not an id");
	return 0;
}

void push_plan_refuse(struct push_plan *p, const char *reason)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->verdicts[i].meaning != MEANING_REFUSE)
			refuse(&p->verdicts[i], reason);
	p->deploy = NULL;
}

void push_plan_refuse_one(struct push_plan *p, struct verdict *v,
			  const char *reason)
{
	refuse(v, reason);
	if (p->deploy == v)
		p->deploy = NULL;
	if (p->is_atomic)
		push_plan_refuse(p, "atomic push failed");
}

int push_plan_make(const json_t *push, const char *deploy_branch,
		   const char *url, struct push_plan *ret, struct error *err)
{
	const json_t *updates = json_object_get(push, "updates");
	struct push_plan p = { .count = json_array_size(updates) };

	if (p.count == 0)
		return err_set(err, ERR_PROTO, "push.updates: none");
	p.is_atomic = json_is_true(json_object_get(push, "atomic"));
	p.verdicts = xcalloc(p.count, sizeof(*p.verdicts));
	for (size_t i = 0; i < p.count; i++) {
		struct verdict *v = &p.verdicts[i];
		int r = read_update(json_array_get(updates, i), v, err);

		if (r < 0) {
			push_plan_release(&p);
			return r;
		}
		judge(v, deploy_branch, url);
		if (v->meaning != MEANING_DEPLOY)
			continue;
		if (p.deploy)
			refuse(v, "one push deploys one branch");
		else
			p.deploy = v;
	}
	for (size_t i = 0; i < p.count && p.is_atomic; i++)
		if (p.verdicts[i].meaning == MEANING_REFUSE)
			push_plan_refuse(&p, "atomic push failed");
	*ret = p;
	return 0;
}

json_t *push_plan_results(const struct push_plan *p)
{
	json_t *results = json_array();

	for (size_t i = 0; i < p->count; i++) {
		const struct verdict *v = &p->verdicts[i];
		json_t *result = json_pack("{s:s, s:b}", "ref", v->ref, "ok",
					   v->meaning != MEANING_REFUSE);

		if (v->meaning == MEANING_REFUSE)
			json_object_set_new(
				result, "reason",
				json_string_safe(v->reason, strlen(v->reason)));
		else if (p->falls_through)
			json_object_set_new(result, "fall_through",
					    json_true());
		json_array_append_new(results, result);
	}
	return results;
}
