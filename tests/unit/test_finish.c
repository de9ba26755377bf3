/* builder/jobs/finish.h: jobs whose worker is gone, with store and git. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"
#include "base/proc.h"
#include "builder/jobs/finish.h"
#include "builder/source/repo.h"
#include "builder/store/app_lock.h"

#define OID_SIZE (OID_HEX + 1)
#define MAIN	 "refs/heads/main"
#define TAG	 "refs/tags/t"
#define REASON	 "the builder was restarted"

static char dir[] = "/tmp/slipway-test-finish-XXXXXX";
static struct config cfg;
static struct error err;
static struct store *st;
static int64_t app_id;
static int64_t job_id;
static char one[OID_SIZE];
static char two[OID_SIZE];
static char cut[OID_SIZE]; /* its parent is nowhere */

static void git(char *ret, const char *input, const char *const *args)
{
	auto_free char *repo = repo_path(&cfg, app_id);
	const char *argv[12] = { "git", "--git-dir", repo };
	static const char *const env[] = {
		"PATH=/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",	     "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@example.com",    "GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@example.com", NULL,
	};
	struct proc_spec spec = { .path = "git", .argv = argv, .env = env };
	auto_buf struct buf out = BUF_INIT(65536);

	for (size_t i = 0; args[i] && i < 8; i++)
		argv[i + 3] = args[i];
	assert_int_equal(
		proc_run(&spec, slice_str(input), &out, NULL, 30000, &err), 0);
	assert_int_equal(out.len, OID_SIZE);
	snprintf(ret, OID_SIZE, "%s", buf_str(&out));
}

#define GIT(ret, input, ...)                                                   \
	git(ret, input, (const char *const[]){ __VA_ARGS__, NULL })

static void make_commits(void)
{
	char tree[OID_SIZE];
	char text[512];

	GIT(tree, "", "hash-object", "-t", "tree", "-w", "--stdin");
	GIT(one, "", "commit-tree", tree, "-m", "one");
	GIT(two, "", "commit-tree", tree, "-m", "two", "-p", one);
	snprintf(text, sizeof(text),
		 "tree %s\nparent 1234567890123456789012345678901234567890\n"
		 "author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nc\n",
		 tree);
	GIT(cut, text, "hash-object", "-t", "commit", "-w", "--stdin");
}

static int make_dir(void **state)
{
	(void)state;
	config_init(&cfg);
	return mkdtemp(dir) ? config_set(&cfg, "slipway.data", dir, &err) : -1;
}

static void drop(const char *name)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);

	if (unlink(path) < 0)
		rmdir(path);
}

static int remove_dir(void **state)
{
	(void)state;
	drop("repos");
	config_release(&cfg);
	return rmdir(dir);
}

static int64_t add_job(const char *ref, const char *commit, const char *request)
{
	struct job j = { .app_id = app_id };
	int64_t id = 0;

	j.user = xstrdup("");
	j.fingerprint = xstrdup("");
	j.ref = xstrdup(ref);
	j.commit = xstrdup(commit);
	j.request = xstrdup(request);
	assert_int_equal(store_job_add(st, &j, &id, &err), 0);
	job_release(&j);
	return id;
}

/* A push of main and of a tag, as the hook sends it. */
static int64_t add_push(const char *commit, bool is_atomic)
{
	auto_free char *request = xasprintf(
		"{\"type\":\"push\",\"app\":\"shop\",\"atomic\":%s,"
		"\"updates\":["
		"{\"ref\":\"" MAIN "\",\"old\":\"%s\",\"new\":\"%s\"},"
		"{\"ref\":\"" TAG "\",\"old\":\"%s\",\"new\":\"%s\"}]}",
		is_atomic ? "true" : "false", one, commit, OID_ZERO, one);

	return add_job(MAIN, commit, request);
}

static void move(const char *ref, const char *oid)
{
	const struct ref_update u = { ref, NULL, oid };

	assert_int_equal(repo_update_refs(&cfg, app_id, &u, 1, &err), 0);
}

