/* builder/source/tar.h: what is written is read back, also by GNU tar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/proc.h"
#include "builder/source/tar.h"
#include "tests/unit/tar_reader.h"

#define OUT_MAX (16 << 20)

/* `count` times "name/", then "end" */
static char *long_name(const char *part, int count, const char *end)
{
	auto_buf struct buf b = BUF_INIT(OUT_MAX);

	for (int i = 0; i < count; i++)
		buf_adds(&b, part);
	buf_adds(&b, end);
	return buf_detach(&b);
}

/* Write a header, read it back, compare; returns how many bytes it took. */
static size_t check(enum tar_type type, const char *name, const char *link,
		    uint64_t size)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct tar_entry e = { type, name, link, 0755, size };
	struct tar_member m;
	struct error err;
	const char *p;
	size_t len;

	assert_int_equal(tar_add_header(&out, &e, &err), 0);
	assert_int_equal(out.len % TAR_BLOCK, 0);
	assert_true(out.len <= TAR_HEADER_MAX);
	p = out.data;
	len = out.len;
	assert_int_equal(tar_reader_next(&p, &len, true, &m), 1);
	assert_int_equal(len, 0);
	if (type == TAR_FOLDER) {
		assert_int_equal(m.name[strlen(m.name) - 1], '/');
		m.name[strlen(m.name) - 1] = '\0';
	}
	assert_string_equal(m.name, name);
	assert_string_equal(m.link, link ? link : "");
	assert_int_equal(m.type, type == TAR_FILE     ? '0'
				 : type == TAR_FOLDER ? '5'
						      : '2');
	assert_int_equal(m.mode, 0755);
	assert_int_equal(m.size, type == TAR_FILE ? size : 0);
	tar_member_release(&m);
	return out.len;
}

static void short_names_take_one_block(void **state)
{
	(void)state;
	assert_int_equal(check(TAR_FILE, "a", NULL, 0), TAR_BLOCK);
	assert_int_equal(check(TAR_FILE, "a b\nc\td'\"\\", NULL, 1), TAR_BLOCK);
	assert_int_equal(check(TAR_FOLDER, "dir/sub", NULL, 0), TAR_BLOCK);
	assert_int_equal(check(TAR_SYMLINK, "l", "../x", 0), TAR_BLOCK);
	assert_int_equal(check(TAR_SYMLINK, "l", "", 0), TAR_BLOCK);
}

/* Every length around the edges of the two fields, cut at every place. */
static void names_of_every_length_come_back(void **state)
{
	(void)state;
	for (size_t len = 1; len < 300; len++) {
		auto_free char *name = xcalloc(1, len + 1);

		memset(name, 'n', len);
		check(TAR_FILE, name, NULL, 0);
		check(TAR_FOLDER, name, NULL, 0);
		check(TAR_SYMLINK, "l", name, 0);
		for (size_t cut = 1; cut + 1 < len; cut += 7) {
			name[cut] = '/';
			check(TAR_FILE, name, NULL, 0);
			check(TAR_FOLDER, name, NULL, 0);
			name[cut] = 'n';
		}
	}
}

static void names_over_100_bytes_are_split_where_they_can(void **state)
{
	auto_free char *split = long_name("0123456789/", 20, "end");
	auto_free char *whole = long_name("0123456789", 10, "x");

	(void)state;
	assert_int_equal(strlen(split), 223);
	assert_int_equal(check(TAR_FILE, split, NULL, 5), TAR_BLOCK);
	assert_int_equal(strlen(whole), 101);
	assert_int_equal(check(TAR_FILE, whole, NULL, 5), 3 * TAR_BLOCK);
}

static void longer_names_get_a_record(void **state)
{
	auto_free char *path = long_name("folder/", 100, "file");
	auto_free char *name = long_name("0123456789", 26, "");
	auto_free char *huge = long_name("0123456789abcdef", 4096, "");

	(void)state;
	assert_int_equal(check(TAR_FILE, path, NULL, 0), 4 * TAR_BLOCK);
	check(TAR_FILE, name, NULL, 0);
	check(TAR_FOLDER, name, NULL, 0);
	check(TAR_SYMLINK, name, path, 0);
	assert_int_equal(strlen(huge), TAR_NAME_MAX);
	check(TAR_FILE, huge, NULL, 0);
	check(TAR_SYMLINK, huge, huge, 0);
}

/* The length of a record counts its own digits: 9/10, 99/100, 999/1000. */
static void record_lengths_are_right_at_every_digit(void **state)
{
	(void)state;
	for (size_t len = 101; len < 1100; len++) {
		auto_free char *name = xcalloc(1, len + 1);

		memset(name, 'n', len);
		check(TAR_FILE, name, NULL, 0);
	}
}

static void other_alphabets_get_a_record(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct tar_entry e = { TAR_FILE, "na\xc3\xafve.txt", NULL, 0644, 0 };
	struct error err;

	(void)state;
	check(TAR_FILE, "\xc3\xa9t\xc3\xa9/\xe6\x97\xa5\xe6\x9c\xac", NULL, 3);
	check(TAR_SYMLINK, "l", "\xc3\xa9", 0);
	assert_int_equal(tar_add_header(&out, &e, &err), 0);
	assert_non_null(memmem(out.data, out.len, "19 path=na", 10));
}

