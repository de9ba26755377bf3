/* base/proc.h: programs started with listed fds and nothing else. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/proc.h"

#define OUT_MAX	   (1 << 20)
#define TIMEOUT_MS 20000

/* Run `sh -c script`; the exit code or -code. */
static int sh(const char *script, const char *input, struct buf *out,
	      struct error *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct proc_spec spec = { .path = "/bin/sh", .argv = argv };

	return proc_run(&spec, slice_str(input), out, NULL, TIMEOUT_MS, err);
}

static void feeds_and_collects(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	auto_buf struct buf errors = BUF_INIT(OUT_MAX);
	const char *argv[] = { "sh", "-c", "cat; echo two >&2; exit 3", NULL };
	struct proc_spec spec = { .path = "/bin/sh", .argv = argv };
	struct error err;

	(void)state;
	assert_int_equal(proc_run(&spec, slice_str("one"), &out, &errors,
				  TIMEOUT_MS, &err),
			 3);
	assert_string_equal(buf_str(&out), "one");
	assert_string_equal(buf_str(&errors), "two\n");
}

static void does_not_hang_on_much_data_both_ways(void **state)
{
	auto_buf struct buf input = BUF_INIT(OUT_MAX);
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct error err;

	(void)state;
	while (!input.is_truncated)
		buf_adds(&input, "0123456789abcde\n");
	assert_int_equal(sh("cat", buf_str(&input), &out, &err), 0);
	assert_int_equal(out.len, input.len);
	assert_memory_equal(out.data, input.data, out.len);
}

static void drops_output_over_the_maximum(void **state)
{
	auto_buf struct buf out = BUF_INIT(10);
	struct error err;

	(void)state;
	assert_int_equal(sh("head -c 300000 /dev/zero", "", &out, &err), 0);
	assert_int_equal(out.len, 10);
	assert_true(out.is_truncated);
}

static void survives_a_program_that_does_not_read(void **state)
{
	auto_buf struct buf input = BUF_INIT(OUT_MAX);
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct error err;

	(void)state;
	while (!input.is_truncated)
		buf_adds(&input, "unread ");
	assert_int_equal(sh("exit 5", buf_str(&input), &out, &err), 5);
}

static void reports_death_by_signal(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct error err;

	(void)state;
	assert_int_equal(sh("kill -9 $$", "", &out, &err), 128 + SIGKILL);
}

static void kills_what_takes_too_long(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	const char *argv[] = { "sleep", "60", NULL };
	struct proc_spec spec = { .path = "sleep", .argv = argv };
	int64_t began = clock_ms();
	struct error err;

	(void)state;
	assert_int_equal(proc_run(&spec, slice_str(""), &out, NULL, 300, &err),
			 -ERR_TIMEOUT);
	assert_true(clock_ms() - began < 10000);
}

