#include "builder/engine/grpc_calls.h"

#include "base/cleanup.h"
#include "builder/engine/build.h"
#include "builder/engine/session.h"
#include "builder/engine/session.pb-c.h"

#include <stdio.h>
#include <string.h>

#define PREFIX_BYTES 5 /* compressed?, length */
#define SERVING	     1

const char *grpc_registry_name(const char *host)
{
	static const char *const hub[] = {
		"docker.io",
		"index.docker.io",
		"registry-1.docker.io",
		"https://index.docker.io/v1/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(hub); i++)
		if (strcmp(host, hub[i]) == 0)
			return hub[0];
	return host;
}

static void add_message(struct buf *reply, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	auto_free uint8_t *data = xmalloc(len);

	protobuf_c_message_pack(m, data);
	buf_addc(reply, 0); /* not compressed */
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_addc(reply, (char)(len >> shift & 0xff));
	buf_add(reply, data, len);
	explicit_bzero(data, len);
}

/* The message in a unary request; false when it is not exactly one. */
static bool request_message(struct slice body, struct slice *ret)
{
	const unsigned char *p = (const unsigned char *)body.ptr;
	size_t len;

	if (body.len < PREFIX_BYTES || p[0] != 0)
		return false;
	len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 |
	      p[4];
	ret->ptr = body.ptr + PREFIX_BYTES;
	ret->len = body.len - PREFIX_BYTES;
	return ret->len == len;
}

static enum grpc_status check_health(const struct session_answers *answers,
				     struct slice message, struct buf *reply,
				     char *registry)
{
	Slipway__Session__HealthCheckResponse m =
		SLIPWAY__SESSION__HEALTH_CHECK_RESPONSE__INIT;

	(void)answers;
	(void)message;
	(void)registry;
	m.status = SERVING;
	add_message(reply, &m.base);
	return GRPC_OK;
}

/* None known is an empty reply: the engine then tries without. */
static void fill_credentials(const struct session_answers *answers,
			     const char *host,
			     Slipway__Session__CredentialsResponse *m)
{
	const char *wanted = grpc_registry_name(host);

	for (size_t i = 0; i < answers->credentials_count; i++) {
		const struct build_credential *c = &answers->credentials[i];

		if (strcmp(grpc_registry_name(c->host), wanted) != 0)
			continue;
		/* Only read from here on. */
		m->username = (char *)c->username;
		m->secret = (char *)c->password;
		return;
	}
}

static enum grpc_status give_credentials(const struct session_answers *answers,
					 struct slice message,
					 struct buf *reply, char *registry)
{
	Slipway__Session__CredentialsResponse m =
		SLIPWAY__SESSION__CREDENTIALS_RESPONSE__INIT;
	Slipway__Session__CredentialsRequest *request =
		slipway__session__credentials_request__unpack(
			NULL, message.len, (const uint8_t *)message.ptr);

	if (!request)
		return GRPC_INVALID_ARGUMENT;
	snprintf(registry, GRPC_REGISTRY_MAX, "%s",
		 grpc_registry_name(request->host));
	fill_credentials(answers, request->host, &m);
	add_message(reply, &m.base);
	slipway__session__credentials_request__free_unpacked(request, NULL);
	return GRPC_OK;
}

static enum grpc_status give_secret(const struct session_answers *answers,
				    struct slice message, struct buf *reply,
				    char *registry)
{
	Slipway__Session__GetSecretResponse m =
		SLIPWAY__SESSION__GET_SECRET_RESPONSE__INIT;
	Slipway__Session__GetSecretRequest *request =
		slipway__session__get_secret_request__unpack(
			NULL, message.len, (const uint8_t *)message.ptr);
	enum grpc_status status = GRPC_NOT_FOUND;

	(void)registry;
	if (!request)
		return GRPC_INVALID_ARGUMENT;
	for (size_t i = 0; i < answers->secrets_count; i++) {
		const struct build_secret *secret = &answers->secrets[i];

		if (strcmp(secret->id, request->id) != 0)
			continue;
		m.data.data = (uint8_t *)secret->data.ptr;
		m.data.len = secret->data.len;
		add_message(reply, &m.base);
		status = GRPC_OK;
		break;
	}
	slipway__session__get_secret_request__free_unpacked(request, NULL);
	return status;
}

typedef enum grpc_status (*method_fn)(const struct session_answers *answers,
				      struct slice message, struct buf *reply,
				      char *registry);

static const struct {
	const char *path;
	method_fn answer;
} methods[] = {
	{ "/grpc.health.v1.Health/Check", check_health },
	{ "/moby.filesync.v1.Auth/Credentials", give_credentials },
	{ "/moby.buildkit.secrets.v1.Secrets/GetSecret", give_secret },
};

enum grpc_status grpc_answer(const struct session_answers *answers,
			     const char *path, struct slice body,
			     struct buf *reply, char *registry)
{
	struct slice message;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].path, path) != 0)
			continue;
		if (!request_message(body, &message))
			return GRPC_INVALID_ARGUMENT;
		return methods[i].answer(answers, message, reply, registry);
	}
	return GRPC_UNIMPLEMENTED;
}
