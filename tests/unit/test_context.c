/*
 * builder/source/source.h: real repositories, made by git; the context read
 * back by a tar reader of the tests' own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/proc.h"
#include "builder/source/source.h"
#include "tests/unit/tar_reader.h"

#define OUT_MAX	       ((size_t)1 << 30)
#define GIT_TIMEOUT_MS 60000
#define OID_BYTES      64
#define MODE_FILE      "100644"
#define MODE_EXEC      "100755"
#define MODE_LINK      "120000"
#define MODE_GIT       "160000"
#define OID_MADE_UP    "1234567890123456789012345678901234567890"

static char dir[] = "/tmp/slipway-test-context-XXXXXX";
static char repo[sizeof(dir) + 8];

/* ---- git ---- */

static const char *const git_env[] = {
	"PATH=/usr/local/bin:/usr/bin:/bin",
	"HOME=/nonexistent",
	"GIT_CONFIG_NOSYSTEM=1",
	"GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_AUTHOR_NAME=a",
	"GIT_AUTHOR_EMAIL=a@example.com",
	"GIT_COMMITTER_NAME=a",
	"GIT_COMMITTER_EMAIL=a@example.com",
	"GIT_AUTHOR_DATE=1700000000 +0000",
	"GIT_COMMITTER_DATE=1700000000 +0000",
	NULL,
};

