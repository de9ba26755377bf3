/* builder/rollout/docker/probe.h and log_stamp.h: bytes from apps and from
 * /proc. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "builder/rollout/docker/probe.h"
#include "builder/rollout/log_stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size };
	struct slice line = rest;
	struct log_stamp stamp;
	struct listener l;
	int status = probe_status(rest);

	if (status > 0 && (status < 100 || status > 599))
		abort();
	while (probe_next_listener(&rest, &l))
		if (l.port < 1 || l.port > 65535)
			abort();
	if (log_stamp_take(&line, &stamp) &&
	    (stamp.ns < 0 || stamp.ns > 999999999))
		abort();
	return 0;
}
