/* Any bytes as a Procfile: refused, or entries that say the same when they are
 * written out and read again. */
#include "builder/source/procfile.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf text = BUF_INIT(TEXT_MAX);
	struct procfile first = { NULL, 0 };
	struct procfile again = { NULL, 0 };
	struct error err = ERROR_INIT;

	if (procfile_parse((struct slice){ (const char *)data, size }, &first,
			   &err) < 0)
		return 0;
	if (first.count > PROCFILE_ENTRIES_MAX)
		abort();
	for (size_t i = 0; i < first.count; i++)
		buf_addf(&text, "%s: %s\n", first.entries[i].name,
			 first.entries[i].command);
	if (procfile_parse(buf_slice(&text), &again, &err) < 0 ||
	    first.count != again.count)
		abort();
	for (size_t i = 0; i < first.count; i++)
		if (strcmp(first.entries[i].name, again.entries[i].name) != 0 ||
		    strcmp(first.entries[i].command,
			   again.entries[i].command) != 0)
			abort();
	procfile_release(&first);
	procfile_release(&again);
	return 0;
}
