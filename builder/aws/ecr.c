#include "builder/aws/ecr.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/wipe.h"
#include "builder/aws/aws.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#define TOKEN_MAX     16384 /* bytes, as base64 */
#define NO_REPOSITORY "RepositoryNotFoundException"
#define DELETE_BATCH  100
#define PAGE_IMAGES   1000
#define PAGES_MAX     100
#define DIGEST_PREFIX "sha256:"
#define DIGEST_HEX    64
#define DELETE_ROUNDS 3

bool ecr_is_digest(const char *text)
{
	size_t prefix = strlen(DIGEST_PREFIX);

	return strncmp(text, DIGEST_PREFIX, prefix) == 0 &&
	       strlen(text) == prefix + DIGEST_HEX &&
	       strspn(text + prefix, "0123456789abcdef") == DIGEST_HEX;
}

/* ---- repositories ---- */

void ecr_repository_release(struct ecr_repository *r)
{
	if (!r)
		return;
	free(r->uri);
	json_decref(r->tags);
	memset(r, 0, sizeof(*r));
}

static int no_uri(struct error *err)
{
	return err_set(err, ERR_PROTO, "ecr: a repository without uri or ARN");
}

static int take_tags(struct aws *a, const char *arn, json_t **ret,
		     struct error *err)
{
	json_auto_t *input = json_pack("{s:s}", "resourceArn", arn);
	json_auto_t *output = NULL;
	int r = aws_call(a, AWS_ECR, "ListTagsForResource", input, &output,
			 err);

	if (r == 0)
		*ret = json_incref(json_object_get(output, "tags"));
	return r;
}

int ecr_find_repository(struct aws *a, const char *name,
			struct ecr_repository *ret, struct error *err)
{
	json_auto_t *input = json_pack("{s:[s]}", "repositoryNames", name);
	json_auto_t *output = NULL;
	const json_t *repository;
	const char *uri;
	const char *arn;
	int r;

	r = aws_call(a, AWS_ECR, "DescribeRepositories", input, &output, err);
	if (r < 0 && aws_failed_with(a, NO_REPOSITORY))
		return err_set(err, ERR_NOTFOUND, "no repository '%s'", name);
	if (r < 0)
		return err_wrap(err, r, "repository '%s'", name);
	repository = json_array_get(json_object_get(output, "repositories"), 0);
	uri = json_get_str(repository, "repositoryUri", "");
	arn = json_get_str(repository, "repositoryArn", "");
	if (!*uri || !*arn)
		return no_uri(err);
	memset(ret, 0, sizeof(*ret));
	r = take_tags(a, arn, &ret->tags, err);
	if (r < 0)
		return err_wrap(err, r, "repository '%s'", name);
	ret->uri = xstrdup(uri);
	return 0;
}

static int create_repository(struct aws *a, const char *name,
			     const json_t *tags, struct ecr_repository *ret,
			     struct error *err)
{
	json_auto_t *input = json_pack(
		"{s:s, s:s, s:{s:b}, s:O}", "repositoryName", name,
		"imageTagMutability", "IMMUTABLE", "imageScanningConfiguration",
		"scanOnPush", 1, "tags", tags);
	json_auto_t *output = NULL;
	const char *uri;
	int r;

	r = aws_call(a, AWS_ECR, "CreateRepository", input, &output, err);
	if (r < 0 && aws_failed_with(a, "RepositoryAlreadyExistsException"))
		return err_set(err, ERR_EXISTS, "repository '%s' exists", name);
	if (r < 0)
		return err_wrap(err, r, "repository '%s'", name);
	uri = json_get_str(json_object_get(output, "repository"),
			   "repositoryUri", "");
	if (!*uri)
		return no_uri(err);
	*ret = (struct ecr_repository){ xstrdup(uri), json_deep_copy(tags) };
	return 0;
}

int ecr_ensure_repository(struct aws *a, const char *name, const json_t *tags,
			  struct ecr_repository *ret, struct error *err)
{
	int r = ecr_find_repository(a, name, ret, err);

	if (r == -ERR_NOTFOUND)
		r = create_repository(a, name, tags, ret, err);
	/* Somebody made it meanwhile. */
	if (r == -ERR_EXISTS)
		r = ecr_find_repository(a, name, ret, err);
	return r;
}

