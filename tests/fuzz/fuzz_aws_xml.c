/* builder/aws/aws_query.h: XML replies, and what they say sent back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "builder/aws/aws_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int depth_of(const json_t *value)
{
	const char *key;
	const json_t *item;
	size_t i;
	int deepest = 0;

	json_object_foreach((json_t *)value, key, item)
	{
		int depth = depth_of(item);

		deepest = depth > deepest ? depth : deepest;
	}
	json_array_foreach(value, i, item)
	{
		int depth = depth_of(item);

		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice xml = { (const char *)data, size };
	auto_buf struct buf form = BUF_INIT(1 << 16);
	json_auto_t *doc = NULL;
	struct error err;

	if (aws_xml_read(xml, &doc, &err) < 0) {
		if (doc || err.code != ERR_PROTO)
			abort();
		return 0;
	}
	if (!doc || depth_of(doc) > AWS_XML_DEPTH_MAX + 1)
		abort();
	if (aws_query_encode("Op", "V", doc, &form, &err) == 0 &&
	    form.len < sizeof("Action=Op&Version=V") - 1)
		abort();
	return 0;
}
