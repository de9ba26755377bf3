/*
 * builder/aws/ecr.h - repositories and images in Amazon ECR.
 *
 * Runs in workers; blocks as aws_call().  Repositories are named as in
 * "slipway/shop".  Errors beside the ones named are those of aws_call().
 *
 * Source: Amazon ECR API reference 2015-09-21.
 */
#ifndef BUILDER_AWS_ECR_H
#define BUILDER_AWS_ECR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

struct aws;
struct error;

struct ecr_repository {
	char *uri;    /* what images of it are called:
			 "…amazonaws.com/slipway/shop" */
	json_t *tags; /* of the repository: [{"Key": …, "Value": …}, …] */
};

void ecr_repository_release(struct ecr_repository *r);

/* *ret is the caller's.  -ERR_NOTFOUND */
int ecr_find_repository(struct aws *a, const char *name,
			struct ecr_repository *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Make sure that the repository is there.  It is made with these tags,
 * immutable tags of images, and a scan of what is pushed; one that exists
 * stays as it is.  *ret is the caller's.
 */
int ecr_ensure_repository(struct aws *a, const char *name, const json_t *tags,
			  struct ecr_repository *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* With all of its images; 0 also when it was gone. */
int ecr_delete_repository(struct aws *a, const char *name, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Who we are at the registry, for 12 hours. */
struct ecr_login {
	char *username;
	char *password;
	char *registry;	 /* URL, "https://….amazonaws.com" */
	int64_t expires; /* unix seconds; 0 = not said */
};

/* Wipes. */
void ecr_login_release(struct ecr_login *l);

/* A new token each time.  -ERR_PROTO: the token cannot be decoded. */
int ecr_login(struct aws *a, struct ecr_login *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The reply of GetAuthorizationToken.  Pure.  0 or -ERR_PROTO, whose text
 * has nothing of the token. */
int ecr_login_from_json(const json_t *reply, struct ecr_login *ret,
			struct error *err)
	__attribute__((nonnull(2, 3), warn_unused_result));

/* *ret_digest ("sha256:…") is the caller's.  -ERR_NOTFOUND: no image with
 * this tag, or no such repository. */
int ecr_find_tag(struct aws *a, const char *repository, const char *tag,
		 char **ret_digest, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* 0; -ERR_NOTFOUND as ecr_find_tag(). */
int ecr_find_digest(struct aws *a, const char *repository, const char *digest,
		    struct error *err)
	__attribute__((nonnull, warn_unused_result));

struct ecr_retention {
	const char *const *keep; /* digests, NULL-ended */
	int64_t min_age_s;	 /* since it was pushed */
	/* Is this tag one of those that we give?  An image with another one is
	 * somebody else's. */
	bool (*is_ours)(const char *tag);
	bool with_untagged; /* they are ours, too */
};

/*
 * Delete our images that are older and not to be kept.  Parts of an image
 * that stays (the manifests of an index) stay, too.
 *
 * The count of deleted images, 0 also when there is no such repository.
 */
int ecr_retain(struct aws *a, const char *repository,
	       const struct ecr_retention *rule, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* "sha256:" and 64 lower-case hex digits? */
bool ecr_is_digest(const char *text) __attribute__((nonnull));

#endif
