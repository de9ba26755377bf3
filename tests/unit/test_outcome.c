/* The first failure of several steps. */
#include "builder/rollout/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void steps_that_all_succeed_are_a_success(void **state)
{
	struct outcome o = { .r = 0 };
	struct error err = ERROR_INIT;

	(void)state;
	outcome_note(&o, 0, &err);
	outcome_note(&o, 3, &err); /* a count */
	assert_int_equal(outcome_result(&o, &err), 0);
	assert_int_equal(err.code, 0);
}

static void the_first_failure_is_told(void **state)
{
	struct outcome o = { .r = 0 };
	struct error err = ERROR_INIT;

	(void)state;
	outcome_note(&o, err_set(&err, ERR_PEER, "first"), &err);
	outcome_note(&o, 0, &err);
	outcome_note(&o, err_set(&err, ERR_SYS, "second"), &err);
	assert_int_equal(outcome_result(&o, &err), -ERR_PEER);
	assert_string_equal(err.msg, "first");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_that_all_succeed_are_a_success),
		cmocka_unit_test(the_first_failure_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
