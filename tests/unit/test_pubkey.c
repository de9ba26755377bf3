/* builder/commands/pubkey: which public keys are taken, and what they are
 * called. */
#include "builder/commands/pubkey.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Fingerprints as `ssh-keygen -lf` printed them. */
static const struct good {
	const char *type;
	const char *base64;
	const char *fingerprint;
} good[] = {
	{ "ssh-ed25519",
	  "AAAAC3NzaC1lZDI1NTE5AAAAIPEa/1f2h66g3EMoPF++Dy0/y9ECa/S/"
	  "CfgTJsq8bfo5",
	  "SHA256:xSMqYlQ6OVTS4u+/sMrFCDu/oFv0U/r6sHN5Q5srtc0" },
	{ "ssh-rsa",
	  "AAAAB3NzaC1yc2EAAAADAQABAAABAQDGH4aDJlc2UGHiICj4IOaa/USc"
	  "sEKB3cogRhMaU5Gu8vN6WmLTgqZFc9QFrqpDf01wQEeuY+xjsf1JL8LT"
	  "oubvVTj3FPJ7tKo4yQn6OtAo113eZIlEBgAhci/kAWf5xpYWlMhIlB84"
	  "CWfJvsf5SfuTMSehoradxajEqBiI65WAgc1ZdcLwysnc/IJxmUSHgb5F"
	  "7hvqo6t5heY3MPkaNRbHLRFIWV9lt4f4fYPQY2YMk+JYxll8uMCvUY/H"
	  "Y2X1ZjS81iJSInjtGycNHvRBr3Kgt1HbyiRnMgcBtYJJnsEwKYvkkULq"
	  "NAf/GVt7sNiJakthqInLNMgi7BOUe0e2/0sD",
	  "SHA256:7lMUtitg5PbZwcl3xkjEuxXMCkK1bPRoRtAI6BOEa9I" },
	{ "ecdsa-sha2-nistp256",
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDkk"
	  "Z4qQOEKcdalgNkWW7Sz2qoveJPbwLN/Trd0OhgpuHYqTHhjlY6WeVUZe"
	  "6Gtm9zCSTuBfQ1rCpS9V/4NOKM8=",
	  "SHA256:nYNAxDRdrzC+NORXSD1aA+Kji7n8AHXROTtNCHLmOHc" },
	{ "ecdsa-sha2-nistp384",
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBBXL"
	  "dkHXqvW3uiO7+mC3sdSZy9NcsHDq+zPiZ5Sfq8AEEWr5NkyafdhHgZOA"
	  "5qYyuHN0nvtrFNsNQZ9bN8VBEUQvrRITEzxDFqLUI7aqmUt7KvGxgTPD"
	  "aS/tBM3M7Rwjhw==",
	  "SHA256:YxQB/50Ul9YqAdis35Ey5Crpb8eG1hqMIFpgGcidJws" },
	{ "ecdsa-sha2-nistp521",
	  "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADE"
	  "lbVmJFeIbq99JC3KGWwRdpZ8W0X2kQ3LhFZOhHpd0k7JGMqXF7bw97tN"
	  "xICg2OrzxQEDy2YB2fstfI0C/aU+CgE51XKP3s8OQqcSwLAuwSAiH41W"
	  "14FdQk8zK2303J4mgvZ+xYPIhXzOaCK79v2OZhqR0ZpGVFk3aUgPaGge"
	  "+uBzuw==",
	  "SHA256:vbC8JCl7wWznJy/d3RRY8YCaGT7JBJk+ag9PQ4AM58U" },
	{ "sk-ssh-ed25519@openssh.com",
	  "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIPEa/1f2h66g"
	  "3EMoPF++Dy0/y9ECa/S/CfgTJsq8bfo5AAAABHNzaDo=",
	  "SHA256:x/jlmBqXJW1QpST6UpoogeYDjvQzDBA35iZWGET8Obo" },
	{ "sk-ecdsa-sha2-nistp256@openssh.com",
	  "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAI"
	  "bmlzdHAyNTYAAABBBDkkZ4qQOEKcdalgNkWW7Sz2qoveJPbwLN/Trd0O"
	  "hgpuHYqTHhjlY6WeVUZe6Gtm9zCSTuBfQ1rCpS9V/4NOKM8AAAAEc3No"
	  "Og==",
	  "SHA256:tlJ5aRNKHbN29plfPtZJoXW0yhClnaAuRY+0gWq5lP4" },
};

