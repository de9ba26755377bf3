/*
 * A .dockerignore, a NUL, and a path: refused, or an answer that follows from
 * what each folder above answered.  Hangs are what is looked for.
 */
#include "builder/source/dockerignore.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX 4095

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Without "!", nothing below an excluded folder can be included. */
static void walk(struct dockerignore *d, struct slice path)
{
	bool *parent = NULL;
	int above = 0;

	for (size_t i = 0; i <= path.len; i++) {
		struct error err = ERROR_INIT;
		bool *own;
		int r;

		if (i < path.len && path.ptr[i] != '/')
			continue;
		own = xcalloc(d->count + 1, sizeof(bool));
		r = dockerignore_excludes(d, (struct slice){ path.ptr, i },
					  parent, own, &err);
		if (r >= 0 && above && !d->has_negation && !r)
			abort();
		if (r > 1 || (r < 0 && r != -ERR_LIMIT))
			abort();
		for (size_t k = 0; parent && k < d->count; k++)
			if (parent[k] && !own[k])
				abort();
		above = r > 0;
		free(parent);
		parent = own;
	}
	free(parent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
	size_t text_len = nul ? (size_t)(nul - data) : size;
	struct slice path = { "", 0 };
	struct dockerignore d = { 0 };
	struct error err = ERROR_INIT;

	if (nul)
		path = (struct slice){ (const char *)nul + 1,
				       size - text_len - 1 };
	if (path.len > PATH_BYTES_MAX)
		path.len = PATH_BYTES_MAX;
	if (dockerignore_parse((struct slice){ (const char *)data, text_len },
			       &d, &err) < 0)
		return 0;
	walk(&d, path);
	dockerignore_release(&d);
	return 0;
}
