/*
 * builder/aws/credentials_refresh.h - when credentials are fetched again.
 *
 * Internal to builder/aws/.  Pure: the time comes in.  Source: botocore's
 * RefreshableCredentials (15 and 10 minutes) and its rule for the stale
 * credentials that an overloaded metadata service hands out.
 */
#ifndef BUILDER_AWS_CREDENTIALS_REFRESH_H
#define BUILDER_AWS_CREDENTIALS_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

/* Unix seconds; 0 = never. */
struct refresh_plan {
	int64_t try_at;	 /* from then a failure is borne */
	int64_t must_at; /* from then it is not */
};

enum refresh {
	REFRESH_NO,
	REFRESH_TRY,  /* keep what we have when it fails */
	REFRESH_MUST, /* what we have is of no use any more */
};

/*
 * For credentials fetched at `now` that expire at `expires` (0 = never).
 * Those that live shorter than 30 minutes are fetched again halfway, and
 * must be with a third of their life left.  Those that are stale on arrival
 * are kept, for the service may yet take them: from instance metadata
 * (`is_imds`, where that is usual) for 17 to 25 minutes, else for one.
 *
 * jitter  0 to 1, to spread the 17 to 25 minutes
 */
struct refresh_plan refresh_plan_make(int64_t expires, bool is_imds,
				      int64_t now, double jitter);

enum refresh refresh_decide(const struct refresh_plan *plan, int64_t now)
	__attribute__((nonnull));

/* A try failed at `now`: the next one a while later. */
void refresh_postpone(struct refresh_plan *plan, int64_t now)
	__attribute__((nonnull));

#endif
