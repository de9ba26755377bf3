/*
 * builder/aws/aws_query.h - the query protocol: JSON to form fields, XML
 * replies to JSON.
 *
 * Pure.  Source: the AWS query protocol as STS and ELBv2 speak it (lists are
 * "Name.member.N", members "Name.Key").
 */
#ifndef BUILDER_AWS_AWS_QUERY_H
#define BUILDER_AWS_AWS_QUERY_H

#include <jansson.h>

#include "base/buf.h"

struct error;

/* More than any reply of these services has. */
#define AWS_XML_DEPTH_MAX    32
#define AWS_XML_ELEMENTS_MAX 200000

/*
 * Append "Action=OPERATION&Version=VERSION&…" with the members of `input`,
 * an object.  Null members are left out, an empty list is "Name=".
 *
 * 0; -ERR_LIMIT over the maximum of `out`; -ERR_INVALID nested too deeply.
 */
int aws_query_encode(const char *operation, const char *version,
		     const json_t *input, struct buf *out, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/*
 * Read an XML document: *ret_doc is {"Root": …}.  An element with elements
 * in it is an object, or an array when the first is a <member>; any other
 * element is a string, "" when empty (an empty list cannot be told from it).
 * Attributes, text between elements, a stranger among <member>s and a name
 * that was there before are ignored; a document type is refused.
 *
 * 0, or -ERR_PROTO.
 */
int aws_xml_read(struct slice xml, json_t **ret_doc, struct error *err)
	__attribute__((nonnull, warn_unused_result));

#endif
