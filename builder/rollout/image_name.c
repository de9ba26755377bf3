#include "builder/rollout/image_name.h"

#include "base/buf.h"

#include <inttypes.h>

#define OWNER_SHOWN 8

char *image_repository(const char *owner, int64_t app_id)
{
	return xasprintf("slipway-%.*s/%" PRId64, OWNER_SHOWN, owner, app_id);
}
