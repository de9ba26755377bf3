/* git:set, git:report */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"
#include "builder/source/repo.h"
#include "builder/store/app_url.h"

#include <string.h>

#define BRANCH_MAX 200

static json_t *git_json(const struct call *c, const char *branch)
{
	auto_free char *url = app_git_url(c->cfg, c->app.name);

	return json_pack("{s:s, s:o, s:s}", "name", c->app.name,
			 "deploy_branch", listing_text(branch), "git_url", url);
}

/* "refs/heads/live" is accepted for "live". */
static int check_branch(struct call *c, const char **branch, struct error *err)
{
	static const char heads[] = "refs/heads/";
	auto_free char *ref = NULL;

	if (strncmp(*branch, heads, strlen(heads)) == 0)
		*branch += strlen(heads);
	ref = xasprintf("%s%s", heads, *branch);
	if (strlen(*branch) > BRANCH_MAX || (*branch)[0] == '-' ||
	    strcmp(*branch, "HEAD") == 0 || !ref_name_is_valid(ref))
		return call_usage(c, err, "'%.60s' is not a name for a branch",
				  *branch);
	return 0;
}

int cmd_git_set(struct call *c, struct error *err)
{
	const char *property = call_word(c, 0);
	const char *branch = call_word(c, 1);
	int r;

	if (strcmp(property, "deploy-branch") != 0)
		return call_usage(c, err,
				  "unknown property '%.40s': there is "
				  "deploy-branch",
				  property);
	if (branch && *branch && call_option(c, "unset"))
		return call_usage(c, err, "a branch and --unset");
	if (branch && !*branch)
		branch = NULL;
	if (branch) {
		r = check_branch(c, &branch, err);
		if (r < 0)
			return r;
	}
	r = store_app_set_branch(c->store, c->app.id, branch, err);
	if (r < 0)
		return r;
	/* What a clone checks out; main until a push says otherwise. */
	r = repo_set_head(c->cfg, c->app.id, branch ? branch : "main", err);
	if (r < 0)
		return r;
	if (call_json(c, git_json(c, branch)))
		return 0;
	if (branch)
		call_printf(c, "A push to %s deploys %s\n", branch,
			    c->app.name);
	else
		call_printf(c, "A push to main or master deploys %s\n",
			    c->app.name);
	return 0;
}

int cmd_git_report(struct call *c, struct error *err)
{
	static const struct column lines[] = {
		{ "Name", "name", COLUMN_TEXT },
		{ "Deploy branch", "deploy_branch", COLUMN_TEXT },
		{ "Git remote", "git_url", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	json_t *info = git_json(c, c->app.deploy_branch);

	(void)err;
	if (!call_option(c, "json") && !c->app.deploy_branch)
		json_object_set_new(info, "deploy_branch",
				    json_string("main or master"));
	call_fields(c, info, lines);
	return 0;
}