/* Runs git in `repo`; the output without its last line feed. */
static char *git_in(struct slice input, const char *const *args)
{
	const char *argv[16] = { "git", "--git-dir", repo };
	struct proc_spec spec = { .path = "git", .argv = argv, .env = git_env };
	struct buf out = BUF_INIT(OUT_MAX);
	struct error err;
	size_t n = 3;
	int r;

	while (*args)
		argv[n++] = *args++;
	r = proc_run(&spec, input, &out, NULL, GIT_TIMEOUT_MS, &err);
	if (r != 0)
		print_error("git %s: %d %s\n", argv[3], r, err.msg);
	assert_int_equal(r, 0);
	if (out.len && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';
	return buf_detach(&out);
}

#define GIT(input, ...)                                                        \
	git_in((input), (const char *const[]){ __VA_ARGS__, NULL })
#define NOTHING                                                                \
	(struct slice)                                                         \
	{                                                                      \
		"", 0                                                          \
	}

/* A stream for git fast-import, one commit on refs/heads/main. */
static void begin(struct buf *b, const char *message)
{
	*b = (struct buf)BUF_INIT(OUT_MAX);
	buf_addf(b,
		 "commit refs/heads/main\n"
		 "committer a <a@example.com> 1700000000 +0000\n"
		 "data %zu\n%s\ndeleteall\n",
		 strlen(message), message);
}

/* Paths are quoted as C strings: every byte but letters as octal. */
static void put_data(struct buf *b, const char *mode, const char *path,
		     struct slice content)
{
	buf_addf(b, "M %s inline \"", mode);
	for (const char *p = path; *p; p++)
		buf_addf(b, "\\%03o", (unsigned char)*p);
	buf_addf(b, "\"\ndata %zu\n", content.len);
	buf_add(b, content.ptr, content.len);
	buf_addc(b, '\n');
}

static void put(struct buf *b, const char *mode, const char *path,
		const char *content)
{
	put_data(b, mode, path, slice_str(content));
}

/* Import it; the commit's id into oid. */
static void commit(struct buf *b, char oid[OID_BYTES])
{
	auto_free char *out = NULL;
	auto_free char *id = NULL;

	buf_adds(b, "\n");
	out = GIT(buf_slice(b), "fast-import", "--quiet", "--force");
	buf_release(b);
	id = GIT(NOTHING, "rev-parse", "refs/heads/main");
	snprintf(oid, OID_BYTES, "%s", id);
}

static void run(const char *const *argv)
{
	struct proc_spec spec = { .path = argv[0], .argv = argv };
	auto_buf struct buf out = BUF_INIT(65536);
	struct error err;

	assert_int_equal(
		proc_run(&spec, NOTHING, &out, NULL, GIT_TIMEOUT_MS, &err), 0);
}

static int make_repo(void **state)
{
	(void)state;
	snprintf(repo, sizeof(repo), "%s/r.git", dir);
	free(GIT(NOTHING, "init", "--quiet", "--bare"));
	return 0;
}

static int remove_repo(void **state)
{
	(void)state;
	run((const char *const[]){ "rm", "-rf", repo, NULL });
	return 0;
}

/* ---- contexts ---- */

static struct source *open_source(const char *oid)
{
	struct source *s = NULL;
	struct error err;
	int r = source_open(repo, oid, &s, &err);

	if (r < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(r, 0);
	return s;
}

/* The whole stream, read `step` bytes at a time. */
static void read_context(const char *oid, const char *dockerfile, size_t step,
			 struct buf *ret, struct context_stats *stats)
{
	struct source *s = open_source(oid);
	auto_free char *chunk = xmalloc(step);
	struct context *c = NULL;
	struct error err;
	ssize_t n;
	int r = context_open(s, dockerfile, &c, &err);

	if (r < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(r, 0);
	*ret = (struct buf)BUF_INIT(OUT_MAX);
	while ((n = context_read(c, chunk, step, &err)) > 0)
		buf_add(ret, chunk, (size_t)n);
	assert_int_equal(n, 0);
	assert_int_equal(context_read(c, chunk, step, &err), 0);
	assert_int_equal(context_stats(c)->bytes, ret->len);
	if (stats)
		*stats = *context_stats(c);
	context_close(c);
	source_close(s);
}

/* "name:type:mode:target=content" lines, contents up to 40 bytes. */
static char *describe(const char *oid, const char *dockerfile)
{
	auto_buf struct buf tar = BUF_INIT(0);
	struct buf out = BUF_INIT(OUT_MAX);
	struct tar_member m;
	const char *p;
	size_t len;
	int r;

	read_context(oid, dockerfile, 65536, &tar, NULL);
	p = tar.data;
	len = tar.len;
	while ((r = tar_reader_next(&p, &len, false, &m)) > 0) {
		buf_addf(&out, "%s %o", m.name, m.mode);
		if (m.type == '2')
			buf_addf(&out, " -> %s", m.link);
		else if (m.type == '0')
			buf_addf(&out, " %.*s", m.size > 40 ? 40 : (int)m.size,
				 m.data);
		buf_addc(&out, '\n');
		tar_member_release(&m);
	}
	assert_int_equal(r, 0);
	return buf_detach(&out);
}

static int open_fails(const char *oid, const char *dockerfile,
		      struct error *err)
{
	struct source *s = open_source(oid);
	struct context *c = NULL;
	int r = context_open(s, dockerfile, &c, err);

	assert_null(c);
	source_close(s);
	return r;
}

/* ---- tests: the commit ---- */

static void commits_and_tags_open(void **state)
{
	char oid[OID_BYTES];
	auto_free char *tag = NULL;
	struct source *s;
	struct buf b;

	(void)state;
	begin(&b, "Subject line\n\nbody\n");
	put(&b, MODE_FILE, "a", "x");
	commit(&b, oid);
	s = open_source(oid);
	assert_string_equal(source_subject(s), "Subject line");
	source_close(s);
	free(GIT(NOTHING, "tag", "-a", "-m", "t", "v1", oid));
	tag = GIT(NOTHING, "rev-parse", "v1");
	assert_string_not_equal(tag, oid);
	s = open_source(tag);
	assert_string_equal(source_subject(s), "Subject line");
	source_close(s);
}

static void long_subjects_are_cut_between_characters(void **state)
{
	char oid[OID_BYTES];
	auto_buf struct buf message = BUF_INIT(4096);
	struct source *s;
	struct buf b;

	(void)state;
	buf_addc(&message, 'x');
	for (int i = 0; i < 300; i++)
		buf_adds(&message, "\xc3\xa9");
	begin(&b, buf_str(&message));
	commit(&b, oid);
	s = open_source(oid);
	assert_int_equal(strlen(source_subject(s)), 199);
	source_close(s);
	begin(&b, "latin \xe9");
	commit(&b, oid);
	s = open_source(oid);
	assert_string_equal(source_subject(s), "latin \xe9");
	source_close(s);
	begin(&b, "");
	commit(&b, oid);
	s = open_source(oid);
	assert_string_equal(source_subject(s), "");
	source_close(s);
}

static void other_objects_are_refused(void **state)
{
	char oid[OID_BYTES];
	auto_free char *tree = NULL;
	auto_free char *blob = NULL;
	struct source *s = NULL;
	struct error err;
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, "a", "x");
	commit(&b, oid);
	tree = GIT(NOTHING, "rev-parse", "main^{tree}");
	blob = GIT(NOTHING, "rev-parse", "main:a");
	assert_int_equal(source_open(repo, tree, &s, &err), -ERR_INVALID);
	assert_int_equal(source_open(repo, blob, &s, &err), -ERR_INVALID);
	assert_int_equal(source_open(repo, "main", &s, &err), -ERR_INVALID);
	assert_int_equal(source_open(repo, "", &s, &err), -ERR_INVALID);
	assert_int_equal(source_open(repo, OID_MADE_UP, &s, &err),
			 -ERR_NOTFOUND);
	assert_true(source_open("/nonexistent", oid, &s, &err) < 0);
	assert_null(s);
}

static void files_are_read(void **state)
{
	char oid[OID_BYTES];
	auto_buf struct buf data = BUF_INIT(10);
	struct source *s;
	struct error err;
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, "dir/five", "12345");
	put(&b, MODE_FILE, "empty", "");
	put(&b, MODE_LINK, "link", "dir/five");
	put_data(&b, MODE_FILE, "nul", (struct slice){ "a\0b", 3 });
	commit(&b, oid);
	s = open_source(oid);
	assert_int_equal(source_file(s, "dir/five", 5, &data, &err), 0);
	assert_string_equal(data.data, "12345");
	assert_int_equal(source_file(s, "./dir//five", 5, &data, &err), 0);
	assert_string_equal(data.data, "12345");
	assert_int_equal(source_file(s, "empty", 5, &data, &err), 0);
	assert_string_equal(buf_str(&data), "");
	assert_int_equal(source_file(s, "nul", 5, &data, &err), 0);
	assert_int_equal(data.len, 3);
	assert_int_equal(source_file(s, "dir/five", 4, &data, &err),
			 -ERR_LIMIT);
	assert_int_equal(source_file(s, "dir", 4, &data, &err), -ERR_INVALID);
	assert_int_equal(source_file(s, "link", 4, &data, &err), -ERR_INVALID);
	assert_int_equal(source_file(s, "none", 4, &data, &err), -ERR_NOTFOUND);
	assert_int_equal(source_file(s, "dir/five/x", 4, &data, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(source_file(s, "../etc/passwd", 4, &data, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(source_file(s, "/etc/passwd", 4, &data, &err),
			 -ERR_NOTFOUND);
	assert_int_equal(source_file(s, "", 4, &data, &err), -ERR_NOTFOUND);
	assert_int_equal(data.len, 3); /* left alone by all of these */
	source_close(s);
}

/* ---- tests: the stream ---- */

static void modes_links_and_folders(void **state)
{
	char oid[OID_BYTES];
	auto_free char *got = NULL;
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "FROM scratch");
	put(&b, MODE_EXEC, "bin/run", "#!/bin/sh");
	put(&b, MODE_FILE, "bin/lib/x", "");
	put(&b, MODE_LINK, "current", "bin/../bin/run");
	put(&b, MODE_LINK, "dangling", "/no/such");
	put(&b, MODE_FILE, "bin.txt", "t");
	commit(&b, oid);
	got = describe(oid, "Dockerfile");
	assert_string_equal(got, "Dockerfile 644 FROM scratch\n"
				 "bin.txt 644 t\n"
				 "bin/ 755\n"
				 "bin/lib/ 755\n"
				 "bin/lib/x 644 \n"
				 "bin/run 755 #!/bin/sh\n"
				 "current 777 -> bin/../bin/run\n"
				 "dangling 777 -> /no/such\n");
}

static void names_of_all_kinds(void **state)
{
	char oid[OID_BYTES];
	auto_free char *got = NULL;
	auto_buf struct buf deep = BUF_INIT(65536);
	auto_buf struct buf want = BUF_INIT(65536);
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_FILE, "a\nb", "1");
	put(&b, MODE_FILE, "caf\xc3\xa9", "2");
	put(&b, MODE_FILE, "latin\xe9", "3");
	put(&b, MODE_FILE, "sp ace\t\"'\\", "4");
	put(&b, MODE_FILE, "-rf", "5");
	buf_adds(&want, "-rf 644 5\nDockerfile 644 \na\nb 644 1\n"
			"caf\xc3\xa9 644 2\nlatin\xe9 644 3\n");
	for (int i = 0; i < 30; i++) {
		buf_addf(&deep, "long-folder-%02d", i);
		buf_addf(&want, "%s/ 755\n", buf_str(&deep));
		buf_addc(&deep, '/');
	}
	buf_adds(&deep, "end");
	put(&b, MODE_FILE, buf_str(&deep), "6");
	buf_addf(&want, "%s 644 6\nsp ace\t\"'\\ 644 4\n", buf_str(&deep));
	commit(&b, oid);
	got = describe(oid, "Dockerfile");
	assert_string_equal(got, buf_str(&want));
}

/* Whatever the size of the reads, and in another repository's other packs. */
static void equal_trees_give_equal_bytes(void **state)
{
	static const size_t steps[] = { 1, 7, 511, 512, 513, 65536, 1 << 22 };
	char oid[OID_BYTES];
	auto_buf struct buf first = BUF_INIT(0);
	struct buf b;

	(void)state;
	for (int round = 0; round < 2; round++) {
		begin(&b, round ? "one message" : "another message");
		put(&b, MODE_FILE, "Dockerfile", "FROM scratch\n");
		put(&b, MODE_FILE, "sub/file", round ? "old" : "new");
		if (round) {
			/* Another history, and loose objects at the end. */
			commit(&b, oid);
			free(GIT(NOTHING, "repack", "-adq"));
			begin(&b, "third");
			put(&b, MODE_FILE, "Dockerfile", "FROM scratch\n");
			put(&b, MODE_FILE, "sub/file", "new");
		}
		commit(&b, oid);
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			auto_buf struct buf tar = BUF_INIT(0);

			read_context(oid, "Dockerfile", steps[i], &tar, NULL);
			if (first.len == 0)
				buf_swap(&first, &tar);
			else
				assert_true(tar.len == first.len &&
					    memcmp(tar.data, first.data,
						   tar.len) == 0);
		}
		remove_repo(NULL);
		make_repo(NULL);
	}
}

static void big_files_come_whole(void **state)
{
	const size_t size = (20u << 20) + 123;
	auto_buf struct buf content = BUF_INIT(OUT_MAX);
	auto_buf struct buf tar = BUF_INIT(0);
	struct context_stats stats;
	char oid[OID_BYTES];
	struct tar_member m;
	const char *p;
	size_t len;
	struct buf b;
	uint32_t x = 1;

	(void)state;
	while (content.len < size) {
		x = x * 1664525 + 1013904223;
		buf_add(&content, &x, sizeof(x));
	}
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	put_data(&b, MODE_FILE, "big", (struct slice){ content.data, size });
	put(&b, MODE_FILE, "small", "after");
	commit(&b, oid);
	read_context(oid, "Dockerfile", 65536, &tar, &stats);
	assert_int_equal(stats.files, 3);
	p = tar.data;
	len = tar.len;
	assert_int_equal(tar_reader_next(&p, &len, false, &m), 1);
	tar_member_release(&m);
	assert_int_equal(tar_reader_next(&p, &len, false, &m), 1);
	assert_string_equal(m.name, "big");
	assert_int_equal(m.size, size);
	assert_memory_equal(m.data, content.data, size);
	tar_member_release(&m);
	assert_int_equal(tar_reader_next(&p, &len, false, &m), 1);
	assert_memory_equal(m.data, "after", 5);
	tar_member_release(&m);
	assert_int_equal(tar_reader_next(&p, &len, false, &m), 0);
}

/* A reader that goes away in the middle leaves no git behind. */
static void closing_early_is_fine(void **state)
{
	auto_buf struct buf content = BUF_INIT(OUT_MAX);
	auto_free char *chunk = xmalloc(1 << 20);
	struct context *c = NULL;
	char oid[OID_BYTES];
	struct source *s;
	struct error err;
	struct buf b;

	(void)state;
	for (int i = 0; i < 5000000; i++)
		buf_addf(&content, "%d\n", i);
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	put_data(&b, MODE_FILE, "big", buf_slice(&content));
	commit(&b, oid);
	s = open_source(oid);
	assert_int_equal(context_open(s, "Dockerfile", &c, &err), 0);
	assert_int_equal(context_read(c, chunk, 1 << 20, &err), 1 << 20);
	context_close(c);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child left */
	context_close(NULL);
	source_close(s);
	source_close(NULL);
}

static void submodules_are_left_out(void **state)
{
	char oid[OID_BYTES];
	auto_free char *got = NULL;
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	buf_adds(&b, "M " MODE_GIT " " OID_MADE_UP " vendor/lib\n");
	commit(&b, oid);
	got = describe(oid, "Dockerfile");
	assert_string_equal(got, "Dockerfile 644 \nvendor/ 755\n");
}

/* ---- tests: .dockerignore ---- */

static void ignored_files_are_left_out(void **state)
{
	auto_buf struct buf tar = BUF_INIT(0);
	struct context_stats stats;
	auto_free char *got = NULL;
	char oid[OID_BYTES];
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, ".dockerignore", "node_modules\n*.log\nd/*\n");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_FILE, "a.log", "");
	put(&b, MODE_FILE, "d/x", "");
	put(&b, MODE_FILE, "d/y", "");
	put(&b, MODE_FILE, "node_modules/a/b", "");
	put(&b, MODE_FILE, "node_modules/c", "");
	put(&b, MODE_FILE, "sub/a.log", "");
	commit(&b, oid);
	got = describe(oid, "Dockerfile");
	/* "d" itself is not excluded: it stays, empty. */
	assert_string_equal(got, ".dockerignore 644 node_modules\n*.log\nd/*\n"
				 "\nDockerfile 644 \nd/ 755\nsub/ 755\n"
				 "sub/a.log 644 \n");
	read_context(oid, "Dockerfile", 4096, &tar, &stats);
	assert_int_equal(stats.files, 3);
	assert_int_equal(stats.excluded, 4); /* a.log d/x d/y node_modules */
}

