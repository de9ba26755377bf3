#include "builder/store/store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/store/db.h"
#include "builder/store/subnet.h"

#include <string.h>

#define APP_NAME_MAX	 38
#define LOWER_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

/*
 * Names an app must not have: its host name would be one that people expect
 * this server itself behind (git, slipway, www, localhost), or the name is a
 * word that commands use for something else (all, none).
 */
static const char *const reserved_names[] = {
	"all", "git", "localhost", "none", "slipway", "www",
};

static const char *const role_names[] = {
	[ROLE_NONE] = "none",	  [ROLE_VIEW] = "view",
	[ROLE_DEPLOY] = "deploy", [ROLE_OPERATE] = "operate",
	[ROLE_ADMIN] = "admin",
};

enum role role_from_name(const char *name)
{
	for (size_t i = ROLE_VIEW; i < ARRAY_SIZE(role_names); i++)
		if (strcmp(name, role_names[i]) == 0)
			return (enum role)i;
	return ROLE_NONE;
}

const char *role_name(enum role role)
{
	if ((size_t)role >= ARRAY_SIZE(role_names))
		return "none";
	return role_names[role];
}

void app_release(struct app *a)
{
	if (!a)
		return;
	free(a->name);
	free(a->deploy_branch);
	free(a->target);
	free(a->subnet);
	free(a->owner);
	*a = (struct app){ 0 };
}

void grant_release(struct grant *g)
{
	if (!g)
		return;
	free(g->user);
	*g = (struct grant){ 0 };
}

int app_name_check(const char *name, struct error *err)
{
	size_t len = strlen(name);

	if (len < 1 || len > APP_NAME_MAX ||
	    strspn(name, LOWER_AND_DIGITS "-") != len || name[0] == '-' ||
	    name[len - 1] == '-')
		return err_set(err, ERR_INVALID,
			       "'%.48s' is not an app name: up to %d of a-z, "
			       "0-9 and '-', not starting or ending with '-'",
			       name, APP_NAME_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(reserved_names); i++)
		if (strcmp(name, reserved_names[i]) == 0)
			return err_set(err, ERR_INVALID,
				       "'%s' is a reserved name: choose "
				       "another for the app",
				       name);
	return 0;
}

#define APP_SELECT                                                             \
	"SELECT a.id, a.name, deploy_branch, target, subnet, owner,"           \
	" a.created, ifnull((SELECT version FROM releases"                     \
	" WHERE app_id = a.id AND state = 'live'), 0), config_version"         \
	" FROM apps a "

static void app_row(struct db_query *q, void *item)
{
	struct app *a = item;

	a->id = db_int(q, 0);
	a->name = db_text(q, 1);
	a->deploy_branch = db_text(q, 2);
	a->target = db_text(q, 3);
	a->subnet = db_text(q, 4);
	a->owner = db_text(q, 5);
	a->created = db_int(q, 6);
	a->live_version = db_int(q, 7);
	a->config_version = db_int(q, 8);
}

static int insert_app(struct store *st, const char *name, const char *owner,
		      const char *target, int64_t *ret_id, struct error *err)
{
	int r;

	r = db_run(st,
		   "INSERT INTO apps (name, target, owner, created)"
		   " VALUES (?1, ?2, ?3, ?4)",
		   DB_ARGS(DB_TEXT(name), DB_TEXT(target), DB_TEXT(owner),
			   DB_INT(db_now())),
		   err);
	if (r == -ERR_EXISTS)
		return err_set(err, ERR_EXISTS, "the name '%s' is taken", name);
	if (r < 0)
		return r;
	*ret_id = db_last_id(st);
	return 0;
}

int store_app_room(struct store *st, int64_t max, struct error *err)
{
	int64_t count = 0;
	int r = db_get_int(st, "SELECT count(*) FROM apps", DB_NO_ARGS, &count,
			   err);

	if (r < 0)
		return r;
	if (count >= max)
		return err_set(err, ERR_LIMIT,
			       "this server takes at most %lld apps "
			       "(router.max-apps)",
			       (long long)max);
	return 0;
}

