#include "builder/aws/aws_environment.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/wipe.h"
#include "builder/aws/aws_endpoint.h"
#include "builder/aws/aws_file.h"
#include "builder/aws/aws_http.h"
#include "builder/aws/imds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REGION_MAX 256 /* bytes that instance metadata may say */

struct aws_environment {
	char *region;
	char *profile;
	char *endpoint_url; /* of the options; NULL = none */
	bool profile_is_explicit;
	bool use_fips;
	bool use_dualstack;
	bool ignores_configured; /* endpoints */
	struct aws_ini files[2]; /* by enum aws_ini_file */
};

void aws_endpoint_release(struct aws_endpoint *e)
{
	if (!e)
		return;
	free(e->url);
	free(e->host);
	free(e->region);
	free(e->sign_name);
	*e = (struct aws_endpoint){ 0 };
}

void aws_environment_free(struct aws_environment *e)
{
	if (!e)
		return;
	free(e->region);
	free(e->profile);
	free(e->endpoint_url);
	aws_ini_release(&e->files[AWS_INI_CONFIG]);
	aws_ini_release(&e->files[AWS_INI_CREDENTIALS]);
	free(e);
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* ---- files ---- */

static char *file_path(const char *name, const char *below_home)
{
	const char *path = variable(name);
	const char *home = variable("HOME");

	if (path && strncmp(path, "~/", 2) != 0)
		return xstrdup(path);
	return xasprintf("%s/%s", home ? home : "",
			 path ? path + 2 : below_home);
}

/* A missing file is an empty one. */
static int read_ini(const char *path, enum aws_ini_file file,
		    struct aws_ini *ret, struct error *err)
{
	auto_wiped struct buf text = BUF_INIT(AWS_FILE_MAX);
	int r = aws_file_read(path, &text, err);

	if (r > 0)
		r = aws_ini_parse(buf_slice(&text), file, ret, err);
	if (r < 0) {
		err->code = ERR_INVALID;
		return err_wrap(err, -ERR_INVALID, "'%s'", path);
	}
	return 0;
}

static int read_files(struct aws_environment *e, struct error *err)
{
	auto_free char *config = file_path("AWS_CONFIG_FILE", ".aws/config");
	auto_free char *credentials =
		file_path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
	int r = read_ini(config, AWS_INI_CONFIG, &e->files[AWS_INI_CONFIG],
			 err);

	if (r == 0)
		r = read_ini(credentials, AWS_INI_CREDENTIALS,
			     &e->files[AWS_INI_CREDENTIALS], err);
	return r;
}

const char *aws_environment_setting_in(const struct aws_environment *e,
				       enum aws_ini_file file,
				       const char *profile, const char *key)
{
	const char *value =
		aws_ini_get(&e->files[file], AWS_INI_PROFILE, profile, key);

	return value && *value ? value : NULL;
}

const char *aws_environment_setting(const struct aws_environment *e,
				    const char *profile, const char *key)
{
	const char *value = aws_environment_setting_in(e, AWS_INI_CREDENTIALS,
						       profile, key);

	return value ? value
		     : aws_environment_setting_in(e, AWS_INI_CONFIG, profile,
						  key);
}

bool aws_environment_has_profile(const struct aws_environment *e,
				 const char *profile)
{
	return aws_ini_has(&e->files[AWS_INI_CONFIG], AWS_INI_PROFILE,
			   profile) ||
	       aws_ini_has(&e->files[AWS_INI_CREDENTIALS], AWS_INI_PROFILE,
			   profile);
}

const char *aws_environment_value(const struct aws_environment *e,
				  const char *name, const char *key)
{
	const char *value = variable(name);

	if (value || !key)
		return value;
	return aws_environment_setting(e, e->profile, key);
}

/* ---- settings ---- */

static int choose_profile(struct aws_environment *e,
			  const struct aws_options *options, struct error *err)
{
	const char *asked =
		options->profile ? options->profile : variable("AWS_PROFILE");

	e->profile_is_explicit = options->profile != NULL;
	e->profile = xstrdup(asked ? asked : "default");
	if (asked && strcmp(asked, "default") != 0 &&
	    !aws_environment_has_profile(e, asked))
		return err_set(err, ERR_INVALID,
			       "profile '%s' is in neither AWS config nor "
			       "credentials file",
			       asked);
	return 0;
}

static int read_bool(const struct aws_environment *e, const char *name,
		     const char *key, bool *ret, struct error *err)
{
	const char *value = aws_environment_value(e, name, key);

	*ret = value && strcasecmp(value, "true") == 0;
	if (value && !*ret && strcasecmp(value, "false") != 0)
		return err_set(err, ERR_INVALID,
			       "%s (or %s of profile '%s') must be true or "
			       "false",
			       name, key, e->profile);
	return 0;
}

static int read_flags(struct aws_environment *e, struct error *err)
{
	int r = read_bool(e, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint",
			  &e->use_fips, err);

	if (r == 0)
		r = read_bool(e, "AWS_USE_DUALSTACK_ENDPOINT",
			      "use_dualstack_endpoint", &e->use_dualstack, err);
	if (r == 0)
		r = read_bool(e, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
			      "ignore_configured_endpoint_urls",
			      &e->ignores_configured, err);
	return r;
}

/* As instance metadata says; NULL = it says nothing. */
static int ask_instance(const struct aws_environment *e, char **ret,
			struct error *err)
{
	auto_buf struct buf text = BUF_INIT(REGION_MAX);
	struct aws_http *http = aws_http_new();
	struct imds m;
	int r = imds_init(&m, e, err);

	if (r == 0)
		r = imds_get(&m, http, "/latest/meta-data/placement/region",
			     &text, err);
	if (r > 0)
		*ret = slice_dup(slice_trim(buf_slice(&text)));
	imds_release(&m);
	aws_http_free(http);
	return r < 0 ? r : 0;
}

static int choose_region(struct aws_environment *e,
			 const struct aws_options *options, struct error *err)
{
	const char *region = options->region;
	int r = 0;

	if (!region)
		region = variable("AWS_REGION");
	if (!region)
		region = aws_environment_value(e, "AWS_DEFAULT_REGION",
					       "region");
	if (region)
		e->region = xstrdup(region);
	else
		r = ask_instance(e, &e->region, err);
	if (r < 0 && r != -ERR_INVALID)
		err->code = ERR_NOTFOUND;
	if (r < 0)
		return err_wrap(err, -(int)err->code, "no AWS region");
	if (!e->region)
		return err_set(err, ERR_NOTFOUND,
			       "no AWS region: set AWS_REGION, or region in "
			       "profile '%s' (instance metadata does not "
			       "answer)",
			       e->profile);
	if (!aws_region_is_valid(e->region))
		return err_set(err, ERR_INVALID,
			       "AWS region '%.32s' has not the shape of one",
			       e->region);
	return 0;
}

int aws_environment_read(const struct aws_options *options,
			 struct aws_environment **ret, struct error *err)
{
	struct aws_environment *e = xcalloc(1, sizeof(*e));
	int r = read_files(e, err);

	if (options->endpoint_url)
		e->endpoint_url = xstrdup(options->endpoint_url);
	if (r == 0)
		r = choose_profile(e, options, err);
	if (r == 0)
		r = read_flags(e, err);
	if (r == 0)
		r = choose_region(e, options, err);
	if (r < 0) {
		aws_environment_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

const char *aws_environment_region(const struct aws_environment *e)
{
	return e->region;
}

const char *aws_environment_profile(const struct aws_environment *e,
				    bool *ret_is_explicit)
{
	*ret_is_explicit = e->profile_is_explicit;
	return e->profile;
}

/* ---- endpoints ---- */

/* endpoint_url of the [services …] section that the profile names. */
static const char *service_override(const struct aws_environment *e,
				    const char *id)
{
	const char *services =
		aws_environment_setting(e, e->profile, "services");
	auto_free char *key = xasprintf("%s.endpoint_url", id);
	const char *value;

	for (char *p = key; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	value = services ? aws_ini_get(&e->files[AWS_INI_CONFIG],
				       AWS_INI_SERVICES, services, key)
			 : NULL;
	return value && *value ? value : NULL;
}

struct override {
	const char *url; /* NULL = none */
	char where[160]; /* it was looked for, for errors */
};

static struct override find_override(const struct aws_environment *e,
				     const char *id)
{
	struct override o = { e->endpoint_url, "the endpoint" };

	if (o.url || e->ignores_configured)
		return o;
	snprintf(o.where, sizeof(o.where), "AWS_ENDPOINT_URL_%s", id);
	o.url = variable(o.where);
	if (o.url)
		return o;
	snprintf(o.where, sizeof(o.where), "AWS_ENDPOINT_URL");
	o.url = variable(o.where);
	if (o.url)
		return o;
	snprintf(o.where, sizeof(o.where), "endpoint_url of profile '%s'",
		 e->profile);
	o.url = service_override(e, id);
	if (!o.url)
		o.url = aws_environment_setting(e, e->profile, "endpoint_url");
	return o;
}

int aws_environment_endpoint(const struct aws_environment *e,
			     enum aws_service service, struct aws_endpoint *ret,
			     struct error *err)
{
	struct aws_endpoint_rule rule = { .service = service,
					  .region = e->region,
					  .use_fips = e->use_fips,
					  .use_dualstack = e->use_dualstack };
	struct override o = find_override(e, aws_endpoint_id(service));
	int r;

	rule.override = o.url;
	r = aws_endpoint_resolve(&rule, ret, err);
	return r < 0 && o.url ? err_wrap(err, r, "%s", o.where) : r;
}
