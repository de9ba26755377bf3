/* base/config.h: one "section.key=value" per line; what is taken survives. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A child must read all of what its parent accepted and checked. */
static void hand_over(const struct config *c)
{
	struct config copy;
	struct error err;
	auto_close int fd = config_memfd(c, &err);

	if (fd < 0) {
		if (err.code != ERR_LIMIT)
			abort();
		return;
	}
	config_init(&copy);
	if (config_read_fd(&copy, fd, &err) < 0)
		abort();
	config_release(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size };
	struct slice line;
	struct config c;
	struct error err;

	config_init(&c);
	while (slice_line(&rest, &line)) {
		auto_free char *option = slice_dup(line);

		if (config_set_option(&c, option, &err) < 0)
			continue;
	}
	if (config_check(&c, &err) == 0)
		hand_over(&c);
	config_release(&c);
	return 0;
}