int store_app_create(struct store *st, const char *name, const char *owner,
		     const char *target, struct app *ret, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	struct app app = { 0 };
	int64_t id = 0;
	int r;

	r = app_name_check(name, err);
	if (r < 0)
		return r;
	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	r = insert_app(st, name, owner, target, &id, err);
	if (r < 0)
		return r;
	if (*owner) {
		r = store_grant_set(st, id, owner, ROLE_ADMIN, err);
		if (r < 0)
			return r;
	}
	r = store_app_get_id(st, id, &app, err);
	if (r < 0)
		return r;
	r = db_commit(&t, err);
	if (r < 0) {
		app_release(&app);
		return r;
	}
	*ret = app;
	return 0;
}

int store_app_get(struct store *st, const char *name, struct app *ret,
		  struct error *err)
{
	int r;

	r = db_one(st, APP_SELECT "WHERE a.name = ?1", DB_ARGS(DB_TEXT(name)),
		   app_row, ret, err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "no app '%.48s'", name);
	return r < 0 ? r : 0;
}

static int no_app_id(int64_t id, struct error *err)
{
	return err_set(err, ERR_NOTFOUND, "no app with the id %lld",
		       (long long)id);
}

int store_app_get_id(struct store *st, int64_t id, struct app *ret,
		     struct error *err)
{
	int r;

	r = db_one(st, APP_SELECT "WHERE a.id = ?1", DB_ARGS(DB_INT(id)),
		   app_row, ret, err);
	if (r == 0)
		return no_app_id(id, err);
	return r < 0 ? r : 0;
}

int store_apps(struct store *st, const char *user, struct app **ret,
	       struct error *err)
{
	return db_collect(st,
			  APP_SELECT "WHERE ?1 IS NULL"
				     " OR EXISTS (SELECT 1 FROM users"
				     "   WHERE name = ?1 AND is_admin)"
				     " OR EXISTS (SELECT 1 FROM grants g"
				     "   JOIN users u ON u.id = g.user_id"
				     "   WHERE g.app_id = a.id"
				     "   AND u.name = ?1)"
				     " ORDER BY a.name",
			  DB_ARGS(DB_TEXT(user)), sizeof(**ret), app_row, ret,
			  err);
}

int store_app_rename(struct store *st, int64_t id, const char *name,
		     struct error *err)
{
	int r;

	r = app_name_check(name, err);
	if (r < 0)
		return r;
	r = db_run(st, "UPDATE apps SET name = ?1 WHERE id = ?2",
		   DB_ARGS(DB_TEXT(name), DB_INT(id)), err);
	if (r == -ERR_EXISTS)
		return err_set(err, ERR_EXISTS, "the name '%s' is taken", name);
	if (r == 0)
		return no_app_id(id, err);
	return r < 0 ? r : 0;
}

int store_app_remove(struct store *st, int64_t id, struct error *err)
{
	int r;

	/* The rest goes by ON DELETE CASCADE. */
	r = db_run(st, "DELETE FROM apps WHERE id = ?1", DB_ARGS(DB_INT(id)),
		   err);
	if (r == 0)
		return no_app_id(id, err);
	return r < 0 ? r : 0;
}

int store_app_set_branch(struct store *st, int64_t id, const char *branch,
			 struct error *err)
{
	int r;

	r = db_run(st, "UPDATE apps SET deploy_branch = ?1 WHERE id = ?2",
		   DB_ARGS(DB_TEXT(branch), DB_INT(id)), err);
	if (r == 0)
		return no_app_id(id, err);
	return r < 0 ? r : 0;
}

int store_app_set_target(struct store *st, int64_t id, const char *target,
			 struct error *err)
{
	int r;

	r = db_run(st, "UPDATE apps SET target = ?1 WHERE id = ?2",
		   DB_ARGS(DB_TEXT(target), DB_INT(id)), err);
	if (r == 0)
		return no_app_id(id, err);
	return r < 0 ? r : 0;
}

static void text_row(struct db_query *q, void *item)
{
	*(char **)item = db_text(q, 0);
}

/* Prefixes that all apps have, added to those that the engine uses. */
static int taken_subnets(struct store *st, const char *const *avoid,
			 struct subnet_set *taken, struct error *err)
{
	char **subnets = NULL;
	int count;

	count = db_collect(
		st, "SELECT subnet FROM apps WHERE subnet IS NOT NULL",
		DB_NO_ARGS, sizeof(*subnets), text_row, &subnets, err);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		subnet_set_add(taken, subnets[i]);
		free(subnets[i]);
	}
	free(subnets);
	for (; *avoid; avoid++)
		subnet_set_add(taken, *avoid);
	return 0;
}