int ecr_delete_repository(struct aws *a, const char *name, struct error *err)
{
	json_auto_t *input =
		json_pack("{s:s, s:b}", "repositoryName", name, "force", 1);
	json_auto_t *output = NULL;
	int r = aws_call(a, AWS_ECR, "DeleteRepository", input, &output, err);

	if (r < 0 && aws_failed_with(a, NO_REPOSITORY))
		return 0;
	return r < 0 ? err_wrap(err, r, "repository '%s'", name) : 0;
}

/* ---- login ---- */

void ecr_login_release(struct ecr_login *l)
{
	if (!l)
		return;
	wipe_text(l->password);
	free(l->username);
	free(l->registry);
	memset(l, 0, sizeof(*l));
}

/* "USER:PASSWORD" in base64. */
static bool decode_token(const char *token, struct ecr_login *ret)
{
	size_t len = strlen(token);
	char *text;
	char *colon = NULL;
	int n = -1;

	if (len == 0 || len > TOKEN_MAX || len % 4)
		return false;
	text = xcalloc(1, len + 1);
	n = EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)token,
			    (int)len);
	/* Padding is decoded as NUL bytes. */
	if (n > 0 && strlen(text) + 2 >= (size_t)n)
		colon = strchr(text, ':');
	if (colon && colon != text && colon[1]) {
		ret->username = slice_dup(
			(struct slice){ text, (size_t)(colon - text) });
		ret->password = xstrdup(colon + 1);
	}
	OPENSSL_cleanse(text, len + 1);
	free(text);
	return ret->password != NULL;
}

int ecr_login_from_json(const json_t *reply, struct ecr_login *ret,
			struct error *err)
{
	const json_t *data =
		json_array_get(json_object_get(reply, "authorizationData"), 0);
	const json_t *expires = json_object_get(data, "expiresAt");

	memset(ret, 0, sizeof(*ret));
	if (!decode_token(json_get_str(data, "authorizationToken", ""), ret))
		return err_set(err, ERR_PROTO,
			       "ecr GetAuthorizationToken: the token cannot "
			       "be decoded");
	ret->registry = xstrdup(json_get_str(data, "proxyEndpoint", ""));
	if (json_is_number(expires) && json_number_value(expires) > 0 &&
	    json_number_value(expires) < 1e12)
		ret->expires = (int64_t)json_number_value(expires);
	return 0;
}

int ecr_login(struct aws *a, struct ecr_login *ret, struct error *err)
{
	json_auto_t *input = json_object();
	json_auto_t *output = NULL;
	int r;

	r = aws_call(a, AWS_ECR, "GetAuthorizationToken", input, &output, err);
	if (r < 0)
		return r;
	r = ecr_login_from_json(output, ret, err);
	json_wipe(output);
	return r;
}

/* ---- one image ---- */

static bool is_no_image(const struct aws *a)
{
	return aws_failed_with(a, "ImageNotFoundException") ||
	       aws_failed_with(a, NO_REPOSITORY);
}

/* One id at a time: a missing one fails the whole call. */
static int describe(struct aws *a, const char *repository, const char *kind,
		    const char *id, char **ret_digest, struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:[{s:s}]}", "repositoryName",
				       repository, "imageIds", kind, id);
	json_auto_t *output = NULL;
	const char *digest;
	int r = aws_call(a, AWS_ECR, "DescribeImages", input, &output, err);

	if (r < 0 && is_no_image(a))
		return err_set(err, ERR_NOTFOUND, "no image '%s' in '%s'", id,
			       repository);
	if (r < 0)
		return r;
	digest = json_get_str(
		json_array_get(json_object_get(output, "imageDetails"), 0),
		"imageDigest", "");
	if (!ecr_is_digest(digest))
		return err_set(err, ERR_PROTO,
			       "ecr DescribeImages: image '%s' of '%s' without "
			       "a digest",
			       id, repository);
	*ret_digest = xstrdup(digest);
	return 0;
}

int ecr_find_tag(struct aws *a, const char *repository, const char *tag,
		 char **ret_digest, struct error *err)
{
	return describe(a, repository, "imageTag", tag, ret_digest, err);
}

int ecr_find_digest(struct aws *a, const char *repository, const char *digest,
		    struct error *err)
{
	auto_free char *found = NULL;
	int r = describe(a, repository, "imageDigest", digest, &found, err);

	if (r == 0 && strcmp(found, digest) != 0)
		return err_set(err, ERR_PROTO,
			       "ecr DescribeImages: asked for %s, got %s",
			       digest, found);
	return r;
}

