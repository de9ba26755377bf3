#include "builder/aws/aws_environment.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/aws_endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

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
static int read_file(const char *path, struct buf *text, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return err_errno(err, errno, "open");
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "stat");
	/* A device: /dev/null says "no such file" in many a set-up. */
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(err, ERR_INVALID, "not a regular file");
	/* At once: growing would leave copies that nobody wipes. */
	if (!buf_reserve(text, AWS_FILE_MAX))
		return err_set(err, ERR_LIMIT, "too long");
	return buf_read_fd(text, fd, err);
}

static int read_ini(const char *path, enum aws_ini_file file,
		    struct aws_ini *ret, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(AWS_FILE_MAX);
	int r = read_file(path, &text, err);

	if (r == 0)
		r = aws_ini_parse(buf_slice(&text), file, ret, err);
	if (text.data)
		OPENSSL_cleanse(text.data, text.len);
	if (r < 0) {
		r = err_set(err, ERR_INVALID, "%s", err->msg);
		return err_wrap(err, r, "'%s'", path);
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

static int choose_region(struct aws_environment *e,
			 const struct aws_options *options, struct error *err)
{
	const char *region = options->region;

	if (!region)
		region = variable("AWS_REGION");
	if (!region)
		region = aws_environment_value(e, "AWS_DEFAULT_REGION",
					       "region");
	if (!region)
		return err_set(err, ERR_NOTFOUND,
			       "no AWS region: set AWS_REGION, or region in "
			       "profile '%s'",
			       e->profile);
	if (!aws_region_is_valid(region))
		return err_set(err, ERR_INVALID,
			       "AWS region '%.32s' has not the shape of one",
			       region);
	e->region = xstrdup(region);
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