static int choose_subnet(struct store *st, int64_t id, const char *pool,
			 const char *const *avoid, char **ret,
			 struct error *err)
{
	auto_subnets struct subnet_set taken = { 0 };
	char subnet[SUBNET_TEXT_MAX];
	int r;

	r = taken_subnets(st, avoid, &taken, err);
	if (r < 0)
		return r;
	r = subnet_choose(pool, &taken, subnet, err);
	if (r < 0)
		return r;
	r = db_run(st, "UPDATE apps SET subnet = ?1 WHERE id = ?2",
		   DB_ARGS(DB_TEXT(subnet), DB_INT(id)), err);
	if (r < 0)
		return r;
	*ret = xstrdup(subnet);
	return 0;
}

static bool is_avoided(const char *subnet, const char *const *avoid)
{
	auto_subnets struct subnet_set set = { 0 };

	for (; *avoid; avoid++)
		subnet_set_add(&set, *avoid);
	return subnet_set_overlaps(&set, subnet);
}

int store_app_subnet(struct store *st, int64_t id, const char *pool,
		     const char *const *avoid, char **ret, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	auto_free char *subnet = NULL;
	int r;

	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	r = db_one(st, "SELECT subnet FROM apps WHERE id = ?1",
		   DB_ARGS(DB_INT(id)), text_row, &subnet, err);
	if (r == 0)
		return no_app_id(id, err);
	if (r < 0)
		return r;
	if (!subnet || is_avoided(subnet, avoid)) {
		free(TAKE_PTR(subnet));
		r = choose_subnet(st, id, pool, avoid, &subnet, err);
		if (r < 0)
			return r;
	}
	r = db_commit(&t, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(subnet);
	return 0;
}

int store_grant_set(struct store *st, int64_t app_id, const char *user,
		    enum role role, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	int64_t user_id = 0;
	int r;

	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	r = db_get_int(st, "SELECT id FROM users WHERE name = ?1",
		       DB_ARGS(DB_TEXT(user)), &user_id, err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "no user '%.40s'", user);
	if (r < 0)
		return r;
	if (role == ROLE_NONE)
		r = db_run(st,
			   "DELETE FROM grants WHERE app_id = ?1"
			   " AND user_id = ?2",
			   DB_ARGS(DB_INT(app_id), DB_INT(user_id)), err);
	else
		r = db_run(st,
			   "INSERT INTO grants (app_id, user_id, role)"
			   " VALUES (?1, ?2, ?3) ON CONFLICT DO"
			   " UPDATE SET role = excluded.role",
			   DB_ARGS(DB_INT(app_id), DB_INT(user_id),
				   DB_TEXT(role_name(role))),
			   err);
	if (r == -ERR_NOTFOUND)
		return no_app_id(app_id, err);
	if (r < 0)
		return r;
	return db_commit(&t, err);
}

static void grant_row(struct db_query *q, void *item)
{
	auto_free char *role = db_text(q, 1);
	struct grant *g = item;

	g->user = db_text(q, 0);
	g->role = role ? role_from_name(role) : ROLE_NONE;
}

int store_grants(struct store *st, int64_t app_id, struct grant **ret,
		 struct error *err)
{
	return db_collect(st,
			  "SELECT u.name, g.role FROM grants g"
			  " JOIN users u ON u.id = g.user_id"
			  " WHERE g.app_id = ?1 ORDER BY u.name",
			  DB_ARGS(DB_INT(app_id)), sizeof(**ret), grant_row,
			  ret, err);
}

int store_role(struct store *st, int64_t app_id, const char *user,
	       struct error *err)
{
	auto_free char *role = NULL;
	int r;

	r = db_one(st,
		   "SELECT CASE WHEN u.is_admin THEN 'admin' ELSE g.role END"
		   " FROM users u LEFT JOIN grants g"
		   " ON g.user_id = u.id AND g.app_id = ?1"
		   " WHERE u.name = ?2",
		   DB_ARGS(DB_INT(app_id), DB_TEXT(user)), text_row, &role,
		   err);
	if (r < 0)
		return r;
	return role ? (int)role_from_name(role) : ROLE_NONE;
}
