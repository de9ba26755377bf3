#include "builder/aws/credentials_private.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/proc.h"
#include "base/wipe.h"
#include "builder/aws/aws_environment.h"
#include "builder/aws/aws_words.h"

#include <signal.h>
#include <stdlib.h>

#define PROCESS_MS 60000 /* some ask a service of their own first */

/* The operator's own helper: it finds its settings as we find ours. */
static int run(const char *const *argv, struct buf *out, struct error *err)
{
	struct proc_spec spec = { .path = argv[0],
				  .argv = argv,
				  .death_signal = SIGKILL,
				  .new_session = true };
	const char **env = proc_env_with_aws(NULL);
	int r;

	spec.env = env;
	r = proc_run(&spec, (struct slice){ "", 0 }, out, NULL, PROCESS_MS,
		     err);
	free(env);
	if (r > 0)
		return err_set(err, ERR_DENIED, "exit code %d", r);
	return r;
}

int credentials_from_process(const struct aws_environment *env,
			     const char *profile, struct credentials *ret,
			     struct error *err)
{
	static const struct credentials_form form = {
		.token = "SessionToken",
		.version = 1,
		.source = "credential process",
	};
	const char *line =
		aws_environment_setting(env, profile, "credential_process");
	auto_free char *place = NULL;
	auto_wiped struct buf out = BUF_INIT(CREDENTIALS_REPLY_MAX);
	char **argv = NULL;
	int r;

	if (!line)
		return 0;
	place = xasprintf("credential_process of profile '%s'", profile);
	r = aws_words_split(line, &argv, err);
	/* At once: growing would leave copies that nobody wipes. */
	if (r == 0 && buf_reserve(&out, CREDENTIALS_REPLY_MAX))
		r = run((const char *const *)argv, &out, err);
	aws_words_free(argv);
	if (r == 0 && out.is_truncated)
		r = err_set(err, ERR_INVALID, "printed over %d bytes",
			    CREDENTIALS_REPLY_MAX);
	if (r < 0)
		return err_wrap(err, r, "%s", place);
	r = credentials_parse(buf_slice(&out), &form, place, ret, err);
	return r < 0 ? r : 1;
}
