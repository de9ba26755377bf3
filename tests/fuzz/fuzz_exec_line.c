/* Any bytes as a command line: no crash, and what comes out keeps its word. */
#include "receiver/exec_line.h"

#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_app(const struct exec_line *e)
{
	if (!e->app[0] || strchr(e->app, '/') || e->app[0] == '.' ||
	    e->app[0] == '-')
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct exec_line e;
	struct error err;
	char *text;

	if (exec_line_parse((struct slice){ (const char *)data, size }, &e,
			    &err) == 0) {
		if (e.argc > EXEC_WORDS_MAX || e.argv[e.argc] ||
		    (e.argc == 0) != (e.kind == EXEC_NOTHING))
			abort();
		if (e.kind == EXEC_RECEIVE_PACK || e.kind == EXEC_UPLOAD_PACK ||
		    e.kind == EXEC_UPLOAD_ARCHIVE)
			check_app(&e);
	}
	exec_line_release(&e);
	text = slice_dup((struct slice){ (const char *)data, size });
	if (exec_git_protocol_ok(text) && strlen(text) > 200)
		abort();
	free(text);
	return 0;
}
