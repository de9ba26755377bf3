#include "base/target_sizes.h"

#include "base/buf.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SEPARATORS ", "
#define ITEM_MAX   256

struct item {
	struct slice app; /* len 0 = any */
	struct slice type;
	int64_t cpu;
	int64_t memory;
};

/* The next item of the list, which begins at *at; len 0 = there is none. */
static struct slice next_item(const char **at)
{
	struct slice item;

	item.ptr = *at + strspn(*at, SEPARATORS);
	item.len = strcspn(item.ptr, SEPARATORS);
	*at = item.ptr + item.len;
	return item;
}

static bool read_size(const char *text, struct item *ret)
{
	int end = 0;

	return sscanf(text, "%9" SCNd64 ":%9" SCNd64 "%n", &ret->cpu,
		      &ret->memory, &end) == 2 &&
	       !text[end] && ret->cpu >= TARGET_CPU_MIN &&
	       ret->cpu <= TARGET_CPU_MAX && ret->memory >= TARGET_MEMORY_MIN &&
	       ret->memory <= TARGET_MEMORY_MAX;
}

/* "[APP/]TYPE=CPU:MEMORY"; *ret borrows from it. */
static bool read_item(struct slice item, struct item *ret)
{
	const char *equals = memchr(item.ptr, '=', item.len);
	const char *slash;
	char size[32];
	size_t len;

	if (!equals)
		return false;
	len = item.len - (size_t)(equals + 1 - item.ptr);
	if (len >= sizeof(size))
		return false;
	memcpy(size, equals + 1, len);
	size[len] = '\0';
	ret->type = (struct slice){ item.ptr, (size_t)(equals - item.ptr) };
	ret->app = (struct slice){ item.ptr, 0 };
	slash = memchr(item.ptr, '/', ret->type.len);
	if (slash) {
		ret->app.len = (size_t)(slash - item.ptr);
		ret->type.ptr = slash + 1;
		ret->type.len -= ret->app.len + 1;
	}
	return ret->type.len > 0 && (!slash || ret->app.len > 0) &&
	       read_size(size, ret);
}

int target_sizes_check(const char *sizes, struct error *err)
{
	struct slice text;

	while ((text = next_item(&sizes)).len) {
		struct item item;

		if (!read_item(text, &item))
			return err_set(err, ERR_INVALID,
				       "'%.*s' is not [APP/]TYPE=CPU:MEMORY",
				       text.len < ITEM_MAX ? (int)text.len
							   : ITEM_MAX,
				       text.ptr);
	}
	return 0;
}

void target_sizes_find(const char *sizes, const char *app, const char *type,
		       int64_t *cpu, int64_t *memory)
{
	bool is_of_app = false;
	struct slice text;

	while ((text = next_item(&sizes)).len) {
		struct item item;

		if (!read_item(text, &item) || !slice_eq(item.type, type))
			continue;
		if (item.app.len ? !slice_eq(item.app, app) : is_of_app)
			continue;
		is_of_app = item.app.len > 0;
		*cpu = item.cpu;
		*memory = item.memory;
	}
}