static const struct bad {
	const char *what;
	const char *type;
	const char *base64;
} bad[] = {
	{ "inner type differs", "ssh-ed25519",
	  "AAAAB3NzaC1yc2EAAAAg8Rr/V/aHrqDcQyg8X74PLT/L0QJr9L8J+BMm"
	  "yrxt+jk=" },
	{ "short key", "ssh-ed25519",
	  "AAAAC3NzaC1lZDI1NTE5AAAAH/Ea/1f2h66g3EMoPF++Dy0/y9ECa/S/"
	  "CfgTJsq8bfo=" },
	{ "bytes after the end", "ssh-ed25519",
	  "AAAAC3NzaC1lZDI1NTE5AAAAIPEa/1f2h66g3EMoPF++Dy0/y9ECa/S/"
	  "CfgTJsq8bfo5eA==" },
	{ "length beyond the end", "ssh-ed25519",
	  "AAAAC3NzaC1lZDI1NTE5//////Ea/1f2h66g3EMoPF++Dy0/y9ECa/S/"
	  "CfgTJsq8bfo5" },
	{ "nothing inside", "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5" },
	{ "cut in a length", "ssh-ed25519", "AAA=" },
	{ "curve differs", "ecdsa-sha2-nistp256",
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAzODQAAABBBDkk"
	  "Z4qQOEKcdalgNkWW7Sz2qoveJPbwLN/Trd0OhgpuHYqTHhjlY6WeVUZe"
	  "6Gtm9zCSTuBfQ1rCpS9V/4NOKM8=" },
	{ "compressed point", "ecdsa-sha2-nistp256",
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBAjkk"
	  "Z4qQOEKcdalgNkWW7Sz2qoveJPbwLN/Trd0OhgpuHYqTHhjlY6WeVUZe"
	  "6Gtm9zCSTuBfQ1rCpS9V/4NOKM8=" },
	{ "no application", "sk-ssh-ed25519@openssh.com",
	  "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIPEa/1f2h66g"
	  "3EMoPF++Dy0/y9ECa/S/CfgTJsq8bfo5" },
	{ "application with a line break", "sk-ssh-ed25519@openssh.com",
	  "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIPEa/1f2h66g"
	  "3EMoPF++Dy0/y9ECa/S/CfgTJsq8bfo5AAAABXNzaDoK" },
	{ "negative modulus", "ssh-rsa",
	  "AAAAB3NzaC1yc2EAAAADAQABAAABAP//////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "//////////////////////////////////8=" },
	{ "zero in front", "ssh-rsa",
	  "AAAAB3NzaC1yc2EAAAADAQABAAABAgB/////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "/////////////////////////////////////w==" },
	{ "even exponent", "ssh-rsa",
	  "AAAAB3NzaC1yc2EAAAADAQACAAABAQD/////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////////////////////////"
	  "////////////////////////////////////" },
	{ "empty modulus", "ssh-rsa", "AAAAB3NzaC1yc2EAAAADAQABAAAAAA==" },
	{ "zero modulus", "ssh-rsa", "AAAAB3NzaC1yc2EAAAADAQABAAAAAQA=" },
};

static const char rsa_1024[] =
	"AAAAB3NzaC1yc2EAAAADAQABAAAAgQC9c/LmCLwC1EE9umt2tVA++mWv"
	"rJJTsYcKDDScax/IM9ctbds+dR15vLXB15FaxFxZptForhpuin4nqTSK"
	"gYzqQZVgUGquiom+uJvXRlU98cc9ezSvr23a4OjpZVckP6fUMeHoeUiO"
	"Ga4y5Aj1qQXAJ7udreHRwZLQBxxKvG6JBw==";

#define ED good[0].base64

static struct error err;

/* 0 or -code; *ret only on success. */
static int parse(const char *text, struct pubkey *ret)
{
	memset(&err, 0, sizeof(err));
	return pubkey_parse(slice_str(text), ret, &err);
}

/* Must be refused with -code, saying `why`. */
static void refused(const char *text, int code, const char *why)
{
	struct pubkey k = { 0 };

	assert_int_equal(parse(text, &k), -code);
	if (!strstr(err.msg, why))
		fail_msg("'%s' does not say '%s'", err.msg, why);
	assert_null(k.text);
}

static void every_type_has_the_fingerprint_of_ssh_keygen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		auto_free char *text =
			xasprintf("%s %s", good[i].type, good[i].base64);
		auto_free char *line = xasprintf("%s me@home\n", text);
		struct pubkey k = { 0 };

		assert_int_equal(parse(line, &k), 0);
		assert_string_equal(k.type, good[i].type);
		assert_string_equal(k.text, text);
		assert_string_equal(k.comment, "me@home");
		assert_string_equal(k.fingerprint, good[i].fingerprint);
		pubkey_release(&k);
		assert_true(pubkey_is_type(good[i].type));
	}
	assert_false(pubkey_is_type("ssh-dss"));
	assert_false(pubkey_is_type(""));
}