static void negation_brings_files_back_with_their_folders(void **state)
{
	auto_free char *got = NULL;
	char oid[OID_BYTES];
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, ".dockerignore", "*\n!a/b/keep*\n!top");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_FILE, "a/b/keep1", "");
	put(&b, MODE_FILE, "a/b/keep2", "");
	put(&b, MODE_FILE, "a/b/other", "");
	put(&b, MODE_FILE, "a/c/x", "");
	put(&b, MODE_FILE, "top/x/y", "");
	put(&b, MODE_FILE, "zero", "");
	commit(&b, oid);
	got = describe(oid, "Dockerfile");
	assert_string_equal(got, ".dockerignore 644 *\n!a/b/keep*\n!top\n"
				 "Dockerfile 644 \na/ 755\na/b/ 755\n"
				 "a/b/keep1 644 \na/b/keep2 644 \n"
				 "top/ 755\ntop/x/ 755\ntop/x/y 644 \n");
}

static void dockerfile_and_ignore_file_are_kept(void **state)
{
	auto_free char *got = NULL;
	char oid[OID_BYTES];
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, ".dockerignore", "**");
	put(&b, MODE_FILE, "build/app/Dockerfile", "F");
	put(&b, MODE_FILE, "build/app/x", "");
	put(&b, MODE_FILE, "build/y", "");
	put(&b, MODE_FILE, "buildx/app/Dockerfile", "");
	commit(&b, oid);
	got = describe(oid, "./build//app/Dockerfile");
	assert_string_equal(got, ".dockerignore 644 **\nbuild/ 755\n"
				 "build/app/ 755\n"
				 "build/app/Dockerfile 644 F\n");
}

