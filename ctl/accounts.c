#include "ctl/accounts.h"

#include "base/config.h"
#include "base/error.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int look_up(const char *name, struct account *ret, struct error *err)
{
	struct passwd *pw = getpwnam(name);
	int count = ACCOUNT_GROUPS_MAX - 2;

	if (!pw)
		return err_set(err, ERR_NOTFOUND,
			       "there is no system user '%s'; make it with: "
			       "useradd --system --user-group "
			       "--no-create-home %s",
			       name, name);
	if (pw->pw_uid == 0)
		return err_set(err, ERR_INVALID,
			       "the parts must not run as root ('%s')", name);
	snprintf(ret->home, sizeof(ret->home), "%s", pw->pw_dir);
	ret->uid = pw->pw_uid;
	ret->gid = pw->pw_gid;
	if (getgrouplist(name, pw->pw_gid, ret->groups, &count) < 0)
		return err_set(err, ERR_LIMIT,
			       "user '%s' is in more than %d groups", name,
			       ACCOUNT_GROUPS_MAX - 2);
	ret->groups_count = (size_t)count;
	return 0;
}

int accounts_get(const struct config *cfg, struct accounts *ret,
		 struct error *err)
{
	struct stat st;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->is_root = geteuid() == 0;
	if (!ret->is_root) {
		ret->builder.uid = ret->git.uid = geteuid();
		ret->builder.gid = ret->git.gid = getegid();
		return 0;
	}
	r = look_up(cfg->user, &ret->builder, err);
	if (r == 0)
		r = look_up(cfg->git_user, &ret->git, err);
	if (r < 0)
		return r;
	if (ret->git.uid == ret->builder.uid)
		return err_set(err, ERR_INVALID,
			       "slipway.user and slipway.git-user must differ");
	ret->builder.groups[ret->builder.groups_count++] = ret->git.gid;
	if (strncmp(cfg->engine, "unix://", 7) == 0 &&
	    stat(cfg->engine + 7, &st) == 0 && st.st_gid != 0)
		ret->builder.groups[ret->builder.groups_count++] = st.st_gid;
	return 0;
}