static void blanks_comments_and_dos_line_ends_do_not_matter(void **state)
{
	auto_free char *text = xasprintf(
		"# mine\r\n\r\n \t%s\t %s \t a  b \r\n\n", good[0].type, ED);
	auto_free char *bare = xasprintf("%s %s", good[0].type, ED);
	struct pubkey k = { 0 };

	(void)state;
	assert_int_equal(parse(text, &k), 0);
	assert_string_equal(k.text, bare);
	assert_string_equal(k.comment, "a  b");
	pubkey_release(&k);
	assert_int_equal(parse(bare, &k), 0);
	assert_string_equal(k.comment, "");
	pubkey_release(&k);
	pubkey_release(NULL);
}

static void damaged_keys_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		auto_free char *line =
			xasprintf("%s %s x", bad[i].type, bad[i].base64);
		struct pubkey k = { 0 };

		if (parse(line, &k) != -ERR_INVALID)
			fail_msg("%s: was taken", bad[i].what);
		assert_non_null(strstr(err.msg, "damaged"));
	}
}

static void base64_has_one_form(void **state)
{
	static const char *const forms[] = {
		"AAAA",	    "",	    "A",    "AAAAB", "AAAA====", "AA=A",
		"AA==AAAA", "AB==", "AAB=", "AA-_",  "AAA\x80",	 "====",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		auto_free char *line = xasprintf("ssh-ed25519 %s", forms[i]);

		refused(line, ERR_INVALID, "damaged");
	}
}

static void a_cut_key_is_refused_wherever_it_was_cut(void **state)
{
	auto_free char *line = xasprintf("%s %s", good[1].type, good[1].base64);

	(void)state;
	for (size_t len = 0; len < strlen(line); len++) {
		struct pubkey k = { 0 };
		auto_free char *part = slice_dup((struct slice){ line, len });

		if (parse(part, &k) == 0)
			fail_msg("taken with %zu bytes", len);
	}
}

static void weak_keys_are_refused(void **state)
{
	auto_free char *rsa = xasprintf("ssh-rsa %s", rsa_1024);

	(void)state;
	refused(rsa, ERR_INVALID, "1024 bits is too weak");
	refused("ssh-dss AAAAB3NzaC1kc3MAAACBAN x", ERR_INVALID, "DSA");
}

static void options_and_certificates_are_refused(void **state)
{
	auto_free char *line =
		xasprintf("no-pty,command=\"a b\" ssh-ed25519 %s", ED);

	(void)state;
	refused(line, ERR_INVALID, "options");
	refused("ssh-ed25519-cert-v01@openssh.com AAAA", ERR_INVALID,
		"certificate");
}

static void a_private_key_is_not_echoed(void **state)
{
	(void)state;
	refused("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END",
		ERR_INVALID, "private key");
	assert_null(strstr(err.msg, "c2Vj"));
	refused("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
		ERR_INVALID, "private key");
	refused("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", ERR_INVALID,
		"ssh-keygen -i");
	refused("c2VjcmV0 hidden", ERR_INVALID, "not a public key");
	assert_null(strstr(err.msg, "c2Vj"));
}

static void one_key_at_a_time(void **state)
{
	auto_free char *two =
		xasprintf("ssh-ed25519 %s\nssh-ed25519 %s\n", ED, ED);

	(void)state;
	refused(two, ERR_INVALID, "one key");
	refused("", ERR_INVALID, "no public key");
	refused("\n# nothing\n", ERR_INVALID, "no public key");
}

static void the_size_is_bounded_and_nul_refused(void **state)
{
	static char large[PUBKEY_INPUT_MAX + 1];
	struct slice all = { large, sizeof(large) };
	struct pubkey k = { 0 };

	(void)state;
	memset(large, ' ', sizeof(large));
	assert_int_equal(pubkey_parse(all, &k, &err), -ERR_LIMIT);
	large[10] = '\0';
	all.len = 20;
	assert_int_equal(pubkey_parse(all, &k, &err), -ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_the_fingerprint_of_ssh_keygen),
		cmocka_unit_test(
			blanks_comments_and_dos_line_ends_do_not_matter),
		cmocka_unit_test(damaged_keys_are_refused),
		cmocka_unit_test(base64_has_one_form),
		cmocka_unit_test(a_cut_key_is_refused_wherever_it_was_cut),
		cmocka_unit_test(weak_keys_are_refused),
		cmocka_unit_test(options_and_certificates_are_refused),
		cmocka_unit_test(a_private_key_is_not_echoed),
		cmocka_unit_test(one_key_at_a_time),
		cmocka_unit_test(the_size_is_bounded_and_nul_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pubkey", tests, NULL, NULL);
}