static void bytes_that_are_not_utf8_are_kept(void **state)
{
	auto_free char *path = long_name("\xe9/", 200, "\xff");

	(void)state;
	assert_int_equal(check(TAR_FILE, "latin-\xe9", NULL, 0), TAR_BLOCK);
	assert_int_equal(check(TAR_SYMLINK, "l", "\xff", 0), TAR_BLOCK);
	check(TAR_FILE, path, NULL, 0);
	check(TAR_SYMLINK, "l", path, 0);
}

static void files_over_8_gib_are_refused_by_name(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct tar_entry e = { TAR_FILE, "models/big.bin", NULL, 0644,
			       UINT64_C(8) << 30 };
	struct error err;

	(void)state;
	assert_int_equal(tar_add_header(&out, &e, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "models/big.bin"));
	assert_non_null(strstr(err.msg, "8 GiB"));
	assert_int_equal(out.len, 0);
	check(TAR_FILE, "models/big.bin", NULL, (UINT64_C(8) << 30) - 1);
}

static void names_over_the_maximum_are_refused(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	auto_free char *huge = long_name("0123456789abcdef", 4096, "!");
	struct tar_entry name = { TAR_FILE, huge, NULL, 0644, 0 };
	struct tar_entry link = { TAR_SYMLINK, "l", huge, 0777, 0 };
	struct error err;

	(void)state;
	assert_int_equal(tar_add_header(&out, &name, &err), -ERR_LIMIT);
	assert_int_equal(tar_add_header(&out, &link, &err), -ERR_LIMIT);
	assert_int_equal(out.len, 0);
}

static void padding_fills_a_block(void **state)
{
	(void)state;
	assert_int_equal(tar_padding(0), 0);
	assert_int_equal(tar_padding(1), 511);
	assert_int_equal(tar_padding(511), 1);
	assert_int_equal(tar_padding(512), 0);
	assert_int_equal(tar_padding(TAR_SIZE_MAX), 1);
}

static void add(struct buf *out, enum tar_type type, const char *name,
		const char *link, const char *content)
{
	struct tar_entry e = { type, name, link, 0644, strlen(content) };
	struct error err;
	static const char zeros[TAR_BLOCK];

	assert_int_equal(tar_add_header(out, &e, &err), 0);
	buf_adds(out, content);
	buf_add(out, zeros, tar_padding(strlen(content)));
}

/* What `program` lists for the archive. */
static char *listed_by(const char *const *argv, const struct buf *archive)
{
	struct proc_spec spec = { .path = argv[0], .argv = argv };
	struct buf out = BUF_INIT(OUT_MAX);
	auto_buf struct buf errors = BUF_INIT(65536);
	struct error err;
	int r = proc_run(&spec, buf_slice(archive), &out, &errors, 30000, &err);

	if (r != 0 || errors.len)
		print_error("%s: %d %s\n", argv[0], r, buf_str(&errors));
	assert_int_equal(r, 0);
	assert_int_equal(errors.len, 0);
	return buf_detach(&out);
}

static void other_programs_read_it(void **state)
{
	static const char script[] =
		"import os, sys, tarfile\n"
		"t = tarfile.open(fileobj=sys.stdin.buffer, mode='r|')\n"
		"for m in t:\n"
		"    d = t.extractfile(m).read() if m.isreg() else b''\n"
		"    n = m.name + ('/' if m.isdir() else '')\n"
		"    sys.stdout.buffer.write(os.fsencode(n) + b'\\n')\n"
		"    assert m.mtime == m.uid == m.gid == 0\n"
		"    assert d == (b'content' if m.isreg() else b'')\n"
		"    assert m.linkname in ('', 'target')\n";
	static const char *const gnu[] = { "tar", "tf", "-",
					   "--quoting-style=literal", NULL };
	static const char *const python[] = { "/usr/bin/python3", "-c", script,
					      NULL };
	auto_buf struct buf archive = BUF_INIT(OUT_MAX);
	auto_buf struct buf names = BUF_INIT(OUT_MAX);
	auto_free char *path = long_name("folder/", 100, "file");
	const char *const files[] = { "a", path, "\xc3\xa9.txt", "latin-\xe9",
				      NULL };
	auto_free char *by_gnu = NULL;
	auto_free char *by_python = NULL;

	(void)state;
	add(&archive, TAR_FOLDER, "dir", NULL, "");
	buf_adds(&names, "dir/\n");
	for (size_t i = 0; files[i]; i++) {
		add(&archive, TAR_FILE, files[i], NULL, "content");
		buf_addf(&names, "%s\n", files[i]);
	}
	add(&archive, TAR_SYMLINK, "link", "target", "");
	buf_adds(&names, "link\n");
	tar_add_end(&archive);
	by_gnu = listed_by(gnu, &archive);
	assert_string_equal(by_gnu, buf_str(&names));
	by_python = listed_by(python, &archive);
	assert_string_equal(by_python, buf_str(&names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_names_take_one_block),
		cmocka_unit_test(names_of_every_length_come_back),
		cmocka_unit_test(names_over_100_bytes_are_split_where_they_can),
		cmocka_unit_test(longer_names_get_a_record),
		cmocka_unit_test(record_lengths_are_right_at_every_digit),
		cmocka_unit_test(other_alphabets_get_a_record),
		cmocka_unit_test(bytes_that_are_not_utf8_are_kept),
		cmocka_unit_test(files_over_8_gib_are_refused_by_name),
		cmocka_unit_test(names_over_the_maximum_are_refused),
		cmocka_unit_test(padding_fills_a_block),
		cmocka_unit_test(other_programs_read_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
