/*
 * builder/engine/engine_json.h - what the engine's JSON says, as structs.
 *
 * Internal to builder/engine/.  Pure: fuzz targets.  Tolerant, because
 * engines from 20.10 to 29 and Podman differ: every member is optional, one
 * of a wrong type counts as absent, and texts are bounded.
 */
#ifndef BUILDER_ENGINE_ENGINE_JSON_H
#define BUILDER_ENGINE_ENGINE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

struct container;
struct container_state;
struct image_info;

/* Bounds on what is kept of foreign texts and lists. */
#define ENGINE_TEXT_MAX	 4096
#define ENGINE_ITEMS_MAX 10000

/*
 * The API version to speak with an engine that offers `offered` ("1.41"):
 * the lower of it and 1.44, into out.  False when it is below 1.40 or no
 * version at all.
 */
bool engine_api_version(const char *offered, char *out, size_t size)
	__attribute__((nonnull));

/* GET /containers/ID/json; `network` names the one whose address counts. */
void container_state_from_json(const json_t *doc, const char *network,
			       struct container_state *ret)
	__attribute__((nonnull(2, 3)));

/* Config.Tty of GET /containers/ID/json. */
bool container_has_tty(const json_t *doc);

/* GET /containers/json; count, *ret is the caller's. */
int container_list_from_json(const json_t *doc, struct container **ret)
	__attribute__((nonnull(2)));

/* GET /images/REF/json */
void image_info_from_json(const json_t *doc, struct image_info *ret)
	__attribute__((nonnull(2)));

/* RepoTags of GET /images/json that are of `repo`; NULL-ended. */
char **image_tags_from_json(const json_t *doc, const char *repo)
	__attribute__((nonnull(2)));

/* IPv4 prefixes of GET /networks; NULL-ended. */
char **network_subnets_from_json(const json_t *doc);

#endif
