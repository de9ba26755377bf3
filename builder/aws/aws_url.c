#include "builder/aws/aws_url.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_PORT  80
#define HTTPS_PORT 443
#define PORT_MAX   65535

void aws_url_release(struct aws_url *u)
{
	if (!u)
		return;
	free(u->host);
	free(u->path);
	*u = (struct aws_url){ 0 };
}

static bool is_clean(const char *text)
{
	size_t len = strlen(text);

	if (len > AWS_URL_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f ||
		    strchr("\"<>\\^`{|}#", text[i]))
			return false;
	return true;
}

static bool host_is_valid(const char *host)
{
	size_t len = strlen(host);
	char inner[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (len == 0 || len > 253)
		return false;
	if (host[0] != '[')
		return strspn(host, "abcdefghijklmnopqrstuvwxyz"
				    "0123456789.-_") == len;
	if (len - 2 >= sizeof(inner) || host[len - 1] != ']')
		return false;
	memcpy(inner, host + 1, len - 2);
	inner[len - 2] = '\0';
	return inet_pton(AF_INET6, inner, &addr) == 1;
}

/* The port after ":"; -1 = none. */
static int port_of(const char *text)
{
	int port = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		port = port * 10 + (*text - '0');
		if (port > PORT_MAX)
			return -1;
	}
	return port == 0 ? -1 : port;
}

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static int parse_authority(char *text, struct aws_url *u, struct error *err)
{
	const char *bracket = strrchr(text, ']');
	char *colon = strchr(bracket ? bracket : text, ':');

	if (strchr(text, '@'))
		return err_set(err, ERR_INVALID,
			       "a user or password does not belong there");
	if (colon) {
		*colon = '\0';
		u->port = port_of(colon + 1);
		if (u->port < 0)
			return err_set(err, ERR_INVALID,
				       "the port is not one of 1-65535");
	}
	if (u->port == (u->is_https ? HTTPS_PORT : HTTP_PORT))
		u->port = 0;
	lower(text);
	if (!host_is_valid(text))
		return err_set(err, ERR_INVALID, "that is no host name");
	u->host = xstrdup(text);
	return 0;
}

int aws_url_parse(const char *text, struct aws_url *ret, struct error *err)
{
	struct aws_url u = { 0 };
	auto_free char *authority = NULL;
	size_t len;
	int r;

	if (!is_clean(text))
		return err_set(err, ERR_INVALID,
			       "too long, or has a character that no URL has");
	u.is_https = strncmp(text, "https://", 8) == 0;
	if (!u.is_https && strncmp(text, "http://", 7) != 0)
		return err_set(err, ERR_INVALID,
			       "must begin with https:// or http://");
	text += u.is_https ? 8 : 7;
	len = strcspn(text, "/?");
	authority = slice_dup((struct slice){ text, len });
	r = parse_authority(authority, &u, err);
	if (r < 0)
		return r;
	u.path = xstrdup(text + len);
	*ret = u;
	return 0;
}

char *aws_url_authority(const struct aws_url *u)
{
	return u->port ? xasprintf("%s:%d", u->host, u->port)
		       : xstrdup(u->host);
}

char *aws_url_origin(const struct aws_url *u)
{
	auto_free char *authority = aws_url_authority(u);

	return xasprintf("%s://%s", u->is_https ? "https" : "http", authority);
}

static bool is_agent_v6(const char *host)
{
	static const char *const allowed[] = { "::1", "fd00:ec2::23" };
	char inner[INET6_ADDRSTRLEN] = "";
	struct in6_addr addr;

	if (strlen(host) - 2 >= sizeof(inner))
		return false;
	memcpy(inner, host + 1, strlen(host) - 2);
	if (inet_pton(AF_INET6, inner, &addr) != 1)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		struct in6_addr one;

		if (inet_pton(AF_INET6, allowed[i], &one) == 1 &&
		    memcmp(&one, &addr, sizeof(addr)) == 0)
			return true;
	}
	return false;
}

bool aws_url_may_give_credentials(const struct aws_url *u)
{
	struct in_addr v4;

	if (u->is_https)
		return true;
	if (u->host[0] == '[')
		return is_agent_v6(u->host);
	/* Only the plain dotted form: others mean different hosts to
	 * different parsers. */
	if (inet_pton(AF_INET, u->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127 ||
		       strcmp(u->host, "169.254.170.2") == 0 ||
		       strcmp(u->host, "169.254.170.23") == 0;
	return strcmp(u->host, "localhost") == 0;
}
