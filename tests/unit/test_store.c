/* builder/store: users, keys, apps, grants, jobs, releases, the journal. */
#include "builder/store/store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/store/app_lock.h"
#include "builder/store/app_url.h"
#include "builder/store/db.h"
#include "builder/store/schema.h"
#include "builder/store/subnet.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/slipway-test-store-XXXXXX";
static char path[128];
static struct store *st;
static struct error err;

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static void drop(const char *name)
{
	auto_free char *p = xasprintf("%s/%s", dir, name);

	unlink(p);
}

static int remove_dir(void **state)
{
	auto_free char *locks = xasprintf("%s/locks", dir);

	(void)state;
	drop("locks/7");
	drop("locks/8");
	rmdir(locks);
	return rmdir(dir);
}

static int open_store(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "%s/slipway.db", dir);
	return store_open(path, &st, &err);
}

static int close_store(void **state)
{
	(void)state;
	store_close(st);
	st = NULL;
	drop("slipway.db");
	drop("slipway.db-wal");
	drop("slipway.db-shm");
	return 0;
}

static void sql(const char *text)
{
	struct store raw = { 0 };

	assert_int_equal(sqlite3_open(path, &raw.db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(raw.db, text, NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(raw.db);
}

static int64_t number(const char *query)
{
	int64_t n = -1;

	assert_int_equal(db_get_int(st, query, DB_NO_ARGS, &n, &err), 1);
	return n;
}

static struct app new_app(const char *name, const char *owner)
{
	struct app app = { 0 };

	assert_int_equal(store_app_create(st, name, owner, "local", &app, &err),
			 0);
	return app;
}

static int64_t new_app_id(const char *name)
{
	struct app app = new_app(name, "");
	int64_t id = app.id;

	app_release(&app);
	return id;
}

static int add_key(const char *user, const char *name, const char *seed)
{
	char fingerprint[64] = "SHA256:";
	char text[64] = "ssh-ed25519 ";
	struct key k = { .user = (char *)(uintptr_t)user,
			 .name = (char *)(uintptr_t)name,
			 .fingerprint = fingerprint,
			 .text = text };

	memcpy(fingerprint + strlen(fingerprint), seed, strlen(seed) + 1);
	memcpy(text + strlen(text), seed, strlen(seed) + 1);
	return store_key_add(st, &k, &err);
}

static int64_t new_job(int64_t app_id, const char *ref)
{
	char user[] = "alice";
	char fingerprint[] = "SHA256:x";
	char commit[] = "0123456789012345678901234567890123456789";
	char request[] = "{}";
	struct job j = { .app_id = app_id,
			 .user = user,
			 .fingerprint = fingerprint,
			 .ref = (char *)(uintptr_t)ref,
			 .commit = *ref ? commit : commit + 40,
			 .request = request };
	int64_t id = 0;

	assert_int_equal(store_job_add(st, &j, &id, &err), 0);
	return id;
}

static int64_t new_release(int64_t app_id, int64_t job_id)
{
	char image[] = "sha256:abc";
	struct release r = { .app_id = app_id,
			     .job_id = job_id,
			     .image = image };
	int64_t version = 0;

	assert_int_equal(store_release_add(st, &r, &version, &err), 0);
	return version;
}

/* ---- opening ---- */

static void the_file_is_private_also_when_it_was_not(void **state)
{
	struct stat s;

	(void)state;
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	store_close(st);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(store_open(path, &st, &err), 0);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
}

static void a_new_database_has_the_newest_version_and_wal(void **state)
{
	auto_query struct db_query q = DB_QUERY_INIT;
	auto_free char *mode = NULL;

	(void)state;
	assert_int_equal(number("PRAGMA user_version"), schema_version());
	assert_int_equal(number("PRAGMA foreign_keys"), 1);
	assert_int_equal(
		db_query(st, &q, "PRAGMA journal_mode", DB_NO_ARGS, &err), 0);
	assert_int_equal(db_step(&q, &err), 1);
	mode = db_text(&q, 0);
	assert_string_equal(mode, "wal");
}

static void opening_again_keeps_what_was_stored(void **state)
{
	auto_free char *before = NULL;
	auto_free char *after = NULL;
	struct user u = { 0 };

	(void)state;
	assert_int_equal(store_user_add(st, "alice", true, &err), 0);
	assert_int_equal(store_owner(st, &before, &err), 0);
	store_close(st);
	assert_int_equal(store_open(path, &st, &err), 0);
	assert_int_equal(store_user_get(st, "alice", &u, &err), 0);
	assert_true(u.is_admin);
	user_release(&u);
	assert_int_equal(store_owner(st, &after, &err), 0);
	assert_string_equal(before, after);
	assert_int_equal(strlen(after), 16);
	assert_int_equal(strspn(after, "0123456789abcdef"), 16);
}

static void a_newer_database_is_refused_and_left_alone(void **state)
{
	auto_free char *known =
		xasprintf("PRAGMA user_version = %d", schema_version());
	struct store *other = NULL;

	(void)state;
	store_close(st);
	st = NULL;
	sql("PRAGMA user_version = 9999");
	assert_int_equal(store_open(path, &other, &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "newer"));
	assert_null(other);
	sql(known);
	assert_int_equal(store_open(path, &st, &err), 0);
}

static void another_programs_database_is_refused(void **state)
{
	struct store *other = NULL;

	(void)state;
	close_store(NULL);
	sql("CREATE TABLE theirs (x)");
	assert_int_equal(store_open(path, &other, &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "another program"));
	sql("PRAGMA user_version = 1");
	assert_int_equal(store_open(path, &other, &err), -ERR_INVALID);
}

static void a_damaged_file_is_refused(void **state)
{
	struct store *other = NULL;
	auto_close int fd = -1;
	char junk[8192];

	(void)state;
	close_store(NULL);
	memset(junk, 'x', sizeof(junk));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	assert_int_equal(store_open(path, &other, &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, path));
}

static void a_folder_that_is_missing_is_an_error_of_the_system(void **state)
{
	struct store *other = NULL;

	(void)state;
	assert_int_equal(store_open("/nonexistent/slipway.db", &other, &err),
			 -ERR_SYS);
	assert_int_equal(store_open("/dev/null", &other, &err), -ERR_INVALID);
}

static void an_empty_file_is_ours_to_fill(void **state)
{
	(void)state;
	close_store(NULL);
	sql("PRAGMA user_version = 0");
	assert_int_equal(open_store(NULL), 0);
	assert_int_equal(number("PRAGMA user_version"), schema_version());
}

static void several_processes_open_a_new_one_at_once(void **state)
{
	pid_t pids[6];
	int status;

	(void)state;
	close_store(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct store *mine = NULL;
			char name[16];

			snprintf(name, sizeof(name), "user%zu", i);
			if (store_open(path, &mine, &err) < 0)
				_exit(1);
			for (int n = 0; n < 10; n++) {
				auto_free char *app =
					xasprintf("app-%zu-%d", i, n);
				struct app a = { 0 };

				if (store_app_create(mine, app, "", "local", &a,
						     &err) < 0)
					_exit(2);
				app_release(&a);
			}
			_exit(store_user_add(mine, name, false, &err) < 0);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(open_store(NULL), 0);
	assert_int_equal(number("SELECT count(*) FROM users"), 6);
	assert_int_equal(number("SELECT count(*) FROM apps"), 60);
	assert_int_equal(number("SELECT count(*) FROM settings"), 1);
}

/* ---- users and keys ---- */

static void users_are_added_once_and_listed_by_name(void **state)
{
	struct user *users = NULL;
	int count;

	(void)state;
	assert_int_equal(store_user_add(st, "bob", false, &err), 0);
	assert_int_equal(store_user_add(st, "alice", true, &err), 0);
	assert_int_equal(store_user_add(st, "bob", true, &err), -ERR_EXISTS);
	assert_non_null(strstr(err.msg, "bob"));
	assert_int_equal(add_key("bob", "laptop", "b"), 0);
	count = store_users(st, &users, &err);
	assert_int_equal(count, 2);
	assert_string_equal(users[0].name, "alice");
	assert_true(users[0].is_admin);
	assert_string_equal(users[1].name, "bob");
	assert_false(users[1].is_admin);
	assert_int_equal(users[1].keys, 1);
	assert_true(users[1].created > 1500000000);
	for (int i = 0; i < count; i++)
		user_release(&users[i]);
	free(users);
}

static void bad_names_are_refused(void **state)
{
	static const char *const users[] = {
		"",	    "Alice", "-a",
		".a",	    "a b",   "a/b",
		"\xc3\xa9", "a\n",   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	static const char *const apps[] = {
		"",
		"-a",
		"a-",
		"A",
		"a.b",
		"a_b",
		"a/b",
		"git",
		"www",
		"slipway",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	static const char *const keys[] = { "", "a b", "a:b", "a/b", "\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		assert_int_equal(store_user_add(st, users[i], false, &err),
				 -ERR_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(apps); i++)
		assert_int_equal(app_name_check(apps[i], &err), -ERR_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(key_name_check(keys[i], &err), -ERR_INVALID);
	assert_int_equal(
		app_name_check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &err),
		0);
	assert_int_equal(app_name_check("0-a--9", &err), 0);
	assert_int_equal(key_name_check("alice@laptop.example", &err), 0);
}

static void a_key_belongs_to_one_user(void **state)
{
	struct key *keys = NULL;

	(void)state;
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	assert_int_equal(store_user_add(st, "bob", false, &err), 0);
	assert_int_equal(add_key("alice", "laptop", "A"), 0);
	assert_int_equal(add_key("bob", "other", "A"), -ERR_EXISTS);
	assert_non_null(strstr(err.msg, "alice"));
	assert_int_equal(add_key("alice", "laptop", "B"), -ERR_EXISTS);
	assert_non_null(strstr(err.msg, "laptop"));
	assert_int_equal(add_key("bob", "laptop", "B"), 0);
	assert_int_equal(add_key("carol", "laptop", "C"), -ERR_NOTFOUND);
	assert_int_equal(store_keys(st, "bob", &keys, &err), 1);
	assert_string_equal(keys[0].fingerprint, "SHA256:B");
	assert_int_equal(keys[0].last_used, 0);
	key_release(&keys[0]);
	free(keys);
	assert_int_equal(store_keys(st, NULL, &keys, &err), 2);
	key_release(&keys[0]);
	key_release(&keys[1]);
	free(keys);
}

static void keys_per_user_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	for (int i = 0; i < USER_KEYS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%d", i);
		assert_int_equal(add_key("alice", name, name), 0);
	}
	assert_int_equal(add_key("alice", "more", "more"), -ERR_LIMIT);
}

static void keys_are_removed_by_name_or_fingerprint(void **state)
{
	(void)state;
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	assert_int_equal(store_user_add(st, "bob", false, &err), 0);
	assert_int_equal(add_key("alice", "one", "A"), 0);
	assert_int_equal(add_key("alice", "two", "B"), 0);
	assert_int_equal(store_key_remove(st, "bob", "one", &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_key_remove(st, "alice", "one", &err), 0);
	assert_int_equal(store_key_remove(st, "alice", "one", &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_key_remove(st, "alice", "SHA256:B", &err), 0);
	assert_int_equal(number("SELECT count(*) FROM keys"), 0);
}

static void whois_wants_fingerprint_and_text_and_notes_the_use(void **state)
{
	struct user u = { 0 };

	(void)state;
	assert_int_equal(store_user_add(st, "alice", true, &err), 0);
	assert_int_equal(add_key("alice", "one", "A"), 0);
	assert_int_equal(store_whois(st, "SHA256:A", "ssh-ed25519 B", &u, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_whois(st, "SHA256:B", "ssh-ed25519 A", &u, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(number("SELECT last_used FROM keys"), 0);
	assert_int_equal(store_whois(st, "SHA256:A", "ssh-ed25519 A", &u, &err),
			 0);
	assert_string_equal(u.name, "alice");
	assert_true(u.is_admin);
	user_release(&u);
	assert_true(number("SELECT last_used FROM keys") > 1500000000);
}

static void the_last_admin_with_a_key_stays(void **state)
{
	(void)state;
	assert_int_equal(store_user_add(st, "alice", true, &err), 0);
	assert_int_equal(store_user_add(st, "bob", true, &err), 0);
	assert_int_equal(add_key("alice", "one", "A"), 0);
	/* bob is an admin, but cannot log in */
	assert_int_equal(store_user_remove(st, "alice", &err), -ERR_DENIED);
	assert_int_equal(store_user_set_admin(st, "alice", false, &err),
			 -ERR_DENIED);
	assert_int_equal(store_user_set_admin(st, "alice", true, &err), 0);
	assert_int_equal(add_key("bob", "one", "B"), 0);
	assert_int_equal(store_user_set_admin(st, "alice", false, &err), 0);
	assert_int_equal(store_user_remove(st, "bob", &err), -ERR_DENIED);
	assert_int_equal(store_user_remove(st, "alice", &err), 0);
	assert_int_equal(store_user_remove(st, "alice", &err), -ERR_NOTFOUND);
	assert_int_equal(store_user_set_admin(st, "alice", true, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(number("SELECT count(*) FROM keys"), 1);
}

/* ---- apps and grants ---- */

static void the_creator_administers_the_app(void **state)
{
	struct app app;
	struct app found = { 0 };

	(void)state;
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	app = new_app("shop", "alice");
	assert_string_equal(app.name, "shop");
	assert_string_equal(app.owner, "alice");
	assert_string_equal(app.target, "local");
	assert_null(app.deploy_branch);
	assert_null(app.subnet);
	assert_int_equal(app.live_version, 0);
	assert_int_equal(store_role(st, app.id, "alice", &err), ROLE_ADMIN);
	assert_int_equal(store_app_get(st, "shop", &found, &err), 0);
	assert_int_equal(found.id, app.id);
	app_release(&found);
	app_release(&app);
	assert_int_equal(
		store_app_create(st, "shop", "alice", "local", &app, &err),
		-ERR_EXISTS);
	assert_int_equal(store_app_get(st, "Shop", &found, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_app_get_id(st, 999, &found, &err),
			 -ERR_NOTFOUND);
	/* an unknown creator: nothing is made */
	assert_int_equal(
		store_app_create(st, "blog", "nobody", "local", &app, &err),
		-ERR_NOTFOUND);
	assert_int_equal(number("SELECT count(*) FROM apps"), 1);
}

static void app_ids_are_never_used_again(void **state)
{
	int64_t first = new_app_id("one");
	int64_t second;

	(void)state;
	assert_int_equal(store_app_remove(st, first, &err), 0);
	second = new_app_id("one");
	assert_true(second > first);
	assert_int_equal(store_app_remove(st, first, &err), -ERR_NOTFOUND);
}

static void a_removed_app_takes_everything_along(void **state)
{
	int64_t keep = new_app_id("keep");
	int64_t gone = new_app_id("gone");
	int64_t job;

	(void)state;
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	assert_int_equal(store_grant_set(st, gone, "alice", ROLE_VIEW, &err),
			 0);
	assert_int_equal(store_grant_set(st, keep, "alice", ROLE_VIEW, &err),
			 0);
	job = new_job(gone, "refs/heads/main");
	assert_int_equal(store_journal(st, job, "build", "start", "", &err), 0);
	new_release(gone, job);
	new_job(keep, "refs/heads/main");
	assert_int_equal(store_app_remove(st, gone, &err), 0);
	assert_int_equal(number("SELECT count(*) FROM grants"), 1);
	assert_int_equal(number("SELECT count(*) FROM jobs"), 1);
	assert_int_equal(number("SELECT count(*) FROM releases"), 0);
	assert_int_equal(number("SELECT count(*) FROM journal"), 0);
	/* and the user keeps the rest until he goes */
	assert_int_equal(store_user_remove(st, "alice", &err), 0);
	assert_int_equal(number("SELECT count(*) FROM grants"), 0);
}

static void rename_and_branch(void **state)
{
	int64_t id = new_app_id("one");
	struct app app = { 0 };

	(void)state;
	new_app_id("two");
	assert_int_equal(store_app_rename(st, id, "two", &err), -ERR_EXISTS);
	assert_int_equal(store_app_rename(st, id, "Two", &err), -ERR_INVALID);
	assert_int_equal(store_app_rename(st, 999, "x", &err), -ERR_NOTFOUND);
	assert_int_equal(store_app_rename(st, id, "three", &err), 0);
	assert_int_equal(store_app_get(st, "one", &app, &err), -ERR_NOTFOUND);
	assert_int_equal(store_app_set_branch(st, id, "live", &err), 0);
	assert_int_equal(store_app_get(st, "three", &app, &err), 0);
	assert_string_equal(app.deploy_branch, "live");
	app_release(&app);
	assert_int_equal(store_app_set_branch(st, id, NULL, &err), 0);
	assert_int_equal(store_app_get_id(st, id, &app, &err), 0);
	assert_null(app.deploy_branch);
	app_release(&app);
	assert_int_equal(store_app_set_branch(st, 999, "x", &err),
			 -ERR_NOTFOUND);
}

static void roles_and_what_one_may_see(void **state)
{
	struct app app;
	struct app *apps = NULL;
	struct grant *grants = NULL;
	int64_t shop;
	int count;

	(void)state;
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	assert_int_equal(store_user_add(st, "bob", false, &err), 0);
	assert_int_equal(store_user_add(st, "root", true, &err), 0);
	app = new_app("shop", "alice");
	shop = app.id;
	app_release(&app);
	new_app_id("blog");

	assert_int_equal(store_role(st, shop, "bob", &err), ROLE_NONE);
	assert_int_equal(store_role(st, shop, "nobody", &err), ROLE_NONE);
	assert_int_equal(store_role(st, shop, "root", &err), ROLE_ADMIN);
	assert_int_equal(store_grant_set(st, shop, "bob", ROLE_VIEW, &err), 0);
	assert_int_equal(store_role(st, shop, "bob", &err), ROLE_VIEW);
	assert_int_equal(store_grant_set(st, shop, "bob", ROLE_DEPLOY, &err),
			 0);
	assert_int_equal(store_role(st, shop, "bob", &err), ROLE_DEPLOY);
	assert_int_equal(store_grant_set(st, shop, "no", ROLE_VIEW, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_grant_set(st, 999, "bob", ROLE_VIEW, &err),
			 -ERR_NOTFOUND);

	count = store_grants(st, shop, &grants, &err);
	assert_int_equal(count, 2);
	assert_string_equal(grants[0].user, "alice");
	assert_int_equal(grants[0].role, ROLE_ADMIN);
	assert_string_equal(grants[1].user, "bob");
	for (int i = 0; i < count; i++)
		grant_release(&grants[i]);
	free(grants);

	assert_int_equal(store_apps(st, "bob", &apps, &err), 1);
	assert_string_equal(apps[0].name, "shop");
	app_release(&apps[0]);
	free(apps);
	assert_int_equal(store_grant_set(st, shop, "bob", ROLE_NONE, &err), 0);
	apps = NULL;
	assert_int_equal(store_apps(st, "bob", &apps, &err), 0);
	assert_null(apps);
	assert_int_equal(store_apps(st, "nobody", &apps, &err), 0);
	assert_int_equal(store_apps(st, "root", &apps, &err), 2);
	assert_string_equal(apps[0].name, "blog");
	app_release(&apps[0]);
	app_release(&apps[1]);
	free(apps);
	assert_int_equal(store_apps(st, NULL, &apps, &err), 2);
	app_release(&apps[0]);
	app_release(&apps[1]);
	free(apps);
}

static void a_user_who_comes_back_has_no_old_rights(void **state)
{
	struct app app;

	(void)state;
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	app = new_app("shop", "alice");
	assert_int_equal(store_user_remove(st, "alice", &err), 0);
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	assert_int_equal(store_role(st, app.id, "alice", &err), ROLE_NONE);
	app_release(&app);
}

static void role_names_are_read_back(void **state)
{
	(void)state;
	for (int i = ROLE_VIEW; i <= ROLE_ADMIN; i++)
		assert_int_equal(role_from_name(role_name((enum role)i)), i);
	assert_int_equal(role_from_name("none"), ROLE_NONE);
	assert_int_equal(role_from_name(""), ROLE_NONE);
	assert_int_equal(role_from_name("owner"), ROLE_NONE);
}

static void subnets_avoid_others_and_stay(void **state)
{
	static const char *const avoid[] = { "10.213.0.0/26",  "172.17.0.0/16",
					     "fd00::/64",      "junk",
					     "10.213.0.96/28", NULL };
	static const char *const stolen[] = { "10.213.0.65/30", NULL };
	static const char *const none[] = { NULL };
	int64_t one = new_app_id("one");
	int64_t two = new_app_id("two");
	int64_t three = new_app_id("three");
	char *subnet = NULL;

	(void)state;
	assert_int_equal(store_app_subnet(st, one, "10.213.0.0/24", avoid,
					  &subnet, &err),
			 0);
	assert_string_equal(subnet, "10.213.0.64/27");
	free(subnet);
	assert_int_equal(store_app_subnet(st, two, "10.213.0.0/24", avoid,
					  &subnet, &err),
			 0);
	assert_string_equal(subnet, "10.213.0.128/27");
	free(subnet);
	assert_int_equal(
		store_app_subnet(st, one, "10.0.0.0/8", avoid, &subnet, &err),
		0);
	assert_string_equal(subnet, "10.213.0.64/27");
	free(subnet);
	/* somebody else has it by now: given up, and never had again */
	assert_int_equal(store_app_subnet(st, one, "10.213.0.0/24", stolen,
					  &subnet, &err),
			 0);
	assert_string_equal(subnet, "10.213.0.0/27");
	free(subnet);
	assert_int_equal(
		store_app_subnet(st, one, "10.213.0.0/24", none, &subnet, &err),
		0);
	assert_string_equal(subnet, "10.213.0.0/27");
	free(subnet);
	assert_int_equal(store_app_subnet(st, three, "10.213.0.0/27", none,
					  &subnet, &err),
			 -ERR_LIMIT);
	assert_int_equal(
		store_app_subnet(st, three, "10.0.0.0/28", none, &subnet, &err),
		-ERR_INVALID);
	assert_int_equal(
		store_app_subnet(st, 999, "10.0.0.0/8", none, &subnet, &err),
		-ERR_NOTFOUND);
	/* the end of the address space does not wrap around */
	assert_int_equal(store_app_subnet(st, three, "255.255.255.224/27", none,
					  &subnet, &err),
			 0);
	assert_string_equal(subnet, "255.255.255.224/27");
	free(subnet);
	assert_int_equal(store_app_subnet(st, new_app_id("four"),
					  "255.255.255.224/27", none, &subnet,
					  &err),
			 -ERR_LIMIT);
}

static void a_large_pool_in_use_is_passed_quickly(void **state)
{
	auto_subnets struct subnet_set taken = { 0 };
	char text[SUBNET_TEXT_MAX];

	(void)state;
	subnet_set_add(&taken, "10.0.0.0/9");
	subnet_set_add(&taken, "10.128.0.0/10");
	assert_int_equal(subnet_choose("10.0.0.0/8", &taken, text, &err), 0);
	assert_string_equal(text, "10.192.0.0/27");
	subnet_set_add(&taken, "0.0.0.0/0");
	assert_int_equal(subnet_choose("10.0.0.0/8", &taken, text, &err),
			 -ERR_LIMIT);
}

/* ---- jobs ---- */

static void a_job_runs_and_only_its_first_end_counts(void **state)
{
	int64_t app = new_app_id("shop");
	int64_t id = new_job(app, "refs/heads/main");
	struct job j = { 0 };

	(void)state;
	assert_int_equal(store_job_get(st, id, &j, &err), 0);
	assert_int_equal(j.state, JOB_QUEUED);
	assert_string_equal(j.app, "shop");
	assert_string_equal(j.user, "alice");
	assert_string_equal(j.verdicts, "");
	assert_int_equal(j.started, 0);
	job_release(&j);
	assert_int_equal(store_job_start(st, id, &err), 0);
	assert_int_equal(store_job_set_image(st, id, "sha256:1", 1234, &err),
			 0);
	assert_int_equal(store_job_finish(st, id, JOB_RUNNING, "", "", &err),
			 -ERR_BUG);
	assert_int_equal(
		store_job_finish(st, id, JOB_FAILED, "[]", "exit 1", &err), 1);
	assert_int_equal(
		store_job_finish(st, id, JOB_SUCCEEDED, "[1]", "", &err), 0);
	assert_int_equal(store_job_start(st, id, &err), -ERR_CANCELED);
	assert_int_equal(store_job_get(st, id, &j, &err), 0);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.verdicts, "[]");
	assert_string_equal(j.reason, "exit 1");
	assert_string_equal(j.image, "sha256:1");
	assert_int_equal(j.build_ms, 1234);
	assert_true(j.started > 0);
	assert_true(j.finished >= j.started);
	job_release(&j);
	assert_int_equal(store_job_finish(st, 999, JOB_FAILED, "", "", &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_job_start(st, 999, &err), -ERR_NOTFOUND);
	assert_int_equal(store_job_get(st, 999, &j, &err), -ERR_NOTFOUND);
	assert_int_equal(store_job_set_image(st, 999, "x", 1, &err),
			 -ERR_NOTFOUND);
}

static void a_job_of_no_app_is_refused(void **state)
{
	struct job j = { .app_id = 42 };
	int64_t id = 0;

	(void)state;
	assert_int_equal(store_job_add(st, &j, &id, &err), -ERR_NOTFOUND);
	assert_int_equal(id, 0);
}

static void free_jobs(struct job *jobs, int count)
{
	for (int i = 0; i < count; i++)
		job_release(&jobs[i]);
	free(jobs);
}

static void lists_of_jobs(void **state)
{
	int64_t app = new_app_id("shop");
	int64_t other = new_app_id("blog");
	int64_t a = new_job(app, "refs/heads/main");
	int64_t b = new_job(other, "refs/heads/main");
	int64_t c = new_job(app, "");
	int64_t d = new_job(app, "refs/heads/main");
	struct job *jobs = NULL;
	int64_t *ids = NULL;

	(void)state;
	assert_int_equal(store_jobs(st, app, 10, &jobs, &err), 2);
	assert_int_equal(jobs[0].id, d);
	assert_int_equal(jobs[1].id, a);
	assert_string_equal(jobs[1].request, "");
	free_jobs(jobs, 2);
	assert_int_equal(store_jobs(st, app, 1, &jobs, &err), 1);
	assert_int_equal(jobs[0].id, d);
	free_jobs(jobs, 1);
	assert_int_equal(store_job_start(st, b, &err), 0);
	assert_int_equal(store_job_finish(st, a, JOB_SUCCEEDED, "", "", &err),
			 1);
	assert_int_equal(store_jobs_unfinished(st, &jobs, &err), 3);
	assert_int_equal(jobs[0].id, b);
	assert_int_equal(jobs[0].state, JOB_RUNNING);
	assert_string_equal(jobs[0].app, "blog");
	assert_string_equal(jobs[0].request, "{}");
	assert_int_equal(jobs[1].id, c);
	free_jobs(jobs, 3);
	assert_int_equal(store_job_ids(st, app, &ids, &err), 3);
	assert_int_equal(ids[2], d);
	free(ids);
	assert_int_equal(store_job_ids(st, 0, &ids, &err), 4);
	free(ids);
}

static void a_release_without_a_push_is_a_job(void **state)
{
	int64_t app = new_app_id("shop");
	char text[] = "x";
	struct job j = { .kind = JOB_RELEASE, .app_id = app, .commit = text };
	struct job *jobs = NULL;
	int64_t id = 0;

	(void)state;
	assert_int_equal(new_job(app, "refs/heads/main"), 1);
	assert_int_equal(store_job_add(st, &j, &id, &err), 0);
	assert_int_equal(store_jobs(st, app, 10, &jobs, &err), 2);
	assert_int_equal(jobs[0].id, id);
	assert_int_equal(jobs[0].kind, JOB_RELEASE);
	assert_string_equal(job_kind_name(jobs[0].kind), "release");
	assert_int_equal(jobs[1].kind, JOB_PUSH);
	assert_string_equal(job_kind_name(jobs[1].kind), "push");
	free_jobs(jobs, 2);
}

static int64_t put_vars(int64_t app, const char *value)
{
	json_t *vars = json_pack("{s:s}", "A", value);
	int64_t version = 0;

	assert_int_equal(
		store_config_put(st, app, vars, "alice", &version, &err), 0);
	json_decref(vars);
	return version;
}

static bool has_vars(int64_t app, int64_t version)
{
	json_t *vars = NULL;
	int r = store_config_get(st, app, version, &vars, &err);

	json_decref(vars);
	return r == 0;
}

static void vars_that_nobody_needs_expire(void **state)
{
	int64_t app = new_app_id("shop");
	struct release r = { .app_id = app };
	int64_t versions[4];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		int64_t release = 0;

		versions[i] = put_vars(app, "x");
		assert_int_equal(versions[i], (int64_t)i + 1);
		if (i == 1)
			continue; /* no release ever had it */
		r.config_version = versions[i];
		assert_int_equal(store_release_add(st, &r, &release, &err), 0);
		assert_int_equal(store_release_live(st, app, release, &err), 0);
	}
	put_vars(app, "now");
	assert_int_equal(store_config_expire(st, app, 1, &err), 0);
	assert_false(has_vars(app, versions[0]));
	assert_false(has_vars(app, versions[1]));
	assert_true(has_vars(app, versions[2])); /* was live last */
	assert_true(has_vars(app, versions[3])); /* is live */
	assert_true(has_vars(app, 5));
	assert_int_equal(put_vars(app, "next"), 6);
}

static void old_jobs_expire_per_app(void **state)
{
	int64_t app = new_app_id("shop");
	int64_t other = new_app_id("blog");
	int64_t first = new_job(app, "refs/heads/main"); /* goes on running */
	int64_t old[3];
	int64_t *ids = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		old[i] = new_job(app, "refs/heads/main");
		assert_int_equal(
			store_job_finish(st, old[i], JOB_FAILED, "", "", &err),
			1);
		assert_int_equal(
			store_journal(st, old[i], "build", "start", "", &err),
			0);
	}
	assert_int_equal(store_job_finish(st, new_job(other, "r"), JOB_FAILED,
					  "", "", &err),
			 1);
	assert_int_equal(store_jobs_expire(st, 2, &ids, &err), 1);
	assert_int_equal(ids[0], old[0]);
	free(ids);
	ids = NULL;
	assert_int_equal(store_jobs_expire(st, 2, &ids, &err), 0);
	assert_null(ids);
	assert_int_equal(number("SELECT count(*) FROM jobs"), 4);
	assert_int_equal(number("SELECT count(*) FROM journal"), 2);
	assert_int_equal(number("SELECT min(id) FROM jobs"), first);
}

static void job_state_names(void **state)
{
	(void)state;
	assert_string_equal(job_state_name(JOB_SUPERSEDED), "superseded");
	assert_false(job_state_is_final(JOB_QUEUED));
	assert_false(job_state_is_final(JOB_RUNNING));
	assert_true(job_state_is_final(JOB_INTERRUPTED));
}

/* ---- releases and the journal ---- */

static void release_numbers_count_up_over_failures(void **state)
{
	int64_t app = new_app_id("shop");
	int64_t other = new_app_id("blog");
	int64_t job = new_job(app, "refs/heads/main");
	struct job j = { 0 };

	(void)state;
	assert_int_equal(new_release(app, job), 1);
	assert_int_equal(store_release_fail(st, app, 1, "no", &err), 0);
	assert_int_equal(new_release(app, job), 2);
	assert_int_equal(new_release(other, 0), 1);
	assert_int_equal(store_job_get(st, job, &j, &err), 0);
	assert_int_equal(j.version, 2);
	job_release(&j);
}

static void one_release_is_live(void **state)
{
	int64_t app = new_app_id("shop");
	struct release r = { 0 };
	struct release *list = NULL;
	struct app a = { 0 };

	(void)state;
	new_release(app, 0);
	new_release(app, 0);
	assert_int_equal(store_release_get(st, app, 0, &r, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_release_live(st, app, 1, &err), 0);
	assert_int_equal(store_release_live(st, app, 2, &err), 0);
	assert_int_equal(store_release_live(st, app, 2, &err), 0);
	assert_int_equal(store_release_live(st, app, 3, &err), -ERR_NOTFOUND);
	assert_int_equal(store_release_get(st, app, 0, &r, &err), 0);
	assert_int_equal(r.version, 2);
	assert_int_equal(r.state, RELEASE_LIVE);
	assert_string_equal(r.image, "sha256:abc");
	assert_string_equal(r.reason, "");
	release_release(&r);
	assert_int_equal(store_release_get(st, app, 1, &r, &err), 0);
	assert_int_equal(r.state, RELEASE_OLD);
	release_release(&r);
	assert_int_equal(store_app_get_id(st, app, &a, &err), 0);
	assert_int_equal(a.live_version, 2);
	app_release(&a);
	assert_int_equal(store_releases(st, app, 10, &list, &err), 2);
	assert_int_equal(list[0].version, 2);
	release_release(&list[0]);
	release_release(&list[1]);
	free(list);
}

static int64_t ended_release(int64_t app, enum job_state state)
{
	int64_t job = new_job(app, "refs/heads/main");
	int64_t version = new_release(app, job);

	assert_int_equal(store_job_finish(st, job, state, "[]", "", &err), 1);
	assert_int_equal(store_release_fail(st, app, version, "no", &err), 0);
	return version;
}

/* It was rolled out; then the store was full. */
static void recorded_too_late(int64_t app)
{
	int64_t job = new_job(app, "refs/heads/main");
	int64_t version = new_release(app, job);

	assert_int_equal(store_journal(st, job, "rollout", "done", "", &err),
			 0);
	assert_int_equal(store_job_finish(st, job, JOB_FAILED, "[]", "", &err),
			 1);
	assert_int_equal(store_release_fail(st, app, version, "no", &err), 0);
}

static void the_newest_interrupted_after_the_live_one_is_found(void **state)
{
	int64_t app = new_app_id("shop");
	int64_t version = 0;

	(void)state;
	ended_release(app, JOB_FAILED);
	assert_int_equal(store_release_interrupted(st, app, &version, &err), 0);
	ended_release(app, JOB_INTERRUPTED);
	ended_release(app, JOB_INTERRUPTED);
	ended_release(app, JOB_FAILED);
	assert_int_equal(store_release_interrupted(st, app, &version, &err), 1);
	assert_int_equal(version, 3);
	recorded_too_late(app);
	assert_int_equal(store_release_interrupted(st, app, &version, &err), 1);
	assert_int_equal(version, 5);
	new_release(app, 0);
	assert_int_equal(store_release_live(st, app, 6, &err), 0);
	assert_int_equal(store_release_interrupted(st, app, &version, &err), 0);
}

static void only_a_pending_release_gets_its_image(void **state)
{
	int64_t app = new_app_id("shop");
	struct release r = { 0 };

	(void)state;
	new_release(app, 0);
	assert_int_equal(
		store_release_set_image(st, app, 1, "sha256:def", "[]", &err),
		0);
	assert_int_equal(store_release_set_image(st, app, 2, "x", "", &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_release_live(st, app, 1, &err), 0);
	assert_int_equal(store_release_set_image(st, app, 1, "x", "", &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_release_get(st, app, 1, &r, &err), 0);
	assert_string_equal(r.image, "sha256:def");
	assert_string_equal(r.processes, "[]");
	release_release(&r);
}

static void what_was_live_does_not_fail_afterwards(void **state)
{
	int64_t app = new_app_id("shop");
	struct release r = { 0 };

	(void)state;
	new_release(app, 0);
	new_release(app, 0);
	assert_int_equal(store_release_live(st, app, 1, &err), 0);
	assert_int_equal(store_release_fail(st, app, 1, "late", &err),
			 -ERR_EXISTS);
	assert_int_equal(store_release_fail(st, app, 2, "gate", &err), 0);
	assert_int_equal(store_release_fail(st, app, 9, "x", &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_release_get(st, app, 2, &r, &err), 0);
	assert_int_equal(r.state, RELEASE_FAILED);
	assert_string_equal(r.reason, "gate");
	release_release(&r);
}

static void the_journal_keeps_its_order(void **state)
{
	int64_t job = new_job(new_app_id("shop"), "refs/heads/main");
	struct journal_entry *list = NULL;

	(void)state;
	assert_int_equal(store_journal(st, job, "build", "start", "", &err), 0);
	assert_int_equal(store_journal(st, job, "build", "done", "x", &err), 0);
	assert_int_equal(store_journal(st, 99, "build", "done", "x", &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_journal_list(st, job, &list, &err), 2);
	assert_string_equal(list[0].event, "start");
	assert_string_equal(list[1].event, "done");
	assert_string_equal(list[1].detail, "x");
	assert_true(list[1].time_ms >= list[0].time_ms);
	assert_true(list[0].time_ms > INT64_C(1500000000000));
	journal_entry_release(&list[0]);
	journal_entry_release(&list[1]);
	free(list);
}

/* ---- transactions and two handles ---- */

static void a_group_of_calls_is_all_or_nothing(void **state)
{
	(void)state;
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	/* a part that fails undoes itself, not the whole */
	assert_int_equal(store_user_remove(st, "nobody", &err), -ERR_NOTFOUND);
	new_app_id("shop");
	store_rollback(st);
	assert_int_equal(number("SELECT count(*) FROM users"), 0);
	assert_int_equal(number("SELECT count(*) FROM apps"), 0);
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	assert_int_equal(store_user_remove(st, "nobody", &err), -ERR_NOTFOUND);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(number("SELECT count(*) FROM users"), 1);
}

static void two_handles_see_each_others_work(void **state)
{
	struct store *other = NULL;
	struct user u = { 0 };

	(void)state;
	assert_int_equal(store_open(path, &other, &err), 0);
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_user_add(st, "alice", false, &err), 0);
	/* WAL: a reader neither waits nor sees what is not committed */
	assert_int_equal(store_user_get(other, "alice", &u, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(store_user_get(other, "alice", &u, &err), 0);
	user_release(&u);
	store_close(other);
}

static void a_writer_waits_for_another(void **state)
{
	int ready[2];
	char byte = 0;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *mine = NULL;

		if (store_open(path, &mine, &err) < 0 ||
		    store_begin(mine, &err) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(300000);
		if (store_user_add(mine, "first", false, &err) < 0)
			_exit(2);
		_exit(store_commit(mine, &err) < 0 ? 3 : 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(store_user_add(st, "second", false, &err), 0);
	assert_int_equal(number("SELECT id FROM users WHERE name = 'second'"),
			 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

/* ---- app_lock, app_url ---- */

static void the_app_lock_is_exclusive_and_goes_with_its_fd(void **state)
{
	int64_t before;
	int first = -1;
	int second = -1;

	(void)state;
	assert_int_equal(app_lock_take(dir, 7, 0, &first, &err), 0);
	assert_int_equal(app_lock_take(dir, 7, 0, &second, &err), -ERR_TIMEOUT);
	before = clock_ms();
	assert_int_equal(app_lock_take(dir, 7, 200, &second, &err),
			 -ERR_TIMEOUT);
	assert_true(clock_ms() - before >= 200);
	assert_int_equal(app_lock_take(dir, 8, 0, &second, &err), 0);
	close(second);
	assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
	close(first);
	assert_int_equal(app_lock_take(dir, 7, 0, &first, &err), 0);
	app_lock_forget(dir, 7);
	close(first);
}

static void urls_leave_the_usual_port_out(void **state)
{
	struct config c;
	char *url;

	(void)state;
	config_init(&c);
	assert_int_equal(config_set(&c, "router.listen", ":8080", &err), 0);
	url = app_url(&c, TARGET_LOCAL, "shop");
	assert_string_equal(url, "http://shop.localhost:8080");
	free(url);
	assert_int_equal(config_set(&c, "router.listen", "10.0.0.1:80", &err),
			 0);
	assert_int_equal(config_set(&c, "router.domain", "example.com", &err),
			 0);
	url = app_url(&c, TARGET_LOCAL, "shop");
	assert_string_equal(url, "http://shop.example.com");
	free(url);
	assert_int_equal(config_set(&c, "ssh.host", "deploy.example.com", &err),
			 0);
	assert_int_equal(config_set(&c, "ssh.listen", "[::]:2222", &err), 0);
	url = app_git_url(&c, "shop");
	assert_string_equal(url, "ssh://git@deploy.example.com:2222/shop");
	free(url);
	config_release(&c);
	config_init(&c);
	assert_int_equal(config_set(&c, "ssh.listen", ":22", &err), 0);
	url = app_git_url(&c, "shop");
	assert_string_equal(url, "git@localhost:shop");
	free(url);
	config_release(&c);
}

static void expect_url(const struct config *c, const char *target,
		       const char *want)
{
	char *url = app_url(c, target, "shop");

	assert_string_equal(url, want);
	free(url);
}

static void urls_are_those_of_the_target(void **state)
{
	static const char *const keys[][2] = {
		{ "router.domain", "example.com" },
		{ "target.prod.type", "ecs" },
		{ "target.prod.domain", "apps.example.com" },
		{ "target.blue.type", "docker" },
	};
	struct config c;

	(void)state;
	config_init(&c);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(config_set(&c, keys[i][0], keys[i][1], &err),
				 0);
	expect_url(&c, "prod", ""); /* nothing routes to it */
	assert_int_equal(config_set(&c, "target.prod.listener", "arn", &err),
			 0);
	expect_url(&c, "prod", "https://shop.apps.example.com");
	assert_int_equal(config_set(&c, "target.prod.scheme", "http", &err), 0);
	expect_url(&c, "prod", "http://shop.apps.example.com");
	expect_url(&c, "blue", "http://shop.example.com:8080");
	expect_url(&c, "local", "http://shop.example.com:8080");
	expect_url(&c, "gone", "http://shop.example.com:8080");
	config_release(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_file_is_private_also_when_it_was_not),
		T(a_new_database_has_the_newest_version_and_wal),
		T(opening_again_keeps_what_was_stored),
		T(a_newer_database_is_refused_and_left_alone),
		T(another_programs_database_is_refused),
		T(a_damaged_file_is_refused),
		T(a_folder_that_is_missing_is_an_error_of_the_system),
		T(an_empty_file_is_ours_to_fill),
		T(several_processes_open_a_new_one_at_once),
		T(users_are_added_once_and_listed_by_name),
		T(bad_names_are_refused),
		T(a_key_belongs_to_one_user),
		T(keys_per_user_are_bounded),
		T(keys_are_removed_by_name_or_fingerprint),
		T(whois_wants_fingerprint_and_text_and_notes_the_use),
		T(the_last_admin_with_a_key_stays),
		T(the_creator_administers_the_app),
		T(app_ids_are_never_used_again),
		T(a_removed_app_takes_everything_along),
		T(rename_and_branch),
		T(roles_and_what_one_may_see),
		T(a_user_who_comes_back_has_no_old_rights),
		T(role_names_are_read_back),
		T(subnets_avoid_others_and_stay),
		T(a_large_pool_in_use_is_passed_quickly),
		T(a_job_runs_and_only_its_first_end_counts),
		T(a_job_of_no_app_is_refused),
		T(lists_of_jobs),
		T(a_release_without_a_push_is_a_job),
		T(vars_that_nobody_needs_expire),
		T(old_jobs_expire_per_app),
		T(job_state_names),
		T(release_numbers_count_up_over_failures),
		T(one_release_is_live),
		T(the_newest_interrupted_after_the_live_one_is_found),
		T(only_a_pending_release_gets_its_image),
		T(what_was_live_does_not_fail_afterwards),
		T(the_journal_keeps_its_order),
		T(a_group_of_calls_is_all_or_nothing),
		T(two_handles_see_each_others_work),
		T(a_writer_waits_for_another),
		T(the_app_lock_is_exclusive_and_goes_with_its_fd),
		T(urls_leave_the_usual_port_out),
		T(urls_are_those_of_the_target),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("store", tests, make_dir,
					   remove_dir);
}
