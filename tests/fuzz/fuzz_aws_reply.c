/*
 * builder/aws/aws_reply.h, aws_retry.h: replies of services.  The first byte
 * chooses the service, the second how long x-amzn-ErrorType is; then comes
 * that, then the body.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/aws_reply.h"
#include "builder/aws/aws_retry.h"
#include "builder/aws/aws_service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	if (len == size || !text_is_utf8((struct slice){ text, len }))
		abort();
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			abort();
}

static void check_error(enum aws_service service,
			const struct aws_http_reply *reply)
{
	struct aws_error e;
	char action[64];

	aws_reply_error(aws_service_info(service), reply, &e);
	check_text(e.code, sizeof(e.code));
	check_text(e.message, sizeof(e.message));
	check_text(e.request_id, sizeof(e.request_id));
	(void)aws_judge(service, &e);
	if (aws_denied_action(e.message, action, sizeof(action)) &&
	    !strchr(action, ':'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aws_http_reply reply = { .status = 400 };
	enum aws_service service;
	json_auto_t *output = NULL;
	struct error err;
	size_t len;

	if (size < 2)
		return 0;
	service = (enum aws_service)(data[0] % AWS_SERVICES_COUNT);
	len = data[1] % sizeof(reply.error_type);
	if (len > size - 2)
		len = size - 2;
	memcpy(reply.error_type, data + 2, len);
	reply.body = (struct buf)BUF_INIT(size);
	buf_add(&reply.body, data + 2 + len, size - 2 - len);
	check_error(service, &reply);
	if (aws_reply_output(aws_service_info(service), "Op",
			     buf_slice(&reply.body), &output, &err) == 0 &&
	    !json_is_object(output))
		abort();
	buf_release(&reply.body);
	return 0;
}