static void a_dockerfile_may_have_its_own_ignore_file(void **state)
{
	auto_free char *got = NULL;
	auto_free char *other = NULL;
	char oid[OID_BYTES];
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, ".dockerignore", "a");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_FILE, "a", "");
	put(&b, MODE_FILE, "b", "");
	put(&b, MODE_FILE, "sub/Dockerfile", "");
	put(&b, MODE_FILE, "sub/Dockerfile.dockerignore", "b\nsub");
	commit(&b, oid);
	got = describe(oid, "sub/Dockerfile");
	assert_string_equal(got, ".dockerignore 644 a\nDockerfile 644 \n"
				 "a 644 \nsub/ 755\nsub/Dockerfile 644 \n"
				 "sub/Dockerfile.dockerignore 644 b\nsub\n");
	other = describe(oid, "Dockerfile");
	assert_non_null(strstr(other, "\nb 644"));
	assert_null(strstr(other, "\na 644"));
}

static void wrong_patterns_name_file_line_and_pattern(void **state)
{
	char oid[OID_BYTES];
	struct error err;
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, ".dockerignore", "ok\n[z-a]\n");
	put(&b, MODE_FILE, "Dockerfile", "");
	commit(&b, oid);
	assert_int_equal(open_fails(oid, "Dockerfile", &err), -ERR_INVALID);
	assert_string_equal(
		err.msg,
		".dockerignore: line 2: '[z-a]': syntax error in pattern");
	begin(&b, "m");
	put(&b, MODE_LINK, ".dockerignore", ".gitignore");
	put(&b, MODE_FILE, "Dockerfile", "");
	commit(&b, oid);
	assert_int_equal(open_fails(oid, "Dockerfile", &err), -ERR_INVALID);
}

