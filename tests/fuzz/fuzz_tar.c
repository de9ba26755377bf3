/*
 * A name, a target and a size, as "TYPE SIZE\nNAME\0TARGET": refused, or a
 * header that is read back as the same.
 */
#include "builder/source/tar.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "tests/unit/tar_reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tar_entry *e, const struct buf *out)
{
	static const char types[] = { '0', '5', '2' };
	const char *p = out->data;
	size_t len = out->len;
	struct tar_member m;
	size_t name_len = strlen(e->name);

	if (out->len % TAR_BLOCK || out->len > TAR_HEADER_MAX)
		abort();
	if (tar_reader_next(&p, &len, true, &m) != 1 || len != 0)
		abort();
	if (strncmp(m.name, e->name, name_len) != 0 ||
	    strcmp(m.name + name_len, e->type == TAR_FOLDER ? "/" : "") != 0)
		abort();
	if (strcmp(m.link, e->link ? e->link : "") != 0)
		abort();
	if (m.type != types[e->type] ||
	    m.size != (e->type == TAR_FILE ? e->size : 0))
		abort();
	tar_member_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf out = BUF_INIT(TAR_HEADER_MAX);
	struct slice rest = { (const char *)data, size };
	struct tar_entry e = { .mode = 0644 };
	auto_free char *head = NULL;
	auto_free char *name = NULL;
	auto_free char *link = NULL;
	struct error err = ERROR_INIT;
	struct slice line;
	size_t name_len;

	if (!slice_line(&rest, &line) || line.len < 3)
		return 0;
	head = slice_dup(line);
	e.type = head[0] == '2'	  ? TAR_SYMLINK
		 : head[0] == '5' ? TAR_FOLDER
				  : TAR_FILE;
	e.size = strtoull(head + 2, NULL, 0);
	name = slice_dup(rest);
	name_len = strlen(name);
	if (name_len == 0 || name[name_len - 1] == '/')
		return 0; /* not allowed by the contract */
	if (e.type == TAR_SYMLINK) {
		size_t skip = name_len < rest.len ? name_len + 1 : rest.len;

		link = slice_dup(
			(struct slice){ rest.ptr + skip, rest.len - skip });
	}
	e.name = name;
	e.link = link;
	if (tar_add_header(&out, &e, &err) == 0)
		check(&e, &out);
	else if (out.len != 0)
		abort();
	return 0;
}
