#include "base/wire.h"

#include "base/error.h"
#include "base/io.h"
#include "base/json.h"

#include <string.h>

int wire_parse(struct slice in, struct wire_frame *ret_frame, struct error *err)
{
	const unsigned char *p = (const unsigned char *)in.ptr;
	uint32_t len;

	if (in.len < WIRE_HEAD)
		return 0;
	len = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	      (uint32_t)p[2] << 8 | p[3];
	if (len < 1 || len > WIRE_MAX + 1)
		return err_set(err, ERR_PROTO, "frame of %u bytes", len);
	if (p[4] > WIRE_STDIN)
		return err_set(err, ERR_PROTO, "frame of unknown kind %u",
			       p[4]);
	if (in.len < len + 4)
		return 0;
	ret_frame->kind = (enum wire_kind)p[4];
	ret_frame->payload.ptr = in.ptr + WIRE_HEAD;
	ret_frame->payload.len = len - 1;
	return (int)len + 4;
}

void wire_add(struct buf *out, enum wire_kind kind, const void *data,
	      size_t len)
{
	uint32_t n = (uint32_t)len + 1;
	unsigned char head[WIRE_HEAD] = {
		(unsigned char)(n >> 24), (unsigned char)(n >> 16),
		(unsigned char)(n >> 8),  (unsigned char)n,
		(unsigned char)kind,
	};

	buf_add(out, head, sizeof(head));
	buf_add(out, data, len);
}

void wire_add_message(struct buf *out, json_t *msg)
{
	char *text = json_dumps(msg, JSON_COMPACT);

	json_decref(msg);
	if (!text)
		return;
	wire_add(out, WIRE_MESSAGE, text, strlen(text));
	free(text);
}

int wire_send(int fd, json_t *msg, struct error *err)
{
	auto_buf struct buf out = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	int r;

	wire_add_message(&out, msg);
	r = buf_check(&out, "message", err);
	if (r < 0)
		return r;
	return io_write_all(fd, buf_str(&out), out.len, err);
}

int wire_send_data(int fd, enum wire_kind kind, const void *data, size_t len,
		   struct error *err)
{
	const char *p = data;

	do {
		auto_buf struct buf out = BUF_INIT(WIRE_MAX + WIRE_HEAD);
		size_t part = len < 65536 ? len : 65536;
		int r;

		wire_add(&out, kind, p, part);
		r = io_write_all(fd, out.data, out.len, err);
		if (r < 0)
			return r;
		p += part;
		len -= part;
	} while (len > 0);
	return 0;
}

int wire_recv(int fd, struct buf *in, struct wire_frame *ret_frame,
	      struct error *err)
{
	unsigned char head[WIRE_HEAD];
	uint32_t len;
	int r;

	buf_reset(in);
	r = io_read_exact(fd, head, sizeof(head), err);
	if (r <= 0)
		return r;
	len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 |
	      (uint32_t)head[2] << 8 | head[3];
	if (len < 1 || len > WIRE_MAX + 1)
		return err_set(err, ERR_PROTO, "frame of %u bytes", len);
	buf_add(in, head, sizeof(head));
	if (!buf_reserve(in, len))
		return err_set(err, ERR_LIMIT, "frame of %u bytes", len);
	if (len > 1) {
		r = io_read_exact(fd, in->data + in->len, len - 1, err);
		if (r < 0)
			return r;
		if (r == 0)
			return err_set(err, ERR_PROTO,
				       "the connection ended in a frame");
		in->len += len - 1;
		in->data[in->len] = '\0';
	}
	r = wire_parse(buf_slice(in), ret_frame, err);
	return r < 0 ? r : 1;
}

int wire_message(const struct wire_frame *frame, json_t **ret_msg,
		 const char **ret_type, struct error *err)
{
	json_t *msg = NULL;
	const char *type;
	int r;

	if (frame->kind != WIRE_MESSAGE)
		return err_set(err, ERR_PROTO, "expected a message");
	r = json_parse(frame->payload, "message", &msg, err);
	if (r < 0) {
		err->code = ERR_PROTO;
		return -ERR_PROTO;
	}
	type = json_get_str(msg, "type", NULL);
	if (!type) {
		json_decref(msg);
		return err_set(err, ERR_PROTO, "message without a type");
	}
	*ret_msg = msg;
	*ret_type = type;
	return 0;
}

json_t *wire_error(const struct error *e)
{
	json_t *text = json_string_safe(e->msg, strlen(e->msg));

	return json_pack("{s:s, s:s, s:o}", "type", "error", "code",
			 err_code_name(e->code), "message", text);
}

int wire_call(int fd, json_t *request, json_t **ret_reply, struct error *err)
{
	auto_buf struct buf in = BUF_INIT(WIRE_MAX + WIRE_HEAD);
	struct wire_frame frame;
	json_t *reply = NULL;
	const char *type;
	int r;

	r = wire_send(fd, request, err);
	if (r < 0)
		return r;
	r = wire_recv(fd, &in, &frame, err);
	if (r == 0)
		return err_set(err, ERR_PEER,
			       "the builder closed the "
			       "connection");
	if (r < 0)
		return r;
	r = wire_message(&frame, &reply, &type, err);
	if (r < 0)
		return r;
	if (strcmp(type, "error") == 0) {
		r = err_set(
			err,
			err_code_from_name(json_get_str(reply, "code", "peer")),
			"%s", json_get_str(reply, "message", "?"));
		json_decref(reply);
		return r;
	}
	*ret_reply = reply;
	return 0;
}