/* ---- retention ---- */

static bool is_listed(const char *const *list, const char *digest)
{
	for (; *list; list++)
		if (strcmp(*list, digest) == 0)
			return true;
	return false;
}

static bool is_ours(const struct ecr_retention *rule, const json_t *image)
{
	json_t *tags = json_object_get(image, "imageTags");
	size_t i;
	json_t *tag;

	if (json_array_size(tags) == 0)
		return rule->with_untagged;
	json_array_foreach(tags, i, tag)
	{
		const char *text = json_string_value(tag);

		if (!text || !rule->is_ours(text))
			return false;
	}
	return true;
}

static void pick(const json_t *images, const struct ecr_retention *rule,
		 json_t *digests)
{
	double before = (double)((int64_t)time(NULL) - rule->min_age_s);
	size_t i;
	json_t *image;

	json_array_foreach(images, i, image)
	{
		const char *digest = json_get_str(image, "imageDigest", "");
		json_t *pushed = json_object_get(image, "imagePushedAt");

		/* Of unknown age, or of a make that we do not know: stays. */
		if (ecr_is_digest(digest) && json_is_number(pushed) &&
		    json_number_value(pushed) < before &&
		    is_ours(rule, image) && !is_listed(rule->keep, digest))
			json_array_append_new(digests, json_string(digest));
	}
}

/* The digests to delete, as an array. */
static int list_old(struct aws *a, const char *repository,
		    const struct ecr_retention *rule, json_t *digests,
		    struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:i}", "repositoryName",
				       repository, "maxResults", PAGE_IMAGES);

	for (int page = 0; page < PAGES_MAX; page++) {
		json_auto_t *output = NULL;
		json_t *next;
		int r = aws_call(a, AWS_ECR, "DescribeImages", input, &output,
				 err);

		if (r < 0)
			return aws_failed_with(a, NO_REPOSITORY) ? 0 : r;
		pick(json_object_get(output, "imageDetails"), rule, digests);
		next = json_object_get(output, "nextToken");
		if (json_string_length(next) == 0)
			break;
		json_object_set(input, "nextToken", next);
	}
	return 0;
}

/* Delete a batch; what is still part of an index goes to `later`. */
static int delete_batch(struct aws *a, const char *repository, json_t *ids,
			json_t *later, struct error *err)
{
	json_auto_t *input = json_pack("{s:s, s:O}", "repositoryName",
				       repository, "imageIds", ids);
	json_auto_t *output = NULL;
	json_t *failure;
	size_t i;
	int r = aws_call(a, AWS_ECR, "BatchDeleteImage", input, &output, err);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(output, "failures"), i, failure)
	{
		const char *code = json_get_str(failure, "failureCode", "");
		json_t *digest =
			json_at(failure, "imageId", "imageDigest", NULL);

		if (strcmp(code, "ImageReferencedByManifestList") == 0 &&
		    digest)
			json_array_append(later, digest);
	}
	return (int)json_array_size(json_object_get(output, "imageIds"));
}

static int delete_all(struct aws *a, const char *repository,
		      const json_t *digests, json_t *later, struct error *err)
{
	size_t count = json_array_size(digests);
	int deleted = 0;

	for (size_t i = 0; i < count; i += DELETE_BATCH) {
		json_auto_t *ids = json_array();
		int r;

		for (size_t k = i; k < count && k < i + DELETE_BATCH; k++)
			json_array_append_new(
				ids, json_pack("{s:O}", "imageDigest",
					       json_array_get(digests, k)));
		r = delete_batch(a, repository, ids, later, err);
		if (r < 0)
			return r;
		deleted += r;
	}
	return deleted;
}

int ecr_retain(struct aws *a, const char *repository,
	       const struct ecr_retention *rule, struct error *err)
{
	json_auto_t *digests = json_array();
	int deleted = 0;
	int r = list_old(a, repository, rule, digests, err);

	/* An index first, then its parts; those of an index that stays are
	 * refused again. */
	for (int round = 0; r >= 0 && round < DELETE_ROUNDS; round++) {
		json_t *later = json_array();

		r = delete_all(a, repository, digests, later, err);
		json_decref(digests);
		digests = later;
		if (r <= 0)
			break;
		deleted += r;
	}
	return r < 0 ? err_wrap(err, r, "old images of '%s'", repository)
		     : deleted;
}
