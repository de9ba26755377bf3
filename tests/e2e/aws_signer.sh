#!/bin/bash
# Our signatures against those of botocore, for random requests.
. "$(dirname "$0")/lib.sh"

same_signatures() {
	/usr/bin/python3 "$ROOT/tests/e2e/tools/compare_signer.py" \
		"$BUILD/tests/tools/sigv4_tool" "$1" "$2"
}

test_expect_success 'calls are signed as botocore signs them' '
	same_signatures calls 500
'

test_expect_success 'parameters are encoded and sorted as botocore does' '
	same_signatures queries 500
'

test_expect_success 'paths are normalised and encoded twice, as botocore does' '
	same_signatures paths 500
'

test_expect_success 'headers are folded and merged as botocore does' '
	same_signatures headers 500
'

test_done
