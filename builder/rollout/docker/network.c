/*
 * The network of an app: a /27 of its own that nothing else on the engine or
 * the machine uses.
 *
 * The engine looks at its own networks alone, and a network over the addresses
 * of an interface cannot be reached.  Such interfaces are there: of a VPN, of
 * other container software, or a bridge that an engine left behind.
 */
#include "builder/rollout/docker/docker.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/error.h"
#include "builder/engine/network.h"
#include "builder/store/store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>

#define OWNER_SHOWN    8
#define NETWORK_TRIES  3
#define INTERFACES_MAX 4096
/* An interface's network that is wider is no obstacle: a /27 inside of it
 * hides little, and there may be no room outside. */
#define INTERFACE_BITS_MIN 16

char *docker_network_name(const struct docker *d, int64_t app_id)
{
	return xasprintf("slipway-%.*s-%" PRId64, OWNER_SHOWN, d->owner,
			 app_id);
}

static void free_all(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

/* "10.213.0.1/27" of one interface, or NULL. */
static char *interface_subnet(const struct ifaddrs *a)
{
	const struct sockaddr_in *address = (const void *)a->ifa_addr;
	const struct sockaddr_in *mask = (const void *)a->ifa_netmask;
	char text[INET_ADDRSTRLEN];
	int bits;

	if (!address || !mask || address->sin_family != AF_INET)
		return NULL;
	bits = __builtin_popcount(mask->sin_addr.s_addr);
	if (bits < INTERFACE_BITS_MIN ||
	    !inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text)))
		return NULL;
	return xasprintf("%s/%d", text, bits);
}

/* Add the interfaces' to a NULL-ended list. */
static int add_interfaces(char ***list, struct error *err)
{
	struct ifaddrs *all = NULL;
	size_t count = 0;

	if (getifaddrs(&all) < 0)
		return err_errno(err, errno, "list the network interfaces");
	while ((*list)[count])
		count++;
	*list = xrealloc(*list, (count + INTERFACES_MAX + 1) * sizeof(**list));
	for (const struct ifaddrs *a = all; a && count < INTERFACES_MAX;
	     a = a->ifa_next) {
		(*list)[count] = interface_subnet(a);
		if ((*list)[count])
			count++;
	}
	(*list)[count] = NULL;
	freeifaddrs(all);
	return 0;
}

static int used_subnets(struct docker *d, char ***ret, struct error *err)
{
	char **used = NULL;
	int r = network_subnets(d->engine, &used, err);

	if (r == 0)
		r = add_interfaces(&used, err);
	if (r < 0)
		free_all(used);
	else
		*ret = used;
	return r;
}

static int create_network(struct docker *d, const struct blueprint *b,
			  struct error *err)
{
	auto_free char *subnet = NULL;
	char **used = NULL;
	int r = used_subnets(d, &used, err);

	if (r < 0)
		return r;
	r = store_app_subnet(d->store, b->app->id, d->cfg->network_pool,
			     (const char *const *)used, &subnet, err);
	free_all(used);
	if (r < 0)
		return r;
	r = network_create(d->engine, b->network, subnet, d->owner, err);
	if (r == -ERR_INVALID)
		return err_wrap(err, r,
				"the app's network %s is used by something "
				"else on this engine",
				subnet);
	return r == -ERR_EXISTS ? 0 : r;
}

int docker_ensure_network(struct docker *d, const struct blueprint *b,
			  struct error *err)
{
	int r = network_exists(d->engine, b->network, err);

	if (r != 0)
		return r < 0 ? r : 0;
	/* Somebody else may take the same one at the same time. */
	for (int i = 0; i < NETWORK_TRIES; i++) {
		r = create_network(d, b, err);
		if (r != -ERR_INVALID)
			break;
	}
	return r;
}
