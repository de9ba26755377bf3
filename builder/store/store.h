/*
 * builder/store/store.h - what Slipway knows: users, keys, apps, grants,
 * jobs (builds), releases and the journal, in one SQLite file.
 *
 * Runs in the builder and in each worker, each with a connection of its own
 * (WAL, busy timeout).  Blocks on disk.  Every change is one transaction.
 * Strings in the structs are owned by them; S_release() empties a struct and
 * accepts a zeroed one.
 *
 * Beside the codes named below, every function may return -ERR_SYS (disk),
 * -ERR_TIMEOUT (another process kept the database locked for 10 s) and
 * -ERR_INVALID (a damaged database).  A user named "" is the local
 * administrator, who is in no table.
 */
#ifndef BUILDER_STORE_STORE_H
#define BUILDER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

struct error;
struct store;

/* Roles, each including the ones before it. */
enum role { ROLE_NONE, ROLE_VIEW, ROLE_DEPLOY, ROLE_OPERATE, ROLE_ADMIN };

/* "view" … "admin"; ROLE_NONE for any other word. */
enum role role_from_name(const char *name) __attribute__((nonnull));
const char *role_name(enum role role);

/* Open (create, migrate) the database.  0, -ERR_SYS or -ERR_INVALID (a
 * database of a newer version, or damaged). */