/* ---- tests: what is refused ---- */

static void a_missing_dockerfile_is_not_found(void **state)
{
	char oid[OID_BYTES];
	struct error err;
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, "dir/x", "");
	commit(&b, oid);
	assert_int_equal(open_fails(oid, "Dockerfile", &err), -ERR_NOTFOUND);
	assert_non_null(strstr(err.msg, "Dockerfile"));
	assert_int_equal(open_fails(oid, "../Dockerfile", &err), -ERR_NOTFOUND);
	assert_int_equal(open_fails(oid, "/Dockerfile", &err), -ERR_NOTFOUND);
	assert_int_equal(open_fails(oid, "", &err), -ERR_NOTFOUND);
	assert_int_equal(open_fails(oid, "dir", &err), -ERR_INVALID);
	/* An empty tree. */
	begin(&b, "m");
	commit(&b, oid);
	assert_int_equal(open_fails(oid, "Dockerfile", &err), -ERR_NOTFOUND);
}

/* A folder that holds itself cannot be, but one in one in one can. */
static void nesting_is_bounded(void **state)
{
	auto_buf struct buf path = BUF_INIT(65536);
	char oid[OID_BYTES];
	struct source *s;
	struct context *c = NULL;
	struct error err;
	struct buf b;

	(void)state;
	for (int i = 0; i < 256; i++)
		buf_adds(&path, "d/");
	buf_adds(&path, "f");
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_FILE, buf_str(&path), "");
	commit(&b, oid);
	s = open_source(oid);
	assert_int_equal(context_open(s, "Dockerfile", &c, &err), 0);
	context_close(c);
	source_close(s);
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	path.len--;
	buf_adds(&path, "d/f");
	put(&b, MODE_FILE, buf_str(&path), "");
	commit(&b, oid);
	assert_int_equal(open_fails(oid, "Dockerfile", &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "'d/d/d"));
}

