#include "builder/store/store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/store/db.h"

#include <string.h>

#define USER_NAME_MAX	 32
#define KEY_NAME_MAX	 64
#define LAST_USED_STEP_S 60

#define LOWER_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

void user_release(struct user *u)
{
	if (!u)
		return;
	free(u->name);
	*u = (struct user){ 0 };
}

void key_release(struct key *k)
{
	if (!k)
		return;
	free(k->user);
	free(k->name);
	free(k->fingerprint);
	free(k->text);
	*k = (struct key){ 0 };
}

int user_name_check(const char *name, struct error *err)
{
	size_t len = strlen(name);

	if (len < 1 || len > USER_NAME_MAX ||
	    strspn(name, LOWER_AND_DIGITS "._-") != len ||
	    !strchr(LOWER_AND_DIGITS, name[0]))
		return err_set(err, ERR_INVALID,
			       "'%.40s' is not a user name: up to %d of a-z, "
			       "0-9, '.', '_', '-', starting with a letter or "
			       "digit",
			       name, USER_NAME_MAX);
	return 0;
}

int key_name_check(const char *name, struct error *err)
{
	size_t len = strlen(name);

	if (len < 1 || len > KEY_NAME_MAX ||
	    strspn(name, LOWER_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ._@+-") !=
		    len)
		return err_set(err, ERR_INVALID,
			       "'%.72s' is not a name for a key: up to %d "
			       "letters, digits and '.', '_', '@', '+', '-'",
			       name, KEY_NAME_MAX);
	return 0;
}

/* 0 with *ret_id, or -ERR_NOTFOUND. */
static int user_id(struct store *st, const char *name, int64_t *ret_id,
		   struct error *err)
{
	int r;

	r = db_get_int(st, "SELECT id FROM users WHERE name = ?1",
		       DB_ARGS(DB_TEXT(name)), ret_id, err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "no user '%.40s'", name);
	return r < 0 ? r : 0;
}

int store_user_add(struct store *st, const char *name, bool is_admin,
		   struct error *err)
{
	int r;

	r = user_name_check(name, err);
	if (r < 0)
		return r;
	r = db_run(st,
		   "INSERT INTO users (name, is_admin, created)"
		   " VALUES (?1, ?2, ?3)",
		   DB_ARGS(DB_TEXT(name), DB_INT(is_admin), DB_INT(db_now())),
		   err);
	if (r == -ERR_EXISTS)
		return err_set(err, ERR_EXISTS, "there is a user '%s' already",
			       name);
	return r < 0 ? r : 0;
}

/* Would nobody be left who can administer over SSH? */
static int check_last_admin(struct store *st, const char *name,
			    struct error *err)
{
	int64_t others = 0;
	int64_t is_one = 0;
	int r;

	r = db_get_int(st,
		       "SELECT count(*) FROM users u WHERE is_admin"
		       " AND name = ?1"
		       " AND EXISTS (SELECT 1 FROM keys WHERE user_id = u.id)",
		       DB_ARGS(DB_TEXT(name)), &is_one, err);
	if (r < 0 || !is_one)
		return r < 0 ? r : 0;
	r = db_get_int(st,
		       "SELECT count(*) FROM users u WHERE is_admin"
		       " AND name <> ?1"
		       " AND EXISTS (SELECT 1 FROM keys WHERE user_id = u.id)",
		       DB_ARGS(DB_TEXT(name)), &others, err);
	if (r < 0)
		return r;
	if (others == 0)
		return err_set(err, ERR_DENIED,
			       "'%s' is the last administrator with a key: "
			       "make another one first",
			       name);
	return 0;
}

int store_user_remove(struct store *st, const char *name, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	int64_t id = 0;
	int r;

	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	r = user_id(st, name, &id, err);
	if (r < 0)
		return r;
	r = check_last_admin(st, name, err);
	if (r < 0)
		return r;
	r = db_run(st, "DELETE FROM users WHERE id = ?1", DB_ARGS(DB_INT(id)),
		   err);
	if (r < 0)
		return r;
	return db_commit(&t, err);
}

int store_user_set_admin(struct store *st, const char *name, bool is_admin,
			 struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	int64_t id = 0;
	int r;

	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	r = user_id(st, name, &id, err);
	if (r < 0)
		return r;
	r = is_admin ? 0 : check_last_admin(st, name, err);
	if (r < 0)
		return r;
	r = db_run(st, "UPDATE users SET is_admin = ?1 WHERE id = ?2",
		   DB_ARGS(DB_INT(is_admin), DB_INT(id)), err);
	if (r < 0)
		return r;
	return db_commit(&t, err);
}

#define USER_SELECT                                                            \
	"SELECT name, is_admin, created,"                                      \
	" (SELECT count(*) FROM keys WHERE user_id = u.id) FROM users u "

static void user_row(struct db_query *q, void *item)
{
	struct user *u = item;

	u->name = db_text(q, 0);
	u->is_admin = db_int(q, 1);
	u->created = db_int(q, 2);
	u->keys = db_int(q, 3);
}

int store_user_get(struct store *st, const char *name, struct user *ret,
		   struct error *err)
{
	int r;

	r = db_one(st, USER_SELECT "WHERE name = ?1", DB_ARGS(DB_TEXT(name)),
		   user_row, ret, err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "no user '%.40s'", name);
	return r < 0 ? r : 0;
}

int store_users(struct store *st, struct user **ret, struct error *err)
{
	return db_collect(st, USER_SELECT "ORDER BY name", DB_NO_ARGS,
			  sizeof(**ret), user_row, ret, err);
}

static void text_row(struct db_query *q, void *item)
{
	*(char **)item = db_text(q, 0);
}

/* -ERR_EXISTS with the reason why an INSERT into keys clashed. */
static int explain_clash(struct store *st, const struct key *k,
			 struct error *err)
{
	auto_free char *owner = NULL;
	int r;

	r = db_one(st,
		   "SELECT u.name FROM keys k JOIN users u ON u.id = k.user_id"
		   " WHERE k.fingerprint = ?1 OR k.text = ?2",
		   DB_ARGS(DB_TEXT(k->fingerprint), DB_TEXT(k->text)), text_row,
		   &owner, err);
	if (r < 0)
		return r;
	if (r > 0)
		return err_set(err, ERR_EXISTS, "this key belongs to '%s'",
			       owner);
	return err_set(err, ERR_EXISTS, "'%s' has a key named '%s' already",
		       k->user, k->name);
}

static int check_key_count(struct store *st, int64_t id, struct error *err)
{
	int64_t count = 0;
	int r;

	r = db_get_int(st, "SELECT count(*) FROM keys WHERE user_id = ?1",
		       DB_ARGS(DB_INT(id)), &count, err);
	if (r < 0)
		return r;
	if (count >= USER_KEYS_MAX)
		return err_set(err, ERR_LIMIT,
			       "a user has at most %d keys: remove one first",
			       USER_KEYS_MAX);
	return 0;
}

int store_key_add(struct store *st, const struct key *k, struct error *err)
{
	auto_txn struct db_txn t = DB_TXN_INIT;
	int64_t id = 0;
	int r;

	r = key_name_check(k->name, err);
	if (r < 0)
		return r;
	r = db_begin(&t, st, err);
	if (r < 0)
		return r;
	r = user_id(st, k->user, &id, err);
	if (r < 0)
		return r;
	r = check_key_count(st, id, err);
	if (r < 0)
		return r;
	r = db_run(st,
		   "INSERT INTO keys"
		   " (user_id, name, fingerprint, text, created)"
		   " VALUES (?1, ?2, ?3, ?4, ?5)",
		   DB_ARGS(DB_INT(id), DB_TEXT(k->name),
			   DB_TEXT(k->fingerprint), DB_TEXT(k->text),
			   DB_INT(db_now())),
		   err);
	if (r == -ERR_EXISTS)
		return explain_clash(st, k, err);
	if (r < 0)
		return r;
	return db_commit(&t, err);
}

int store_key_remove(struct store *st, const char *user, const char *which,
		     struct error *err)
{
	int r;

	r = db_run(st,
		   "DELETE FROM keys WHERE (name = ?2 OR fingerprint = ?2)"
		   " AND user_id = (SELECT id FROM users WHERE name = ?1)",
		   DB_ARGS(DB_TEXT(user), DB_TEXT(which)), err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "'%.40s' has no key '%.72s'",
			       user, which);
	return r < 0 ? r : 0;
}

static void key_row(struct db_query *q, void *item)
{
	struct key *k = item;

	k->user = db_text(q, 0);
	k->name = db_text(q, 1);
	k->fingerprint = db_text(q, 2);
	k->text = db_text(q, 3);
	k->created = db_int(q, 4);
	k->last_used = db_int(q, 5);
}

int store_keys(struct store *st, const char *user, struct key **ret,
	       struct error *err)
{
	return db_collect(st,
			  "SELECT u.name, k.name, fingerprint, text, k.created,"
			  " last_used FROM keys k"
			  " JOIN users u ON u.id = k.user_id"
			  " WHERE ?1 IS NULL OR u.name = ?1"
			  " ORDER BY u.name, k.name",
			  DB_ARGS(DB_TEXT(user)), sizeof(**ret), key_row, ret,
			  err);
}

/* Best effort: a full disk must not keep people from logging in. */
static void note_use(struct store *st, const char *fingerprint)
{
	struct error ignored = ERROR_INIT;
	int64_t now = db_now();
	int64_t stale = 0;

	/* Look first: most logins then need no write lock. */
	if (db_get_int(st,
		       "SELECT 1 FROM keys WHERE fingerprint = ?1"
		       " AND last_used <= ?2",
		       DB_ARGS(DB_TEXT(fingerprint),
			       DB_INT(now - LAST_USED_STEP_S)),
		       &stale, &ignored) <= 0)
		return;
	if (db_run(st, "UPDATE keys SET last_used = ?2 WHERE fingerprint = ?1",
		   DB_ARGS(DB_TEXT(fingerprint), DB_INT(now)), &ignored) < 0)
		return;
}

int store_whois(struct store *st, const char *fingerprint, const char *text,
		struct user *ret, struct error *err)
{
	int r;

	r = db_one(st,
		   USER_SELECT "WHERE id = (SELECT user_id FROM keys"
			       " WHERE fingerprint = ?1 AND text = ?2)",
		   DB_ARGS(DB_TEXT(fingerprint), DB_TEXT(text)), user_row, ret,
		   err);
	if (r == 0)
		return err_set(err, ERR_NOTFOUND, "unknown key %.80s",
			       fingerprint);
	if (r < 0)
		return r;
	note_use(st, fingerprint);
	return 0;
}
