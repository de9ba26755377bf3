#include "builder/source/tar.h"

#include "base/buf.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 100

/* The ustar header of pax(1). */
struct header {
	char name[NAME_MAX_BYTES];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char chksum[8];
	char typeflag;
	char linkname[NAME_MAX_BYTES];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[155];
	char pad[12];
};

_Static_assert(sizeof(struct header) == TAR_BLOCK, "ustar header");

static void put_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = '\0';
	for (size_t i = size - 1; i > 0; i--) {
		field[i - 1] = (char)('0' + (value & 7));
		value >>= 3;
	}
}

static bool fits(const char *text)
{
	size_t len = strlen(text);

	if (len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

/* As much of it as the field takes. */
static void put_name(char *field, const char *text)
{
	memcpy(field, text, strnlen(text, NAME_MAX_BYTES));
}

static void add_block(struct buf *out, const char *name, const char *link,
		      char type, unsigned mode, uint64_t size)
{
	struct header h;
	unsigned sum = 0;

	memset(&h, 0, sizeof(h));
	put_name(h.name, name);
	if (link)
		put_name(h.linkname, link);
	put_octal(h.mode, sizeof(h.mode), mode);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), size);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	h.typeflag = type;
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	put_octal(h.devmajor, sizeof(h.devmajor), 0);
	put_octal(h.devminor, sizeof(h.devminor), 0);
	memset(h.chksum, ' ', sizeof(h.chksum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((const unsigned char *)&h)[i];
	put_octal(h.chksum, 7, sum);
	buf_add(out, &h, sizeof(h));
}

/* "LENGTH key=value\n", the length counting itself. */
static void add_record(struct buf *records, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3; /* " ", "=", LF */
	size_t len = rest + 1;

	for (size_t power = 10; len >= power; power *= 10)
		len = rest + (size_t)snprintf(NULL, 0, "%zu", len);
	if (rest + (size_t)snprintf(NULL, 0, "%zu", len) != len)
		len++;
	buf_addf(records, "%zu %s=%s\n", len, key, value);
}

static void add_zeros(struct buf *out, size_t count)
{
	static const char zeros[TAR_BLOCK];

	while (count) {
		size_t n = count < TAR_BLOCK ? count : TAR_BLOCK;

		buf_add(out, zeros, n);
		count -= n;
	}
}

static void add_pax(struct buf *out, const struct tar_entry *e)
{
	auto_buf struct buf records = BUF_INIT(1 << 20);

	if (!fits(e->name))
		add_record(&records, "path", e->name);
	if (e->link && !fits(e->link))
		add_record(&records, "linkpath", e->link);
	if (records.len == 0)
		return;
	add_block(out, "pax", NULL, 'x', 0644, records.len);
	buf_add(out, records.data, records.len);
	add_zeros(out, tar_padding(records.len));
}

int tar_add_header(struct buf *out, const struct tar_entry *e,
		   struct error *err)
{
	if (e->size > TAR_SIZE_MAX)
		return err_set(err, ERR_LIMIT, "'%.300s' is larger than 8 GiB",
			       e->name);
	add_pax(out, e);
	if (e->type == TAR_SYMLINK)
		add_block(out, e->name, e->link, '2', 0777, 0);
	else
		add_block(out, e->name, NULL, '0', e->mode, e->size);
	return buf_check(out, "tar header", err);
}

void tar_add_end(struct buf *out)
{
	add_zeros(out, 2 * TAR_BLOCK);
}
