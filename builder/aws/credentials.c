#include "builder/aws/credentials.h"

#include "base/error.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/credentials_private.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct credential_chain *credential_chain_new(const struct aws_environment *env)
{
	struct credential_chain *c = xcalloc(1, sizeof(*c));

	c->env = env;
	c->http = aws_http_new();
	return c;
}

void credential_chain_free(struct credential_chain *c)
{
	if (!c)
		return;
	credentials_release(&c->current);
	aws_http_free(c->http);
	free(c);
}

/* ---- looking ---- */

int credentials_from_profile(struct credential_chain *chain,
			     const char *profile, bool use_variables,
			     struct credentials *ret, struct error *err)
{
	const struct aws_environment *env = chain->env;
	int r = credentials_from_web_identity(chain, profile, use_variables,
					      ret, err);

	if (r == 0)
		r = credentials_from_file(env, AWS_INI_CREDENTIALS, profile,
					  ret, err);
	if (r == 0)
		r = credentials_from_process(env, profile, ret, err);
	if (r == 0)
		r = credentials_from_file(env, AWS_INI_CONFIG, profile, ret,
					  err);
	return r;
}

/* Every place in botocore's order. */
static int find(struct credential_chain *c, struct credentials *ret,
		struct error *err)
{
	bool is_explicit;
	const char *profile = aws_environment_profile(c->env, &is_explicit);
	int r = is_explicit ? 0 : credentials_from_variables(ret, err);

	if (r == 0)
		r = credentials_from_role(c, profile, ret, err);
	if (r == 0)
		r = credentials_from_profile(c, profile, !is_explicit, ret,
					     err);
	if (r == 0)
		r = credentials_from_container(c->http, ret, err);
	if (r == 0)
		r = credentials_from_instance(c->env, c->http, ret, err);
	if (r == 0)
		return err_set(err, ERR_DENIED,
			       "no AWS credentials: none in %sprofile '%s', "
			       "no container agent named, no answer from "
			       "instance metadata",
			       is_explicit ? "" : "the environment and ",
			       profile);
	return r < 0 ? r : 0;
}

static double random_part(void)
{
	unsigned char byte = 0;

	if (RAND_bytes(&byte, 1) != 1)
		return 0.5;
	return byte / 255.0;
}

int credential_chain_get(struct credential_chain *c, bool force,
			 const struct credentials **ret, struct error *err)
{
	int64_t now = time(NULL);
	enum refresh refresh = refresh_decide(&c->plan, now);
	struct credentials found = { 0 };
	int r;

	if (force || !c->current.access_key)
		refresh = REFRESH_MUST;
	if (refresh != REFRESH_NO) {
		r = find(c, &found, err);
		if (r < 0 && refresh == REFRESH_MUST)
			return r;
		if (r < 0) {
			refresh_postpone(&c->plan, now);
		} else {
			credentials_release(&c->current);
			c->current = found;
			c->plan = refresh_plan_make(
				found.expires,
				strcmp(found.source, CREDENTIALS_INSTANCE) == 0,
				now, random_part());
		}
	}
	*ret = &c->current;
	return 0;
}
