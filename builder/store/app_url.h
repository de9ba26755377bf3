/*
 * builder/store/app_url.h - where an app answers, and how to name its
 * repository in a git remote.
 *
 * Pure.
 */
#ifndef BUILDER_STORE_APP_URL_H
#define BUILDER_STORE_APP_URL_H

struct config;

/* "shop.localhost", for the router; the caller frees it. */
char *app_host(const struct config *cfg, const char *app)
	__attribute__((nonnull));

/*
 * Where the app answers on this target: "http://shop.localhost:8080" of the
 * router, without the port when it is 80; of the load balancer
 * "https://shop.apps.example.com", or "" when web is not routed there.  The
 * caller frees it.
 */
char *app_url(const struct config *cfg, const char *target, const char *app)
	__attribute__((nonnull));

/* "ssh://git@deploy.example.com:2222/shop", or "git@deploy.example.com:shop"
 * on port 22; the caller frees it. */
char *app_git_url(const struct config *cfg, const char *app)
	__attribute__((nonnull));

#endif
