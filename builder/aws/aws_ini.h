/*
 * builder/aws/aws_ini.h - the text of ~/.aws/config and ~/.aws/credentials.
 *
 * Internal to builder/aws/.  Pure.  What it keeps may be secret: releasing
 * wipes.  Source: the "Shared config and credentials files" reference, and
 * botocore where they differ: comments are whole lines beginning with # or ;
 * and of duplicates the last wins.
 */
#ifndef BUILDER_AWS_AWS_INI_H
#define BUILDER_AWS_AWS_INI_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct slice;

#define AWS_INI_ENTRIES_MAX 10000
#define AWS_INI_VALUE_MAX   16384 /* bytes of one that spans lines */

/* In config a profile is [profile x], in credentials [x]; [default] in both. */
enum aws_ini_file { AWS_INI_CONFIG, AWS_INI_CREDENTIALS };

enum aws_ini_section {
	AWS_INI_PROFILE,
	AWS_INI_SERVICES, /* [services x] of config */
	AWS_INI_OTHER,	  /* [sso-session x] and what is to come: skipped */
};

struct aws_ini_entry {
	enum aws_ini_section section;
	char *name;  /* of the profile or services section */
	char *key;   /* lower case; "ecs.endpoint_url" when nested; "" = the
			section itself */
	char *value; /* may span lines */
};

struct aws_ini {
	struct aws_ini_entry *entries;
	size_t count;
	size_t allocated;
};

void aws_ini_release(struct aws_ini *ini);

/*
 * 0 with *ret replaced, or -ERR_INVALID / -ERR_LIMIT "line 12: …", never with
 * content of the line.  *ret is zeroed or from an earlier parse.
 */
int aws_ini_parse(struct slice text, enum aws_ini_file file,
		  struct aws_ini *ret, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* The value, borrowed; NULL = not there. */
const char *aws_ini_get(const struct aws_ini *ini, enum aws_ini_section section,
			const char *name, const char *key)
	__attribute__((nonnull));

/* Is there such a section, even an empty one? */
bool aws_ini_has(const struct aws_ini *ini, enum aws_ini_section section,
		 const char *name) __attribute__((nonnull));

#endif
