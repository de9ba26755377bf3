/* Any bytes as either file: refused, or entries of which each can be found, the
 * last of its name. */
#include "builder/aws/aws_ini.h"

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Finding is linear: enough entries to be worth it. */
#define LOOK_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct aws_ini *ini, size_t i)
{
	const struct aws_ini_entry *e = &ini->entries[i];
	const char *value = aws_ini_get(ini, e->section, e->name, e->key);

	if (!value || !*e->name || e->section == AWS_INI_OTHER ||
	    !aws_ini_has(ini, e->section, e->name))
		abort();
	for (i++; i < ini->count; i++) {
		const struct aws_ini_entry *later = &ini->entries[i];

		if (later->section == e->section &&
		    strcmp(later->name, e->name) == 0 &&
		    strcmp(later->key, e->key) == 0)
			return;
	}
	if (value != e->value)
		abort();
}

static void parse(struct slice text, enum aws_ini_file file)
{
	struct aws_ini ini = { 0 };
	struct error err = ERROR_INIT;

	if (aws_ini_parse(text, file, &ini, &err) == 0) {
		if (ini.count > AWS_INI_ENTRIES_MAX)
			abort();
		for (size_t i = 0; i < ini.count && i < LOOK_MAX; i++)
			look(&ini, i);
	}
	aws_ini_release(&ini);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };

	parse(text, AWS_INI_CONFIG);
	parse(text, AWS_INI_CREDENTIALS);
	return 0;
}
