#include "builder/jobs/app_turn.h"

#include "base/config.h"
#include "base/error.h"
#include "base/io.h"
#include "builder/jobs/transcript.h"
#include "builder/jobs/worker.h"
#include "builder/store/app_lock.h"

#define LOCK_WAIT_MS  500
#define LOCK_LIMIT_MS 600000

int app_turn_take(const struct config *cfg, int64_t app_id,
		  struct transcript *out, int *ret_lock, struct error *err)
{
	int64_t deadline = clock_ms() + LOCK_LIMIT_MS;

	transcript_busy(out, "waiting for another operation on the app");
	for (;;) {
		int r = app_lock_take(cfg->data, app_id, LOCK_WAIT_MS, ret_lock,
				      err);

		if (r != -ERR_TIMEOUT || clock_ms() > deadline) {
			transcript_busy(out, NULL);
			return r;
		}
		if (worker_is_canceled())
			return err_set(err, ERR_CANCELED, "canceled");
		transcript_tick(out);
	}
}
