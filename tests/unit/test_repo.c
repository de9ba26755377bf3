/* builder/source/repo.h against the real git. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "base/proc.h"
#include "builder/source/repo.h"

#define APP	  7
#define NO_OBJECT "1234567890123456789012345678901234567890"
#define OID_SIZE  (OID_HEX + 1)
#define MAIN	  "refs/heads/main"
#define GIT_ARGS  16

static char dir[] = "/tmp/slipway-test-repo-XXXXXX";
static struct config cfg;
static struct error err;
static char *repo;
static char *mark; /* what a hostile repository would make */
static char empty_tree[OID_SIZE];
static char one[OID_SIZE]; /* one <- two, one <- three */
static char two[OID_SIZE];
static char three[OID_SIZE];

/* Run git on the repository as a test needs it; its first word of output. */
static void git(char *ret, const char *input, const char *const *args)
{
	const char *argv[GIT_ARGS + 4] = { "git", "--git-dir", repo };
	static const char *const env[] = {
		"PATH=/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",	     "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@example.com",    "GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@example.com", NULL,
	};
	struct proc_spec spec = { .path = "git", .argv = argv, .env = env };
	auto_buf struct buf out = BUF_INIT(65536);
	auto_buf struct buf errors = BUF_INIT(65536);
	int r;

	for (size_t i = 0; args[i] && i < GIT_ARGS; i++)
		argv[i + 3] = args[i];
	r = proc_run(&spec, slice_str(input), &out, &errors, 30000, &err);
	if (r != 0)
		fail_msg("git %s: %s", args[0], buf_str(&errors));
	if (ret)
		snprintf(ret, OID_SIZE, "%s", buf_str(&out));
}

#define GIT(ret, input, ...)                                                   \
	git(ret, input, (const char *const[]){ __VA_ARGS__, NULL })

static void write_file(const char *name, mode_t mode, const char *text)
{
	auto_free char *path = xasprintf("%s/%s", repo, name);
	FILE *f = fopen(path, "ae");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	config_init(&cfg);
	mark = xasprintf("%s/mark", dir);
	return config_set(&cfg, "slipway.data", dir, &err);
}

static int remove_dir(void **state)
{
	auto_free char *repos = xasprintf("%s/repos", dir);

	(void)state;
	free(mark);
	config_release(&cfg);
	rmdir(repos);
	return rmdir(dir);
}

static int make_repo(void **state)
{
	(void)state;
	repo = repo_path(&cfg, APP);
	if (repo_create(&cfg, APP, &err) < 0)
		return -1;
	GIT(empty_tree, "", "hash-object", "-t", "tree", "-w", "--stdin");
	GIT(one, "", "commit-tree", empty_tree, "-m", "one");
	GIT(two, "", "commit-tree", empty_tree, "-m", "two", "-p", one);
	GIT(three, "", "commit-tree", empty_tree, "-m", "three", "-p", one);
	return 0;
}

static int remove_repo(void **state)
{
	(void)state;
	unlink(mark);
	free(repo);
	return repo_remove(&cfg, APP, &err);
}

static int update(const char *ref, const char *old, const char *new)
{
	const struct ref_update u = { ref, old, new };

	return repo_update_refs(&cfg, APP, &u, 1, &err);
}

static void assert_ref(const char *ref, const char *want)
{
	char oid[OID_SIZE];

	if (!want) {
		assert_int_equal(repo_read_ref(&cfg, APP, ref, oid, &err),
				 -ERR_NOTFOUND);
		return;
	}
	assert_int_equal(repo_read_ref(&cfg, APP, ref, oid, &err), 0);
	assert_string_equal(oid, want);
}

/* ---- making and removing ---- */

