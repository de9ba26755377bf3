/*
 * builder/rollout/outcome.h - the first failure of several steps that are all
 * to be done.
 *
 * In workers that clean up: what one step could not do is no reason to leave
 * out the others.  Begins as { .r = 0 }; owns nothing.
 */
#ifndef BUILDER_ROLLOUT_OUTCOME_H
#define BUILDER_ROLLOUT_OUTCOME_H

#include "base/error.h"

struct outcome {
	int r; /* 0, or -code of the first failure */
	struct error err;
};

/* A step returned `r`; err is read when that is a failure. */
void outcome_note(struct outcome *o, int r, const struct error *err)
	__attribute__((nonnull));

/* 0, or -code and *err of the first step that failed. */
int outcome_result(const struct outcome *o, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