static void paths_are_bounded(void **state)
{
	auto_buf struct buf path = BUF_INIT(65536);
	char oid[OID_BYTES];
	struct error err;
	struct buf b;

	(void)state;
	while (path.len < 4096)
		buf_adds(&path, "a-folder-with-a-rather-long-name-to-it/");
	buf_adds(&path, "f");
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_FILE, buf_str(&path), "");
	commit(&b, oid);
	assert_int_equal(open_fails(oid, "Dockerfile", &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "a-folder-with"));
}

static void link_targets_are_bounded(void **state)
{
	auto_buf struct buf target = BUF_INIT(65536);
	char oid[OID_BYTES];
	struct error err;
	struct buf b;

	(void)state;
	while (target.len < 5000)
		buf_adds(&target, "../");
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_LINK, "long-link", buf_str(&target));
	commit(&b, oid);
	assert_int_equal(open_fails(oid, "Dockerfile", &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "long-link"));
}

/* Ten folders of ten folders of ... of ten files: 10^8 files in 3 kB. */
static void bombs_of_trees_are_bounded(void **state)
{
	auto_free char *blob = GIT(NOTHING, "hash-object", "-w", "--stdin");
	auto_buf struct buf top = BUF_INIT(65536);
	auto_free char *below = xasprintf(MODE_FILE " blob %s", blob);
	char *tree = NULL;
	auto_free char *id = NULL;
	struct error err;

	(void)state;
	for (int level = 0; level < 8; level++) {
		auto_buf struct buf list = BUF_INIT(65536);

		for (int i = 0; i < 10; i++)
			buf_addf(&list, "%s\tn%d\n", below, i);
		free(tree);
		tree = GIT(buf_slice(&list), "mktree");
		free(below);
		below = xasprintf("040000 tree %s", tree);
	}
	buf_addf(&top, "%s\tbomb\n" MODE_FILE " blob %s\tDockerfile\n", below,
		 blob);
	free(tree);
	tree = GIT(buf_slice(&top), "mktree");
	id = GIT(NOTHING, "commit-tree", "-m", "m", tree);
	free(tree);
	assert_int_equal(open_fails(id, "Dockerfile", &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "1000000"));
}

