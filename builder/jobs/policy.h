/*
 * builder/jobs/policy.h - what a pushed ref means: deploy, store, or no, and
 * why not (DESIGN: "Meaning of a ref").
 *
 * Runs in the builder (to queue) and in workers.  Pure.
 */
#ifndef BUILDER_JOBS_POLICY_H
#define BUILDER_JOBS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

struct error;

enum meaning { MEANING_DEPLOY, MEANING_STORE, MEANING_REFUSE };

#define REASON_MAX 400

struct verdict {
	const char *ref; /* borrowed from the push message */
	const char *old_oid;
	const char *new_oid;
	enum meaning meaning;
	char reason[REASON_MAX]; /* with MEANING_REFUSE */
};

struct push_plan {
	struct verdict *verdicts;
	size_t count;
	struct verdict *deploy; /* the one that deploys, or NULL */
	bool is_atomic;
	/* git moves the refs itself after our answer (docs/PROTOCOL.md) */
	bool falls_through;
};

void push_plan_release(struct push_plan *p);

/*
 * Judge every update of a `push` message (docs/PROTOCOL.md).
 *
 * deploy_branch  of the app; NULL = main or master
 * url            of the app's repository, for the command to type
 *
 * With "atomic" one refusal refuses all.  0; -ERR_PROTO for a message that is
 * not a push.
 */
int push_plan_make(const json_t *push, const char *deploy_branch,
		   const char *url, struct push_plan *ret, struct error *err)
	__attribute__((nonnull(1, 3, 4, 5), warn_unused_result));

/* The "results" of a `verdicts` message, as things stand; the caller's. */
json_t *push_plan_results(const struct push_plan *p) __attribute__((nonnull));

/* Refuse every update that is not refused yet. */
void push_plan_refuse(struct push_plan *p, const char *reason)
	__attribute__((nonnull));

/* Refuse one; the others too when the push is atomic. */
void push_plan_refuse_one(struct push_plan *p, struct verdict *v,
			  const char *reason) __attribute__((nonnull));

#endif
