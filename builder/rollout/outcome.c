#include "builder/rollout/outcome.h"

void outcome_note(struct outcome *o, int r, const struct error *err)
{
	if (r >= 0 || o->r < 0)
		return;
	o->r = r;
	o->err = *err;
}

int outcome_result(const struct outcome *o, struct error *err)
{
	if (o->r < 0)
		*err = o->err;
	return o->r;
}
