/* What is read out of key blobs before libssh is asked to use them. */
#include "receiver/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_size_of_rsa_keys(void **state)
{
	(void)state;
	/* "ssh-rsa", e = 3, n = 0x00ff (8 bits), 0x7f (7 bits), 0x0101 */
	assert_int_equal(auth_rsa_bits("AAAAB3NzaC1yc2EAAAABAwAAAAIA/w=="), 8);
	assert_int_equal(auth_rsa_bits("AAAAB3NzaC1yc2EAAAABAwAAAAF/"), 7);
	assert_int_equal(auth_rsa_bits("AAAAB3NzaC1yc2EAAAABAwAAAAIBAQ=="), 9);
}

static void test_broken_blobs_have_no_size(void **state)
{
	(void)state;
	assert_int_equal(auth_rsa_bits(""), 0);
	assert_int_equal(auth_rsa_bits("!!!!"), 0);
	assert_int_equal(auth_rsa_bits("AAAAB3NzaC1yc2E="), 0);
	/* n longer than the blob; n = 0 */
	assert_int_equal(auth_rsa_bits("AAAAB3NzaC1yc2EAAAABAwAAAP8A/w=="), 0);
	assert_int_equal(auth_rsa_bits("AAAAB3NzaC1yc2EAAAABAwAAAAEA"), 0);
	/* another type */
	assert_int_equal(auth_rsa_bits("AAAAB3NzaC1kc3MAAAABAwAAAAIA/w=="), 0);
	/* a length of 0xffffffff */
	assert_int_equal(auth_rsa_bits("/////3NzaC1yc2EAAAABAwAAAAIA/w=="), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_of_rsa_keys),
		cmocka_unit_test(test_broken_blobs_have_no_size),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
