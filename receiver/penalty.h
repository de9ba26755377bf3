/*
 * receiver/penalty.h - how unwelcome a source address is: time added for
 * failed logins, stalls and crashes, taken off again by the clock.
 *
 * Runs in the listening process.  Pure: the caller brings the time.  The
 * table never grows: a source falls into one of the sets, and when its set is
 * full the least penalised entry makes room.  The hash is seeded, so nobody
 * can choose addresses that share a set.
 *
 * A source is an IPv4 address or the first 64 bits of an IPv6 one: whoever
 * has one address there has them all.
 */
#ifndef RECEIVER_PENALTY_H
#define RECEIVER_PENALTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PENALTY_SETS 512
#define PENALTY_WAYS 8

struct source {
	uint8_t family; /* AF_INET, AF_INET6, 0 = none */
	uint8_t bytes[8];
};

/*
 * What each misdeed adds, in milliseconds, and where refusal begins and
 * ends.  With these a source may fail 60 times in a row and twice per second
 * for ever; who does more waits until the sum has run down.
 */
#define PENALTY_DENIED_MS    500   /* no key of this connection was known */
#define PENALTY_NO_LOGIN_MS  250   /* connected, but did not try */
#define PENALTY_GRACE_MS     3000  /* used up the login grace time */
#define PENALTY_CRASH_MS     60000 /* its session died of a signal */
#define PENALTY_THRESHOLD_MS 30000
#define PENALTY_MAX_MS	     600000

struct penalty_entry {
	struct source source;
	int64_t until_ms; /* the sum is until_ms - now; <= now: none */
	bool is_refused;  /* the sum went over the threshold */
};

struct penalties {
	uint64_t seed;
	struct penalty_entry sets[PENALTY_SETS][PENALTY_WAYS];
};

/* The source of a peer's address; IPv4 mapped into IPv6 counts as IPv4. */
struct source source_of(const struct sockaddr_storage *addr)
	__attribute__((nonnull));
bool source_eq(const struct source *a, const struct source *b)
	__attribute__((nonnull));

void penalties_init(struct penalties *p, uint64_t seed)
	__attribute__((nonnull));

/* Add a penalty; the sum is capped at PENALTY_MAX_MS. */
void penalty_add(struct penalties *p, const struct source *s, int64_t add_ms,
		 int64_t now_ms) __attribute__((nonnull));

/*
 * How long the source is to be refused from now on, in milliseconds; 0 = let
 * it in.  Refusal starts when the sum reaches the threshold and ends when it
 * has run down to nothing.
 */
int64_t penalty_left(const struct penalties *p, const struct source *s,
		     int64_t now_ms) __attribute__((nonnull));

#endif
