#include "builder/source/tar.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_FIELD   100
#define PREFIX_FIELD 155

/* The ustar header of pax(1). */
struct header {
	char name[NAME_FIELD];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char chksum[8];
	char typeflag;
	char linkname[NAME_FIELD];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[PREFIX_FIELD];
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

static void put_text(char *field, size_t size, struct slice text)
{
	memcpy(field, text.ptr, text.len < size ? text.len : size);
}

/*
 * May it stand in a header as it is?  Records are for UTF-8: bytes that are
 * none are better off in the header, where readers take them as they are.
 */
static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return !text_is_utf8(s);
	return true;
}

/*
 * Share a name out over the two fields of a header, the second one taking as
 * much as it can.  False when it must be in a pax record.
 */
static bool split_name(struct slice name, struct slice *ret_prefix,
		       struct slice *ret_name)
{
	size_t cut = PREFIX_FIELD;

	*ret_prefix = (struct slice){ "", 0 };
	*ret_name = name;
	if (!is_plain(name))
		return false;
	if (name.len <= NAME_FIELD)
		return true;
	if (cut > name.len - 2) /* something is left behind the slash */
		cut = name.len - 2;
	while (cut > 0 && name.ptr[cut] != '/')
		cut--;
	if (cut == 0 || name.len - cut - 1 > NAME_FIELD)
		return false;
	*ret_prefix = (struct slice){ name.ptr, cut };
	*ret_name = (struct slice){ name.ptr + cut + 1, name.len - cut - 1 };
	return true;
}

static bool link_fits(struct slice link)
{
	return link.len <= NAME_FIELD && is_plain(link);
}

static void put_checksum(struct header *h)
{
	unsigned sum = 0;

	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	put_octal(h->chksum, 7, sum);
}

static void add_block(struct buf *out, struct slice name, struct slice link,
		      char type, unsigned mode, uint64_t size)
{
	struct header h;
	struct slice prefix;

	memset(&h, 0, sizeof(h));
	split_name(name, &prefix, &name);
	put_text(h.name, sizeof(h.name), name);
	put_text(h.prefix, sizeof(h.prefix), prefix);
	put_text(h.linkname, sizeof(h.linkname), link);
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
	put_checksum(&h);
	buf_add(out, &h, sizeof(h));
}

static size_t digits(size_t n)
{
	size_t count = 1;

	while (n >= 10) {
		n /= 10;
		count++;
	}
	return count;
}

/* "LENGTH key=value\n", the length counting its own digits. */
static void add_record(struct buf *records, const char *key, struct slice value)
{
	size_t rest = strlen(key) + value.len + 3; /* " ", "=", LF */
	size_t len = rest + digits(rest);

	/* One digit more may be needed for the digits themselves. */
	len = rest + digits(len);
	buf_addf(records, "%zu %s=", len, key);
	buf_add(records, value.ptr, value.len);
	buf_addc(records, '\n');
}

static void add_zeros(struct buf *out, size_t count)
{
	static const char zeros[2 * TAR_BLOCK];

	buf_add(out, zeros, count);
}

/* A header block of its own, before the entry's, with what does not fit. */
static void add_pax(struct buf *out, struct slice name, struct slice link)
{
	auto_buf struct buf records = BUF_INIT(TAR_HEADER_MAX);
	struct slice prefix;
	struct slice last;
	bool has_path = !split_name(name, &prefix, &last);
	bool has_link = !link_fits(link);

	if (!has_path && !has_link)
		return;
	if (has_path)
		add_record(&records, "path", name);
	if (has_link)
		add_record(&records, "linkpath", link);
	add_block(out, slice_str("pax_header"), (struct slice){ "", 0 }, 'x',
		  0644, records.len);
	buf_add(out, records.data, records.len);
	add_zeros(out, tar_padding(records.len));
}

int tar_add_header(struct buf *out, const struct tar_entry *e,
		   struct error *err)
{
	static const char types[] = {
		[TAR_FILE] = '0', [TAR_FOLDER] = '5', [TAR_SYMLINK] = '2'
	};
	auto_buf struct buf folder = BUF_INIT(TAR_NAME_MAX + 1);
	struct slice name = slice_str(e->name);
	struct slice link = slice_str(e->link ? e->link : "");
	uint64_t size = e->type == TAR_FILE ? e->size : 0;

	if (size > TAR_SIZE_MAX)
		return err_set(err, ERR_LIMIT, "'%.300s' is larger than 8 GiB",
			       e->name);
	if (name.len > TAR_NAME_MAX || link.len > TAR_NAME_MAX)
		return err_set(err, ERR_LIMIT,
			       "'%.300s': name or target is longer than %d "
			       "bytes",
			       e->name, TAR_NAME_MAX);
	if (e->type == TAR_FOLDER) {
		buf_add(&folder, name.ptr, name.len);
		buf_addc(&folder, '/');
		name = buf_slice(&folder);
	}
	add_pax(out, name, link);
	add_block(out, name, link, types[e->type], e->mode, size);
	return buf_check(out, "tar header", err);
}

void tar_add_end(struct buf *out)
{
	add_zeros(out, 2 * TAR_BLOCK);
}