/* An app whose main is at one, and a running push of two. */
static int make_app(void **state)
{
	auto_free char *path = xasprintf("%s/slipway.db", dir);
	struct app app = { 0 };

	(void)state;
	if (store_open(path, &st, &err) < 0 ||
	    store_app_create(st, "shop", "", "local", &app, &err) < 0)
		return -1;
	app_id = app.id;
	app_release(&app);
	if (repo_create(&cfg, app_id, &err) < 0)
		return -1;
	make_commits();
	move(MAIN, one);
	job_id = add_push(two, false);
	return store_job_start(st, job_id, &err);
}

static int remove_app(void **state)
{
	auto_free char *lock = xasprintf("locks/%" PRId64, app_id);

	(void)state;
	store_close(st);
	drop("slipway.db");
	drop("slipway.db-wal");
	drop("slipway.db-shm");
	drop(lock);
	drop("locks");
	return repo_remove(&cfg, app_id, &err);
}

static int64_t add_release(void)
{
	struct release r = { .app_id = app_id, .job_id = job_id };
	int64_t version = 0;

	r.commit = two;
	assert_int_equal(store_release_add(st, &r, &version, &err), 0);
	assert_true(version > 0);
	return version;
}

static void assert_at(const char *ref, const char *want)
{
	char oid[OID_SIZE];

	assert_int_equal(repo_read_ref(&cfg, app_id, ref, oid, &err), 0);
	assert_string_equal(oid, want);
}

static void assert_job(enum job_state state, const char *reason)
{
	struct job job = { 0 };

	assert_int_equal(store_job_get(st, job_id, &job, &err), 0);
	assert_string_equal(job_state_name(job.state), job_state_name(state));
	assert_string_equal(job.reason, reason);
	job_release(&job);
}

/* The stored verdict on `ref`: 1 ok, 0 refused for `reason`, -1 none. */
static int verdict(const char *ref, const char *reason)
{
	json_auto_t *list = NULL;
	struct job job = { 0 };
	int found = -1;
	size_t i;
	json_t *v;

	assert_int_equal(store_job_get(st, job_id, &job, &err), 0);
	assert_int_equal(
		json_parse(slice_str(job.verdicts), "verdicts", &list, &err),
		0);
	job_release(&job);
	json_array_foreach(list, i, v)
	{
		if (strcmp(json_get_str(v, "ref", ""), ref) != 0)
			continue;
		found = json_is_true(json_object_get(v, "ok"));
		if (!found)
			assert_string_equal(json_get_str(v, "reason", ""),
					    reason);
	}
	return found;
}

static bool falls_through(const char *ref)
{
	json_auto_t *list = NULL;
	struct job job = { 0 };
	bool found = false;
	size_t i;
	json_t *v;

	assert_int_equal(store_job_get(st, job_id, &job, &err), 0);
	list = json_loads(job.verdicts, 0, NULL);
	job_release(&job);
	json_array_foreach(list, i, v) found =
		found || (strcmp(json_get_str(v, "ref", ""), ref) == 0 &&
			  json_is_true(json_object_get(v, "fall_through")));
	return found;
}

static void assert_release(int64_t version, enum release_state state)
{
	struct release r = { 0 };

	assert_int_equal(store_release_get(st, app_id, version, &r, &err), 0);
	assert_string_equal(release_state_name(r.state),
			    release_state_name(state));
	release_release(&r);
}

static int settle(void)
{
	return job_settle(&cfg, st, job_id, REASON, &err);
}

static void before_it_had_a_release_it_is_refused(void **state)
{
	(void)state;
	assert_int_equal(settle(), 0);
	assert_job(JOB_INTERRUPTED, REASON);
	assert_int_equal(verdict(MAIN, REASON), 0);
	assert_int_equal(verdict(TAG, REASON), 0);
	assert_at(MAIN, one);
}

static void before_it_was_live_its_release_failed(void **state)
{
	int64_t version = add_release();

	(void)state;
	assert_int_equal(settle(), 0);
	assert_job(JOB_INTERRUPTED, REASON);
	assert_release(version, RELEASE_FAILED);
	assert_int_equal(verdict(MAIN, REASON), 0);
	assert_at(MAIN, one);
}