/*
 * A loose object whose header says 8 GiB; nobody gets to see that the rest is
 * missing, for the size is looked at first.
 */
static void files_over_8_gib_are_refused_before_the_stream(void **state)
{
	static const char script[] =
		"import os, sys, zlib\n"
		"d = sys.argv[1] + '/objects/12'\n"
		"os.makedirs(d, exist_ok=True)\n"
		"open(d + '/34567890123456789012345678901234567890', 'wb')"
		".write(zlib.compress(b'blob 8589934592\\0' + bytes(4096)))\n";
	const char *const python[] = { "/usr/bin/python3", "-c", script, repo,
				       NULL };
	auto_free char *blob = GIT(NOTHING, "hash-object", "-w", "--stdin");
	auto_buf struct buf list = BUF_INIT(65536);
	auto_free char *tree = NULL;
	auto_free char *id = NULL;
	struct error err;

	(void)state;
	run(python);
	buf_addf(&list,
		 MODE_FILE " blob %s\tDockerfile\n" MODE_FILE
			   " blob " OID_MADE_UP "\tmodel.bin\n",
		 blob);
	tree = GIT(buf_slice(&list), "mktree");
	id = GIT(NOTHING, "commit-tree", "-m", "m", tree);
	assert_int_equal(open_fails(id, "Dockerfile", &err), -ERR_LIMIT);
	assert_string_equal(err.msg, "'model.bin' is larger than 8 GiB");
}

static void missing_objects_are_told_before_the_stream(void **state)
{
	auto_buf struct buf list = BUF_INIT(65536);
	auto_free char *blob = GIT(NOTHING, "hash-object", "-w", "--stdin");
	auto_free char *tree = NULL;
	auto_free char *id = NULL;
	struct error err;

	(void)state;
	buf_addf(&list,
		 MODE_FILE " blob %s\tDockerfile\n" MODE_FILE
			   " blob " OID_MADE_UP "\tgone\n",
		 blob);
	tree = GIT(buf_slice(&list), "mktree", "--missing");
	id = GIT(NOTHING, "commit-tree", "-m", "m", tree);
	assert_int_equal(open_fails(id, "Dockerfile", &err), -ERR_INVALID);
	assert_non_null(strstr(err.msg, "gone"));
}

/* Names that git's own checks refuse, should they ever get past them. */
static void unsafe_names_are_refused(void **state)
{
	static const char *const names[] = { "..", ".", "a/b" };
	auto_free char *blob = GIT(NOTHING, "hash-object", "-w", "--stdin");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_buf struct buf raw = BUF_INIT(65536);
		auto_free char *tree = NULL;
		auto_free char *id = NULL;
		struct error err;

		/* Sorted: "." < ".." < "Dockerfile" < "a/b". */
		for (int half = 0; half < 2; half++) {
			bool is_name = (half == 0) == (names[i][0] == '.');

			buf_addf(&raw, "100644 %s",
				 is_name ? names[i] : "Dockerfile");
			buf_addc(&raw, '\0');
			for (int k = 0; k < 40; k += 2) {
				char two[3] = { blob[k], blob[k + 1], '\0' };

				buf_addc(&raw, (char)strtoul(two, NULL, 16));
			}
		}
		tree = GIT(buf_slice(&raw), "hash-object", "-w", "--stdin",
			   "-t", "tree", "--literally");
		id = GIT(NOTHING, "commit-tree", "-m", "m", tree);
		assert_int_equal(open_fails(id, "Dockerfile", &err),
				 -ERR_INVALID);
	}
}