int store_open(const char *path, struct store **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void store_close(struct store *st);

/* The installation's id: 16 hex digits, made at the first open; labels what
 * is ours on the engine.  *ret is the caller's. */
int store_owner(struct store *st, char **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Group several calls into one transaction; nested calls are not allowed. */
int store_begin(struct store *st, struct error *err)
	__attribute__((nonnull, warn_unused_result));
int store_commit(struct store *st, struct error *err)
	__attribute__((nonnull, warn_unused_result));
void store_rollback(struct store *st) __attribute__((nonnull));

/* ---- users and keys (builder/store/users.c) ---- */

struct user {
	char *name;
	bool is_admin; /* every role on every app, and users themselves */
	int64_t created;
	int64_t keys; /* how many */
};

struct key {
	char *user;
	char *name;	   /* label, unique per user */
	char *fingerprint; /* SHA256:… */
	char *text;	   /* "type base64", as in authorized_keys */
	int64_t created;
	int64_t last_used; /* 0 = never */
};

#define USER_KEYS_MAX 100

void user_release(struct user *u);
void key_release(struct key *k);

/* [a-z0-9][a-z0-9._-]{0,31} */
int user_name_check(const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* [A-Za-z0-9._@+-]{1,64}, and not a fingerprint (which has a colon) */
int key_name_check(const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* -ERR_EXISTS, -ERR_INVALID (name) */
int store_user_add(struct store *st, const char *name, bool is_admin,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* With the user's keys and grants.  -ERR_NOTFOUND; -ERR_DENIED for the last
 * admin who has a key. */
int store_user_remove(struct store *st, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* -ERR_NOTFOUND; -ERR_DENIED as store_user_remove */
int store_user_set_admin(struct store *st, const char *name, bool is_admin,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* -ERR_NOTFOUND */
int store_user_get(struct store *st, const char *name, struct user *ret,
		   struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Count, sorted by name; *ret is an array the caller frees item by item. */
int store_users(struct store *st, struct user **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * k->user, name, fingerprint and text count.  -ERR_EXISTS when the key
 * belongs to somebody (err says to whom) or the user has one of that name;
 * -ERR_NOTFOUND no such user; -ERR_LIMIT over USER_KEYS_MAX; -ERR_INVALID
 * (name)
 */
int store_key_add(struct store *st, const struct key *k, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* `which` is a name or a fingerprint.  -ERR_NOTFOUND */
int store_key_remove(struct store *st, const char *user, const char *which,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* All keys, or those of `user` when it is not NULL; count. */
int store_keys(struct store *st, const char *user, struct key **ret,
	       struct error *err)
	__attribute__((nonnull(1, 3, 4), warn_unused_result));
/*
 * Who may log in with this key?  Compares the whole key text, not only the
 * fingerprint, and notes the use (to the minute).  -ERR_NOTFOUND.
 */
int store_whois(struct store *st, const char *fingerprint, const char *text,
		struct user *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- apps and grants (builder/store/apps.c) ---- */

struct app {
	int64_t id; /* never reused; names of repositories and networks */
	char *name;
	char *deploy_branch; /* NULL = main or master, whichever comes first */
	char *target;
	char *subnet; /* "10.213.0.32/27", NULL until the first rollout */
	char *owner;  /* user who created it; "" = the local administrator */
	int64_t created;
	int64_t live_version;	/* of the live release; 0 = none */
	int64_t config_version; /* for the next release; 0 = no vars yet */
};

struct grant {
	char *user;
	enum role role;
};

void app_release(struct app *a);
void grant_release(struct grant *g);

/* [a-z0-9][a-z0-9-]{0,37}, not ending in "-", not a reserved word. */
int app_name_check(const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* -ERR_LIMIT when there are `max` apps already. */
int store_app_room(struct store *st, int64_t max, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* The creator gets ROLE_ADMIN on it.  -ERR_EXISTS, -ERR_INVALID (name),
 * -ERR_NOTFOUND (owner) */
int store_app_create(struct store *st, const char *name, const char *owner,
		     const char *target, struct app *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* -ERR_NOTFOUND */
int store_app_get(struct store *st, const char *name, struct app *ret,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));
int store_app_get_id(struct store *st, int64_t id, struct app *ret,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Apps that `user` may see (NULL = all), sorted by name; count. */
int store_apps(struct store *st, const char *user, struct app **ret,
	       struct error *err)
	__attribute__((nonnull(1, 3, 4), warn_unused_result));
/* -ERR_EXISTS, -ERR_INVALID (name), -ERR_NOTFOUND */
int store_app_rename(struct store *st, int64_t id, const char *name,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* With its grants, jobs, releases and journal.  -ERR_NOTFOUND.  The logs of
 * its jobs (see store_job_ids) are the caller's to remove. */
int store_app_remove(struct store *st, int64_t id, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* NULL: main or master again.  -ERR_NOTFOUND */
int store_app_set_branch(struct store *st, int64_t id, const char *branch,
			 struct error *err)
	__attribute__((nonnull(1, 4), warn_unused_result));
/* Where it runs from its next deploy on.  -ERR_NOTFOUND */
int store_app_set_target(struct store *st, int64_t id, const char *target,
			 struct error *err)
	__attribute__((nonnull, warn_unused_result));
/*
 * The app's /27: the stored one, or the first of `pool` that no app has; one
 * that nothing of `avoid` (NULL-ended prefixes that engine and machine use)
 * overlaps.  For an app without a network: a stored one may be given up.  The
 * caller frees *ret.  -ERR_LIMIT when the pool is used up, -ERR_INVALID
 * (pool), -ERR_NOTFOUND.
 */
int store_app_subnet(struct store *st, int64_t id, const char *pool,
		     const char *const *avoid, char **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ROLE_NONE removes it.  -ERR_NOTFOUND no such user */
int store_grant_set(struct store *st, int64_t app_id, const char *user,
		    enum role role, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Without admins that were given no role here; sorted by user; count. */
int store_grants(struct store *st, int64_t app_id, struct grant **ret,
		 struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Role of `user` on the app; ROLE_ADMIN for an admin, ROLE_NONE for a
 * stranger and for users that do not exist; -ERR_SYS */
int store_role(struct store *st, int64_t app_id, const char *user,
	       struct error *err) __attribute__((nonnull, warn_unused_result));

/* ---- jobs: pushes, and releases without one (builder/store/jobs.c) ---- */

enum job_kind {
	JOB_PUSH,
	JOB_RELEASE, /* what is live once more, with the app's vars of now */
};

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_SUCCEEDED,
	JOB_FAILED,
	JOB_CANCELED,
	JOB_INTERRUPTED, /* the builder died while it ran */
	JOB_SUPERSEDED,
};

struct job {
	int64_t id; /* the build's number for people; builds/ID.log */
	enum job_kind kind;
	int64_t app_id;
	char *app; /* name now */
	char *user;
	char *fingerprint; /* of the key that pushed; "" = local */
	char *ref;	   /* the deploying ref; "" when there is none */
	char *commit;	   /* 40 hex; "" = nothing is deployed */
	char *request;	   /* the message (JSON) */
	enum job_state state;
	char *verdicts;	 /* JSON array once ended; "" before */
	char *reason;	 /* one line when failed; "" else */
	char *image;	 /* image id once built; "" else */
	int64_t version; /* release it made; 0 = none */
	int64_t created; /* unix seconds, as all times here */
	int64_t started;
	int64_t finished;
	int64_t build_ms; /* time of the build step; 0 = none */
};

void job_release(struct job *j);
const char *job_kind_name(enum job_kind kind);
const char *job_state_name(enum job_state state);
bool job_state_is_final(enum job_state state);

/*
 * Insert j: kind, app_id, user, fingerprint, ref, commit and request count
 * (NULL is
 * ""), id, times and state are set here (queued).  *ret_id is its id, never
 * used before.  -ERR_NOTFOUND no such app
 */
int store_job_add(struct store *st, const struct job *j, int64_t *ret_id,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Queued to running.  -ERR_CANCELED when it has ended, -ERR_NOTFOUND */
int store_job_start(struct store *st, int64_t id, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Only the first end counts: 1 when this was it, 0 when it had ended.
 * `state` is a final one.  -ERR_NOTFOUND */
int store_job_finish(struct store *st, int64_t id, enum job_state state,
		     const char *verdicts, const char *reason,
		     struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* -ERR_NOTFOUND */
int store_job_set_image(struct store *st, int64_t id, const char *image,
			int64_t build_ms, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* -ERR_NOTFOUND */
int store_job_get(struct store *st, int64_t id, struct job *ret,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Newest first, those that deploy only, at most `limit`, with "" for the
 * request; count. */
int store_jobs(struct store *st, int64_t app_id, int limit, struct job **ret,
	       struct error *err) __attribute__((nonnull, warn_unused_result));
/* Every job that is queued or running, oldest first; count. */
int store_jobs_unfinished(struct store *st, struct job **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Of one app (0 = all), deploys or not, oldest first; count; the caller
 * frees *ret. */
int store_job_ids(struct store *st, int64_t app_id, int64_t **ret,
		  struct error *err)
	__attribute__((nonnull, warn_unused_result));
/*
 * Forget, with their journal, the ended jobs that are not among the newest
 * `keep` ended ones of their app.  Count; *ret (the caller's) are their ids,
 * whose logs are the caller's to remove.
 */
#define STORE_JOBS_KEEP 200
int store_jobs_expire(struct store *st, int keep, int64_t **ret,
		      struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- releases (builder/store/releases.c) ---- */

enum release_state {
	RELEASE_PENDING, /* being rolled out */
	RELEASE_LIVE,
	RELEASE_OLD, /* was live */
	RELEASE_FAILED,
};

struct release {
	int64_t app_id;
	int64_t version; /* 1, 2, …; numbers of failed ones are not reused */
	int64_t job_id;
	char *commit;
	char *image; /* image id (sha256:…) */
	char *description;
	char *user;
	char *processes; /* JSON: [{"type":"web","command":null,…}] */
	enum release_state state;
	char *reason; /* why it failed; "" else */
	int64_t created;
	char *target;	 /* where it runs, by name */
	char *published; /* "REPOSITORY@sha256:…" in its registry; "" = none */
	int64_t config_version; /* of its config vars; 0 = none */
};

void release_release(struct release *r);
const char *release_state_name(enum release_state state);

/*
 * Number the next release and store it as pending; *ret_version.  r->target
 * and r->config_version are stored too, r->published is not.  The job
 * r->job_id (0 = none) gets the number too.  -ERR_NOTFOUND no such app
 */
int store_release_add(struct store *st, const struct release *r,
		      int64_t *ret_version, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* What was built for it and how it runs; only while it is pending. */
int store_release_set_image(struct store *st, int64_t app_id, int64_t version,
			    const char *image, const char *processes,
			    struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Where a registry has its image; only while it is pending. */
int store_release_set_published(struct store *st, int64_t app_id,
				int64_t version, const char *image,
				struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* To live (the former live one becomes old), in one transaction.  Done
 * twice it changes nothing.  -ERR_NOTFOUND */
int store_release_live(struct store *st, int64_t app_id, int64_t version,
		       struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* -ERR_NOTFOUND; -ERR_EXISTS when it is live or was */
int store_release_fail(struct store *st, int64_t app_id, int64_t version,
		       const char *reason, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* version 0 = the live one.  -ERR_NOTFOUND */
int store_release_get(struct store *st, int64_t app_id, int64_t version,
		      struct release *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* The newest release after the live one whose deploy ended half way: its job
 * was interrupted, or it was rolled out and could not be recorded as live.  1
 * with its version, 0 when there is none, or -code. */
int store_release_interrupted(struct store *st, int64_t app_id,
			      int64_t *ret_version, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* Newest first; count. */
int store_releases(struct store *st, int64_t app_id, int limit,
		   struct release **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- config vars (builder/store/configs.c) ---- */

/*
 * Vars are an object of strings.  A version never changes: each release names
 * the one that it runs with.
 */

/* As the app's next version, now the current one; *ret_version.
 * -ERR_NOTFOUND no such app */
int store_config_put(struct store *st, int64_t app_id, const json_t *vars,
		     const char *user, int64_t *ret_version, struct error *err)
	__attribute__((nonnull, warn_unused_result));
/* *ret is the caller's; version 0 is the empty object.  -ERR_NOTFOUND */
int store_config_get(struct store *st, int64_t app_id, int64_t version,
		     json_t **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Forget the versions that nobody needs: neither the app now, nor a release
 * that is pending, live or among the newest `keep` that were live.  What was
 * unset long ago is not kept for ever.  0 or -code
 */
int store_config_expire(struct store *st, int64_t app_id, int64_t keep,
			struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* ---- journal (builder/store/journal.c) ---- */

/* event: "start", "done", "failed"; detail may be "".  -ERR_NOTFOUND no such
 * job */
int store_journal(struct store *st, int64_t job_id, const char *step,
		  const char *event, const char *detail, struct error *err)
	__attribute__((nonnull, warn_unused_result));

struct journal_entry {
	char *step;
	char *event;
	char *detail;
	int64_t time_ms; /* since the epoch */
};
void journal_entry_release(struct journal_entry *e);
/* Oldest first; count. */
int store_journal_list(struct store *st, int64_t job_id,
		       struct journal_entry **ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
