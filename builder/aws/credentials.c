#include "builder/aws/credentials.h"

#include "base/buf.h"
#include "base/error.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/credentials_private.h"
#include "builder/aws/credentials_refresh.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <time.h>

struct credential_chain {
	const struct aws_environment *env;
	struct credentials current; /* access_key NULL = none yet */
	struct refresh_plan plan;
};

struct credential_chain *credential_chain_new(const struct aws_environment *env)
{
	struct credential_chain *c = xcalloc(1, sizeof(*c));

	c->env = env;
	return c;
}

void credential_chain_free(struct credential_chain *c)
{
	if (!c)
		return;
	credentials_release(&c->current);
	free(c);
}

/* Look at every place in botocore's order. */
static int find(struct credential_chain *c, struct credentials *ret,
		struct error *err)
{
	bool is_explicit;
	const char *profile = aws_environment_profile(c->env, &is_explicit);
	int r = is_explicit ? 0 : credentials_from_variables(ret, err);

	if (r == 0)
		r = credentials_from_file(c->env, AWS_INI_CREDENTIALS, profile,
					  ret, err);
	if (r == 0)
		r = credentials_from_file(c->env, AWS_INI_CONFIG, profile, ret,
					  err);
	if (r == 0)
		return err_set(err, ERR_DENIED,
			       "no AWS credentials: looked at %sprofile '%s'",
			       is_explicit ? "" : "the environment, ", profile);
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
			c->plan = refresh_plan_make(found.expires, false, now,
						    random_part());
		}
	}
	*ret = &c->current;
	return 0;
}
