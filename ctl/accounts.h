/*
 * ctl/accounts.h - the system users that the parts run as.
 *
 * Runs in `slipway`, before anything is started.
 */
#ifndef CTL_ACCOUNTS_H
#define CTL_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config;
struct error;

#define ACCOUNT_GROUPS_MAX 32

struct account {
	uid_t uid;
	gid_t gid;
	gid_t groups[ACCOUNT_GROUPS_MAX];
	size_t groups_count;
	char home[256]; /* "" = as ours */
};

struct accounts {
	bool is_root; /* only then the parts change to the users below */
	struct account builder;
	struct account git;
};

/*
 * Look them up.  Not root: both are who we are.  The builder's groups are its
 * own, the receiver's (it shares the repositories) and that of the engine's
 * socket.  0 or -ERR_NOTFOUND naming the command that makes the user.
 */
int accounts_get(const struct config *cfg, struct accounts *ret,
		 struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