static void made_bare_and_shared_with_the_group(void **state)
{
	auto_free char *objects = xasprintf("%s/objects", repo);
	auto_free char *hooks = xasprintf("%s/hooks", repo);
	struct stat st;

	(void)state;
	assert_int_equal(stat(repo, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);
	assert_int_equal(stat(objects, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);
	assert_int_equal(access(hooks, F_OK), -1);
	GIT(NULL, "", "config", "--get", "core.bare");
}

static void making_it_again_keeps_it(void **state)
{
	(void)state;
	assert_int_equal(update(MAIN, OID_ZERO, one), 0);
	assert_int_equal(repo_create(&cfg, APP, &err), 0);
	assert_ref(MAIN, one);
}

static void removing_takes_all_and_follows_no_link(void **state)
{
	auto_free char *link = xasprintf("%s/link", repo);
	auto_free char *outside = xasprintf("%s/outside", dir);
	auto_free char *file = xasprintf("%s/outside/file", dir);
	FILE *f;

	(void)state;
	assert_int_equal(mkdir(outside, 0700), 0);
	f = fopen(file, "we");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(repo_remove(&cfg, APP, &err), 0);
	assert_int_equal(access(repo, F_OK), -1);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(repo_remove(&cfg, APP, &err), 0);
	unlink(file);
	rmdir(outside);
}

static void head_names_the_branch(void **state)
{
	auto_buf struct buf name = BUF_INIT(1024);
	char head[OID_SIZE];

	(void)state;
	assert_int_equal(repo_set_head(&cfg, APP, "trunk", &err), 0);
	GIT(head, "", "symbolic-ref", "HEAD");
	assert_string_equal(head, "refs/heads/trunk\n");
	assert_int_equal(repo_set_head(&cfg, APP, "a..b", &err), -ERR_INVALID);
	assert_int_equal(repo_set_head(&cfg, APP, "", &err), -ERR_INVALID);
}

/* ---- moving refs ---- */

static void creates_moves_and_deletes(void **state)
{
	(void)state;
	assert_int_equal(update(MAIN, OID_ZERO, one), 0);
	assert_ref(MAIN, one);
	assert_int_equal(update(MAIN, one, two), 0);
	assert_ref(MAIN, two);
	/* Not a fast-forward: whether that is allowed is not asked here. */
	assert_int_equal(update(MAIN, two, three), 0);
	assert_int_equal(update(MAIN, NULL, one), 0);
	assert_ref(MAIN, one);
	assert_int_equal(update(MAIN, one, OID_ZERO), 0);
	assert_ref(MAIN, NULL);
}

static void a_stale_old_value_moves_nothing(void **state)
{
	(void)state;
	assert_int_equal(update(MAIN, OID_ZERO, one), 0);
	assert_int_equal(update(MAIN, two, three), -ERR_EXISTS);
	assert_int_equal(update(MAIN, OID_ZERO, two), -ERR_EXISTS);
	assert_int_equal(update(MAIN, two, OID_ZERO), -ERR_EXISTS);
	assert_int_equal(update("refs/heads/x", one, two), -ERR_EXISTS);
	assert_ref(MAIN, one);
	assert_ref("refs/heads/x", NULL);
}

static void all_or_none(void **state)
{
	const struct ref_update good[] = {
		{ MAIN, OID_ZERO, one },
		{ "refs/tags/v1", OID_ZERO, two },
		{ "refs/deploys/v1", NULL, one },
	};
	const struct ref_update bad[] = {
		{ MAIN, one, two },
		{ "refs/tags/v2", OID_ZERO, two },
		{ "refs/tags/v1", one, OID_ZERO }, /* it is at two */
	};

	(void)state;
	assert_int_equal(repo_update_refs(&cfg, APP, good, 3, &err), 0);
	assert_ref("refs/deploys/v1", one);
	assert_int_equal(repo_update_refs(&cfg, APP, bad, 3, &err),
			 -ERR_EXISTS);
	assert_ref(MAIN, one);
	assert_ref("refs/tags/v1", two);
	assert_ref("refs/tags/v2", NULL);
}

static void a_folder_is_in_the_way(void **state)
{
	const struct ref_update both[] = {
		{ "refs/heads/y", OID_ZERO, one },
		{ "refs/heads/y/z", OID_ZERO, one },
	};

	(void)state;
	assert_int_equal(update("refs/heads/a/b", OID_ZERO, one), 0);
	assert_int_equal(update("refs/heads/a", OID_ZERO, one), -ERR_EXISTS);
	assert_non_null(strstr(err.msg, "refs/heads/a"));
	assert_int_equal(update("refs/heads/a/b/c", OID_ZERO, one),
			 -ERR_EXISTS);
	assert_int_equal(repo_update_refs(&cfg, APP, both, 2, &err),
			 -ERR_EXISTS);
	assert_ref("refs/heads/y", NULL);
	/* Packed ones count as well. */
	GIT(NULL, "", "pack-refs", "--all");
	assert_int_equal(update("refs/heads/a", OID_ZERO, one), -ERR_EXISTS);
}

static void only_commits_that_are_here(void **state)
{
	(void)state;
	assert_int_equal(update(MAIN, OID_ZERO, NO_OBJECT), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "nonexistent object"));
	assert_int_equal(update(MAIN, OID_ZERO, empty_tree), -ERR_INVALID);
	assert_ref(MAIN, NULL);
	/* Only branches have to be commits. */
	assert_int_equal(update("refs/tags/t", OID_ZERO, empty_tree), 0);
}

static void a_name_cannot_carry_a_command(void **state)
{
	static const char *const bad[] = {
		"refs/heads/a\ndelete refs/heads/main",
		"refs/heads/a b",
		"HEAD",
		"main",
		"refs/heads/../../config",
		"refs/heads/",
		"",
	};

	(void)state;
	assert_int_equal(update(MAIN, OID_ZERO, one), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(update(bad[i], NULL, two), -ERR_INVALID);
	assert_ref(MAIN, one);
}

/* ---- reading ---- */

static void peels_tags_to_commits(void **state)
{
	char text[256];
	char tag[OID_SIZE];
	char outer[OID_SIZE];
	char commit[OID_SIZE];

	(void)state;
	snprintf(text, sizeof(text),
		 "object %s\ntype commit\ntag t\ntagger a <a@b> 1 +0000\n\nt\n",
		 one);
	GIT(tag, text, "mktag");
	snprintf(text, sizeof(text),
		 "object %s\ntype tag\ntag o\ntagger a <a@b> 1 +0000\n\nt\n",
		 tag);
	GIT(outer, text, "mktag");
	assert_int_equal(repo_peel_commit(&cfg, APP, one, commit, &err), 0);
	assert_string_equal(commit, one);
	assert_int_equal(repo_peel_commit(&cfg, APP, outer, commit, &err), 0);
	assert_string_equal(commit, one);
	assert_int_equal(repo_peel_commit(&cfg, APP, empty_tree, commit, &err),
			 -ERR_INVALID);
	assert_int_equal(repo_peel_commit(&cfg, APP, NO_OBJECT, commit, &err),
			 -ERR_INVALID);
	/* Words that git would take for an option or for a path. */
	assert_int_equal(repo_peel_commit(&cfg, APP, "--git-dir", commit, &err),
			 -ERR_INVALID);
}

static void knows_ancestors(void **state)
{
	(void)state;
	assert_int_equal(repo_is_ancestor(&cfg, APP, one, two, &err), 1);
	assert_int_equal(repo_is_ancestor(&cfg, APP, two, two, &err), 1);
	assert_int_equal(repo_is_ancestor(&cfg, APP, two, one, &err), 0);
	assert_int_equal(repo_is_ancestor(&cfg, APP, three, two, &err), 0);
}

static void knows_missing_history(void **state)
{
	const char *oids[2] = { OID_ZERO, two };
	char text[512];
	char cut[OID_SIZE];

	(void)state;
	assert_int_equal(repo_is_complete(&cfg, APP, oids, 2, &err), 1);
	assert_int_equal(repo_is_complete(&cfg, APP, oids, 1, &err), 1);
	snprintf(text, sizeof(text),
		 "tree %s\nparent " NO_OBJECT "\nauthor a <a@b> 1 +0000\n"
		 "committer a <a@b> 1 +0000\n\nc\n",
		 empty_tree);
	GIT(cut, text, "hash-object", "-t", "commit", "-w", "--stdin");
	oids[0] = cut;
	assert_int_equal(repo_is_complete(&cfg, APP, oids, 2, &err), 0);
	/* A boundary that git knows explains it. */
	snprintf(text, sizeof(text), "%s\n", cut);
	write_file("shallow", 0640, text);
	assert_int_equal(repo_is_complete(&cfg, APP, oids, 2, &err), 1);
}

static void merges_many_packs(void **state)
{
	auto_free char *base = xasprintf("%s/objects/pack/pack", repo);
	char blobs[REPO_PACKS_MAX + 1][OID_SIZE];

	(void)state;
	for (int i = 0; i <= REPO_PACKS_MAX; i++) {
		auto_free char *line = NULL;
		char text[16];
		char pack[OID_SIZE];

		assert_int_equal(repo_repack(&cfg, APP, &err), 0);
		snprintf(text, sizeof(text), "%d", i);
		GIT(blobs[i], text, "hash-object", "-w", "--stdin");
		line = xasprintf("%s\n", blobs[i]);
		GIT(pack, line, "pack-objects", "-q", base);
		GIT(NULL, "", "prune-packed");
	}
	assert_int_equal(repo_repack(&cfg, APP, &err), 1);
	assert_int_equal(repo_repack(&cfg, APP, &err), 0);
	/* Though nothing refers to them. */
	for (int i = 0; i <= REPO_PACKS_MAX; i++)
		GIT(NULL, "", "cat-file", "-e", blobs[i]);
}

static void without_a_repository_nothing_works(void **state)
{
	const char *oids[] = { two };
	char oid[OID_SIZE];

	(void)state;
	assert_int_equal(repo_read_ref(&cfg, 8, MAIN, oid, &err),
			 -ERR_NOTFOUND);
	assert_true(repo_update_refs(&cfg, 8,
				     &(struct ref_update){ MAIN, NULL, one }, 1,
				     &err) < 0);
	assert_int_equal(repo_is_complete(&cfg, 8, oids, 1, &err), 0);
}

/* ---- a repository that somebody else wrote into ---- */

static void assert_nothing_ran(void)
{
	assert_int_equal(access(mark, F_OK), -1);
}

static void use_everything(void)
{
	const char *oids[] = { two, NO_OBJECT };
	char oid[OID_SIZE];
	int r;

	assert_int_equal(update(MAIN, NULL, one), 0);
	assert_int_equal(update("refs/heads/x", OID_ZERO, NO_OBJECT),
			 -ERR_INVALID);
	assert_ref(MAIN, one);
	assert_ref("refs/heads/x", NULL);
	assert_int_equal(repo_peel_commit(&cfg, APP, NO_OBJECT, oid, &err),
			 -ERR_INVALID);
	assert_int_equal(repo_is_complete(&cfg, APP, oids, 2, &err), 0);
	r = repo_is_ancestor(&cfg, APP, NO_OBJECT, two, &err);
	assert_int_equal(r, 0);
	assert_int_equal(repo_set_head(&cfg, APP, "main", &err), 0);
	assert_int_equal(update(MAIN, one, OID_ZERO), 0);
}

static void hooks_in_it_are_not_run(void **state)
{
	static const char *const names[] = { "reference-transaction",
					     "post-update", "update",
					     "pre-auto-gc" };
	auto_free char *script =
		xasprintf("#!/bin/sh\necho ran >>'%s'\n", mark);
	auto_free char *hooks = xasprintf("%s/hooks", repo);

	(void)state;
	assert_int_equal(mkdir(hooks, 0770), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_free char *name = xasprintf("hooks/%s", names[i]);

		write_file(name, 0755, script);
	}
	GIT(NULL, "", "config", "core.hooksPath", hooks);
	use_everything();
	assert_nothing_ran();
	/* git by itself would have run them. */
	GIT(NULL, "", "update-ref", "--no-deref", "refs/slipway/x", one);
	assert_int_equal(access(mark, F_OK), 0);
}

static void its_monitor_is_not_run(void **state)
{
	auto_free char *script =
		xasprintf("#!/bin/sh\necho ran >>'%s'\n", mark);
	auto_free char *path = xasprintf("%s/monitor", repo);

	(void)state;
	write_file("monitor", 0755, script);
	GIT(NULL, "", "config", "core.fsmonitor", path);
	GIT(NULL, "", "config", "core.sshCommand", path);
	GIT(NULL, "", "config", "core.pager", path);
	GIT(NULL, "", "config", "core.alternateRefsCommand", path);
	GIT(NULL, "", "config", "gpg.program", path);
	use_everything();
	assert_nothing_ran();
}

/* A repository that claims that what is missing can be fetched somewhere. */
static void make_partial(void)
{
	auto_free char *program =
		xasprintf("touch '%s'; git-upload-pack", mark);

	GIT(NULL, "", "config", "core.repositoryFormatVersion", "1");
	GIT(NULL, "", "config", "extensions.partialClone", "o");
	GIT(NULL, "", "config", "remote.o.promisor", "true");
	GIT(NULL, "", "config", "remote.o.url", repo);
	GIT(NULL, "", "config", "remote.o.uploadpack", program);
	GIT(NULL, "", "config", "protocol.file.allow", "always");
}

static void nothing_is_fetched_for_it(void **state)
{
	const char *const argv[] = { "git", "--git-dir", repo, "cat-file",
				     "-e",  NO_OBJECT,	 NULL };
	struct proc_spec spec = { .path = "git", .argv = argv };
	auto_buf struct buf out = BUF_INIT(65536);

	(void)state;
	make_partial();
	use_everything();
	assert_nothing_ran();
	/* And git by itself would have run the remote's program. */
	assert_true(proc_run(&spec, slice_str(""), &out, NULL, 30000, &err) >
		    0);
	assert_int_equal(access(mark, F_OK), 0);
}

/* ---- names ---- */

static void knows_ids(void **state)
{
	(void)state;
	assert_true(oid_is_valid(NO_OBJECT));
	assert_true(oid_is_valid(OID_ZERO));
	assert_false(oid_is_valid(""));
	assert_false(oid_is_valid("123456789012345678901234567890123456789"));
	assert_false(oid_is_valid(NO_OBJECT "0"));
	assert_false(oid_is_valid("A234567890123456789012345678901234567890"));
	assert_false(oid_is_valid("g234567890123456789012345678901234567890"));
}

/* As `git check-ref-format` judges, asked for each. */
static void knows_names_as_git_does(void **state)
{
	static const char *const names[] = {
		"refs/heads/main",	  "refs/heads/a/b",
		"refs/heads/gr\303\274n", "refs/heads/a.b",
		"refs/heads/-a",	  "refs/heads/@",
		"refs/heads/a@b",	  "refs/heads/a{b",
		"refs/heads/.a",	  "refs/heads/a/.b",
		"refs/heads/a.lock",	  "refs/heads/a.lock/b",
		"refs/heads/a.locks",	  "refs/heads/a..b",
		"refs/heads/a.",	  "refs/heads/a./b",
		"refs/heads//a",	  "refs/heads/a/",
		"refs/heads/a b",	  "refs/heads/a~b",
		"refs/heads/a^b",	  "refs/heads/a:b",
		"refs/heads/a?b",	  "refs/heads/a*b",
		"refs/heads/a[b",	  "refs/heads/a]b",
		"refs/heads/a\\b",	  "refs/heads/a@{b",
		"refs/heads/a\tb",	  "refs/heads/a\177b",
		"refs/heads/.lock",	  "refs/heads/lock",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *const argv[] = { "git", "check-ref-format",
					     names[i], NULL };
		struct proc_spec spec = { .path = "git", .argv = argv };
		auto_buf struct buf out = BUF_INIT(1024);
		int r = proc_run(&spec, slice_str(""), &out, NULL, 30000, &err);

		assert_in_range(r, 0, 1);
		if (ref_name_is_valid(names[i]) != (r == 0))
			fail_msg("'%s' is %s", names[i],
				 r == 0 ? "good" : "bad");
	}
	assert_false(ref_name_is_valid("HEAD"));
	assert_false(ref_name_is_valid("refs"));
	assert_false(ref_name_is_valid(""));
}

static void names_are_bounded(void **state)
{
	char name[1100];

	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name, "refs/heads/", 11);
	name[1024] = '\0';
	assert_true(ref_name_is_valid(name));
	name[1024] = 'a';
	name[1025] = '\0';
	assert_false(ref_name_is_valid(name));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_repo, remove_repo)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(made_bare_and_shared_with_the_group),
		TEST(making_it_again_keeps_it),
		TEST(removing_takes_all_and_follows_no_link),
		TEST(head_names_the_branch),
		TEST(creates_moves_and_deletes),
		TEST(a_stale_old_value_moves_nothing),
		TEST(all_or_none),
		TEST(a_folder_is_in_the_way),
		TEST(only_commits_that_are_here),
		TEST(a_name_cannot_carry_a_command),
		TEST(peels_tags_to_commits),
		TEST(knows_ancestors),
		TEST(knows_missing_history),
		TEST(merges_many_packs),
		TEST(merges_many_packs),
		TEST(without_a_repository_nothing_works),
		TEST(hooks_in_it_are_not_run),
		TEST(its_monitor_is_not_run),
		TEST(nothing_is_fetched_for_it),
		cmocka_unit_test(knows_ids),
		cmocka_unit_test(knows_names_as_git_does),
		cmocka_unit_test(names_are_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