static void after_it_was_live_the_ref_moves(void **state)
{
	int64_t version = add_release();

	(void)state;
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	assert_int_equal(settle(), 0);
	assert_job(JOB_SUCCEEDED, "");
	assert_release(version, RELEASE_LIVE);
	assert_int_equal(verdict(MAIN, ""), 1);
	assert_at(MAIN, two);
	assert_at("refs/deploys/v1", two);
	/* The tag was stored before the deploy began; here it was not. */
	assert_int_equal(verdict(TAG, REASON), 0);
}

/* A job of the other kind, running, in the place of the push. */
static void start_release(void)
{
	char request[] = "{\"type\":\"release\"}";
	struct job j = { .kind = JOB_RELEASE,
			 .app_id = app_id,
			 .commit = two,
			 .request = request };

	assert_int_equal(job_refuse(&cfg, st, job_id, JOB_CANCELED, "x", &err),
			 0);
	assert_int_equal(store_job_add(st, &j, &job_id, &err), 0);
	assert_int_equal(store_job_start(st, job_id, &err), 0);
}

static void a_release_without_a_push_moves_no_branch(void **state)
{
	int64_t version;

	(void)state;
	start_release();
	version = add_release();
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	assert_int_equal(settle(), 0);
	assert_job(JOB_SUCCEEDED, "");
	assert_release(version, RELEASE_LIVE);
	assert_at("refs/deploys/v1", two);
	assert_at(MAIN, one);
}

static void or_fails_with_the_reason(void **state)
{
	int64_t version;

	(void)state;
	start_release();
	version = add_release();
	assert_int_equal(settle(), 0);
	assert_job(JOB_INTERRUPTED, REASON);
	assert_release(version, RELEASE_FAILED);
}

static void what_was_stored_before_is_confirmed(void **state)
{
	int64_t version = add_release();

	(void)state;
	move(TAG, one);
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	assert_int_equal(settle(), 0);
	assert_int_equal(verdict(MAIN, ""), 1);
	assert_int_equal(verdict(TAG, ""), 1);
}

static void what_was_stored_stays_when_the_deploy_is_refused(void **state)
{
	(void)state;
	move(TAG, one);
	assert_int_equal(settle(), 0);
	assert_int_equal(verdict(MAIN, REASON), 0);
	assert_int_equal(verdict(TAG, ""), 1);
}

static void start_atomic(void)
{
	assert_int_equal(job_refuse(&cfg, st, job_id, JOB_CANCELED, "x", &err),
			 0);
	job_id = add_push(two, true);
	assert_int_equal(store_job_start(st, job_id, &err), 0);
}

static void an_atomic_push_moves_all(void **state)
{
	int64_t version;

	(void)state;
	start_atomic();
	version = add_release();
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	assert_int_equal(settle(), 0);
	assert_job(JOB_SUCCEEDED, "");
	assert_int_equal(verdict(MAIN, ""), 1);
	assert_int_equal(verdict(TAG, ""), 1);
	assert_at(MAIN, two);
	assert_at(TAG, one);
}

static void or_nothing(void **state)
{
	int64_t version;
	struct job job = { 0 };

	(void)state;
	start_atomic();
	version = add_release();
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	/* Somebody else's tag of that name came first. */
	move(TAG, two);
	assert_int_equal(settle(), 0);
	assert_int_equal(store_job_get(st, job_id, &job, &err), 0);
	assert_int_equal(job.state, JOB_FAILED);
	assert_non_null(strstr(job.reason, TAG));
	assert_int_equal(verdict(MAIN, job.reason), 0);
	assert_int_equal(verdict(TAG, "atomic push failed"), 0);
	job_release(&job);
	assert_at(MAIN, one);
	assert_at(TAG, two);
}

static void another_deploy_branch_is_named_in_the_job(void **state)
{
	static const char request[] =
		"{\"type\":\"push\",\"app\":\"shop\",\"updates\":["
		"{\"ref\":\"refs/heads/trunk\",\"old\":\"" OID_ZERO
		"\",\"new\":\"" OID_ZERO "\"}]}";
	auto_free char *text = xstrdup(request);

	(void)state;
	memcpy(strstr(text, "\"new\":\"") + 7, two, OID_HEX);
	job_id = add_job("refs/heads/trunk", two, text);
	assert_int_equal(settle(), 0);
	assert_int_equal(verdict("refs/heads/trunk", REASON), 0);
}

