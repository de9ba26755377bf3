/* Any bytes as a public key: refused, or a key whose canonical text is read
 * back as the same key. */
#include "builder/commands/pubkey.h"

#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = { (const char *)data, size };
	struct error err = ERROR_INIT;
	struct pubkey first = { 0 };
	struct pubkey again = { 0 };

	if (pubkey_parse(input, &first, &err) < 0)
		return 0;
	if (pubkey_parse(slice_str(first.text), &again, &err) < 0 ||
	    strcmp(first.text, again.text) != 0 ||
	    strcmp(first.fingerprint, again.fingerprint) != 0)
		abort();
	pubkey_release(&first);
	pubkey_release(&again);
	return 0;
}
