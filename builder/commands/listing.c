#include "builder/commands/listing.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

#define CELL_MAX    400
#define COLUMNS_MAX 16
#define COMMIT_LEN  7
#define GAP	    "  "

static void add_string(struct buf *b, const json_t *value, size_t max)
{
	struct slice text = { json_string_value(value),
			      json_string_length(value) };

	if (text.len > max)
		text.len = max;
	text_add_line(b, text, CELL_MAX);
}

static void add_value(struct buf *b, const json_t *value, enum column_kind kind)
{
	if (json_is_string(value)) {
		add_string(b, value,
			   kind == COLUMN_COMMIT ? COMMIT_LEN : SIZE_MAX);
	} else if (json_is_integer(value)) {
		json_int_t n = json_integer_value(value);

		if (kind == COLUMN_TEXT)
			buf_addf(b, "%lld", (long long)n);
		else if (n > 0 && kind == COLUMN_VERSION)
			buf_addf(b, "v%lld", (long long)n);
		else if (n > 0 && kind == COLUMN_DURATION)
			text_add_duration(b, n);
	} else if (json_is_boolean(value)) {
		buf_adds(b, json_is_true(value) ? "yes" : "no");
	}
	if (b->len == 0)
		buf_adds(b, "-");
}

/* Columns on the screen: code points, which is right for all we list. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void add_padded(struct buf *out, const char *text, size_t to)
{
	buf_adds(out, text);
	for (size_t n = width(text); n < to; n++)
		buf_addc(out, ' ');
}

static void widen(size_t *to, const char *text)
{
	size_t n = width(text);

	if (n > *to)
		*to = n;
}

static void cell(const json_t *row, const struct column *column, struct buf *b)
{
	buf_reset(b);
	add_value(b, json_object_get(row, column->key), column->kind);
}

void listing_table(const json_t *rows, const struct column *columns,
		   bool with_header, struct buf *out)
{
	struct buf b = BUF_INIT(CELL_MAX * 4);
	size_t widths[COLUMNS_MAX] = { 0 };
	size_t count = 0;
	json_t *row;
	size_t i;

	while (count < COLUMNS_MAX && columns[count].title)
		count++;
	for (size_t c = 0; c < count; c++) {
		if (with_header)
			widen(&widths[c], columns[c].title);
		json_array_foreach(rows, i, row)
		{
			cell(row, &columns[c], &b);
			widen(&widths[c], buf_str(&b));
		}
	}
	/* The last one is not padded: no spaces at line ends. */
	if (count > 0)
		widths[count - 1] = 0;
	for (size_t c = 0; with_header && c < count; c++) {
		add_padded(out, columns[c].title, widths[c]);
		buf_adds(out, c + 1 < count ? GAP : "\n");
	}
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < count; c++) {
			cell(row, &columns[c], &b);
			add_padded(out, buf_str(&b), widths[c]);
			buf_adds(out, c + 1 < count ? GAP : "\n");
		}
	}
	buf_release(&b);
}

void listing_fields(const json_t *object, const struct column *columns,
		    struct buf *out)
{
	struct buf b = BUF_INIT(CELL_MAX * 4);
	size_t to = 0;

	for (const struct column *c = columns; c->title; c++)
		widen(&to, c->title);
	for (const struct column *c = columns; c->title; c++) {
		buf_adds(out, c->title);
		buf_addc(out, ':');
		for (size_t n = width(c->title); n < to; n++)
			buf_addc(out, ' ');
		cell(object, c, &b);
		buf_adds(out, GAP);
		buf_adds(out, buf_str(&b));
		buf_addc(out, '\n');
	}
	buf_release(&b);
}

json_t *listing_time(int64_t unix_s)
{
	char text[32];

	if (unix_s == 0)
		return json_null();
	text_utc(unix_s, text, sizeof(text));
	return json_string(text);
}

json_t *listing_text(const char *text)
{
	if (!text || !*text)
		return json_null();
	return json_string_safe(text, strlen(text));
}