static void a_ref_that_moved_already_stays(void **state)
{
	int64_t version = add_release();

	(void)state;
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	move(MAIN, two);
	move("refs/deploys/v1", two);
	assert_int_equal(settle(), 0);
	assert_job(JOB_SUCCEEDED, "");
	assert_at(MAIN, two);
}

static void a_branch_that_was_gone_is_made(void **state)
{
	int64_t version = add_release();

	(void)state;
	move(MAIN, OID_ZERO);
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	assert_int_equal(settle(), 0);
	assert_at(MAIN, two);
}

static void a_history_with_a_gap_becomes_no_ref(void **state)
{
	int64_t version;

	(void)state;
	assert_int_equal(job_refuse(&cfg, st, job_id, JOB_CANCELED, "x", &err),
			 0);
	job_id = add_push(cut, false);
	version = add_release();
	assert_int_equal(store_release_live(st, app_id, version, &err), 0);
	assert_int_equal(settle(), 0);
	assert_job(JOB_SUCCEEDED, "");
	assert_at(MAIN, one);
	/* git may move it if the push still waits. */
	assert_true(falls_through(MAIN));
}

static void the_first_end_counts(void **state)
{
	(void)state;
	assert_int_equal(store_job_finish(st, job_id, JOB_FAILED, "[]",
					  "build failed", &err),
			 1);
	assert_int_equal(settle(), 0);
	assert_job(JOB_FAILED, "build failed");
	assert_int_equal(
		job_refuse(&cfg, st, job_id, JOB_CANCELED, "late", &err), 0);
	assert_job(JOB_FAILED, "build failed");
}

static void a_worker_that_lives_is_left_alone(void **state)
{
	int64_t version = add_release();
	int lock = -1;

	(void)state;
	assert_int_equal(app_lock_take(dir, app_id, 0, &lock, &err), 0);
	assert_int_equal(settle(), 0);
	assert_job(JOB_RUNNING, "");
	assert_release(version, RELEASE_PENDING);
	close(lock);
	assert_int_equal(settle(), 0);
	assert_job(JOB_INTERRUPTED, REASON);
}

static void refuses_what_never_began(void **state)
{
	(void)state;
	job_id = add_push(two, false);
	assert_int_equal(job_refuse(&cfg, st, job_id, JOB_SUPERSEDED,
				    "a newer push came", &err),
			 0);
	assert_job(JOB_SUPERSEDED, "a newer push came");
	assert_int_equal(verdict(MAIN, "a newer push came"), 0);
}

static void a_damaged_request_still_ends(void **state)
{
	(void)state;
	job_id = add_job(MAIN, two, "{\"updates\":");
	assert_int_equal(settle(), 0);
	assert_job(JOB_INTERRUPTED, REASON);
	assert_int_equal(verdict(MAIN, ""), -1);
}

static void an_unknown_job_is_told(void **state)
{
	(void)state;
	assert_int_equal(job_settle(&cfg, st, 999, REASON, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(job_refuse(&cfg, st, 999, JOB_CANCELED, REASON, &err),
			 -ERR_NOTFOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_app, remove_app)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(before_it_had_a_release_it_is_refused),
		TEST(before_it_was_live_its_release_failed),
		TEST(after_it_was_live_the_ref_moves),
		TEST(a_release_without_a_push_moves_no_branch),
		TEST(or_fails_with_the_reason),
		TEST(what_was_stored_before_is_confirmed),
		TEST(what_was_stored_stays_when_the_deploy_is_refused),
		TEST(an_atomic_push_moves_all),
		TEST(or_nothing),
		TEST(another_deploy_branch_is_named_in_the_job),
		TEST(a_ref_that_moved_already_stays),
		TEST(a_branch_that_was_gone_is_made),
		TEST(a_history_with_a_gap_becomes_no_ref),
		TEST(the_first_end_counts),
		TEST(a_worker_that_lives_is_left_alone),
		TEST(refuses_what_never_began),
		TEST(a_damaged_request_still_ends),
		TEST(an_unknown_job_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