static void says_which_program_is_missing(void **state)
{
	const char *argv[] = { "nosuch", NULL };
	struct proc_spec spec = { .path = "/nosuch/program", .argv = argv };
	struct error err;
	pid_t pid;

	(void)state;
	assert_int_equal(proc_spawn(&spec, &pid, &err), -ERR_SYS);
	assert_non_null(strstr(err.msg, "/nosuch/program"));
	assert_non_null(strstr(err.msg, "exec"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void gives_a_minimal_environment(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct error err;

	(void)state;
	setenv("SECRET_OF_THE_PARENT", "x", 1);
	assert_int_equal(sh("env", "", &out, &err), 0);
	assert_null(strstr(buf_str(&out), "SECRET_OF_THE_PARENT"));
	assert_non_null(strstr(buf_str(&out), "LC_ALL=C.UTF-8"));
	assert_non_null(strstr(buf_str(&out), "HOME=/nonexistent"));
}

/* `sh -c env` with what programs that talk to AWS get. */
static void env_with_aws(const char *home, struct buf *out)
{
	const char *argv[] = { "sh", "-c", "env", NULL };
	auto_free const char **env = proc_env_with_aws(home);
	struct proc_spec spec = { .path = "/bin/sh", .argv = argv, .env = env };
	struct error err;

	assert_int_equal(
		proc_run(&spec, slice_str(""), out, NULL, TIMEOUT_MS, &err), 0);
}

static void gives_aws_variables_when_asked(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);

	(void)state;
	setenv("SECRET_OF_THE_PARENT", "x", 1);
	setenv("AWS_REGION", "us-east-1", 1);
	setenv("XAWS_REGION", "x", 1);
	setenv("HOME", "/home/us", 1);
	env_with_aws(NULL, &out);
	assert_non_null(strstr(buf_str(&out), "AWS_REGION=us-east-1\n"));
	assert_non_null(strstr(buf_str(&out), "LC_ALL=C.UTF-8\n"));
	assert_non_null(strstr(buf_str(&out), "HOME=/home/us\n"));
	assert_null(strstr(buf_str(&out), "HOME=/nonexistent"));
	assert_null(strstr(buf_str(&out), "SECRET_OF_THE_PARENT"));
	assert_null(strstr(buf_str(&out), "XAWS_REGION"));
	buf_reset(&out);
	env_with_aws("/home/them", &out);
	assert_non_null(strstr(buf_str(&out), "HOME=/home/them\n"));
	buf_reset(&out);
	unsetenv("HOME");
	env_with_aws(NULL, &out);
	assert_non_null(strstr(buf_str(&out), "HOME=/nonexistent\n"));
	unsetenv("AWS_REGION");
}

static void gives_listed_fds_only(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	/* No O_CLOEXEC: a library's forgotten fd. */
	auto_close int leaked = open("/dev/null", O_RDONLY);
	auto_close int given = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	const char *argv[] = { "sh", "-c",
			       "for f in 3 4 5 6 7 8 9; do "
			       "readlink /proc/$$/fd/$f; done; exit 0",
			       NULL };
	struct proc_spec spec = { .path = "/bin/sh",
				  .argv = argv,
				  .fds = { { given, 7 } },
				  .fds_count = 1 };
	struct error err;

	(void)state;
	assert_true(leaked >= 0 && given >= 0);
	assert_int_equal(
		proc_run(&spec, slice_str(""), &out, NULL, TIMEOUT_MS, &err),
		0);
	assert_string_equal(buf_str(&out), "/dev/zero\n");
}

static void places_fds_that_swap_numbers(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	const char *argv[] = { "sh", "-c", NULL, NULL };
	auto_free char *script = xasprintf(
		"readlink /proc/$$/fd/%d /proc/$$/fd/%d", null_fd, zero_fd);
	struct proc_spec spec = { .path = "/bin/sh",
				  .argv = argv,
				  .fds = { { null_fd, zero_fd },
					   { zero_fd, null_fd } },
				  .fds_count = 2 };
	struct error err;

	(void)state;
	argv[2] = script;
	assert_int_equal(
		proc_run(&spec, slice_str(""), &out, NULL, TIMEOUT_MS, &err),
		0);
	assert_string_equal(buf_str(&out), "/dev/zero\n/dev/null\n");
	close(null_fd);
	close(zero_fd);
}

static void resets_signals(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	struct error err;
	unsigned long long ignored;
	sigset_t all;
	sigset_t old;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	assert_int_equal(sh("exec grep -E 'Sig(Blk|Ign)' /proc/self/status", "",
			    &out, &err),
			 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	assert_non_null(strstr(buf_str(&out), "SigBlk:\t0000000000000000\n"));
	/* 32 and 33 are the C library's own and may be inherited ignored. */
	assert_non_null(strstr(buf_str(&out), "SigIgn:\t"));
	ignored = strtoull(strstr(buf_str(&out), "SigIgn:\t") + 8, NULL, 16);
	assert_int_equal(ignored & 0x7fffffff, 0);
}

static void limits_and_places_the_child(void **state)
{
	auto_buf struct buf out = BUF_INIT(OUT_MAX);
	const char *argv[] = { "sh", "-c", "ulimit -t; ulimit -f; pwd", NULL };
	struct proc_spec spec = { .path = "/bin/sh",
				  .argv = argv,
				  .cwd = "/usr",
				  .max_cpu_s = 77,
				  .max_file = 512 * 1000 };
	struct error err;

	(void)state;
	assert_int_equal(
		proc_run(&spec, slice_str(""), &out, NULL, TIMEOUT_MS, &err),
		0);
	assert_string_equal(buf_str(&out), "77\n1000\n/usr\n");
}

static void reads_wait_statuses(void **state)
{
	(void)state;
	assert_int_equal(proc_exit_code(0), 0);
	assert_int_equal(proc_exit_code(7 << 8), 7);
	assert_int_equal(proc_exit_code(SIGTERM), 128 + SIGTERM);
}

static void finds_programs_beside_itself(void **state)
{
	auto_free char *self = proc_sibling("test_proc");
	auto_free char *other = proc_sibling("no-such-sibling");

	(void)state;
	assert_int_equal(access(self, X_OK), 0);
	assert_string_equal(other, LIBEXECDIR "/no-such-sibling");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(feeds_and_collects),
		cmocka_unit_test(does_not_hang_on_much_data_both_ways),
		cmocka_unit_test(drops_output_over_the_maximum),
		cmocka_unit_test(survives_a_program_that_does_not_read),
		cmocka_unit_test(reports_death_by_signal),
		cmocka_unit_test(kills_what_takes_too_long),
		cmocka_unit_test(says_which_program_is_missing),
		cmocka_unit_test(gives_a_minimal_environment),
		cmocka_unit_test(gives_aws_variables_when_asked),
		cmocka_unit_test(gives_listed_fds_only),
		cmocka_unit_test(places_fds_that_swap_numbers),
		cmocka_unit_test(resets_signals),
		cmocka_unit_test(limits_and_places_the_child),
		cmocka_unit_test(reads_wait_statuses),
		cmocka_unit_test(finds_programs_beside_itself),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
