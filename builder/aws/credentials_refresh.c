#include "builder/aws/credentials_refresh.h"

#define TRY_BEFORE_S  (15 * 60)
#define MUST_BEFORE_S (10 * 60)
#define POSTPONE_S    30
#define STALE_S	      60
#define IMDS_STALE_S  (17 * 60)
#define IMDS_JITTER_S (8 * 60)

struct refresh_plan refresh_plan_make(int64_t expires, bool is_imds,
				      int64_t now, double jitter)
{
	int64_t life = expires - now;
	int64_t again;

	if (expires == 0)
		return (struct refresh_plan){ 0, 0 };
	if (life >= 2 * TRY_BEFORE_S)
		return (struct refresh_plan){ expires - TRY_BEFORE_S,
					      expires - MUST_BEFORE_S };
	if (is_imds && life <= TRY_BEFORE_S) {
		again = now + IMDS_STALE_S + (int64_t)(IMDS_JITTER_S * jitter);
		return (struct refresh_plan){ again, 0 };
	}
	if (life <= 0)
		return (struct refresh_plan){ now + STALE_S, 0 };
	return (struct refresh_plan){ now + life / 2, expires - life / 3 };
}

enum refresh refresh_decide(const struct refresh_plan *plan, int64_t now)
{
	if (plan->must_at && now >= plan->must_at)
		return REFRESH_MUST;
	if (plan->try_at && now >= plan->try_at)
		return REFRESH_TRY;
	return REFRESH_NO;
}

void refresh_postpone(struct refresh_plan *plan, int64_t now)
{
	if (plan->try_at)
		plan->try_at = now + POSTPONE_S;
}
