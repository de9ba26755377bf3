#include "builder/aws/aws_endpoint.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_url.h"

#include <string.h>

struct service {
	const char *id;
	const char *sign_name;
	const char *label;	/* first of the host's */
	const char *fips_label; /* with FIPS */
	/* Dual-stack hosts; NULL = the same labels. */
	const char *dual_label;
	const char *dual_fips_label;
	bool is_plain_in_gov; /* GovCloud: FIPS without a label of its own */
};

static const struct service services[AWS_SERVICES_COUNT] = {
	[AWS_ECR] = { "ECR", "ecr", "api.ecr", "api.ecr-fips", "ecr",
		      "ecr-fips", false },
	[AWS_ECS] = { "ECS", "ecs", "ecs", "ecs-fips", NULL, NULL, false },
	[AWS_LOGS] = { "CLOUDWATCH_LOGS", "logs", "logs", "logs-fips", NULL,
		       NULL, true },
	[AWS_SECRETS_MANAGER] = { "SECRETS_MANAGER", "secretsmanager",
				  "secretsmanager", "secretsmanager-fips", NULL,
				  NULL, false },
	[AWS_SSM] = { "SSM", "ssm", "ssm", "ssm-fips", NULL, NULL, true },
	[AWS_STS] = { "STS", "sts", "sts", "sts-fips", NULL, NULL, true },
	[AWS_ELB] = { "ELASTIC_LOAD_BALANCING_V2", "elasticloadbalancing",
		      "elasticloadbalancing", "elasticloadbalancing-fips", NULL,
		      NULL, true },
};

struct partition {
	const char *prefix; /* of its regions */
	const char *suffix;
	const char *dual_suffix; /* NULL = has no dual-stack hosts */
};

/* The first that fits; the last fits all. */
static const struct partition partitions[] = {
	{ "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn" },
	{ "us-gov-", "amazonaws.com", "api.aws" },
	{ "us-iso-", "c2s.ic.gov", NULL },
	{ "us-isob-", "sc2s.sgov.gov", NULL },
	{ "us-isof-", "csp.hci.ic.gov", NULL },
	{ "eu-isoe-", "cloud.adc-e.uk", NULL },
	{ "eusc-", "amazonaws.eu", "api.amazonwebservices.eu" },
	{ "", "amazonaws.com", "api.aws" },
};

const char *aws_endpoint_id(enum aws_service service)
{
	return services[service].id;
}

bool aws_region_is_valid(const char *region)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	size_t n = strspn(region, letters);
	int words = 0;

	if (strlen(region) > 32 || n < 2 || n > 4)
		return false;
	for (region += n; *region == '-'; region += n) {
		region++;
		n = strspn(region, letters);
		if (n == 0)
			break;
		words++;
	}
	return words > 0 && region[0] >= '0' && region[0] <= '9' &&
	       region[-1] == '-' && region[1] == '\0';
}

static const struct partition *partition_of(const char *region)
{
	const struct partition *p = partitions;

	while (strncmp(region, p->prefix, strlen(p->prefix)) != 0)
		p++;
	return p;
}

static const char *label_of(const struct service *s,
			    const struct aws_endpoint_rule *rule)
{
	if (rule->use_dualstack) {
		if (rule->use_fips)
			return s->dual_fips_label ? s->dual_fips_label
						  : s->fips_label;
		return s->dual_label ? s->dual_label : s->label;
	}
	if (s->is_plain_in_gov && strncmp(rule->region, "us-gov-", 7) == 0)
		return s->label;
	return rule->use_fips ? s->fips_label : s->label;
}

static int use_override(const struct aws_endpoint_rule *rule,
			struct aws_endpoint *e, struct error *err)
{
	struct aws_url url = { 0 };
	int r = aws_url_parse(rule->override, &url, err);

	if (r == 0 && *url.path && strcmp(url.path, "/") != 0)
		r = err_set(err, ERR_INVALID,
			    "an endpoint has no path or query");
	if (r == 0) {
		e->url = aws_url_origin(&url);
		e->host = aws_url_authority(&url);
	}
	aws_url_release(&url);
	return r;
}

int aws_endpoint_resolve(const struct aws_endpoint_rule *rule,
			 struct aws_endpoint *ret, struct error *err)
{
	const struct service *s = &services[rule->service];
	const struct partition *p = partition_of(rule->region);
	struct aws_endpoint e = { 0 };

	if (rule->override) {
		int r = use_override(rule, &e, err);

		if (r < 0)
			return r;
	} else if (rule->use_dualstack && !p->dual_suffix) {
		return err_set(err, ERR_INVALID,
			       "region %s has no dual-stack endpoints",
			       rule->region);
	} else {
		e.host = xasprintf("%s.%s.%s", label_of(s, rule), rule->region,
				   rule->use_dualstack ? p->dual_suffix
						       : p->suffix);
		e.url = xasprintf("https://%s", e.host);
	}
	e.region = xstrdup(rule->region);
	e.sign_name = xstrdup(s->sign_name);
	*ret = e;
	return 0;
}