/* ---- tests: gaps ---- */

#define POINTER                                                                \
	"version https://git-lfs.github.com/spec/v1\n"                         \
	"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24"  \
	"d17e2393\nsize 12345\n"

static void add_gap(void *ctx, enum source_gap gap, const char *path)
{
	buf_addf(ctx, "%s:%s\n", gap == SOURCE_SUBMODULE ? "sub" : "lfs", path);
}

static void check_gaps(const char *oid, int limit, const char *want)
{
	auto_buf struct buf got = BUF_INIT(65536);
	struct source *s = open_source(oid);
	struct error err;

	assert_int_equal(source_gaps(s, limit, add_gap, &got, &err), 0);
	assert_string_equal(buf_str(&got), want);
	source_close(s);
}

static void submodules_and_lfs_pointers_are_told(void **state)
{
	char oid[OID_BYTES];
	struct buf b;

	(void)state;
	begin(&b, "m");
	put(&b, MODE_FILE, "Dockerfile", "");
	put(&b, MODE_FILE, "a/b/model.bin", POINTER);
	put(&b, MODE_EXEC, "a/tool", POINTER);
	put(&b, MODE_LINK, "link", POINTER);
	put(&b, MODE_FILE, "short",
	    "version https://git-lfs.github.com/spec/v1\n");
	put(&b, MODE_FILE, "spec.md", "about " POINTER);
	buf_adds(&b, "M " MODE_GIT " " OID_MADE_UP " vendor/lib\n");
	commit(&b, oid);
	check_gaps(oid, 10, "lfs:a/b/model.bin\nlfs:a/tool\nsub:vendor/lib\n");
	check_gaps(oid, 2, "lfs:a/b/model.bin\nlfs:a/tool\n");
	check_gaps(oid, 0, "");
}

/* Few files are looked at, unless attributes say that LFS is in use. */
static void attributes_make_the_search_longer(void **state)
{
	char oid[OID_BYTES];

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct buf b;

		begin(&b, "m");
		for (int i = 0; i < 3000; i++) {
			auto_free char *path = xasprintf("src/f%d", i);

			put(&b, MODE_FILE, path, "x");
		}
		put(&b, MODE_FILE, "zzz/model.bin", POINTER);
		if (round)
			put(&b, MODE_FILE, "src/.gitattributes",
			    "*.bin filter=lfs diff=lfs merge=lfs -text\n");
		commit(&b, oid);
		check_gaps(oid, 10, round ? "lfs:zzz/model.bin\n" : "");
	}
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_repo, remove_repo)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commits_and_tags_open),
		TEST(long_subjects_are_cut_between_characters),
		TEST(other_objects_are_refused),
		TEST(files_are_read),
		TEST(modes_links_and_folders),
		TEST(names_of_all_kinds),
		TEST(equal_trees_give_equal_bytes),
		TEST(big_files_come_whole),
		TEST(closing_early_is_fine),
		TEST(submodules_are_left_out),
		TEST(ignored_files_are_left_out),
		TEST(negation_brings_files_back_with_their_folders),
		TEST(dockerfile_and_ignore_file_are_kept),
		TEST(a_dockerfile_may_have_its_own_ignore_file),
		TEST(wrong_patterns_name_file_line_and_pattern),
		TEST(a_missing_dockerfile_is_not_found),
		TEST(nesting_is_bounded),
		TEST(paths_are_bounded),
		TEST(link_targets_are_bounded),
		TEST(bombs_of_trees_are_bounded),
		TEST(files_over_8_gib_are_refused_before_the_stream),
		TEST(missing_objects_are_told_before_the_stream),
		TEST(unsafe_names_are_refused),
		TEST(submodules_and_lfs_pointers_are_told),
		TEST(attributes_make_the_search_longer),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
